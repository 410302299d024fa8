"""Reads the public scripts' dictionaries: what they say about each language's prompts.

`LANGUAGE_CONFIGS` maps a language to its system prompt, its two templates and its task wordings; `EXAMPLES` maps a task
to a worked example. Keys are known by the names listed here; any other is named with its line, never guessed.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field

from vlures.benchmarks.vlures.languages import LANGUAGES, Language, find_language
from vlures.benchmarks.vlures.prompts.packs import SECTIONS
from vlures.benchmarks.vlures.tasks import TASKS
from vlures.errors import VluresError
from vlures.legacy.prompts.static_values import Computed, Leaf, Script, Steps, Text

CONFIG_NAMES = ("LANGUAGE_CONFIGS", "LANGUAGE_CONFIG", "LANG_CONFIGS", "LANGUAGES", "PROMPTS")
EXAMPLE_NAMES = ("EXAMPLES", "EXAMPLE", "ONE_SHOT_EXAMPLES", "FEW_SHOT_EXAMPLES")
"""Names of the dictionaries, in any case; the first that exists is used."""
KEYS: dict[str, tuple[str, ...]] = {
    "system": ("system_prompt", "system", "system_message", "system_instruction"),
    "image_only": ("prompt_template_image_only", "image_only", "template_image_only", "image_only_template"),
    "image_text": ("prompt_template_image_text", "image_text", "template_image_text", "image_text_template"),
    "templates": ("prompt_templates", "templates"),
    "tasks": ("tasks", "task_descriptions", "task_prompts"),
    "examples": ("examples", "one_shot_examples", "example"),
    "code": ("code", "language_code", "name", "language"),
}
"""Names of the parts of a language's entry, in any case and with any blanks or dashes."""

FIELDS: dict[str, tuple[str, ...]] = {
    "question": ("question", "example_question"),
    "rationale": ("rationale", "rationales", "reasoning", "example_rationale"),
    "answer": ("example_response", "response", "answer", "example_answer"),
}
"""Names of the parts of an example, in any case and with any blanks or dashes."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in a script that cannot be imported unchanged."""

    line: int
    text: str
    harmless: bool = False
    """No prompt differs because of it."""


@dataclass(slots=True)
class LanguagePrompts:
    """What a script says of one language."""

    language: Language
    line: int
    """Where its entry begins."""
    texts: dict[str, Text] = field(default_factory=dict)
    """By a pack's keys: system, image_only, templates.3, tasks.1."""
    examples: dict[int, dict[str, Leaf]] = field(default_factory=dict)
    """By task and part; "" where the example is one text."""


class Dictionaries:
    """A script's dictionary of languages and its dictionary of examples.

    Raises VluresError if the former is not a literal dictionary.
    """

    def __init__(self, script: Script, config_name: str, example_name: str | None) -> None:
        self.languages: dict[str, LanguagePrompts] = {}
        self.findings: list[Finding] = []
        self._examples: dict[tuple[str, str], dict[int, dict[str, Leaf]]] = defaultdict(lambda: defaultdict(dict))
        for steps, leaf in script.leaves(script.value(config_name)):
            if not steps:
                why = leaf.why if isinstance(leaf, Computed) else "is not a dictionary"
                raise VluresError(
                    f"{script.path}:{leaf.line}: {config_name} {why}; write it out once. Nothing was written."
                )
            self._read_entry(steps, leaf, config_name)
        for steps, leaf in script.leaves(script.value(example_name)) if example_name else ():
            self._read_example("", steps, leaf, f"{example_name}{_path(steps)}")

    def choose_examples(self, shared: bool) -> None:
        """Give each language its examples. shared: the script shows its one dictionary, whatever an entry holds."""
        for code, prompts in self.languages.items():
            own, general = (self._examples.get((of, code)) or self._examples.get((of, "")) for of in (code, ""))
            if own and shared:
                self._say(prompts.line, "the script does not show the examples of this entry; left out", harmless=True)
            prompts.examples = (general if shared or not own else own) or {}

    def _say(self, line: int, text: str, harmless: bool = False) -> None:
        self.findings.append(Finding(line, text, harmless))

    def _read_entry(self, steps: Steps, leaf: Leaf, name: str) -> None:
        (key, line), where = steps[0], name + _path(steps)
        language = find_language(str(key).strip())
        if language is None:
            known = ", ".join(language.name for language in LANGUAGES.values())
            self._say(line, f"{name}[{key!r}] is not one of the languages {known}; left out", harmless=True)
            return
        if len(steps) == 1:
            self._say_unfit(leaf, where, "a dictionary")
            return
        prompts = self.languages.setdefault(language.code, LanguagePrompts(language, line))
        part = _find_part(steps[1][0])
        match part, steps[2:]:
            case None, _:
                text = f"{name}{_path(steps[:2])} is not a known part of a prompt; left out"
                self._say(steps[1][1], text, harmless=True)
            case "code", _:
                if isinstance(leaf, Text) and find_language(leaf.text.strip()) is not language:
                    self._say(leaf.line, f"{where} is not {language.name}, whose pack this is", harmless=True)
            case "system" | "image_only" | "image_text", ():
                self._put(prompts.texts, part, leaf, where)
            case "templates", ((key, line),) if (section := _find_part(key)) in SECTIONS.values():
                self._put(prompts.texts, str(section), leaf, where)
            case "templates" | "tasks", ((key, line),):
                if (number := find_task(key)) is None:
                    self._say(line, f"{where} is not one of the tasks 1 to 8; left out", harmless=part == "tasks")
                else:
                    self._put(prompts.texts, f"{part}.{number}", leaf, where)
            case "examples", rest:
                self._read_example(language.code, rest, leaf, where)
            case _:
                self._say_unfit(leaf, where, "what is expected here")

    def _read_example(self, owner: str, steps: Steps, leaf: Leaf, where: str) -> None:
        """By task, by language and task, or by task and language; then by part."""
        language, number, rest = None, None, list[str]()
        for key, _ in steps:
            if language is None and not rest and (found := find_language(str(key).strip())):
                language = found
            elif number is None and not rest:
                number = find_task(key)
                rest += [] if number else [plain_key(key)]
            else:
                rest.append(plain_key(key))
        if number is None and rest:
            self._say(steps[0][1], f"{where} is not an example of one of the tasks 1 to 8; left out", harmless=True)
        elif number is None or len(rest) > 1:
            self._say_unfit(leaf, where, "an example by task")
        else:
            example = self._examples[owner, language.code if language else ""][number]
            if "".join(rest) in example:
                self._say(leaf.line, f"{where} means the same as a key above; left out")
            example.setdefault("".join(rest), leaf)

    def _put(self, texts: dict[str, Text], slot: str, leaf: Leaf, where: str) -> None:
        if slot in texts:
            self._say(leaf.line, f"{where} means the same as a key above; left out")
        elif isinstance(leaf, Text) and leaf.text.strip():
            texts[slot] = leaf
        else:
            self._say_unfit(leaf, where, "a text with something in it")

    def _say_unfit(self, leaf: Leaf, where: str, wanted: str) -> None:
        why = leaf.why if isinstance(leaf, Computed) else f"is not {wanted}"
        self._say(leaf.line, f"{where} {why}; left out until you write it out")


def plain_key(key: str | int) -> str:
    """`Task 1`, `task-1` and `task_1` are one key."""
    return re.sub(r"[\W_]+", "_", str(key).strip().lower()).strip("_")


def find_task(key: str | int) -> int | None:
    """The task that a key means: 1, "1", "task1", its code or its name."""
    word = plain_key(key)
    for n, task in TASKS.items():
        if word in (str(n), f"task{n}", f"task_{n}", task.code.lower(), plain_key(task.name)):
            return n
    return None


def _find_part(key: str | int) -> str | None:
    return next((part for part, words in KEYS.items() if plain_key(key) in words), None)


def _path(steps: Steps) -> str:
    return "".join(f"[{key!r}]" for key, _ in steps[:5])
