"""TOML + flags → frozen sections. Flags override the file, the file the defaults; unknown keys are errors."""

from __future__ import annotations

import difflib
import re
import reprlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from vlures.config.options import Option, options_of
from vlures.config.sections import Target, WhoOptions
from vlures.errors import UsageError
from vlures.files.reading import LARGEST_TOML_BYTES, UnusableFile, parse_toml

_shown = reprlib.Repr()
_shown.maxstring = _shown.maxother = 200
"""Shows a value in a sentence, shortened however long and deep it is."""

Place = Callable[[str], str]
"""An option's name → where it was given, for messages."""


@dataclass(frozen=True, slots=True)
class Given:
    """Options as the user gave them, by name, and where they were given."""

    values: Mapping[str, Any]
    places: Mapping[str, str]
    """For messages: `run.toml: `limit`` or `--limit`."""
    origins: Mapping[str, str]
    """For `vlures config show`: the file's name or the flag."""

    def place(self, name: str) -> str:
        return self.places.get(name, f"`{name}`")


def gather(
    file: Path | None, flags: Mapping[str, Any], known: Mapping[str, Option], *, keywords: bool = False
) -> Given:
    """The options in a TOML file and in flags (None: not given). A path in the file is relative to the file's folder if
    it exists there, else to the current one.

    known: all options by name. keywords: the flags were given to a function, so messages use their bare names.
    Raises UsageError for a file that cannot be read, and for a key in it that is not an option.
    """
    from_file = _read_toml(file, known) if file is not None else {}
    for key, value in from_file.items():
        if file is not None and known[key].is_beside_its_file:
            from_file[key] = _look_beside(file, value)
    from_flags = {key: value for key, value in flags.items() if value is not None}
    places = {key: f"{file}: `{key}`" for key in from_file}
    places |= {key: f"`{key}`" if keywords else _flag(key) for key in from_flags}
    origins = {key: str(file) for key in from_file}
    origins |= {key: _flag(f"no_{key}" if value is False else key) for key, value in from_flags.items()}
    return Given(from_file | from_flags, places, origins)


def _look_beside(file: Path, value: Any) -> Any:
    """value: a path, `En=PATH`, or a list or table of them; anything else is left to the checks."""
    if isinstance(value, dict):
        return {key: _look_beside(file, inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_look_beside(file, inner) for inner in value]
    if not isinstance(value, str) or set(value) <= set("./") or file.parent == Path():
        return value
    before, equals, path = value.rpartition("=")
    for start, text in (("", value), (f"{before}{equals}", path)):
        with suppress(OSError, ValueError):
            if text and (file.parent / text).exists():
                return start + str(file.parent / text)
    return value


def _flag(key: str) -> str:
    return f"--{key.replace('_', '-')}"


def _read_toml(file: Path, known: Iterable[str]) -> dict[str, Any]:
    try:
        with file.open("rb") as opened:  # a pipe too: --config <(…)
            content = parse_toml(opened.read(LARGEST_TOML_BYTES + 1))
    except OSError as error:
        raise UsageError(
            f"The configuration {file} cannot be read ({error.strerror}); name another with --config, or lay out "
            "ready-made ones with `vlures init`."
        ) from error
    except UnusableFile as error:
        raise UsageError(f"{file} {error}.") from error
    for key in content:
        check_key(key, f"{file}: `{key}`", known)
    return content


def check_key(key: str, place: str, known: Iterable[str]) -> None:
    """Raises UsageError, naming the place, for a key that is not an option."""
    names = list(known)
    if key in names:
        return
    if re.search(r"api.?key|secret|^(access_?|auth_?)?token$", key, re.IGNORECASE):
        raise UsageError(f"{place}: a key does not belong in a configuration; put it into .env or the environment.")
    close = difflib.get_close_matches(key.replace("-", "_"), names, n=1, cutoff=0.5)
    hint = f"; did you mean `{close[0]}`?" if close else "; `vlures run --help` lists the options."
    raise UsageError(f"{place} is not an option{hint}")


def read_section(section: Any, given: Given) -> Any:
    """A section with the options that were given, and defaults for the others.

    Raises UsageError for a value that is not allowed.
    """
    values = {}
    for name, declared in options_of(section).items():
        if name in given.values:
            values[name] = _read_value(declared, given.values[name], given.place(name))
    return msgspec.convert(values, section)


def _read_value(declared: Option, value: Any, place: str) -> Any:
    if declared.read is not None and value is not None:
        value = declared.read(value, place)
    try:
        msgspec.convert({declared.name: value}, declared.section, strict=True)
        msgspec.json.encode(value, enc_hook=str)  # as run.json will hold it
    except UnicodeEncodeError as error:
        raise UsageError(f"{place} is {_shown.repr(value)}: it is not UTF-8; give it another name.") from error
    except msgspec.ValidationError as error:
        raise UsageError(f"{place} is {_shown.repr(value)}: {_reason(declared, value, error)}.") from error
    return value


def show(value: Any) -> str:
    """A value for a sentence, cut if it is long."""
    return _shown.repr(value)


_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "a text",
    "array": "a list",
    "object": "a table",
}
_BOUNDS = {">=": "of at least", ">": "above", "<=": "of at most", "<": "below"}


def _reason(declared: Option, value: Any, error: msgspec.ValidationError) -> str:
    if declared.choices:
        return f"choose from {', '.join(declared.choices)}"
    reason = str(error).split(" - at ")[0]
    match = re.fullmatch(r"Expected `([^`]+)`(?:, got `\w+`| (>=?|<=?) ([-\d.e+]+))?", reason)
    if match is None:
        return reason[0].lower() + reason[1:]
    kinds = [_KINDS.get(kind, kind) for kind in match[1].split(" | ") if kind != "null"]
    bound = f" {_BOUNDS[match[2]]} {float(match[3]):,.15g}" if match[2] else ""
    return f"it must be {' or '.join(kinds)}{bound}{_correct_quotes(kinds, value)}"


def _correct_quotes(kinds: list[str], value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"[-+]?[\d_.]+(e[-+]?\d+)?|true|false", value.strip(), re.IGNORECASE):
        return "; remove the quotation marks"
    if kinds == ["a text"] and isinstance(value, int | float):
        return "; put it in quotation marks"
    return ""


def stored_section(section: Any, stored: Mapping[str, Any]) -> Any:
    """A section, from the options of all sections that a run.json holds. Raises msgspec.ValidationError."""
    return msgspec.convert({name: stored[name] for name in options_of(section) if name in stored}, section)


def stored_target(run: Mapping[str, Any]) -> Target | None:
    """Who the run that a run.json describes has asked; None if it does not say. Raises msgspec.ValidationError."""
    if not all(isinstance(run.get(name), str) for name in ("provider", "mode", "model")):
        return None
    who = stored_section(WhoOptions, run.get("config") or {})
    parameters = run.get("parameters") or {}
    return Target(run["provider"], run["mode"], run["model"], parameters, who.service_tier, who.base_url)
