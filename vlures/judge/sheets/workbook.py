"""A rater's sheet as an .xlsx file: instructions, the rows, and long texts on a sheet of their own.

Only scores and comments can be filled in. Texts are strings whatever they begin with, never formulas or links.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vlures.errors import VluresError
from vlures.judge.sheets.layout import (
    COLUMNS,
    FIRST_ROW,
    HEADER_ROW,
    HIGHEST_ROW,
    MARK,
    MARK_ROW,
    TEXTS_WIDTH,
    WIDTHS,
    LongTexts,
    cells_of,
    find_script,
    lay_out_long_texts,
    measure,
    measure_row,
)
from vlures.judge.sheets.sheet import Row, Sheet
from vlures.judge.sheets.shown import cut
from vlures.judge.sheets.wording import Wording, direction_of
from vlures.judge.verdicts import HIGHEST, LOWEST

if TYPE_CHECKING:
    from xlsxwriter.format import Format
    from xlsxwriter.workbook import Workbook
    from xlsxwriter.worksheet import Worksheet

IMAGE_PIXELS = 240
"""The longer side as it is shown; the thumbnail has more, for screens of high density."""
POINTS_PER_PIXEL = 0.75
LOWEST_ROW = 60
"""In points."""
PAPER_A4 = 9
_MAY_CHANGE = {"format_columns": True, "format_rows": True}
"""What a rater may do with a protected sheet besides filling it in."""
_LONGEST_MESSAGE = 255
"""Characters of a message that goes with a cell."""


def make_workbook(sheet: Sheet) -> bytes:
    """Raises VluresError where the package that writes such files is missing."""
    try:
        from xlsxwriter import Workbook
    except ImportError as error:
        raise VluresError("Sheets need the package xlsxwriter; get it with `pip install 'vlures[sheets]'`.") from error
    data = io.BytesIO()
    # In memory: no temporary files, which would hold answers and images, are left anywhere.
    book = Workbook(data, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    book.set_properties({"title": sheet.wording.title, "author": "", "comments": ""})
    formats = _Formats(book, sheet.wording)
    _write_instructions(_add_page(book, "instructions", sheet.wording), sheet.wording, formats)
    ratings = _add_page(book, "ratings", sheet.wording)
    texts = lay_out_long_texts(sheet)
    _write_head(ratings, sheet, formats)
    for place, row in enumerate(sheet.rows):
        _write_row(ratings, FIRST_ROW + place, row, sheet, formats)
        _link(ratings, FIRST_ROW + place, texts.starts.get(row.id), sheet.wording, formats)
    _restrict(ratings, sheet)
    if texts.lines:
        _write_long_texts(_add_page(book, "texts", sheet.wording), texts, sheet, formats)
    ratings.activate()
    book.close()
    return data.getvalue()


def _add_page(book: Workbook, name: str, wording: Wording) -> Worksheet:
    page = book.add_worksheet(wording.workbook[name])
    if wording.direction == "rtl":
        page.right_to_left()
    page.protect("", _MAY_CHANGE)
    page.set_landscape()
    page.set_paper(PAPER_A4)
    page.fit_to_pages(1, 0)  # as wide as the paper, as many pages as it takes
    return page


class _Formats:
    """The formats of a workbook, each made once."""

    def __init__(self, book: Workbook, wording: Wording) -> None:
        self._script = find_script(wording)
        self._book = book
        self._made: dict[tuple[str, str], Format] = {}
        self._direction = wording.direction

    def get(self, kind: str, direction: str | None = None) -> Format:
        """kind: a key of _KINDS. direction: of the text, by default that of the sheet."""
        direction = direction or self._direction
        if (kind, direction) not in self._made:
            font = {"font_name": self._script.font, "font_size": self._script.size}
            order = (
                {"reading_order": 2, "align": "right"} if direction == "rtl" else {"reading_order": 1, "align": "left"}
            )
            self._made[kind, direction] = self._book.add_format({**font, **_CELL, **order, **_KINDS[kind]})
        return self._made[kind, direction]


_CELL: Mapping[str, Any] = {"valign": "top", "text_wrap": True, "border": 1, "border_color": "#BBBBBB"}
_KINDS: Mapping[str, Mapping[str, Any]] = {
    "text": {},
    "plain": {"border": 0},
    "title": {"border": 0, "bold": True, "font_size": 16, "text_wrap": False},
    "heading": {"border": 0, "bold": True, "text_wrap": False},
    "header": {"bold": True, "bg_color": "#E8E8E8", "valign": "vcenter"},
    "small": {"font_name": "Consolas", "font_size": 8, "font_color": "#707070"},
    "mark": {"font_name": "Consolas", "font_size": 8, "font_color": "#707070", "border": 0, "text_wrap": False},
    "number": {"num_format": "0"},
    "link": {"font_color": "#0645AD", "underline": 1},
    "score": {
        # No number format: only so do spreadsheet programs mark a percentage (85 % is 0.85) or a date as such.
        **{"locked": False, "bg_color": "#FFF8D6", "bold": True, "valign": "vcenter"},
        **{"font_size": 14, "align": "center", "reading_order": 0},
    },
    "comment": {"locked": False, "bg_color": "#FFFDF2", "num_format": "@"},
}


def _write_instructions(page: Worksheet, wording: Wording, formats: _Formats) -> None:
    script = find_script(wording)
    page.hide_gridlines(2)
    page.set_column(0, 0, 8)
    page.set_column(1, 1, TEXTS_WIDTH)
    page.write_string(0, 0, wording.title, formats.get("title"))
    page.set_row(0, 2 * script.line_points)
    line = 2
    for number, text in enumerate((*wording.instructions, wording.workbook["only_here"]), start=1):
        page.write_number(line, 0, number, formats.get("plain"))
        page.write_string(line, 1, text, formats.get("plain"))
        page.set_row(line, measure(text, TEXTS_WIDTH, script) + 4)
        line += 1
    page.write_string(line + 1, 0, wording.scale, formats.get("heading"))
    page.set_row(line + 1, 1.3 * script.line_points)
    for number, (score, meaning) in enumerate(wording.anchors.items(), start=line + 2):
        page.write_number(number, 0, score, formats.get("heading"))
        page.write_string(number, 1, meaning, formats.get("plain"))
        page.set_row(number, measure(meaning, TEXTS_WIDTH, script) + 4)


def _write_head(ratings: Worksheet, sheet: Sheet, formats: _Formats) -> None:
    for column, name in enumerate(COLUMNS):
        ratings.set_column(column, column, WIDTHS[name])
        ratings.write_string(HEADER_ROW, column, sheet.wording.columns[name], formats.get("header"))
    for column, text in enumerate((MARK, sheet.set, sheet.rater)):
        ratings.write_string(MARK_ROW, column, text, formats.get("mark", "ltr"))
    ratings.set_row(HEADER_ROW, 2 * find_script(sheet.wording).line_points)
    ratings.repeat_rows(HEADER_ROW)
    ratings.freeze_panes(FIRST_ROW, COLUMNS.index("task"))


def _write_row(ratings: Worksheet, line: int, row: Row, sheet: Sheet, formats: _Formats) -> None:
    thumbnail = sheet.thumbnails[row.image]
    scale = min(1.0, IMAGE_PIXELS / max(thumbnail.width, thumbnail.height))
    picture = thumbnail.height * scale * POINTS_PER_PIXEL + 8
    ratings.set_row(line, min(HIGHEST_ROW, max(measure_row(row, sheet.wording) + 6, picture, LOWEST_ROW)))
    number = line - FIRST_ROW + 1
    ratings.write_number(line, COLUMNS.index("number"), number, formats.get("number"))
    ratings.write_string(line, COLUMNS.index("id"), row.id, formats.get("small", "ltr"))
    for name in ("image", "score", "comment"):
        kind = "text" if name == "image" else name
        ratings.write_blank(line, COLUMNS.index(name), None, formats.get(kind))
    for name, text in cells_of(row, sheet.wording).items():
        direction = direction_of(text, sheet.language)
        ratings.write_string(line, COLUMNS.index(name), text, formats.get("text", direction))
    about = sheet.wording.page["image_of"].replace("{number}", str(number))
    picture_options = {
        **{"image_data": io.BytesIO(thumbnail.data), "x_offset": 4, "y_offset": 4, "x_scale": scale, "y_scale": scale},
        **{"object_position": 1, "description": about},
    }
    ratings.insert_image(line, COLUMNS.index("image"), "image.jpg", picture_options)


def _link(ratings: Worksheet, line: int, start: int | None, wording: Wording, formats: _Formats) -> None:
    """A link to the row's long texts; start: the line where they begin."""
    column = COLUMNS.index("whole")
    if start is None:
        ratings.write_blank(line, column, None, formats.get("text"))
        return
    place = f"internal:'{wording.workbook['texts']}'!A{start + 1}"
    ratings.write_url(line, column, place, formats.get("link"), wording.workbook["open"])


def _restrict(ratings: Worksheet, sheet: Sheet) -> None:
    """Scores are whole numbers."""
    words = sheet.wording.workbook
    column = COLUMNS.index("score")
    rule = {
        **{"validate": "integer", "criteria": "between", "minimum": LOWEST, "maximum": HIGHEST, "ignore_blank": True},
        **{"error_title": cut(sheet.wording.columns["score"], 32), "error_type": "stop"},
        **{"error_message": cut(words["score_error"], _LONGEST_MESSAGE)},
        **{"input_message": cut(words["score_prompt"], _LONGEST_MESSAGE)},
    }
    ratings.data_validation(FIRST_ROW, column, FIRST_ROW + max(len(sheet.rows), 1) - 1, column, rule)
    ratings.set_selection(FIRST_ROW, column, FIRST_ROW, column)


def _write_long_texts(page: Worksheet, texts: LongTexts, sheet: Sheet, formats: _Formats) -> None:
    page.hide_gridlines(2)
    page.set_column(0, 0, TEXTS_WIDTH)
    script = find_script(sheet.wording)
    for line, text in enumerate(texts.lines):
        if not text:
            continue
        kind = "mark" if line == 0 else "heading" if line in texts.headings else "text"
        direction = None if line in texts.headings else direction_of(text, sheet.language)
        page.write_string(line, 0, text, formats.get(kind, direction))
        page.set_row(line, min(HIGHEST_ROW, measure(text, TEXTS_WIDTH, script) + 4))
