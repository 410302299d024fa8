"""`vlures sheets out`: what is drawn, what a rater sees and does not see, and that nothing in an answer is obeyed."""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import load_workbook
from PIL import Image

from tests.conftest import make_dataset
from tests.judge.sheets.conftest import ANSWER, ARTICLE, COMMENT, FIRST, RUN, SCORE, TASK, Study, find_page
from vlures.judge.packs import load_pack
from vlures.judge.sheets.candidates import Candidate
from vlures.judge.sheets.drawing import draw
from vlures.judge.sheets.shown import cut, fits_a_cell, split
from vlures.judge.sheets.wording import all_wordings, find_wording
from vlures.judge.verdicts import Verdict, write_verdicts
from vlures.records import Cell
from vlures.records import Image as ImageFile
from vlures.safety.control_characters import as_text

OUT = ("sheets", "out", RUN, "--out", "sheets", "--seed", "1")
HOSTILE = (
    '=HYPERLINK("http://127.0.0.1:9/", "see")',
    "+1+1",
    "-2+3",
    "@SUM(A1:A9)",
    "</script><script>document.title = 'taken'</script>",
    "<img src=x onerror=\"document.title='taken'\">",
    "a\u202edesrever\u2028b\u0000c\x1b[31md",
    "_x000D_ _x0041_",
    "'=1+1",
    "http://127.0.0.1:9/x",
    "\U0001f600 " * 40,
)


def candidate(number: int, judged: float | None = None, cell: str = "En-t1") -> Candidate:
    image = ImageFile(Path(f"{number}.png"), "image/png", 1, 1, 1, f"digest{number}")
    return Candidate("x", "v", Cell(cell), str(number), "en", f"answer {number}", image, "task", None, judged)


# What is drawn


def test_what_is_drawn_has_a_known_probability(study: Study) -> None:
    result = study.command(*OUT, "--per-cell", "4", "--raters", "1", "--languages", "En,Ur")
    assert result.code == 0, result
    for rater in ("en-p1", "ur-p1"):
        rows = study.rows(rater)
        real = [row for row in rows if row["control"] is None]
        assert Counter(row["cell"][-2:] for row in real) == {"t1": 4, "t7": 4}
        assert len({(row["cell"], row["sample_id"]) for row in real}) == len(real)
        assert {row["cell"][-2:]: row["probability"] for row in real} == {"t1": 4 / 7, "t7": 4 / 6}
        assert Counter(row["control"] for row in rows) == {None: 8, "repeat": 1, "other answer": 1}
    assert [sheet["rater"] for sheet in study.key["sheets"]] == ["en-p1", "ur-p1"]


@given(st.integers(1, 60), st.integers(1, 60), st.lists(st.none() | st.integers(1, 100), min_size=1, max_size=60))
def test_every_answer_has_a_chance_and_its_probability_is_that_of_its_stratum(
    per_cell: int, seed: int, scores: list[int | None]
) -> None:
    candidates = [candidate(number, score) for number, score in enumerate(scores)]
    drawn = draw(candidates, per_cell, seed)
    assert len(drawn) == min(per_cell, len(candidates))
    assert len({one.candidate.sample_id for one in drawn}) == len(drawn)
    thirds = {one.third: one.probability for one in drawn}
    assert len({(one.third, one.probability) for one in drawn}) == len(thirds)
    assert sum(1 / one.probability for one in drawn) == pytest.approx(len(candidates))  # Horvitz and Thompson


def test_low_middle_and_high_scores_of_a_judge_are_drawn_alike() -> None:
    candidates = [candidate(number, 90 if number < 80 else number - 70) for number in range(90)]
    drawn = draw(candidates, 18, 1)
    assert Counter(one.third for one in drawn)["low"] >= 1
    assert {one.third for one in draw([candidate(number, number) for number in range(60)], 18, 1)} == {
        *("low", "middle", "high")
    }


def test_the_same_seed_draws_the_same_sheets_and_another_seed_others(study: Study) -> None:
    texts = []
    for seed, out in (("1", "a"), ("1", "b"), ("2", "c")):
        words = ("--per-cell", "3", "--raters", "2", "--languages", "Sw", "--seed", seed, "--out", out)
        assert study.command("sheets", "out", RUN, *words).code == 0
        key = json.loads((study.folder / out / "key.json").read_text())
        texts.append((key["set"], [sheet["rows"] for sheet in key["sheets"]]))
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]
    first, second = texts[0][1]
    ids = [row["id"] for row in (*first, *second)]
    assert len(set(ids)) == len(ids)
    assert [row["sample_id"] for row in first] != [row["sample_id"] for row in second]


def test_rows_about_one_image_are_apart_and_bad_items_have_another_images_answer(study: Study) -> None:
    assert study.command(*OUT, "--per-cell", "7", "--raters", "3", "--languages", "En").code == 0
    answers = {
        (row["cell"], row["answer_digest"]): row["image_digest"]
        for row in study.rows("en-p1")
        if row["control"] is None
    }
    for rater in ("en-p1", "en-p2", "en-p3"):
        rows = study.rows(rater)
        assert all(one["image_digest"] != other["image_digest"] for one, other in pairwise(rows))
        assert Counter(row["control"] for row in rows) == {None: 13, "repeat": 1, "other answer": 1}
        for place, row in enumerate(rows):
            if row["control"] == "other answer":
                assert answers[row["cell"], row["answer_digest"]] != row["image_digest"]
                assert row["probability"] is None
            if row["control"] == "repeat":
                assert row["answer_digest"] in [before["answer_digest"] for before in rows[:place]]


def test_only_answers_with_a_subject_are_drawn(study: Study) -> None:
    [path] = (study.folder / RUN).glob("checkpoints_*/checkpoint_task1_En.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line, status in zip(lines, ("refused", "truncated"), strict=False):
        line["status"] = status
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    result = study.command(*OUT, "--per-cell", "7", "--raters", "1", "--languages", "En", "--tasks", "1")
    assert result.code == 0, result
    assert "Not to be rated: 2 responses without an answer" in result.err
    drawn = [row["sample_id"] for row in study.rows("en-p1") if row["control"] is None]
    assert len(drawn) == 5


def test_thirds_of_the_only_judges_scores_are_strata(study: Study) -> None:
    make_dataset(study.folder / "data", samples=30)
    words = ("--backend", "gemini", "--languages", "En", "--tasks", "1", "--dataset", "data", "--name", "many")
    assert study.command("run", "--sandbox", *words).code == 0
    run = study.folder / "outputs/sandbox-many"
    out = ("sheets", "out", "outputs/sandbox-many", "--per-cell", "15", "--raters", "1", "--seed", "1", "--out")

    def judge(name: str) -> None:
        about = ("judge", "sandbox-many", "1shot_rationales", Cell("En-t1"))
        numbers = range(1, 31)
        verdicts = [Verdict(name, *about, str(number), "", "", overall=3 * number) for number in numbers]  # type: ignore[arg-type]
        write_verdicts(run / f"judged/{name}/verdicts.jsonl", verdicts)

    judge("first")
    assert study.command(*out, "sheets").code == 0
    drawn = [(row["third"], (int(row["sample_id"]) - 1) // 10) for row in study.rows("en-p1") if row["control"] is None]
    assert Counter(drawn) == {("low", 0): 5, ("middle", 1): 5, ("high", 2): 5}
    judge("second")
    result = study.command(*out, "both")
    assert "choose one with --judge: first, second" in result.err
    assert '"third":"all"' in (study.folder / "both/key.json").read_text().replace(" ", "")
    assert "choose" not in study.command(*out, "one", "--judge", "second").err
    study.command(*out, "none", "--judge", "third").assert_stopped(2, "no scores by the judge third", "first, second")


def test_what_cannot_be_made_is_refused(study: Study) -> None:
    words = ("--per-cell", "1", "--raters", "1", "--languages", "En")
    assert study.command(*OUT, *words).code == 0
    before = (study.folder / "sheets/key.json").read_bytes()
    study.command(*OUT, *words).assert_stopped(2, "sheets is there already", "--out")
    assert (study.folder / "sheets/key.json").read_bytes() == before
    study.command(*OUT, "--languages", "Fr").assert_stopped(2, "Fr")
    study.command("sheets", "out", "outputs", "--out", "y").assert_stopped(1, "outputs/sandbox-x")
    assert not (study.folder / "y").exists()


def test_the_width_to_expect_is_said_before_anyone_starts(study: Study) -> None:
    result = study.command(*OUT, "--per-cell", "6", "--raters", "1", "--languages", "En")
    assert "±21.0" in result.out  # 2.571 * 20 / sqrt(6)
    assert "standard deviation of 20" in result.out


# What a rater sees


def test_a_sheet_says_nothing_of_who_answered(study: Study) -> None:
    assert study.command(*OUT, "--per-cell", "2", "--raters", "1").code == 0
    for path in (study.folder / "sheets/for-raters").iterdir():
        data = path.read_bytes()
        if path.suffix == ".xlsx":
            with zipfile.ZipFile(path) as archive:
                data = b"".join(archive.read(name) for name in archive.namelist() if not name.endswith(".jpeg"))
        for word in (b"gemini", b"sandbox-x", b"1shot", b"rationales", b"SampleEn", b"-t1", b"probability"):
            assert word not in data, (path, word)


@pytest.mark.parametrize("tag", ["en", "ja", "sw", "ur"])
def test_a_workbook_is_in_the_language_of_its_answers(study: Study, tag: str) -> None:
    code = {"en": "En", "ja": "Jp", "sw": "Sw", "ur": "Ur"}[tag]
    assert study.command(*OUT, "--per-cell", "3", "--raters", "1", "--languages", code).code == 0
    path = study.path(f"{tag}-p1")
    book = load_workbook(path)
    words = find_wording(tag)
    instructions, page = book.worksheets[0], find_page(path)
    shown = [cell.value for row in instructions.iter_rows() for cell in row if cell.value is not None]
    assert [text for text in words.instructions if text not in shown] == []
    for score, meaning in load_pack(tag).overall.anchors().items():  # the judge's, word for word
        assert shown[shown.index(meaning) - 1] == score
    assert bool(page.sheet_view.rightToLeft) == (tag == "ur")
    assert page.cell(FIRST, ANSWER).alignment.readingOrder == (2 if tag == "ur" else 1)
    assert "[sandbox]" in page.cell(FIRST, ANSWER).value
    tasks = {page.cell(line, TASK).value for line in range(FIRST, page.max_row + 1)}
    assert len(tasks) == 2
    with_article = [bool(page.cell(line, ARTICLE).value) for line in range(FIRST, page.max_row + 1)]
    assert with_article == [row["cell"].endswith("t7") for row in study.rows(f"{tag}-p1")]


def test_only_scores_and_comments_can_be_changed(study: Study) -> None:
    assert study.command(*OUT, "--per-cell", "2", "--raters", "1", "--languages", "En").code == 0
    book = load_workbook(study.path("en-p1"))
    assert all(page.protection.sheet for page in book.worksheets)
    page = find_page(study.path("en-p1"))
    for line in range(FIRST, page.max_row + 1):
        open_columns = [cell.column for cell in page[line] if not cell.protection.locked]
        assert open_columns == [SCORE, COMMENT]
        assert page.cell(line, SCORE).number_format == "General"  # so that 85 % is marked as such
    [rule] = page.data_validations.dataValidation
    assert (rule.type, rule.operator or "between", rule.formula1, rule.formula2) == ("whole", "between", "1", "100")
    assert rule.errorStyle in (None, "stop")
    assert rule.error == find_wording("en").workbook["score_error"]


def test_images_are_small_upright_without_metadata_and_stored_once(study: Study, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    exif[0x010E] = "a secret place"
    data = study.folder / "turned"
    data.mkdir()
    for number in (1, 2, 3):
        picture = Image.new("RGB", (800, 400), "white")
        picture.paste((200, 0, 0), (0, 0, 400, 400))
        picture.paste((0, 60 * number, 200), (600, 0, 800, 100))
        picture.save(data / f"image{number}.jpg", exif=exif, quality=90)
    words = ("--languages", "En", "--tasks", "1,2", "--dataset", "turned", "--name", "t")
    assert study.command("run", "--sandbox", "--backend", "gemini", *words).code == 0
    assert study.command("sheets", "out", "outputs/sandbox-t", "--out", "sheets", "--raters", "1").code == 0
    with zipfile.ZipFile(study.path("en-p1")) as archive:
        names = [name for name in archive.namelist() if name.startswith("xl/media/")]
        pictures = [archive.read(name) for name in names]
    assert len(pictures) == 3
    for picture_bytes in pictures:
        picture = Image.open(io.BytesIO(picture_bytes))
        assert picture.size == (160, 320)
        assert b"secret" not in picture_bytes
        assert dict(picture.getexif()) == {}
        top, bottom = picture.getpixel((80, 20)), picture.getpixel((80, 300))
        assert isinstance(top, tuple)
        assert isinstance(bottom, tuple)
        assert top[0] > 150
        assert top[1] < 60  # red above, as EXIF says
        assert min(bottom) > 200


def test_an_image_that_cannot_be_shown_is_left_out_and_named(study: Study) -> None:
    data = study.folder / "damaged"
    data.mkdir()
    for number in (1, 2, 3):
        Image.new("RGB", (64, 64), (number * 50, 0, 0)).save(data / f"image{number}.png")
    words = ("--languages", "En", "--tasks", "1", "--dataset", "damaged", "--name", "d")
    raw = (data / "image2.png").read_bytes()
    start, end = raw.index(b"IDAT"), raw.index(b"IEND") - 8
    pixels = b"IDAT" + b"\xff" * (end - start - 4)  # not what a decoder can unpack, under a checksum that is right
    checksum = zlib.crc32(pixels).to_bytes(4, "big")
    (data / "image2.png").write_bytes(raw[:start] + pixels + checksum + raw[end + 4 :])
    assert (
        study.command("run", "--sandbox", "--backend", "gemini", *words).code == 3
    )  # the server cannot decode it either
    [path] = (study.folder / "outputs/sandbox-d").glob("checkpoints_*/checkpoint_*.jsonl")
    lines = [json.loads(line) | {"status": "ok", "text": "An answer."} for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    result = study.command("sheets", "out", "outputs/sandbox-d", "--out", "sheets", "--raters", "1")
    assert result.code == 0, result
    assert "image2.png cannot be decoded" in result.err
    assert {row["sample_id"] for row in study.rows("en-p1")} == {"1", "3"}


# Texts


def test_no_answer_is_obeyed_by_a_spreadsheet(study: Study) -> None:
    texts = iter(HOSTILE * 20)
    study.change_answers(lambda key, _: next(texts))
    assert study.command(*OUT, "--per-cell", "6", "--raters", "1", "--languages", "En,Ur").code == 0
    shown = []
    for rater in ("en-p1", "ur-p1"):
        page = find_page(study.path(rater))
        for line in range(FIRST, page.max_row + 1):
            cell = page.cell(line, ANSWER)
            assert cell.data_type == "s"
            assert cell.hyperlink is None
            shown.append(str(cell.value))
    assert {as_text(text).rstrip() for text in HOSTILE} == set(shown)
    assert not any(re.search(r"[\u202e\u2028\x00\x1b]", text) for text in shown)
    result = study.command("sheets", "in", "sheets/for-raters")
    assert result.code == 3  # nothing is rated
    assert "changed" not in result.err  # and nothing seems to be another text


def test_long_texts_stand_on_a_sheet_of_their_own(study: Study) -> None:
    sentence = "A long sentence about the image. "
    study.change_answers(lambda key, _: sentence * 2_000 + key)
    assert study.command(*OUT, "--per-cell", "2", "--raters", "1", "--languages", "En").code == 0
    path = study.path("en-p1")
    page, texts = find_page(path), load_workbook(path).worksheets[2]
    answers = [page.cell(line, ANSWER).value for line in range(FIRST, page.max_row + 1)]
    assert all(isinstance(text, str) and fits_a_cell(text) and text.startswith(sentence) for text in answers)
    link = page.cell(FIRST, ANSWER + 1).hyperlink
    assert link is not None
    assert link.location is not None
    start = int(link.location.rpartition("A")[2])
    pieces = []
    for line in range(start + 1, texts.max_row + 1):
        if not texts.cell(line, 1).value:
            break
        pieces.append(str(texts.cell(line, 1).value))
    assert "".join(pieces).count(sentence.strip()) == 2_000
    assert max(map(len, pieces)) <= 1_200
    result = study.command("sheets", "in", "sheets/for-raters")
    assert "changed" not in result.err, result


@given(st.text(max_size=80), st.integers(1, 80))
def test_a_text_is_cut_between_characters(text: str, units: int) -> None:
    beginning = cut(text, units)
    assert text.startswith(beginning)
    assert len(beginning.encode("utf-16-le", "surrogatepass")) <= 2 * units


@given(st.text(st.sampled_from("ab .\n。۔"), max_size=400), st.integers(5, 50))
def test_pieces_are_the_whole_text(text: str, longest: int) -> None:
    pieces = split(text, longest)
    assert all(len(piece) <= longest for piece in pieces)
    assert re.sub(r"\s", "", "".join(pieces)) == re.sub(r"\s", "", text)


def test_all_languages_have_the_same_words() -> None:
    wordings = all_wordings()
    for part in ("columns", "workbook", "page"):
        assert len({tuple(getattr(wording, part)) for wording in wordings}) == 1
    assert len({len(wording.instructions) for wording in wordings}) == 1
    for wording in wordings:
        places = [set(re.findall(r"\{\w+\}", text)) for text in wording.page.values()]
        assert places == [set(re.findall(r"\{\w+\}", text)) for text in wordings[0].page.values()]
        assert all(
            len(name) <= 31 for name in (wording.workbook[page] for page in ("instructions", "ratings", "texts"))
        )
    assert find_wording(None) == find_wording("fr") == find_wording("en-GB") == wordings[0]
