"""Reads the public scripts' dictionaries: what they say about each language's prompts.

`LANGUAGE_CONFIGS` maps a language to its system prompt, its two templates, its task wordings and, in one script, its
examples; `EXAMPLES` maps a task to a worked example. Any other key is named with its line, never guessed.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from vlures.benchmarks.vlures.languages import LANGUAGES, Language, find_language
from vlures.benchmarks.vlures.tasks import TASKS
from vlures.errors import VluresError
from vlures.legacy.prompts.static_values import Computed, Entry, Leaf, Script, Text, Value

CONFIGS, EXAMPLES = "LANGUAGE_CONFIGS", "EXAMPLES"
TEXTS = {
    "system_prompt": "system",
    "prompt_template_image_only": "image_only",
    "prompt_template_image_text": "image_text",
}
"""The key in a pack of each text of a language's entry."""
PARTS = (*TEXTS, "tasks", "examples", "code")
"""The keys of a language's entry."""


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
    """By a pack's keys: system, image_only, image_text, tasks.1 …"""
    examples: dict[int, dict[str, Leaf]] = field(default_factory=dict)
    """By task and key."""


def read_dictionaries(script: Script) -> tuple[dict[str, LanguagePrompts], list[Finding]]:
    """What a script says of each language, by code.

    Raises VluresError if the script has no literal dictionary of languages, or none of ours in it.
    """
    configs = script.value(CONFIGS)
    if CONFIGS not in script.bindings:
        there = ", ".join(name for name in script.bindings if name.isupper()) or "none"
        raise VluresError(
            f"{script.path} has no {CONFIGS} (its names in capitals: {there}); name the script that holds the prompts, "
            "under the names of the originals."
        )
    if not isinstance(configs, ast.Dict):
        why = configs.why if isinstance(configs, Computed) else "is not a dictionary"
        raise VluresError(f"{script.path}:{configs.line}: {CONFIGS} {why}; write it out once. Nothing was written.")
    reader = _Reader(script)
    reader.read_languages(configs)
    if not reader.languages:
        raise VluresError(f"{script.path} spells out the prompts of no language; nothing was written.")
    return reader.languages, reader.findings


class _Reader:
    def __init__(self, script: Script) -> None:
        self.languages: dict[str, LanguagePrompts] = {}
        self.findings: list[Finding] = []
        self._script = script
        self._shared = script.value(EXAMPLES) if EXAMPLES in script.bindings else None

    def read_languages(self, configs: ast.Dict) -> None:
        shared = self._read_examples(EXAMPLES, self._shared) if self._shared else {}
        for key, line, value in self._entries(CONFIGS, configs):
            if language := find_language(str(key).strip()):
                prompts = self.languages.setdefault(language.code, LanguagePrompts(language, line, examples=shared))
                self._read_entry(prompts, f"{CONFIGS}[{key!r}]", value)
            else:
                known = ", ".join(language.name for language in LANGUAGES.values())
                self._say(line, f"{CONFIGS}[{key!r}] is not one of the languages {known}; left out", harmless=True)

    def _read_entry(self, prompts: LanguagePrompts, entry: str, whole: Value) -> None:
        for key, line, value in self._entries(entry, whole):
            where = f"{entry}[{key!r}]"
            if key in TEXTS:
                self._put(prompts.texts, TEXTS[str(key)], value, where)
            elif key == "tasks":
                for n, _, wording in self._by_task(where, value):
                    self._put(prompts.texts, f"tasks.{n}", wording, f"{where}[{n}]")
            elif key == "examples" and not self._shared:
                prompts.examples = self._read_examples(where, value)
            elif key == "examples" and value is not self._shared:
                self._say(line, f"{where} stands beside {EXAMPLES}: which of them is shown is not certain; left out")
            elif key not in PARTS:
                self._say(line, f"{where} is not a known part of a prompt; left out", harmless=True)

    def _read_examples(self, name: str, value: Value) -> dict[int, dict[str, Leaf]]:
        found: dict[int, dict[str, Leaf]] = {}
        for n, line, example in self._by_task(name, value):
            parts = self._entries(f"{name}[{n}]", example)
            found[int(n)] = {
                str(key): Computed(line, "is not a text") if isinstance(part, ast.Dict) else part
                for key, line, part in parts
            }
        return found

    def _by_task(self, name: str, value: Value) -> list[Entry]:
        entries = self._entries(name, value)
        for key, line, _ in entries:
            if key not in TASKS:
                self._say(line, f"{name}[{key!r}] is not one of the tasks 1 to 8; left out", harmless=True)
        return [entry for entry in entries if entry[0] in TASKS]

    def _entries(self, where: str, value: Value) -> list[Entry]:
        """What a dictionary holds; nothing, with a finding, of anything else."""
        found = self._script.entries(value) if isinstance(value, ast.Dict) else value
        if isinstance(found, list):
            return found
        self._say_unfit(found, where, "a dictionary")
        return []

    def _put(self, texts: dict[str, Text], slot: str, value: Value, where: str) -> None:
        if isinstance(value, Text) and value.text.strip():
            texts[slot] = value
        else:
            self._say_unfit(value, where, "a text with something in it")

    def _say_unfit(self, value: Value, where: str, wanted: str) -> None:
        line, why = (value.line, value.why) if isinstance(value, Computed) else (_line(value), f"is not {wanted}")
        self._say(line, f"{where} {why}; left out until you write it out")

    def _say(self, line: int, text: str, harmless: bool = False) -> None:
        self.findings.append(Finding(line, text, harmless))


def _line(value: Value) -> int:
    return value.lineno if isinstance(value, ast.Dict) else value.line
