"""Writes a pack's content as a TOML file. Every text is read back before anything is written, and must be unchanged.

tomli-w is not used here: it turns CR LF within texts into LF, and cannot write comments.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from vlures.benchmarks.vlures.languages import LANGUAGES
from vlures.errors import VluresError

_NAMED = {"\b": "\\b", "\f": "\\f", "\r": "\\r", "\\": "\\\\", '"': '\\"'}
_ESCAPED = re.compile(r'[\x00-\x08\x0b-\x1f\x7f\\]|[ \t](?=\n|\Z)|"(?="")|"\Z')
"""What a multi-line text cannot contain unescaped; trailing blanks are allowed, but many editors strip them."""


def write_toml(content: Mapping[str, Any], comments: Iterable[str] = ()) -> str:
    """The file's text. comments: lines at its top. Raises VluresError if a text cannot be preserved."""
    lines = [f"# {''.join(letter if letter.isprintable() else '?' for letter in comment)}" for comment in comments]
    lines += _table(content, ())
    text = "\n".join(lines).strip("\n") + "\n"
    if tomllib.loads(text) != content:
        raise VluresError("TOML cannot preserve a text of the pack letter by letter; nothing was written.")
    return text


def _table(table: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    own = {key: value for key, value in table.items() if not isinstance(value, dict)}
    lines = ["", f"[{'.'.join(path)}]"] if path and own else []
    for key, value in own.items():
        if isinstance(value, list):
            lines.append(f"{key} = [{', '.join(map(json.dumps, value))}]")
        elif not path and re.fullmatch(r"\w+", value, re.ASCII):
            lines.append(f'{key} = "{value}"')
        else:
            text = _ESCAPED.sub(lambda match: _NAMED.get(match[0]) or f"\\u{ord(match[0]):04x}", value)
            lines.append(("" if lines and lines[-1].startswith("[") else "\n") + f'{key} = """\n{text}"""')
    for key, value in table.items():
        if isinstance(value, dict):
            lines += _table(value, (*path, key))
    return lines


def write_packs(folder: Path, texts: Mapping[str, str], force: bool) -> list[str]:
    """Write the packs by file name, each completely or not at all. Returns the names of the replaced ones.

    Raises VluresError if one exists already, unless `force`, and if the folder cannot be written.
    """
    names = [f"{language.name}.toml" for language in LANGUAGES.values()]
    there = [name for name in names if (folder / name).exists()]
    if there and not force:
        raise VluresError(
            f"{folder} has packs already ({', '.join(there)}); name another folder with --out, or replace those with "
            "--force. Nothing was written."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            part = folder / f".{name}.part"
            part.write_bytes(text.encode())
            part.replace(folder / name)
    except OSError as error:
        raise VluresError(f"{folder} cannot be written ({error.strerror}); name another folder with --out.") from error
    return [name for name in texts if name in there]
