"""An .xlsx file that a rater has filled in, as rows. The file is from elsewhere: it may be anything."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import ParseError

from vlures.errors import VluresError
from vlures.files.reading import UnusableFile, open_file
from vlures.judge.sheets.layout import (
    COLUMNS,
    FIRST_ROW,
    HEADER_ROW,
    MARK,
    MARK_ROW,
    TEXTS_MARK,
    digest_cells,
    digest_long_texts,
)
from vlures.judge.sheets.returned import Entry, Returned, UnusableSheet
from vlures.judge.sheets.scores import NoScore, read_cell
from vlures.judge.sheets.wording import all_wordings

if TYPE_CHECKING:
    from openpyxl.workbook import Workbook
    from openpyxl.worksheet.worksheet import Worksheet

LARGEST_BYTES = 300_000_000
LARGEST_UNPACKED_BYTES = 600_000_000
MOST_PARTS = 50_000
MOST_ROWS = 200_000
_DAMAGES: tuple[type[Exception], ...] = (
    *(zipfile.BadZipFile, ParseError, KeyError, ValueError, TypeError, IndexError, AttributeError, OSError),
    *(EOFError, NotImplementedError, RuntimeError, zipfile.LargeZipFile),
)
"""What openpyxl raises for damaged files; it has no error of its own for most of them."""


def read_workbook(path: Path) -> Returned:
    """Raises UnusableSheet for a file that is no sheet, VluresError where the package that reads it is missing."""
    try:
        from openpyxl import load_workbook
    except ImportError as error:
        raise VluresError("Sheets need the package openpyxl; get it with `pip install 'vlures[sheets]'`.") from error
    try:
        with open_file(path) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _check_size(path, file)
            file.seek(0)
            book = load_workbook(file)
            return _read(path, book)
    except UnusableFile as error:
        raise UnusableSheet(str(error)) from error
    except _DAMAGES as error:
        raise UnusableSheet(
            f"is no readable .xlsx file ({type(error).__name__}: {error}); open it and save it as .xlsx, without a "
            "password"
        ) from error


def _check_size(path: Path, file: Any) -> None:
    """A few kilobytes may unpack to gigabytes."""
    if path.stat().st_size > LARGEST_BYTES:
        raise UnusableSheet(f"has more than {LARGEST_BYTES:,} bytes; a sheet has far less")
    with zipfile.ZipFile(file) as archive:
        parts = archive.infolist()
    if len(parts) > MOST_PARTS or sum(part.file_size for part in parts) > LARGEST_UNPACKED_BYTES:
        raise UnusableSheet(f"unpacks to more than {LARGEST_UNPACKED_BYTES:,} bytes; a sheet has far less")


def _read(path: Path, book: Workbook) -> Returned:
    ratings = [page for page in book.worksheets if page.cell(MARK_ROW + 1, 1).value == MARK]
    if len(ratings) != 1:
        found = "has no sheet" if not ratings else f"has {len(ratings)} sheets"
        raise UnusableSheet(
            f"{found} whose first cell is {MARK!r}; ask for the file as it was handed out, with only scores and "
            "comments filled in"
        )
    page = ratings[0]
    if page.max_row > MOST_ROWS:
        raise UnusableSheet(f"has {page.max_row:,} rows; a sheet has far less")
    _check_header(page)
    texts = next((page for page in book.worksheets if page.cell(1, 1).value == TEXTS_MARK), None)
    digest = None if texts is None else digest_long_texts(_lines(texts))
    set_name, rater = (str(page.cell(MARK_ROW + 1, column).value or "") for column in (2, 3))
    return Returned(path, set_name, rater, list(_read_rows(page)), "row", False, digest)


def _check_header(page: Worksheet) -> None:
    """A column that was added, removed or moved would make another column the scores."""
    line = HEADER_ROW + 1
    names = tuple(_text(page.cell(line, column).value).strip() for column in range(1, len(COLUMNS) + 1))
    known = [tuple(wording.columns[name] for name in COLUMNS) for wording in all_wordings()]
    if names not in known:
        raise UnusableSheet(
            f"has other columns than when it was handed out (row {line}: {', '.join(names)}); put them back"
        )


def _read_rows(page: Worksheet) -> Iterator[Entry]:
    places = {name: number for number, name in enumerate(COLUMNS, start=1)}
    merged = _merged_rows(page, places["score"])
    for line in range(FIRST_ROW + 1, page.max_row + 1):
        cells = {name: page.cell(line, places[name]) for name in COLUMNS}
        values = {name: _text(cell.value) for name, cell in cells.items()}
        if not any(values.values()):
            continue
        score, problem = None, None
        try:
            if line in merged:
                raise NoScore("its score cell is merged with another")
            cell = cells["score"]
            score = read_cell(cell.value, cell.data_type, str(cell.number_format or "General"))
        except NoScore as reason:
            problem = str(reason)
        yield Entry(line, values["id"] or None, digest_cells(values), score, problem, values["comment"])


def _merged_rows(page: Worksheet, column: int) -> frozenset[int]:
    ranges = [area for area in page.merged_cells.ranges if area.min_col <= column <= area.max_col]
    return frozenset(row for area in ranges for row in range(area.min_row, area.max_row + 1))


def _lines(page: Worksheet) -> Iterator[str]:
    return (_text(page.cell(line, 1).value) for line in range(1, page.max_row + 1))


def _text(value: object) -> str:
    return "" if value is None else str(value)
