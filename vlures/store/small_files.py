"""The small JSON files of a run: run.json, redo.json, summary.json."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from vlures.errors import VluresError
from vlures.files.reading import LARGEST_JSON_BYTES, UnusableFile, parse_json, read_file
from vlures.store.lines import Count, UnreadableLine, convert


class _Run(msgspec.Struct):
    """What commands rely on in run.json."""

    time: str | None = None
    provider: str | None = None
    mode: Literal["batch", "live"] | None = None
    benchmark: str | None = None
    model: str | None = None
    config: dict[str, Any] | None = None
    parameters: dict[str, Any] | None = None
    text_languages: dict[str, str] | None = None
    prompt_digests: dict[str, str] | None = None
    data_digests: dict[str, str] | None = None
    planned: dict[str, dict[str, Count]] | None = None


class _Redo(msgspec.Struct):
    """redo.json."""

    sizes: dict[str, Count] | None = None


class _Summary(msgspec.Struct):
    """What commands read from summary.json."""

    same_answers: dict[str, list[Annotated[list[str], msgspec.Meta(min_length=2)]]] | None = None


_KINDS: Mapping[str, type[Any]] = {"run.json": _Run, "redo.json": _Redo, "summary.json": _Summary}


def read_small_file(path: Path) -> dict[str, Any]:
    """A small file of a checkpoint folder; empty if it does not exist. Raises VluresError naming it."""
    if not path.exists() and not path.is_symlink():
        return {}
    try:
        content = parse_json(read_file(path, LARGEST_JSON_BYTES))
        if not isinstance(content, dict):
            raise UnreadableLine("it is not a JSON object")
        convert(content, _KINDS.get(path.name, dict[str, Any]))
    except UnusableFile as error:
        raise VluresError(f"{path} cannot be read (it {error}); move it aside and run again.") from error
    except UnreadableLine as error:
        raise VluresError(f"{path} cannot be read ({error}); move it aside and run again.") from error
    return dict(content)
