"""Files from elsewhere, read within bounds: a name may be a pipe, a device, or a hundred gigabytes.

Contents may be a bomb too, so JSON and TOML are parsed here as well.
"""

from __future__ import annotations

import json
import os
import re
import stat
import tomllib
from pathlib import Path
from typing import Any, BinaryIO

from vlures.errors import VluresError

LARGEST_TOML_BYTES = 500_000
"""Of a configuration or a prompt pack; the package's own packs have 30 KB."""
LARGEST_JSON_BYTES = 100_000_000
"""Of a small file of a run. The largest, run.json, holds 12 bytes for each ID of --samples."""
MOST_KEY_PARTS = 32
"""Of a dotted TOML key. `tomllib`'s time grows with their square: half a megabyte of `a.a.a…` takes hours."""

_KEY_PART = r"""(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*"""
_LONG_KEY = re.compile(rf"(?<![\w-])(?:{_KEY_PART}){{{MOST_KEY_PARTS}}}", re.ASCII)

_KINDS = (
    (stat.S_ISDIR, "is a folder, not a file"),
    (stat.S_ISFIFO, "is a pipe, not a file"),
    (stat.S_ISSOCK, "is a socket, not a file"),
    (lambda _: True, "is a device, not a file"),
)


class UnusableFile(VluresError):
    """The file cannot be read, or is not what it should be. The text continues its name: `is a pipe, not a file`."""


def open_file(path: Path, buffer_bytes: int = 65_536) -> BinaryIO:
    """Open a regular file, never one that waits for a writer or has no end. Raises UnusableFile."""
    try:
        _check_kind(path.stat())  # before it is opened: opening alone moves some devices
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        file = os.fdopen(descriptor, "rb", buffer_bytes)
        _check_kind(os.fstat(descriptor))
    except (OSError, ValueError) as error:
        raise UnusableFile(f"cannot be read ({getattr(error, 'strerror', None) or error})") from error
    return file


def read_file(path: Path, most_bytes: int) -> bytes:
    """All bytes of a regular file. Raises UnusableFile, also for one with more than most_bytes."""
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most_bytes:
            raise UnusableFile(f"has {size:,} bytes, more than the limit of {most_bytes:,}")
        try:
            data = file.read(most_bytes + 1)
        except OSError as error:
            raise UnusableFile(f"cannot be read ({error.strerror})") from error
    if len(data) > most_bytes:
        raise UnusableFile(f"has more than the limit of {most_bytes:,} bytes")
    return data


def _check_kind(state: os.stat_result) -> None:
    if not stat.S_ISREG(state.st_mode):
        raise UnusableFile(next(words for is_kind, words in _KINDS if is_kind(state.st_mode)))


def parse_json(data: bytes) -> Any:
    """A JSON text in UTF-8. Raises UnusableFile."""
    try:
        return json.loads(data.decode("utf-8"))
    except RecursionError as error:
        raise UnusableFile("is not readable JSON: it is nested too deeply") from error
    except ValueError as error:
        raise UnusableFile(f"is not readable JSON: {error}") from error


def parse_toml(data: bytes) -> dict[str, Any]:
    """A TOML text in UTF-8, with or without a byte order mark, in time proportional to its length. Raises
    UnusableFile."""
    if len(data) > LARGEST_TOML_BYTES:
        raise UnusableFile(f"has {len(data):,} bytes, more than the limit of {LARGEST_TOML_BYTES:,} for a TOML file")
    try:
        text = data.decode("utf-8-sig")
        if long_key := _LONG_KEY.search(text):
            line = text.count("\n", 0, long_key.start()) + 1
            raise UnusableFile(f"is not a readable TOML file: line {line} has a key of {MOST_KEY_PARTS} parts or more")
        return tomllib.loads(text)
    except RecursionError as error:
        raise UnusableFile("is not a readable TOML file: it is nested too deeply") from error
    except ValueError as error:  # also a number with more digits than Python converts
        raise UnusableFile(f"is not a readable TOML file: {error}{_explain(str(error))}") from error


def _explain(message: str) -> str:
    """What is most often behind a message of Python's reader of TOML."""
    if message.startswith("Invalid value"):
        return "; a text stands in quotation marks"
    return "; the key is there twice" if message.startswith("Cannot overwrite a value") else ""
