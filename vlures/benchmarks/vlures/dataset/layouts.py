"""How a dataset is laid out, found by looking at names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vlures.benchmarks.vlures.dataset.language_names import find_folder_language
from vlures.benchmarks.vlures.languages import LANGUAGES, Language
from vlures.errors import VluresError
from vlures.files.bounds import Bounds
from vlures.files.named_files import as_on_disk
from vlures.images import IMAGE_SUFFIXES

TABLE_NAMES = ("metadata.parquet", "metadata.jsonl", "metadata.csv")
IMAGE_PARTS = frozenset({"images", "image", "imgs", "img", "pictures", "photos"})
TEXT_PARTS = frozenset({"texts", "text", "txt", "articles"})
"""Names of folders of images and of texts that lie side by side."""
TABLE_SUFFIXES = frozenset({".parquet", ".jsonl", ".csv"})


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a dataset's files are."""

    folder: Path
    table: Path | None = None
    """The table that lists the files, if there is one."""
    language: Language | None = None
    """Whose sub-folder this is, if it is one."""
    is_chosen: bool = False
    """The user named the table itself; otherwise it was found."""
    bounds: Bounds | None = None
    """Where the files must lie."""
    parts: tuple[Path, ...] = ()
    """Its folders of images and of texts, where those lie side by side."""
    outside: tuple[str, str] | None = None
    """The name of a link out of the dataset and why it is not followed; None if the dataset may be read."""


def find_layout(folder: Path, language: Language | None, *, follow_links: bool = False) -> Layout:
    """The layout of a dataset, or of one language's part of it.

    A table in the folder itself comes first; then images in it; then sub-folders named after languages; then a table in
    a sub-folder (`train/`, `images/`); then a folder of images beside one of texts. follow_links: also where they lead
    out of the folder.
    Raises VluresError where there is no dataset or two ways to read it.
    """
    folder = as_on_disk(folder)
    if folder.suffix.lower() in TABLE_SUFFIXES and folder.is_file():
        return Layout(folder.parent, folder, is_chosen=True, bounds=Bounds(folder.parent, follow_links))
    return _find_within(folder, language, Bounds(folder, follow_links))


def _find_within(folder: Path, language: Language | None, bounds: Bounds) -> Layout:
    paths = list_folder(folder)
    if table := _only_table(folder, [folder / name for name in TABLE_NAMES]):
        return _with_table(folder, table, bounds)
    if any(path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") for path in paths):
        return Layout(folder, bounds=bounds)
    folders = [path for path in paths if path.is_dir() and not path.name.startswith(".")]
    by_language, others = _sort_by_language(folders)
    table = _only_table(folder, _tables_below(others))
    if by_language and table is not None:
        named = ", ".join(path.name for paths in by_language.values() for path in paths)
        raise VluresError(
            f"{folder} has both {table_name(table, folder)} and folders of languages ({named}); name one of them with "
            "--dataset."
        )
    if by_language:
        return _language_layout(folder, by_language, language, bounds)
    return _with_table(folder, table, bounds) if table else Layout(folder, bounds=bounds, parts=_find_parts(others))


def _find_parts(folders: Sequence[Path]) -> tuple[Path, ...]:
    """A folder of images and one of texts, if there is one of each."""
    images = [path for path in folders if path.name.casefold() in IMAGE_PARTS]
    texts = [path for path in folders if path.name.casefold() in TEXT_PARTS]
    return (images[0], texts[0]) if len(images) == len(texts) == 1 else ()


def _with_table(folder: Path, table: Path, bounds: Bounds) -> Layout:
    try:
        bounds.check(table)
    except VluresError as error:
        return Layout(folder, bounds=bounds, outside=(table_name(table, folder), str(error)))
    return Layout(folder, table, bounds=bounds)


def list_folder(folder: Path) -> list[Path]:
    """Its files and folders by name. Raises VluresError if it cannot be read."""
    try:
        return sorted(folder.iterdir(), key=str)  # paths themselves compare slowly
    except OSError as error:
        if not folder.exists():
            raise VluresError(
                f"The dataset folder {folder} does not exist; name an existing one with --dataset, or lay out sample "
                "data with `vlures init`."
            ) from error
        raise VluresError(
            f"The dataset folder {folder} cannot be read ({error.strerror}); name another with --dataset."
        ) from error


def table_name(table: Path, folder: Path) -> str:
    """A table as seen from its dataset: `train/metadata.parquet`."""
    return table.relative_to(folder).as_posix()


def _tables_below(folders: Sequence[Path]) -> list[Path]:
    """Where a table may be below a dataset's folder: `train/`, `images/`, and `train/images/`."""
    places = [place for folder in folders for place in (folder, folder / "images")]
    return [place / name for place in places for name in TABLE_NAMES]


def _only_table(folder: Path, candidates: Sequence[Path]) -> Path | None:
    tables = [path for path in candidates if path.is_file()]
    if len(tables) > 1:
        names = ", ".join(table_name(path, folder) for path in tables)
        raise VluresError(f"{folder} has {len(tables)} tables ({names}); name one of them: --dataset {tables[0]}.")
    return tables[0] if tables else None


def _sort_by_language(folders: Sequence[Path]) -> tuple[dict[str, list[Path]], list[Path]]:
    by_language: dict[str, list[Path]] = {}
    others = []
    for folder in folders:
        if language := find_folder_language(folder.name):
            by_language.setdefault(language.code, []).append(folder)
        else:
            others.append(folder)
    return by_language, others


def _language_layout(
    folder: Path, by_language: dict[str, list[Path]], language: Language | None, bounds: Bounds
) -> Layout:
    there = ", ".join(f"{path.name} ({code})" for code, paths in by_language.items() for path in paths)
    if language is None:
        raise VluresError(f"{folder} has a folder per language: {there}; name one of them.")
    found = by_language.get(language.code, [])
    if not found:
        raise VluresError(
            f"{folder} has a folder per language, but none for {language.name}: {there}; ask for those that are there "
            f"with --languages {','.join(by_language)}."
        )
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise VluresError(
            f"{folder} has {len(found)} folders for {LANGUAGES[language.code].name}: {names}; "
            f"say which one: --dataset {language.code}={found[0]}."
        )
    try:
        bounds.check(found[0])
    except VluresError as error:
        return Layout(found[0], language=language, bounds=bounds, outside=(found[0].name, str(error)))
    return replace(_find_within(found[0], None, bounds), language=language)
