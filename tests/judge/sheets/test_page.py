"""The offline page without a browser: what it holds, what it may run, and that what it saves is read back."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.judge.sheets.conftest import Filled, Study, score_of
from tests.judge.sheets.test_out import HOSTILE, OUT
from vlures.judge.sheets.wording import find_wording

IN = ("sheets", "in", "sheets/for-raters")


def read_page(path: Path) -> tuple[str, dict[str, Any]]:
    """The page, and the content that it shows."""
    html = path.read_text(encoding="utf-8")
    [content] = re.findall(r'<script type="application/json" id="sheet">(.*?)</script>', html, re.DOTALL)
    return html, json.loads(content)


def save(filled: Filled, rater: str) -> list[dict[str, Any]]:
    """What the page saves once its rater has rated everything, instead of the workbook; its ratings."""
    filled.study.path(rater).unlink()
    _, content = read_page(filled.study.path(rater, "html"))
    ratings = [
        {"number": place, "id": row["id"], "digest": row["digest"], "score": score, "comment": "", "time": 1}
        for place, (row, score) in enumerate(zip(content["rows"], filled.scores[rater], strict=True), start=1)
    ]
    write(filled, rater, ratings, set=content["set"])
    return ratings


def write(filled: Filled, rater: str, ratings: Any, **other: Any) -> None:
    saved = {"format": "vlures ratings, 1", "set": filled.study.key["set"], "rater": rater, "ratings": ratings, **other}
    filled.study.path(rater, "json").write_text(json.dumps(saved), encoding="utf-8")


def test_a_page_has_the_rows_of_the_workbook_and_needs_nothing_else(study: Study) -> None:
    assert study.command(*OUT, "--per-cell", "2", "--raters", "1").code == 0
    for tag in ("en", "ja", "sw", "ur"):
        html, content = read_page(study.path(f"{tag}-p1", "html"))
        words = find_wording(tag)
        assert f'<html lang="{tag}" dir="{"rtl" if tag == "ur" else "ltr"}">' in html
        assert all(text in html for text in (*words.instructions, *words.anchors.values()))
        assert [row["id"] for row in content["rows"]] == [row["id"] for row in study.rows(f"{tag}-p1")]
        assert [row["digest"] for row in content["rows"]] == [row["shown_digest"] for row in study.rows(f"{tag}-p1")]
        assert {tuple(row["answer"][1:]) for row in content["rows"]} == {(tag, words.direction)}
        assert "http" not in html.replace("http-equiv", "")
        elements = re.sub(r"<(script|style)\b.*?</\1>", "", html, flags=re.DOTALL)
        assert not re.search(r" (?:src|href|action|srcset|style|on\w+)=", elements)


def test_only_its_own_script_and_style_run(study: Study) -> None:
    assert study.command(*OUT, "--per-cell", "1", "--raters", "1", "--languages", "En").code == 0
    html, _ = read_page(study.path("en-p1", "html"))
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]*)"', html)
    rules = dict(rule.split(" ", 1) for rule in policy.replace("&#x27;", "'").split("; "))
    assert rules["default-src"] == "'none'"
    for tag, rule in (("style", "style-src"), ("script", "script-src")):
        [content] = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"


def test_no_answer_ends_the_data(study: Study) -> None:
    texts = iter(HOSTILE * 20)
    study.change_answers(lambda key, _: next(texts))
    assert study.command(*OUT, "--per-cell", "6", "--raters", "1", "--languages", "En").code == 0
    html, content = read_page(study.path("en-p1", "html"))
    shown = [row["answer"][0] for row in content["rows"]]
    assert any("</script><script>" in text for text in shown)
    assert len(re.findall(r"<script\b", html)) == 2
    assert not re.search("[\u202e\u2028\x1b]", html)


def test_what_a_page_saves_comes_back(filled: Filled) -> None:
    ratings = save(filled, "en-p1")
    ratings[0]["comment"] = "Good."
    ratings[1]["score"] = "۸۵"
    write(filled, "en-p1", ratings)
    result = filled.study.command(*IN)
    assert result.code == 0, result
    verdicts = filled.study.verdicts("en-p1")
    filled.scores["en-p1"][1] = 85
    assert [verdict.overall for verdict in verdicts] == filled.scores["en-p1"]
    assert verdicts[0].reasons == "Good."
    assert [verdict.overall for verdict in filled.study.verdicts("en-p2")] == filled.scores["en-p2"]
    assert score_of(0, None) == 60


DAMAGED: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "a half": (lambda one: one.update(score=85.5), "'85.5' is not a whole number"),
    "true": (lambda one: one.update(score=True), "TRUE is a truth value"),
    "not a number": (lambda one: one.update(score=float("nan")), "is not a whole number"),
    "above": (lambda one: one.update(score=101), "'101' is not from 1 to 100"),
    "a list": (lambda one: one.update(score=[85]), "is not a whole number"),
    "words": (lambda one: one.update(score="good"), "'good' is not a whole number"),
    "another text": (lambda one: one.update(digest="0" * 16), "its task, article or answer was changed"),
    "no digest": (lambda one: one.pop("digest"), "its task, article or answer was changed"),
    "no ID": (lambda one: one.pop("id"), "it has no ID"),
    "an unknown ID": (lambda one: one.update(id="x"), "this set has no row with the ID 'x'"),
}


def test_a_damaged_rating_is_named_and_left_missing(filled: Filled) -> None:
    ratings = save(filled, "en-p1")
    for one, (damage, _) in zip(ratings, DAMAGED.values(), strict=False):
        damage(one)
    write(filled, "en-p1", ratings)
    result = filled.study.command(*IN)
    assert result.code == 3, result
    for number, (_, words) in enumerate(DAMAGED.values(), start=1):
        said = [line for line in result.err.splitlines() if f"en-p1.json, answer {number}: " in line]
        assert any(words in line for line in said), result
    wanted = [None if place < len(DAMAGED) else score for place, score in enumerate(filled.scores["en-p1"])]
    assert [verdict.overall for verdict in filled.study.verdicts("en-p1")] == wanted


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is no readable JSON"),
        ("[]", "is no file that the page saved"),
        ('{"format": "vlures ratings, 1"}', "lacks set, rater, ratings"),
        (
            '{"format": "vlures ratings, 1", "set": "SET", "rater": "en-p1", "ratings": [1]}',
            "are not a list of objects",
        ),
        ('{"format": "vlures ratings, 1", "set": "0", "rater": "en-p1", "ratings": []}', "belongs to the set '0'"),
        ('{"format": "vlures ratings, 1", "set": "SET", "set": "SET"}', "'set' is there twice"),
        ("[" * 100_000, "is no readable JSON"),
    ],
    ids=["cut", "a list", "incomplete", "no objects", "another set", "a name twice", "deep"],
)
def test_a_saved_file_that_is_none_is_named(filled: Filled, text: str, words: str) -> None:
    filled.study.path("en-p1").unlink()
    path = filled.study.path("en-p1", "json")
    path.write_text(text.replace("SET", filled.study.key["set"]), encoding="utf-8")
    result = filled.study.command(*IN)
    assert result.code == 3, result
    assert any("en-p1.json" in line and words in line for line in result.err.splitlines()), result
    assert filled.study.verdicts("en-p1") == []


def test_a_workbook_and_a_page_of_one_rater_must_agree(filled: Filled) -> None:
    workbook = filled.study.path("en-p1").read_bytes()
    ratings = save(filled, "en-p1")
    filled.study.path("en-p1").write_bytes(workbook)
    assert filled.study.command(*IN).code == 0
    ratings[2]["score"] = 1
    write(filled, "en-p1", ratings)
    result = filled.study.command(*IN)
    assert result.code == 3
    assert "neither is taken" in result.err
    assert filled.study.verdicts("en-p1")[2].overall is None


def test_the_page_itself_is_no_returned_sheet(filled: Filled) -> None:
    filled.study.command("sheets", "in", "sheets/for-raters/en-p1.html").assert_stopped(
        2, "is the page itself", ".json"
    )
