"""A `.env` file: its variables, and what is wrong with it, by line. No sentence repeats a line: it may hold a key."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from io import StringIO
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import Binding, parse_stream

from vlures.errors import UsageError

UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_env_file(path: Path) -> dict[str, str]:
    """The variables of the file, which may begin with a byte order mark, end its lines with CRLF and say `export`.

    Raises UsageError naming the file and the line: no `=`, an open quote, one name with two values, not UTF-8.
    """
    bindings = list(parse_stream(StringIO(_read_text(path))))
    _check(path, bindings)
    text = "".join(binding.original.string for binding in bindings if binding.value is not None)
    return {name: value for name, value in dotenv_values(stream=StringIO(text)).items() if value is not None}


def find_line(path: Path, name: str) -> int | None:
    """The line on which the file sets a variable; None if it does not."""
    try:
        bindings = list(parse_stream(StringIO(_read_text(path))))
    except UsageError:
        return None
    return next((_line(binding) for binding in reversed(bindings) if binding.key == name), None)


def _read_text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}); correct or remove it.") from error
    if data.startswith(UTF_16) or b"\0" in data:
        raise UsageError(f"{path} is UTF-16 or another encoding than UTF-8; save it as UTF-8.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise UsageError(f"{path} line {line} is not UTF-8; save the file as UTF-8.") from error


def _check(path: Path, bindings: Iterable[Binding]) -> None:
    """Raises UsageError for the first mistake."""
    seen: dict[str, tuple[int, str | None]] = {}
    for binding in bindings:
        line, statement = _line(binding), binding.original.string.strip()
        if binding.error or (binding.key is not None and binding.value is None):
            if re.match(r"export\s+\w+$", statement):  # as in a script for a shell
                continue
            raise UsageError(f"{path} line {line} {_describe(statement)}.")
        if binding.key is None:
            continue
        before, value = seen.setdefault(binding.key, (line, binding.value))
        if value != binding.value:
            raise UsageError(f"{path} sets {binding.key} on line {before} and again on line {line}; keep one of them.")


def _describe(statement: str) -> str:
    if "=" not in statement.partition("\n")[0]:
        return "has no `=`; write it as NAME=value"
    quote = re.match(r"[^=]*=\s*(['\"])", statement)
    if quote and not re.match(rf"[^=]*=\s*{quote[1]}[^{quote[1]}\n]*{quote[1]}", statement):
        return f"opens a quotation mark ({quote[1]}) and does not close it; close it or leave it out"
    return "cannot be read; write it as NAME=value, with nothing after a closing quotation mark"


def _line(binding: Binding) -> int:
    """Where the statement itself begins: the parser counts the blank lines before it to it."""
    blank = re.match(r"\s*", binding.original.string)
    return binding.original.line + (len(re.findall(r"\r\n|\n|\r", blank[0])) if blank else 0)
