"""Prompts per language, task and setting, from one TOML pack per language.

A pack's texts are templates with placeholders in braces. Values are put in once and never read again, so braces in
an article are harmless.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from vlures.errors import VluresError
from vlures.records import LANGUAGES, TASKS, Language, Prompt, Setting, Task

SETTINGS = tuple(Setting(shots, rationales) for shots in (0, 1) for rationales in (False, True))

_PLACEHOLDER = re.compile(r"\{(\s*\w+\s*)\}")
_PLACEHOLDERS = frozenset({"task", "question", "rationale", "answer", "article"})
_EXAMPLE_KEYS = ("question", "rationale", "answer")


@dataclass(frozen=True, slots=True)
class Example:
    question: str
    rationale: str
    answer: str


@dataclass(frozen=True, slots=True)
class Pack:
    """One language's prompts. templates: by (whether the task needs a text, setting's label)."""

    source: str
    language: Language
    direction: str
    system: str
    templates: Mapping[tuple[bool, str], str]
    tasks: Mapping[int, str]
    examples: Mapping[int, Example]


def load_pack(language: Language, directory: Path | None = None) -> Pack:
    """The language's pack from `directory` if it has one there, else the package's own.

    Raises VluresError naming the file and the key of whatever is missing, unknown or of the wrong kind.
    """
    name = f"{language.name}.toml"
    if directory is not None:
        if not directory.is_dir():
            raise VluresError(f"The prompts folder {directory} does not exist; name one that holds packs like {name}.")
        path = directory / name
        if path.is_file():
            try:
                return read_pack(path.read_bytes(), str(path), language)
            except OSError as error:
                raise VluresError(f"The pack {path} cannot be read ({error.strerror}); mend its rights.") from error
        if not any((directory / f"{other.name}.toml").is_file() for other in LANGUAGES.values()):
            raise VluresError(f"The prompts folder {directory} holds no pack; a pack is a file such as {name}.")
    return read_pack((resources.files(__name__) / name).read_bytes(), f"vlures/prompts/{name}", language)


def read_pack(data: bytes, source: str, language: Language) -> Pack:
    """Check and take apart the bytes of a pack; source is how messages call it."""
    try:
        content = tomllib.loads(data.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise VluresError(f"{source} is not a readable TOML file: {error}.") from error
    reader = _PackReader(source, content)
    declared = reader.text("language")
    if declared != language.name:
        raise VluresError(f"{source}: `language` says {declared!r}, but the file is the pack of {language.name}.")
    direction = reader.text("direction")
    if direction not in ("ltr", "rtl"):
        raise VluresError(f'{source}: `direction` is {direction!r}; it must be "ltr" or "rtl".')
    templates = {}
    for needs_text, section in ((False, "image_only"), (True, "image_text")):
        for setting in SETTINGS:
            template = reader.text(section, setting.label)
            _check_placeholders(template, f"{source}: `{section}.{setting.label}`", _wanted(needs_text, setting))
            templates[needs_text, setting.label] = template

    def plain(*keys: str) -> str:
        text = reader.text(*keys)
        for name in _PLACEHOLDER.findall(text):
            if name in _PLACEHOLDERS:
                where = f"{source}: `{'.'.join(keys)}`"
                raise VluresError(f"{where} has the placeholder {{{name}}}, which only the templates may hold.")
        return text

    pack = Pack(
        source=source,
        language=language,
        direction=direction,
        system=plain("system"),
        templates=templates,
        tasks={number: plain("tasks", str(number)) for number in TASKS},
        examples={number: Example(*(plain("examples", str(number), key) for key in _EXAMPLE_KEYS)) for number in TASKS},
    )
    reader.refuse_leftovers()
    return pack


@dataclass(frozen=True, slots=True)
class CellPrompt:
    """A cell's prompt before an article is put in: the user's turn before it and after it.

    after is None where the task takes no article.
    """

    system: str
    before: str
    after: str | None

    def fill(self, article: str | None) -> Prompt:
        """The prompt for one sample. Samples share the strings of their cell."""
        if self.after is None:
            return Prompt(self.system, (self.before,))
        if article is None:
            raise ValueError("this task needs an article")
        return Prompt(self.system, (self.before, article, self.after))


def build_cell_prompt(pack: Pack, example_pack: Pack, task: Task, setting: Setting) -> CellPrompt:
    """What every sample of a cell is asked. The worked example comes from `example_pack`."""
    example = example_pack.examples[task.number]
    values = {"task": pack.tasks[task.number], **{key: getattr(example, key) for key in _EXAMPLE_KEYS}}
    before, after = "", None
    for literal, placeholder in _split(pack.templates[task.needs_text, setting.label]):
        piece = literal
        if placeholder not in (None, "article"):
            piece += values[placeholder]
        if after is None:
            before += piece
        else:
            after += piece
        if placeholder == "article":
            after = ""
    return CellPrompt(pack.system, before, after)


def _split(template: str) -> list[tuple[str, str | None]]:
    """[(literal text, the placeholder after it or None at the end)]"""
    parts = _PLACEHOLDER.split(template)
    return [(parts[i], parts[i + 1] if i + 1 < len(parts) else None) for i in range(0, len(parts), 2)]


def _wanted(needs_text: bool, setting: Setting) -> set[str]:
    wanted = {"task"}
    if needs_text:
        wanted.add("article")
    if setting.shots:
        wanted |= {"question", "answer"} | ({"rationale"} if setting.rationales else set())
    return wanted


def _check_placeholders(template: str, where: str, wanted: set[str]) -> None:
    found = _PLACEHOLDER.findall(template)
    for name in found:
        if name not in wanted:
            allowed = ", ".join(f"{{{name}}}" for name in sorted(wanted))
            raise VluresError(f"{where} has the unknown placeholder {{{name}}}; it may hold {allowed}.")
    for name in sorted(wanted):
        if found.count(name) != 1:
            times = "is missing" if name not in found else f"stands there {found.count(name)} times"
            raise VluresError(f"{where}: the placeholder {{{name}}} {times}; it must be there once.")


class _PackReader:
    """Takes texts out of a pack's tables by key, and knows which keys nobody asked for."""

    def __init__(self, source: str, content: dict[str, Any]) -> None:
        self._source = source
        self._content = content
        self._taken: set[tuple[str, ...]] = set()

    def text(self, *keys: str) -> str:
        where = f"{self._source}: the key `{'.'.join(keys)}`"
        value: Any = self._content
        for key in keys:
            if not isinstance(value, dict) or key not in value:
                raise VluresError(f"{where} is missing; a pack has every key of the package's own packs.")
            value = value[key]
        if not isinstance(value, str) or not value.strip():
            raise VluresError(f"{where} must be a text that is not empty.")
        self._taken.add(keys)
        return value

    def refuse_leftovers(self) -> None:
        for keys in _leaves(self._content):
            if keys not in self._taken:
                raise VluresError(f"{self._source}: the key `{'.'.join(keys)}` is not one that a pack has; remove it.")


def _leaves(table: dict[str, Any], above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for key, value in table.items():
        found += _leaves(value, (*above, key)) if isinstance(value, dict) else [(*above, key)]
    return found
