"""What a pack is, and how its file is read: every key checked, nothing guessed.

A template is taken apart once, when the pack is read; what it may hold depends on what the pack's examples have.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from vlures.benchmarks.vlures.languages import Language
from vlures.benchmarks.vlures.settings import SETTINGS, Setting
from vlures.benchmarks.vlures.tasks import TASKS
from vlures.errors import VluresError
from vlures.files.reading import UnusableFile, parse_toml

EXAMPLE_KEYS = ("question", "rationale", "answer")
PLACEHOLDERS = frozenset({"task", "article", *EXAMPLE_KEYS})
SECTIONS = {False: "image_only", True: "image_text"}
"""A pack's sections for the templates of tasks without a text, and of those with one."""

_PLACEHOLDER = re.compile(r"\{(\s*\w+\s*)\}")

Choice = TypeVar("Choice", int, str)
Template = tuple[tuple[str, str | None], ...]
"""(literal text, the placeholder after it or None at the end)"""


@dataclass(frozen=True, slots=True)
class Example:
    """A worked example. All examples of a pack have the same parts; a missing part is None."""

    question: str | None
    rationale: str | None
    answer: str


@dataclass(frozen=True, slots=True)
class Has:
    """What a pack has."""

    settings: tuple[str, ...]
    """Labels."""
    tasks: tuple[int, ...]
    """Numbers."""
    example: tuple[str, ...]
    """The parts of its examples."""


@dataclass(frozen=True, slots=True)
class Pack:
    """One language's prompts."""

    source: str
    language: Language
    direction: str
    system: str
    has: Has
    templates: Mapping[tuple[int, str], Template]
    """By task number and setting label."""
    tasks: Mapping[int, str]
    examples: Mapping[int, Example]


def read_pack(data: bytes, source: str, language: Language) -> Pack:
    """Parse and check the bytes of a pack. source: its name in messages."""
    try:
        content = parse_toml(data)
    except UnusableFile as error:
        raise VluresError(f"{source} {error}.") from error
    reader = _PackReader(source, content)
    declared = reader.text("language")
    if declared != language.name:
        raise VluresError(f"{source}: `language` says {declared!r}, but the file is the pack of {language.name}.")
    direction = reader.text("direction")
    if direction not in ("ltr", "rtl"):
        raise VluresError(f'{source}: `direction` is {direction!r}; it must be "ltr" or "rtl".')
    doubled = reader.is_there("braces")
    if doubled and (braces := reader.text("braces")) != "doubled":
        raise VluresError(f'{source}: `braces` is {braces!r}; it can only be "doubled".')
    has = _read_has(reader, source)
    templates = _read_templates(reader, has, doubled)

    def plain(*keys: str) -> str:
        text = reader.text(*keys)
        for name in () if doubled else _PLACEHOLDER.findall(text):
            if name in PLACEHOLDERS:
                where = f"{source}: `{'.'.join(keys)}`"
                raise VluresError(f"{where} has the placeholder {{{name}}}, which only the templates may hold.")
        return text

    def example(number: int) -> Example:
        parts = {key: plain("examples", str(number), key) for key in has.example}
        return Example(parts.get("question"), parts.get("rationale"), parts["answer"])

    pack = Pack(
        source=source,
        language=language,
        direction=direction,
        system=plain("system"),
        has=has,
        templates=templates,
        tasks={number: plain("tasks", str(number)) for number in has.tasks},
        examples={number: example(number) for number in has.tasks} if has.example else {},
    )
    reader.refuse_leftovers(has)
    return pack


def _read_has(reader: _PackReader, source: str) -> Has:
    """What the pack declares to have; without `[has]`, everything."""
    labels = tuple(setting.label for setting in SETTINGS)
    settings = reader.choices("has", "settings", among=labels, default=labels)
    tasks = reader.choices("has", "tasks", among=tuple(TASKS), default=tuple(TASKS))
    shows_examples = any(setting.shots for setting in SETTINGS if setting.label in settings)
    among = EXAMPLE_KEYS if shows_examples else ()
    example = reader.choices("has", "example", among=among, default=among)
    if shows_examples and "answer" not in example:
        raise VluresError(f"{source}: `has.example` lacks answer; an example without it shows nothing.")
    return Has(settings, tasks, example)


def _read_templates(reader: _PackReader, has: Has, doubled: bool) -> dict[tuple[int, str], Template]:
    """The template of each task in each setting: the task's own (`[templates.3]`), else the shared one of its
    section."""
    templates = {}
    shared = {
        number
        for number in has.tasks
        if not all(reader.is_there("templates", str(number), label) for label in has.settings)
    }
    for needs_text, section in SECTIONS.items():
        numbers = [number for number in has.tasks if TASKS[number].needs_text == needs_text]
        for setting in SETTINGS:
            if setting.label not in has.settings:
                continue
            wanted = wanted_placeholders(needs_text, setting, has.example)
            if shared.intersection(numbers):
                template = reader.template(section, setting.label, wanted=wanted, doubled=doubled)
            for number in numbers:
                own = ("templates", str(number), setting.label)
                if reader.is_there(*own):
                    templates[number, setting.label] = reader.template(*own, wanted=wanted, doubled=doubled)
                else:
                    templates[number, setting.label] = template
    return templates


def split_template(text: str, doubled: bool) -> Template:
    """Split a template into literal texts and placeholders. doubled: literal braces are doubled, as in str.format.

    Raises ValueError, with the reason, for braces that str.format would reject.
    """
    if doubled:
        return _joined(list(string.Formatter().parse(text)))
    parts = _PLACEHOLDER.split(text)
    return tuple((parts[i], parts[i + 1] if i + 1 < len(parts) else None) for i in range(0, len(parts), 2))


def join_template(template: Template, doubled: bool) -> str:
    """The inverse of split_template."""

    def written(literal: str) -> str:
        return literal.replace("{", "{{").replace("}", "}}") if doubled else literal

    return "".join(written(literal) + ("" if name is None else f"{{{name}}}") for literal, name in template)


def holds_placeholder(text: str) -> bool:
    """Whether a text contains a template's placeholder."""
    return not PLACEHOLDERS.isdisjoint(_PLACEHOLDER.findall(text))


def _joined(parsed: list[tuple[str, str | None, str | None, str | None]]) -> Template:
    """The result of string.Formatter.parse, which ends a piece without a placeholder at each literal brace,
    rejoined."""
    pieces: list[tuple[str, str | None]] = []
    literal = ""
    for text, name, spec, conversion in parsed:
        literal += text
        if name is not None:
            pieces.append((literal, name + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")))
            literal = ""
    return (*pieces, (literal, None))


def wanted_placeholders(needs_text: bool, setting: Setting, example: tuple[str, ...]) -> set[str]:
    """The placeholders that a template must contain once each. example: the parts of the pack's examples."""
    wanted = {"task"}
    if needs_text:
        wanted.add("article")
    if setting.shots:
        wanted |= set(example) if setting.rationales else set(example) - {"rationale"}
    return wanted


def misfit(template: Template, wanted: set[str]) -> str:
    """Why a template does not contain exactly the wanted placeholders, once each; empty if it does."""
    found = [name for _, name in template if name is not None]
    for name in found:
        if name not in wanted:
            allowed = ", ".join(f"{{{name}}}" for name in sorted(wanted))
            return f" has the unknown placeholder {{{name}}}; it may hold {allowed}"
    for name in sorted(wanted):
        if found.count(name) != 1:
            times = "is missing" if name not in found else f"occurs {found.count(name)} times"
            return f": the placeholder {{{name}}} {times}; it must occur once"
    return ""


class _PackReader:
    """Reads texts from a pack's tables by key, and knows which keys were never read."""

    def __init__(self, source: str, content: dict[str, Any]) -> None:
        self._source = source
        self._content = content
        self._taken: set[tuple[str, ...]] = set()

    def text(self, *keys: str) -> str:
        where = f"{self._source}: the key `{'.'.join(keys)}`"
        value: Any = self._content
        for key in keys:
            if not isinstance(value, dict) or key not in value:
                raise VluresError(f"{where} is missing; add it, as the package's own packs have it.")
            value = value[key]
        if not isinstance(value, str) or not value.strip():
            raise VluresError(f"{where} must be a text that is not empty.")
        self._taken.add(keys)
        return value

    def is_there(self, *keys: str) -> bool:
        value: Any = self._content
        for key in keys:
            if not isinstance(value, dict) or key not in value:
                return False
            value = value[key]
        return True

    def template(self, *keys: str, wanted: set[str], doubled: bool) -> Template:
        where = f"{self._source}: `{'.'.join(keys)}`"
        try:
            template = split_template(self.text(*keys), doubled)
        except ValueError as error:
            raise VluresError(f"{where} has unbalanced braces ({error}).") from error
        if why := misfit(template, wanted):
            raise VluresError(f"{where}{why}.")
        return template

    def choices(self, *keys: str, among: tuple[Choice, ...], default: tuple[Choice, ...]) -> tuple[Choice, ...]:
        """The listed choices, in the order of `among`."""
        if not self.is_there(*keys):
            return default
        value: Any = self._content
        for key in keys:
            value = value[key]
        self._taken.add(keys)
        known = [(type(choice), choice) for choice in among]
        if not isinstance(value, list) or not value or any((type(item), item) not in known for item in value):
            allowed = ", ".join(map(str, among)) or "nothing"
            raise VluresError(f"{self._source}: `{'.'.join(keys)}` must be a list of some of these: {allowed}.")
        return tuple(choice for choice in among if choice in value)

    def refuse_leftovers(self, has: Has) -> None:
        """Raises VluresError for an unknown key. Parts of a task that `[has]` does not name are allowed: it may be
        unfinished."""
        for keys in _leaves(self._content):
            if keys in self._taken or _waits(keys, has):
                continue
            where = f"{self._source}: the key `{'.'.join(keys)}`"
            raise VluresError(f"{where} is not one that a pack has; remove it.")


def _waits(keys: tuple[str, ...], has: Has) -> bool:
    waiting = {str(number) for number in TASKS if number not in has.tasks}
    match keys:
        case ("tasks", number):
            return number in waiting
        case ("templates", number, label):
            return number in waiting and label in has.settings
        case ("examples", number, key):
            return number in waiting and key in has.example
        case (section, label):
            return section in SECTIONS.values() and label in has.settings
    return False


def _leaves(table: dict[str, Any], above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for key, value in table.items():
        found += _leaves(value, (*above, key)) if isinstance(value, dict) else [(*above, key)]
    return found
