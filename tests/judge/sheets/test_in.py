"""`vlures sheets in`: whole numbers from 1 to 100 come back as scores, and everything else is named by its row."""

from __future__ import annotations

import datetime
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from openpyxl import load_workbook
from openpyxl.worksheet.worksheet import Worksheet

from tests.judge.sheets.conftest import ANSWER, ARTICLE, COMMENT, FIRST, ID, RUN, SCORE, TASK, Filled, opened
from vlures.judge.sheets.layout import TEXTS_MARK
from vlures.judge.verdicts import Verdict

LINE = FIRST + 2
"""The row that is damaged: the third answer's."""
IN = ("sheets", "in", "sheets/for-raters")


def check(filled: Filled, missing: dict[str, set[int]] | None = None) -> None:
    """Every score is the one that was filled in, but for these rows of each rater, which are missing."""
    for rater, scores in filled.scores.items():
        lost = (missing or {}).get(rater, set())
        verdicts = filled.study.verdicts(rater)
        assert len(verdicts) == len(scores)
        wanted = [None if place in lost else score for place, score in enumerate(scores)]
        assert [verdict.overall for verdict in verdicts] == wanted
        assert all((verdict.overall is None) == (verdict.missing is not None) for verdict in verdicts)


def test_scores_come_back_to_their_answers(filled: Filled) -> None:
    with opened(filled.study.path("en-p1")) as page:
        page.cell(FIRST, COMMENT).value = "=1+1 is no formula here"
    result = filled.study.command(*IN)
    assert result.code == 0, result
    check(filled)
    for rater in filled.scores:
        for verdict, row in zip(filled.study.verdicts(rater), filled.study.rows(rater), strict=True):
            assert (verdict.run, verdict.variant) == ("sandbox-x", "1shot_rationales")
            assert (verdict.cell, verdict.sample_id) == (row["cell"], row["sample_id"])
            assert (verdict.answer_digest, verdict.image_digest) == (row["answer_digest"], row["image_digest"])
            assert (verdict.control, verdict.probability) == (row["control"], row["probability"])
            assert (verdict.kind, verdict.language, verdict.rubric) == (
                "person",
                "en",
                filled.study.key["sheets"][0]["rubric"],
            )
    assert filled.study.verdicts("en-p1")[0].reasons == "=1+1 is no formula here"
    before = filled.study.verdicts()
    assert filled.study.command(*IN).code == 0
    assert filled.study.verdicts() == before


WRITTEN = ("٨٥", "۸۵", "８５", " 85 ", "\u200f۸۵\u200e", "85\u00a0", 85.0, "85")


def test_digits_of_every_keyboard_are_understood(filled: Filled) -> None:
    with opened(filled.study.path("en-p1")) as page:
        for place, written in enumerate(WRITTEN):
            page.cell(FIRST + place, SCORE).value = written
    assert filled.study.command(*IN).code == 0
    assert [verdict.overall for verdict in filled.study.verdicts("en-p1")[: len(WRITTEN)]] == [85] * len(WRITTEN)


# Damaged cells

NOT_SCORES: dict[str, tuple[object, str, str]] = {
    "zero": (0, "General", "'0' is not from 1 to 100"),
    "above": (101, "General", "'101' is not from 1 to 100"),
    "a digit too many": (850, "General", "'850' is not from 1 to 100"),
    "negative": (-5, "General", "'-5' is not from 1 to 100"),
    "a half": (85.5, "General", "'85.5' is not a whole number"),
    "a half as text": ("85.5", "@", "'85.5' is not a whole number"),
    "a comma": ("85,5", "General", "'85,5' is not a whole number"),
    "an Arabic comma": ("٨٥٫٥", "General", "is not a whole number"),
    "85 %": (0.85, "0%", "0.85 is shown in the format '0%'"),
    "100 %": (1, "0%", "1 is shown in the format '0%'"),
    "85 % as text": ("85%", "@", "'85%' is not a whole number"),
    "a date": (datetime.datetime(2026, 5, 8), "d-mmm", "is a date or time"),
    "a number as a date": (45, "yyyy-mm-dd", "is a date or time"),
    "a time": (datetime.time(8, 5), "h:mm", "is a date or time"),
    "money": (85, '"$"#,##0', "85 is shown in the format"),
    "words": ("very good", "General", "'very good' is not a whole number"),
    "a fraction": ("85/100", "General", "'85/100' is not a whole number"),
    "a range": ("80-90", "General", "'80-90' is not a whole number"),
    "about": ("~80", "General", "'~80' is not a whole number"),
    "two numbers": ("80 90", "General", "'80 90' is not a whole number"),
    "scientific": ("1e2", "General", "'1e2' is not a whole number"),
    "zeros before it": ("007", "General", "'007' is not a whole number"),
    "digits of another script": ("८५", "General", "is not a whole number"),
    "true": (True, "General", "TRUE is a truth value"),
    "a formula": ("=80+5", "General", "there is a formula"),
    "an error": ("#N/A", "General", "there is an error"),
}


@pytest.mark.parametrize("half", [0, 1])
def test_what_is_no_score_is_named_and_left_missing(filled: Filled, half: int) -> None:
    """Each row has a kind of its own; the last one keeps its score."""
    kinds = list(NOT_SCORES.values())[half::2]
    places = range(len(kinds))
    assert len(kinds) < len(filled.scores["en-p1"])
    with opened(filled.study.path("en-p1")) as page:
        for place, (value, number_format, _) in zip(places, kinds, strict=True):
            page.cell(FIRST + place, SCORE).value = value  # type: ignore[assignment]
            page.cell(FIRST + place, SCORE).number_format = number_format
    result = filled.study.command(*IN)
    assert result.code == 3, result
    named = [line for line in result.err.splitlines() if line.startswith("sheets/")]
    assert len(named) == len(kinds)
    for place, line, (_, _, words) in zip(places, named, kinds, strict=True):
        assert f"en-p1.xlsx, row {FIRST + place}: " in line
        assert words in line
    check(filled, {"en-p1": set(places)})
    for verdict in filled.study.verdicts("en-p1")[: len(kinds)]:
        assert (verdict.missing or "").startswith("invalid: ")


# Damaged rows


def remove_id(page: Worksheet) -> None:
    page.cell(LINE, ID).value = None


def change_id(page: Worksheet) -> None:
    page.cell(LINE, ID).value = "0123456789"


def swap_ids(page: Worksheet) -> None:
    one, other = page.cell(LINE, ID), page.cell(LINE + 1, ID)
    one.value, other.value = other.value, one.value


def change_answer(page: Worksheet) -> None:
    page.cell(LINE, ANSWER).value = f"{page.cell(LINE, ANSWER).value} And a boat."


def change_task(page: Worksheet) -> None:
    page.cell(LINE, TASK).value = "Count the boats."


def change_article(page: Worksheet) -> None:
    page.cell(LINE, ARTICLE).value = "Another article."


def merge_scores(page: Worksheet) -> None:
    page.merge_cells(start_row=LINE, end_row=LINE + 1, start_column=SCORE, end_column=SCORE)


def delete_row(page: Worksheet) -> None:
    page.delete_rows(LINE)


def double_row(page: Worksheet) -> None:
    """The row stands at the end once more, with another score."""
    end = page.max_row + 1
    for column in range(1, page.max_column + 1):
        page.cell(end, column).value = page.cell(LINE, column).value
    page.cell(end, SCORE).value = 33


def overwrite_row(page: Worksheet) -> None:
    """The row below is a copy of this one, with its own score."""
    for column in (ID, TASK, ARTICLE, ANSWER):
        page.cell(LINE + 1, column).value = page.cell(LINE, column).value


def empty_score(page: Worksheet) -> None:
    page.cell(LINE, SCORE).value = None


DAMAGED_ROWS: dict[Callable[[Worksheet], None], tuple[set[int], list[str]]] = {
    remove_id: ({2}, [f"row {LINE}: it has no ID", f"row {LINE}: the row with the ID"]),
    change_id: ({2}, [f"row {LINE}: this set has no row with the ID '0123456789'"]),
    swap_ids: ({2, 3}, [f"row {LINE}: its task, article or answer was changed", f"row {LINE + 1}: its task"]),
    change_answer: ({2}, [f"row {LINE}: its task, article or answer was changed"]),
    change_task: ({2}, [f"row {LINE}: its task, article or answer was changed"]),
    change_article: ({2}, [f"row {LINE}: its task, article or answer was changed"]),
    merge_scores: ({2, 3}, [f"row {LINE}: its score cell is merged", f"row {LINE + 1}: its score cell is merged"]),
    delete_row: ({2}, [f"row {LINE}: the row with the ID"]),
    double_row: ({2}, ["en-p1 rated this answer 33 here and"]),
    overwrite_row: ({2, 3}, [f"row {LINE + 1}: en-p1 rated this answer", f"row {LINE + 1}: the row with the ID"]),
    empty_score: ({2}, [f"no score yet in row {LINE}"]),
}


@pytest.mark.parametrize("damage", DAMAGED_ROWS, ids=lambda damage: damage.__name__)
def test_a_damaged_row_is_named_and_its_score_left_missing(filled: Filled, damage: Callable[[Worksheet], None]) -> None:
    with opened(filled.study.path("en-p1")) as page:
        damage(page)
    result = filled.study.command(*IN)
    assert result.code == 3, result
    lost, words = DAMAGED_ROWS[damage]
    for said in words:
        assert any("en-p1.xlsx" in line and said in line for line in result.err.splitlines()), result
    check(filled, {"en-p1": lost})


def test_a_changed_long_text_is_named(filled: Filled) -> None:
    path = filled.study.path("en-p1")
    book = load_workbook(path)
    texts = next(page for page in book.worksheets if page.cell(1, 1).value == TEXTS_MARK)
    texts.cell(3, 1).value = "Something else."
    book.save(path)
    result = filled.study.command(*IN)
    assert result.code == 3
    long = {place for place, row in enumerate(filled.study.rows("en-p1")) if row["long"]}
    assert long
    for place in long:
        assert f"en-p1.xlsx, row {FIRST + place}: its long text was changed" in result.err
    check(filled, {"en-p1": long})


def test_two_sheets_of_one_rater_must_agree(filled: Filled) -> None:
    path = filled.study.path("en-p1")
    shutil.copy(path, path.with_name("en-p1 (1).xlsx"))
    assert filled.study.command(*IN).code == 0
    check(filled)
    with opened(path.with_name("en-p1 (1).xlsx")) as page:
        page.cell(LINE, SCORE).value = 1
    result = filled.study.command(*IN)
    assert result.code == 3
    assert f"row {LINE}" in result.err
    assert "neither is taken" in result.err
    check(filled, {"en-p1": {2}})


# Damaged files


def move_columns(page: Worksheet) -> None:
    page.insert_cols(SCORE)


def rename_column(page: Worksheet) -> None:
    page.cell(FIRST - 1, SCORE).value = "Points"


def insert_line_above(page: Worksheet) -> None:
    page.insert_rows(1)


def another_set(page: Worksheet) -> None:
    page.cell(1, 2).value = "ffffff"


def another_rater(page: Worksheet) -> None:
    page.cell(1, 3).value = "en-p9"


def sheet_of_the_other(page: Worksheet) -> None:
    page.cell(1, 3).value = "en-p2"


DAMAGED_PAGES: dict[Callable[[Worksheet], None], str] = {
    move_columns: "it has other columns than when it was handed out",
    rename_column: "it has other columns than when it was handed out",
    insert_line_above: "it has no sheet whose first cell is",
    another_set: "it belongs to the set 'ffffff'",
    another_rater: "the set has no rater 'en-p9'",
    sheet_of_the_other: "belongs to the sheet of en-p1; it is not taken",
}


@pytest.mark.parametrize("damage", DAMAGED_PAGES, ids=lambda damage: damage.__name__)
def test_a_sheet_that_is_not_as_it_was_is_refused(filled: Filled, damage: Callable[[Worksheet], None]) -> None:
    with opened(filled.study.path("en-p1")) as page:
        damage(page)
    result = filled.study.command(*IN)
    assert result.code == 3, result
    assert any("en-p1.xlsx" in line and DAMAGED_PAGES[damage] in line for line in result.err.splitlines()), result
    assert filled.study.verdicts("en-p1") == []
    del filled.scores["en-p1"]
    check(filled)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:2_000])


def write_csv(path: Path) -> None:
    path.write_text("1,abc,85\n")


def lock_with_password(path: Path) -> None:
    path.write_bytes(bytes.fromhex("d0cf11e0a1b11ae1") + bytes(2_000))


def empty(path: Path) -> None:
    path.write_bytes(b"")


def pack_a_bomb(path: Path) -> None:
    """A part that says it unpacks to 2 GB, as one of zeros in a few kilobytes would."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", bytes(1_000))
    data = bytearray(path.read_bytes())
    size_at = data.index(b"PK\x01\x02") + 24
    data[size_at : size_at + 4] = (2_000_000_000).to_bytes(4, "little")
    path.write_bytes(bytes(data))


def spoil_a_part(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["xl/worksheets/sheet2.xml"] = parts["xl/worksheets/sheet2.xml"][:500]
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)


@pytest.mark.parametrize(
    "damage",
    [cut_short, write_csv, lock_with_password, empty, pack_a_bomb, spoil_a_part],
    ids=lambda damage: damage.__name__,
)
def test_a_file_that_cannot_be_read_is_named(filled: Filled, damage: Callable[[Path], None]) -> None:
    damage(filled.study.path("en-p1"))
    result = filled.study.command(*IN)
    assert result.code == 3, result
    assert f"sheets/for-raters/en-p1.xlsx: it {'unpacks to more' if damage is pack_a_bomb else 'is'} " in result.err
    assert "Nothing came back from en-p1" in result.err
    assert filled.study.verdicts("en-p1") == []
    del filled.scores["en-p1"]
    check(filled)


def test_what_is_not_a_set_is_refused(filled: Filled) -> None:
    command, folder = filled.study.command, filled.study.folder
    shutil.copytree(folder / "sheets/for-raters", folder / "back")
    command("sheets", "in", "back").assert_stopped(2, "no key.json beside these files", "--key")
    (folder / "notes.txt").write_text("85")
    command("sheets", "in", "notes.txt").assert_stopped(2, "notes.txt is no returned sheet")
    command("sheets", "in", "back", "--key", "notes.txt").assert_stopped(1, "notes.txt is no key")
    assert command("sheets", "in", "back", "--key", "sheets/key.json").code == 0
    with opened(folder / "back/en-p1.xlsx") as page:
        another_set(page)
    (folder / "back/en-p2.xlsx").unlink()
    command("sheets", "in", "back", "--key", "sheets/key.json").assert_stopped(1, "No row of these files belongs to")
    shutil.rmtree(folder / RUN)
    command(*IN).assert_stopped(1, "sandbox-x holds no run any more", "key.json")


# Raters


def test_nobodys_scores_are_forgotten_in_silence(filled: Filled) -> None:
    command = filled.study.command
    assert command(*IN).code == 0
    only = ("sheets", "in", "sheets/for-raters/en-p1.xlsx")
    command(*only).assert_stopped(1, "has scores by en-p2", "--without en-p2")
    check(filled)
    result = command(*only, "--without", "en-p2")
    assert result.code == 0, result
    assert filled.study.verdicts("en-p2") == []
    result = command(*IN, "--without", "en-p1")
    assert result.code == 0, result
    assert filled.study.verdicts("en-p1") == []
    assert "left out" in result.out
    assert "en-p1" in result.out  # and its quality is shown all the same
    [record] = (filled.study.folder / RUN / "people").glob("*.json")
    assert json.loads(record.read_text())["without"] == ["en-p1"]
    command(*IN, "--without", "p7").assert_stopped(2, "no rater p7", "en-p1, en-p2")


def test_a_careless_rater_is_named(filled: Filled) -> None:
    result = filled.study.command(*IN)
    assert "--without" not in result.err
    rows = filled.study.rows("en-p2")
    with opened(filled.study.path("en-p2")) as page:
        for place, row in enumerate(rows):
            page.cell(FIRST + place, SCORE).value = 90 if row["control"] == "other answer" else 50
            if row["control"] == "repeat":
                page.cell(FIRST + place, SCORE).value = 70
    result = filled.study.command(*IN)
    assert result.code == 0  # it is the researcher who decides
    said = next(line for line in result.err.splitlines() if line.startswith("en-p2"))
    assert "scores bad items about as high as real answers" in said
    assert "scores 0 of 1 repeats within 10 points" in said
    assert "--without en-p2" in said
    quality = {one.split()[0]: one for one in result.out.splitlines() if one.startswith("en-p")}
    assert "100%" in quality["en-p2"]
    assert len(filled.study.verdicts("en-p2")) == len(rows)


def test_bad_items_and_repeats_are_marked_as_controls(filled: Filled) -> None:
    assert filled.study.command(*IN).code == 0
    verdicts: list[Verdict] = filled.study.verdicts("en-p1")
    assert sum(verdict.control == "repeat" for verdict in verdicts) == 1
    assert sum(verdict.control == "other answer" for verdict in verdicts) == 1
