"""Loads images and a table of their texts. The table is read twice, as a stream: for the names of all rows
(table_scan.py), then for the texts of the selected ones. Only a few numbers per row, and the samples themselves, are
held in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from vlures.benchmarks.problems import Problem, ProblemList
from vlures.benchmarks.vlures.dataset.pairs import LARGEST_TEXT, tidy_text
from vlures.benchmarks.vlures.dataset.selection import EVERYTHING, Selection
from vlures.benchmarks.vlures.dataset.table import KINDS, Table, mark_rows
from vlures.benchmarks.vlures.dataset.table_languages import check_languages, count_rows, describe_languages
from vlures.benchmarks.vlures.dataset.table_scan import TableScan, find_duplicates, find_sample_id, scan_table, shorten
from vlures.benchmarks.vlures.dataset.unlisted_files import IMAGE_FOLDERS, find_unnamed_files, find_unread_folders
from vlures.benchmarks.vlures.languages import Language
from vlures.benchmarks.vlures.samples import Dataset, Sample
from vlures.errors import VluresError
from vlures.files.bounds import Bounds
from vlures.files.named_files import NamedFiles
from vlures.files.text import HOLDS_NUL, LOOKS_DOUBLE_ENCODED, looks_double_encoded
from vlures.images import UnusableImage, read_image


def load_table(
    table: Table,
    folder: Path,
    language: Language | None,
    selection: Selection,
    bounds: Bounds,
    *,
    is_chosen: bool = False,
) -> Dataset:
    """The samples that a table names, in one language if it has a column of languages.

    bounds: what the images must lie in. is_chosen: the user named the table itself, so images that it does not name are
    a note, not an error.

    Raises VluresError if the table cannot be read, or has no row in the language.
    """
    found = ProblemList(KINDS)
    scan = scan_table(table, language, found)
    if language is not None:
        _require_language(table, scan, language, found)
    samples = _select_samples(table, scan, selection, bounds, found)
    if not scan.rows and not found:
        raise VluresError(f"{table.path} names no images; name another dataset with --dataset.")
    own = language.code if language is not None else None
    name = table.path.relative_to(folder).as_posix()
    described = Problem("note", (name,), _describe(table, scan))
    unnamed = find_unnamed_files(table.path, folder, scan.named, bounds, is_chosen=is_chosen)
    if selection == EVERYTHING:
        read = {parent for sample in samples for parent in sample.image.path.parents}
        unnamed += find_unread_folders(table.path, folder, read)
    problems = (described, *found.problems(name), *unnamed)
    return Dataset(folder, tuple(samples), problems, language=own, selection=str(selection))


def _require_language(table: Table, scan: TableScan, language: Language, problems: ProblemList) -> None:
    """Raises VluresError if no row is in the language."""
    others = check_languages(table.path.name, table.columns.language, scan.languages, language, problems)
    if others is not None:
        raise VluresError(
            f"{table.path} has no rows in {language.name} ({others}); leave it out with "
            "--languages, or name the column with --columns language=NAME."
        )


def _describe(table: Table, scan: TableScan) -> str:
    if table.columns.language is None:
        return f"{table.columns}; {count_rows(len(scan.rows))}"
    return f"{table.columns}; rows: {describe_languages(scan.languages) or 'none'}"


def _select_samples(
    table: Table, scan: TableScan, selection: Selection, bounds: Bounds, problems: ProblemList
) -> list[Sample]:
    order = sorted(range(len(scan.ids)), key=scan.ids.__getitem__)
    duplicates = find_duplicates(table, scan, order, problems)
    due = [at for at in order if at not in duplicates and (not selection.ids or scan.ids[at] in selection.ids)]
    if selection.limit is None:
        return sorted(_read_samples(table, scan, due, bounds, problems), key=lambda sample: sample.id)
    samples: list[Sample] = []
    step = selection.limit
    while due and len(samples) < selection.limit:
        part, due = due[:step], due[step:]
        samples += sorted(_read_samples(table, scan, part, bounds, problems), key=lambda sample: sample.id)
        step *= 2  # replaces unusable ones without reading the table once for each
    return samples[: selection.limit]


def _read_samples(
    table: Table, scan: TableScan, due: Sequence[int], bounds: Bounds, problems: ProblemList
) -> Iterator[Sample]:
    files = NamedFiles()
    for number, (file, own_id, text) in table.texts(mark_rows(scan.rows[at] for at in due)):
        try:
            path = _find_image(files, table.path.parent, file)
            bounds.check(path)
            image = read_image(path)
        except UnusableImage as error:
            problems.add("image", (table.place(number), file), f"the image {error}")
            continue
        except VluresError as error:
            problems.add("image", (table.place(number), file), str(error))
            continue
        article = _read_article(table, number, file, text, problems)
        yield Sample(find_sample_id(file, own_id, table.columns), image, article)


def _read_article(table: Table, number: int, file: str, text: Any, problems: ProblemList) -> str | None:
    """The article as it is sent; None if there is none, or none that can be sent."""
    article = tidy_text(text) if isinstance(text, str) else ""
    refusal = None
    if text is not None and not isinstance(text, str):
        refusal = f"is {shorten(text)}, which is not a text"
    elif len(article) > LARGEST_TEXT:
        refusal = f"has {len(article):,} characters, and no more than {LARGEST_TEXT:,} are read"
    elif "\0" in article:
        refusal = HOLDS_NUL
    if refusal is not None:
        problems.add("text", (table.place(number), file), f"its text {refusal}")
        return None
    if not article and table.columns.text is not None:
        problems.add("no text", (file,), "without a text, so for tasks 1-5 only", severity="note")
    if looks_double_encoded(article):
        problems.add("encoding", (table.place(number), file), f"its text {LOOKS_DOUBLE_ENCODED}", severity="note")
    return article or None


def _find_image(files: NamedFiles, folder: Path, file: str) -> Path:
    """Where the table says, else in one of the usual image folders. Raises VluresError if there is none or several."""
    try:
        first = files.find(folder, file)
        if first is not None:
            return first
        found = [path for name in IMAGE_FOLDERS if (path := files.find(folder / name, file)) is not None]
    except (OSError, ValueError) as error:  # too long, or characters that no file name has
        raise VluresError(f"no image can be found under this name ({error})") from error
    if not found:
        raise VluresError(f"there is no such image in {folder}")
    if len(found) > 1:
        raise VluresError(f"there are {len(found)} such images: {', '.join(map(str, found))}")
    return found[0]
