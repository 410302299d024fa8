"""Options: names, meanings, values, and how they are read. A section is a frozen dataclass of options."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from functools import cache
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

from vlures.errors import UsageError

Group = Literal[
    "Who answers",
    "What is asked",
    "Judging",
    "Model",
    "What is stored",
    "What is asked again",
    "Batches",
    "Live requests",
    "Local models",
    "Running",
    "Money",
    "Rehearsal",
]
GROUPS: tuple[Group, ...] = get_args(Group)
"""The headings of the options, in the order in which they are shown."""

Read = Callable[[Any, str], Any]
"""(what the user wrote in a file or on the command line, its place for messages) → the option's value. Raises
UsageError."""

Words = Mapping[str, str]
"""The shell's suggestions: word → meaning."""


def option(
    help_text: str,
    default: Any = None,
    group: Group = "What is asked",
    *,
    metavar: str | None = None,
    read: Read | None = None,
    suggest: Words | Literal["folder"] | None = None,
    several: bool = False,
    parameter: bool = False,
    beside: bool = False,
) -> Any:
    """A field of a section.

    metavar: stands for its value in the help. several: its flag can be given more than once. parameter: it goes with
    every request, and decides its digest. beside: a path, which in a file is looked for beside that file first.
    """
    metadata = {
        "help": help_text,
        "group": group,
        "metavar": metavar,
        "read": read,
        "suggest": suggest,
        "several": several,
        "parameter": parameter,
        "beside": beside,
    }
    if isinstance(default, dict | list):
        return field(default_factory=lambda: default.copy(), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Option:
    """An option as its section declares it."""

    field: Field[Any]
    section: Any
    """Its class."""
    hint: Any
    """Its type."""

    @property
    def name(self) -> str:
        return self.field.name

    @property
    def default(self) -> Any:
        """Of an option that is not set."""
        return self.field.default if self.field.default_factory is MISSING else self.field.default_factory()

    @property
    def group(self) -> Group:
        group: Group = self.field.metadata["group"]
        return group

    @property
    def help(self) -> str:
        return str(self.field.metadata["help"])

    @property
    def metavar(self) -> str | None:
        metavar: str | None = self.field.metadata["metavar"]
        return metavar

    @property
    def read(self) -> Read | None:
        read: Read | None = self.field.metadata["read"]
        return read

    @property
    def suggest(self) -> Words | Literal["folder"] | None:
        suggest: Words | Literal["folder"] | None = self.field.metadata["suggest"]
        return suggest

    @property
    def several(self) -> bool:
        return bool(self.field.metadata["several"]) or get_origin(self.hint) is tuple

    @property
    def is_beside_its_file(self) -> bool:
        return bool(self.field.metadata["beside"])

    @property
    def is_parameter(self) -> bool:
        return bool(self.field.metadata["parameter"])

    @property
    def choices(self) -> list[str]:
        """The values of an option with a closed set; empty for the others."""
        return _find_choices(self.hint)


def options_of(section: type) -> dict[str, Option]:
    """The options of a section's class, by name. Do not change it: all callers share it."""
    return _declared(cast(Hashable, section))


@cache
def _declared(section: Any) -> dict[str, Option]:
    hints = get_type_hints(section, include_extras=True)
    return {declared.name: Option(declared, section, hints[declared.name]) for declared in fields(section)}


def set_parameters(section: Any) -> dict[str, Any]:
    """The generation parameters that are set in a section, and no others."""
    values = {name: getattr(section, name) for name, each in options_of(type(section)).items() if each.is_parameter}
    return {name: value for name, value in values.items() if value is not None}


def _find_choices(hint: Any) -> list[str]:
    if get_origin(hint) is Literal:
        return [str(choice) for choice in get_args(hint)]
    return [choice for inner in get_args(hint) for choice in _find_choices(inner)] if get_args(hint) else []


# Notations that several options share


def as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def read_texts(value: Any, place: str) -> list[str]:
    """A text or a list of texts, as a list."""
    texts = as_list(value)
    for text in texts:
        if not isinstance(text, str):
            raise UsageError(f"{place}: {text!r} must be a text in quotation marks.")
    return texts


def read_words(value: Any, place: str) -> list[str]:
    """The same, with each text split at its commas."""
    return [word for text in read_texts(value, place) for word in text.split(",")]


def read_numbers(value: Any, place: str) -> list[int]:
    """Whole numbers and ranges such as 1-5, each number once."""
    numbers: list[int] = []
    for part in (part.strip() for item in as_list(value) for part in str(item).split(",")):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
        if match is None:
            raise UsageError(f"{place}: {part!r} is not a number or a range such as 1-5.")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise UsageError(f"{place}: the range {part} runs backwards; write {last}-{first}.")
        if last - first > 1_000_000:
            raise UsageError(f"{place}: the range {part} is too long.")
        numbers += range(first, last + 1)
    return list(dict.fromkeys(numbers))


def show_numbers(numbers: Iterable[int]) -> str:
    """The reverse: (1, 2, 3, 5) → 1-3, 5."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def read_columns(roles: tuple[str, ...]) -> Read:
    """Reads {role: column} from a table, or from `file=NAME,text=NAME`; an empty name means no such column."""

    def read(value: Any, place: str) -> dict[str, str]:
        if isinstance(value, dict):
            read_texts(list(value.values()), place)
            pairs = list(value.items())
        else:
            words = [word.strip() for word in read_words(value, place)]
            if plain := [word for word in words if "=" not in word]:
                raise UsageError(
                    f"{place}: {plain[0]!r} does not say its role; write it as in text={plain[0] or 'NAME'} (a name "
                    "with a "
                    'comma goes into a configuration file: columns = {text = "a,b"}).'
                )
            pairs = [(role.strip(), name.strip()) for role, _, name in (word.partition("=") for word in words)]
        for role, _ in pairs:
            if role not in roles:
                raise UsageError(f"{place}: a table has no {role!r}; choose from {', '.join(roles)}.")
        if len(dict(pairs)) < len(pairs):
            raise UsageError(f"{place}: each of {', '.join(roles)} can be named once.")
        return dict(pairs)

    return read


def read_folder(value: Any, place: str) -> str:
    """The one folder that holds the images."""
    folders = read_texts(value, place)
    if len(folders) != 1:
        raise UsageError(f"{place}: the images lie in one folder; name one.")
    if not folders[0].strip():
        raise UsageError(f"{place} is empty; name a folder, or leave it out.")
    return folders[0]


def read_ids(value: Any, place: str) -> list[str]:
    """IDs, optionally comma-separated, each once; whole numbers in a TOML file are IDs too."""
    ids = [part.strip() for item in as_list(value) for part in str(item).split(",")]
    if not all(ids):
        raise UsageError(f"{place}: an ID is empty.")
    return list(dict.fromkeys(ids))
