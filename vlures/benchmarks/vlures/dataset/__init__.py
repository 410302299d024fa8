"""Reads a folder into samples, and names what is missing, duplicate or unreadable.

Three layouts, found by looking: images and texts as files, paired by the number in their names (pairs.py); images and a
table of their texts (tables.py); a sub-folder per language, each laid out in one of those ways. A sample's ID never
comes from its place in a table or a folder: rows are taken out later, and what was answered would change its owner.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from vlures.benchmarks.problems import Problem
from vlures.benchmarks.vlures.dataset.columns import ChosenColumns
from vlures.benchmarks.vlures.dataset.fetched import FETCHED_FILE, Fetched, find_fetched, read_fetched
from vlures.benchmarks.vlures.dataset.layouts import Layout, find_layout, list_folder, table_name
from vlures.benchmarks.vlures.dataset.pairs import load_pairs, numeric_id
from vlures.benchmarks.vlures.dataset.selection import EVERYTHING, Selection
from vlures.benchmarks.vlures.dataset.table import Table, open_table
from vlures.benchmarks.vlures.dataset.tables import load_table
from vlures.benchmarks.vlures.dataset.unlisted_files import find_files_beside, refuse_texts_beside
from vlures.benchmarks.vlures.languages import Language
from vlures.benchmarks.vlures.samples import Dataset
from vlures.errors import VluresError
from vlures.files.bounds import Bounds

__all__ = [
    "EVERYTHING",
    "FETCHED_FILE",
    "ChosenColumns",
    "Fetched",
    "Reading",
    "Selection",
    "find_fetched",
    "find_reading",
    "load_dataset",
    "load_reading",
    "numeric_id",
    "read_fetched",
]


@dataclass(frozen=True, slots=True)
class Reading:
    """What to read, and how. Equal readings give equal datasets: options that a layout ignores are left out."""

    layout: Layout
    text_encoding: str
    table: Table | None = None
    language: Language | None = None
    """Whose rows of a table to read, where it has a column of languages."""
    selection: Selection = EVERYTHING

    @property
    def folder(self) -> Path:
        return self.layout.folder


def load_dataset(
    folder: Path,
    text_encoding: str = "utf-8",
    language: Language | None = None,
    columns: ChosenColumns = (),
    selection: Selection = EVERYTHING,
) -> Dataset:
    """Read a dataset; see find_reading and load_reading."""
    return load_reading(find_reading(folder, text_encoding, language, columns, selection))


def find_reading(
    folder: Path,
    text_encoding: str = "utf-8",
    language: Language | None = None,
    columns: ChosenColumns = (),
    selection: Selection = EVERYTHING,
    *,
    follow_links: bool = False,
) -> Reading:
    """Find out how a dataset is laid out. Reads file names and the beginning of its table.

    folder: the dataset's, or the table itself. text_encoding: `utf-8` (with or without byte order mark) or `latin-1`.
    language: read only its samples, where the dataset assigns them to languages; None: all of them. columns: those of a
    table whose names are unclear. selection: which samples of a table to read; separate files are all read.
    follow_links: also follow links out of the folder; otherwise each is one of the dataset's problems.
    Raises VluresError if there is no dataset or its layout is ambiguous (UsageError for columns).
    """
    layout = find_layout(folder, language, follow_links=follow_links)
    if layout.table is None:
        return Reading(layout, text_encoding)
    table = open_table(layout.table, text_encoding, columns)
    return Reading(layout, text_encoding, table, language if table.columns.language else None, selection)


def load_reading(reading: Reading) -> Dataset:
    """Read images (headers and digests) and articles.

    Raises VluresError if there is nothing to read, or nothing in the language, or texts lie beside a table; what is
    wrong inside the dataset is in its problems.
    """
    layout = reading.layout
    if layout.outside is not None:
        name, reason = layout.outside
        problem = Problem("error", (name,), reason)
        code = layout.language.code if layout.language else None
        return Dataset(layout.folder, (), (problem,), layout="a link that is not followed", language=code)
    bounds = layout.bounds or Bounds(layout.folder)
    fetched = find_fetched(layout.folder)
    if fetched is not None and not fetched.complete:
        raise VluresError(
            f"{layout.folder} was not fetched completely; continue with `vlures fetch {fetched.repository}`, which "
            "keeps what is there."
        )
    if reading.table is not None:
        if not layout.is_chosen:
            refuse_texts_beside(reading.table.path)
        dataset = load_table(
            reading.table, layout.folder, reading.language, reading.selection, bounds, is_chosen=layout.is_chosen
        )
        description = table_name(reading.table.path, layout.folder)
    else:
        dataset = load_pairs(layout.folder, _list_files(layout), reading.text_encoding, bounds)
        description = " and ".join(f"{part.name}/" for part in layout.parts) or "image and text files"
    if layout.language is not None:
        description = f"folder {layout.folder.name}: {description}"
        beside = find_files_beside(layout.folder.parent, bounds)
        dataset = replace(dataset, language=layout.language.code, problems=(*dataset.problems, *beside))
    return replace(dataset, layout=description, fetched=fetched.described if fetched else None)


def _list_files(layout: Layout) -> list[Path]:
    """The files and folders of a dataset without a table."""
    paths = [path for path in list_folder(layout.folder) if path not in layout.parts]
    return paths + [path for part in layout.parts for path in list_folder(part)]
