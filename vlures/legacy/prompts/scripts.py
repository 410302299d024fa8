"""The original scripts' dictionaries → what they say about each language's prompts.

`LANGUAGE_CONFIGS` maps a language to its system prompt, its two templates and its task wordings; `EXAMPLES` maps a task
to a worked example. Keys are known by the names listed here. What has another name is said with its line, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from vlures.benchmarks.vlures.languages import LANGUAGES, Language, find_language
from vlures.benchmarks.vlures.prompts.packs import SECTIONS
from vlures.benchmarks.vlures.tasks import TASKS
from vlures.errors import VluresError
from vlures.legacy.prompts.static_values import Computed, Key, Script, Table, Text, Value
from vlures.legacy.prompts.template_usage import Filling, find_changes, read_filling

CONFIG_NAMES = ("LANGUAGE_CONFIGS", "LANGUAGE_CONFIG", "LANG_CONFIGS", "LANGUAGES", "PROMPTS")
EXAMPLE_NAMES = ("EXAMPLES", "EXAMPLE", "ONE_SHOT_EXAMPLES", "FEW_SHOT_EXAMPLES")
"""What the dictionaries may be called, in any case; the first that is there is taken."""

KEYS: dict[str, tuple[str, ...]] = {
    "system": ("system_prompt", "system", "system_message", "system_instruction"),
    "image_only": ("prompt_template_image_only", "image_only", "template_image_only", "image_only_template"),
    "image_text": ("prompt_template_image_text", "image_text", "template_image_text", "image_text_template"),
    "templates": ("prompt_templates", "templates"),
    "tasks": ("tasks", "task_descriptions", "task_prompts"),
    "examples": ("examples", "one_shot_examples", "example"),
    "code": ("code", "language_code", "name", "language"),
}
FIELDS: dict[str, tuple[str, ...]] = {
    "question": ("question", "example_question"),
    "rationale": ("rationale", "rationales", "reasoning", "example_rationale"),
    "answer": ("example_response", "response", "answer", "example_answer"),
}
"""What a language's entry, and an example's, may call their parts, in any case and with any blanks or dashes."""


Slot = TypeVar("Slot", int, str | int)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that did not come along as it stands. harmless: no prompt is another for it."""

    line: int
    text: str
    harmless: bool = False


@dataclass(slots=True)
class LanguagePrompts:
    """What a script says of one language. templates: by section, or by task number for a task that has its own.

    examples: by task number, each the whole entry by its own keys; a text that is all of it is under "". line: where the
    language's entry begins.
    """

    language: Language
    line: int
    system: Text | None = None
    templates: dict[str | int, Text] = field(default_factory=dict)
    tasks: dict[int, Text] = field(default_factory=dict)
    examples: dict[int, Mapping[str, Value]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ScriptPrompts:
    """All that a script says of its prompts."""

    script: str
    languages: tuple[LanguagePrompts, ...]
    filling: Filling
    findings: tuple[Finding, ...]


def read_prompts(script: Script) -> ScriptPrompts:
    """Take the two dictionaries apart.

    Raises VluresError if the script has no dictionary of languages.
    """
    config_name = _find(script, CONFIG_NAMES)
    example_name = _find(script, EXAMPLE_NAMES)
    if config_name is None:
        there = ", ".join(name for name in script.names if name.isupper()) or "none"
        raise VluresError(
            f"{script.name} has no {CONFIG_NAMES[0]} at its top level (the names in capitals there: {there}); name the script that "
            "holds the prompts."
        )
    filling = read_filling(script)
    reader = _Reader(example_name is not None and filling.roots == {example_name})
    configs = script.value(config_name)
    examples = script.value(example_name) if example_name else None
    if not isinstance(configs, Table):
        raise VluresError(f"{script.name}:{_line(configs)}: {config_name} is no dictionary that is spelled out.")
    languages = reader.languages(configs, config_name, examples, example_name)
    names = script.refers_to(config_name) | (script.refers_to(example_name) if example_name else set())
    for doubt in (*filling.doubts, *find_changes(script, names)):
        reader.say(doubt.line, f"the script {doubt.why}; the packs take the dictionaries as they stand")
    findings = sorted(set(reader.findings), key=lambda finding: finding.line)
    return ScriptPrompts(script.name, tuple(languages), filling, tuple(findings))


def _find(script: Script, names: tuple[str, ...]) -> str | None:
    by_capitals = {name.upper(): name for name in script.names}
    return next((by_capitals[name] for name in names if name in by_capitals), None)


def _line(value: Value) -> int:
    return value.line


def plain_key(key: Key) -> str:
    """`Task 1`, `task-1` and `task_1` are one key."""
    return re.sub(r"[\W_]+", "_", str(key).strip().lower()).strip("_")


def find_task(key: Key) -> int | None:
    """The task that a key means: 1, "1", "task1", its code or its name."""
    word = plain_key(key)
    for task in TASKS.values():
        if word in (
            str(task.number),
            f"task{task.number}",
            f"task_{task.number}",
            task.code.lower(),
            plain_key(task.name),
        ):
            return task.number
    return None


def _known_as(key: Key, names: Mapping[str, tuple[str, ...]]) -> str | None:
    return next((part for part, words in names.items() if plain_key(key) in words), None)


def _as_language(key: Key) -> Language | None:
    return find_language(str(key).strip())


class _Reader:
    """Goes through the dictionaries and keeps what is to be said of them.

    shared_examples: the script takes its examples from the one dictionary, whatever a language's entry holds.
    """

    def __init__(self, shared_examples: bool) -> None:
        self._shared_examples = shared_examples
        self.findings: list[Finding] = []

    def say(self, line: int, text: str, harmless: bool = False) -> None:
        self.findings.append(Finding(line, text, harmless))

    def languages(
        self, configs: Table, config_name: str, examples: Value | None, example_name: str | None
    ) -> list[LanguagePrompts]:
        found: dict[str, LanguagePrompts] = {}
        self._say_leftovers(configs, config_name)
        for key, value in configs.items.items():
            language, line = _as_language(key), configs.lines[key]
            where = f"{config_name}[{key!r}]"
            if language is None:
                known = ", ".join(language.name for language in LANGUAGES.values())
                self.say(line, f"{where} is not one of the languages {known}; left out", harmless=True)
            elif language.code in found:
                self.say(line, f"{where} is {language.name} a second time; left out")
            elif isinstance(value, Table):
                found[language.code] = self._language(language, value, where, line, examples, example_name)
            else:
                self._say_unfit(value, where, "a dictionary")
        return list(found.values())

    def _language(
        self, language: Language, table: Table, where: str, line: int, examples: Value | None, example_name: str | None
    ) -> LanguagePrompts:
        prompts = LanguagePrompts(language, line)
        self._say_leftovers(table, where)
        taken: dict[str, Key] = {}
        for key, value in table.items.items():
            part, here = _known_as(key, KEYS), f"{where}[{key!r}]"
            if part is None:
                self.say(table.lines[key], f"{here} is no part of a prompt that is known; left out", harmless=True)
            elif part == "examples" and self._shared_examples:
                self.say(
                    table.lines[key], f"{here} is not what the script shows; {example_name} is taken", harmless=True
                )
            elif part in taken and part != "code":
                self.say(table.lines[key], f"{here} means the same as {taken[part]!r}; left out")
            else:
                taken[part] = key
                self._part(prompts, part, value, here)
        if "examples" not in taken and examples is not None:
            self._examples(prompts, examples, str(example_name))
        return prompts

    def _part(self, prompts: LanguagePrompts, part: str, value: Value, where: str) -> None:
        match part:
            case "system":
                prompts.system = self._text(value, where)
            case "image_only" | "image_text":
                self._put(prompts.templates, part, value, where)
            case "templates":
                self._templates(prompts, value, where)
            case "tasks":
                for number, task, here in self._by_task(value, where):
                    self._put(prompts.tasks, number, task, here)
            case "examples":
                self._examples(prompts, value, where)
            case "code":
                said = _as_language(value.text) if isinstance(value, Text) else None
                if isinstance(value, Text) and said is not prompts.language:
                    self.say(
                        value.line,
                        f"{where} is {value.text!r}; the pack is that of {prompts.language.name}",
                        harmless=True,
                    )

    def _templates(self, prompts: LanguagePrompts, value: Value, where: str) -> None:
        """Templates in a dictionary of their own: by kind of task, or by task."""
        if not isinstance(value, Table):
            self._say_unfit(value, where, "a dictionary")
            return
        self._say_leftovers(value, where)
        for key, template in value.items.items():
            slot = _known_as(key, {section: KEYS[section] for section in SECTIONS.values()}) or find_task(key)
            here = f"{where}[{key!r}]"
            if slot is None:
                self.say(value.lines[key], f"{here} is no task and no kind of task; left out")
            else:
                self._put(prompts.templates, slot, template, here)

    def _examples(self, prompts: LanguagePrompts, value: Value, where: str) -> None:
        """By task, by language and task, or by task and language."""
        if isinstance(value, Table) and any(_as_language(key) for key in value.items):
            chosen = self._of_language(value, where, prompts.language)
            if chosen is None:
                self.say(value.line, f"{where} has no examples for {prompts.language.name}")
                return
            where, value = chosen
        for number, example, here in self._by_task(value, where):
            if isinstance(example, Table) and any(_as_language(key) for key in example.items):
                chosen = self._of_language(example, here, prompts.language)
                if chosen is None:
                    self.say(example.line, f"{here} has no example for {prompts.language.name}")
                else:
                    self._example(prompts, number, *chosen)
            else:
                self._example(prompts, number, here, example)

    def _example(self, prompts: LanguagePrompts, number: int, where: str, example: Value) -> None:
        if isinstance(example, Table):
            self._say_leftovers(example, where)
            prompts.examples[number] = {plain_key(key): part for key, part in example.items.items()}
        elif (text := self._text(example, where)) is not None:
            prompts.examples[number] = {"": text}

    def _of_language(self, table: Table, where: str, language: Language) -> tuple[str, Value] | None:
        for key, value in table.items.items():
            if _as_language(key) is language:
                return f"{where}[{key!r}]", value
        return None

    def _by_task(self, value: Value, where: str) -> list[tuple[int, Value, str]]:
        if not isinstance(value, Table):
            self._say_unfit(value, where, "a dictionary by task")
            return []
        self._say_leftovers(value, where)
        found: dict[int, tuple[int, Value, str]] = {}
        for key, item in value.items.items():
            number, here = find_task(key), f"{where}[{key!r}]"
            if number is None:
                self.say(value.lines[key], f"{here} is not one of the tasks 1 to 8; left out", harmless=True)
            elif number in found:
                self.say(value.lines[key], f"{here} is task {number} a second time; left out")
            else:
                found[number] = (number, item, here)
        return list(found.values())

    def _put(self, texts: dict[Slot, Text], slot: Slot, value: Value, where: str) -> None:
        text = self._text(value, where)
        if text is not None:
            texts[slot] = text

    def _text(self, value: Value, where: str) -> Text | None:
        if isinstance(value, Text) and value.text.strip():
            return value
        if isinstance(value, Text):
            self.say(value.line, f"{where} is empty; left out")
        else:
            self._say_unfit(value, where, "a text")
        return None

    def _say_unfit(self, value: Value, where: str, wanted: str) -> None:
        why = value.why if isinstance(value, Computed) else f"is not {wanted}"
        self.say(value.line, f"{where} {why}; left out")

    def _say_leftovers(self, table: Table, where: str) -> None:
        for leftover in table.leftovers:
            self.say(
                leftover.line,
                f"{where} {leftover.why}" + ("" if leftover.harmless else "; left out"),
                leftover.harmless,
            )


def pick_field(example: Mapping[str, Value], role: str, placeholder: str, filling: Filling) -> Text | Computed:
    """The text of an example that goes in for a placeholder, or why there is none that is certain.

    What the script itself puts in is taken; where it does not tell, the part that is known by its name.
    """
    line = min((value.line for value in example.values()), default=0)
    told = sorted(filling.fields.get(placeholder, ()))
    if len(told) > 1:
        return Computed(line, f"is filled now with {' and now with '.join(map(repr, told))}")
    if told:
        wanted = [plain_key(told[0])]
    elif set(example) == {""} and role == "answer":
        wanted = [""]
    else:
        wanted = [key for key in example if key in FIELDS[role]] or list(FIELDS[role][:1])
    if len(wanted) > 1:
        return Computed(line, f"has both {' and '.join(map(repr, wanted))}")
    value = example.get(wanted[0])
    if value is None:
        return Computed(line, f"has no {wanted[0]!r}")
    if isinstance(value, Text) and value.text.strip():
        return value
    why = (
        value.why if isinstance(value, Computed) else "has a dictionary" if isinstance(value, Table) else "has nothing"
    )
    return Computed(value.line, f"{why} for {wanted[0]!r}")
