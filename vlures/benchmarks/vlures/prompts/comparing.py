"""Reads and compares folders of packs: what each language has, and where two folders differ."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from vlures.benchmarks.vlures.languages import LANGUAGES, Language
from vlures.benchmarks.vlures.prompts import load_pack
from vlures.benchmarks.vlures.prompts.packs import Pack
from vlures.errors import VluresError
from vlures.files.reading import LARGEST_TOML_BYTES, UnusableFile, parse_toml, read_file

OWN = "own"
"""The name of the package's own packs."""


@dataclass(frozen=True, slots=True)
class FoundPack:
    """One language of a folder."""

    language: Language
    pack: Pack | None = None
    """None if the folder lacks it or it is refused."""
    refusal: str | None = None
    """Why the pack is refused."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A key whose text differs between two packs."""

    language: Language
    key: str
    before: str | None
    """None where the first pack lacks the key."""
    after: str | None
    """None where the second pack lacks the key."""

    def lines(self) -> list[str]:
        """A unified diff without its header: each line begins with a blank, `-` or `+`; trailing blanks are dots."""
        texts = [[] if text is None else text.split("\n") for text in (self.before, self.after)]
        before, after = ([_with_dots(line) for line in lines] for lines in texts)
        return list(difflib.unified_diff(before, after, lineterm="", n=1))[2:]


def _with_dots(line: str) -> str:
    bare = line.rstrip(" ")
    return bare + "·" * (len(line) - len(bare))


def read_packs(folder: str) -> list[FoundPack]:
    """Every language of a folder, or of the package's own packs. Raises VluresError if the folder holds no pack."""
    directory = _directory(folder)
    found = []
    for language in LANGUAGES.values():
        if directory is not None and not (directory / f"{language.name}.toml").is_file():
            found.append(FoundPack(language))
            continue
        try:
            found.append(FoundPack(language, load_pack(language, directory)))
        except VluresError as error:
            found.append(FoundPack(language, refusal=str(error)))
    return found


def find_unread_files(folder: str) -> list[str]:
    """Files of a folder that look like packs but are not, because no language has their name."""
    directory = _directory(folder)
    known = {f"{language.name}.toml" for language in LANGUAGES.values()}
    return sorted(path.name for path in directory.glob("*.toml") if path.name not in known) if directory else []


def compare_packs(before: str, after: str) -> Iterator[Difference]:
    """The differences, by language and key, in the order of the first folder's file.

    Raises VluresError for a folder without packs and for a file that is not TOML. Does not check that a run can use a
    pack.
    """
    for language in LANGUAGES.values():
        old, new = _texts(before, language), _texts(after, language)
        for key in [*old, *(key for key in new if key not in old)]:
            if old.get(key) != new.get(key):
                yield Difference(language, key, old.get(key), new.get(key))


def _directory(folder: str) -> Path | None:
    """None for the package's own."""
    if folder == OWN and not Path(folder).is_dir():
        return None
    directory = Path(folder)
    if not directory.is_dir():
        raise VluresError(
            f"The prompts folder {directory} does not exist; name one that holds packs, or `{OWN}` for the package's "
            "own."
        )
    if not any((directory / f"{language.name}.toml").is_file() for language in LANGUAGES.values()):
        raise VluresError(f"The prompts folder {directory} holds no pack; a pack is a file such as English.toml.")
    return directory


def _texts(folder: str, language: Language) -> dict[str, str]:
    """A pack's texts by their dotted keys; empty if the folder does not have the language."""
    directory = _directory(folder)
    name = f"{language.name}.toml"
    try:
        if directory is None:
            data = (resources.files("vlures.benchmarks.vlures.prompts") / name).read_bytes()
        else:
            if not (directory / name).exists():
                return {}
            data = read_file(directory / name, LARGEST_TOML_BYTES)
        return dict(_flat(parse_toml(data), ()))
    except UnusableFile as error:
        raise VluresError(f"The pack {folder}/{name} {error}.") from error


def _flat(table: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, (*above, key))
        elif isinstance(value, list):
            yield ".".join((*above, key)), ", ".join(map(str, value))
        else:
            yield ".".join((*above, key)), str(value)
