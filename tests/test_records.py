"""The words of the project: their names, keys and digests. Stored checkpoints depend on every one of them."""

import json
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlures.benchmarks.problems import Problem
from vlures.benchmarks.vlures.languages import LANGUAGES, find_language
from vlures.benchmarks.vlures.samples import Dataset
from vlures.benchmarks.vlures.settings import Setting, make_cell
from vlures.benchmarks.vlures.tasks import TASKS
from vlures.records import Image, Prompt, digest_request
from vlures.store.keys import parse_key, request_key

IMAGE = Image(Path("a/image1.jpg"), "image/jpeg", 10, 4, 3, "ab" * 32)
PROMPT = Prompt("Be careful.", ("What is it? ", "An article.", " End."))
QUESTION: dict[str, Any] = {
    "provider": "openai",
    "model": "gpt-6-luna",
    "parameters": {"temperature": 0.5, "seed": 7},
    "prompt": PROMPT,
    "image": IMAGE,
}


def test_there_are_eight_tasks_and_the_last_three_need_a_text() -> None:
    codes = [task.code for task in TASKS.values()]
    assert codes == ["OR", "SU", "RU", "SS", "IC", "ITM", "U", "VQA"]
    assert [number for number, task in TASKS.items() if task.needs_text] == [6, 7, 8]
    assert all(task.number == number for number, task in TASKS.items())


@pytest.mark.parametrize(
    ("word", "code"),
    [("Sw", "Sw"), ("sw", "Sw"), ("SWAHILI", "Sw"), ("english", "En"), ("Japanese", "Jp"), ("uR", "Ur")],
)
def test_a_language_is_found_by_code_or_name_in_any_case(word: str, code: str) -> None:
    assert find_language(word) == LANGUAGES[code]


@pytest.mark.parametrize("word", ["", "Fr", "Eng", "ja"])
def test_an_unknown_language_is_not_guessed(word: str) -> None:
    assert find_language(word) is None


@pytest.mark.parametrize(
    ("setting", "label", "key"),
    [
        (Setting(), "1shot_rationales", "Sw-t3-1shot-rationales-421"),
        (Setting(1, False), "1shot_norationales", "Sw-t3-1shot-norationales-421"),
        (Setting(0, True), "0shot_rationales", "Sw-t3-0shot-rationales-421"),
        (Setting(0, False), "0shot_norationales", "Sw-t3-0shot-norationales-421"),
    ],
)
def test_a_setting_names_folders_and_keys(setting: Setting, label: str, key: str) -> None:
    assert setting.label == label
    assert request_key(make_cell("Sw", 3), setting, "421") == key


@given(
    language=st.sampled_from(sorted(LANGUAGES)),
    task=st.sampled_from(sorted(TASKS)),
    setting=st.builds(Setting, st.sampled_from([0, 1]), st.booleans()),
    sample_id=st.integers(0, 10**15 - 1),
)
def test_a_key_can_be_read_back(language: str, task: int, setting: Setting, sample_id: int) -> None:
    cell = make_cell(language, task)
    assert parse_key(request_key(cell, setting, str(sample_id)), setting) == (cell, str(sample_id))


@pytest.mark.parametrize(
    "key", ["", "En-t1-0shot-rationales-5", "En-t1-1shot-rationales-", "En-1-1shot-rationales-5", "5"]
)
def test_a_key_of_another_setting_or_shape_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="is not the key of a request in the variant 1shot_rationales"):
        parse_key(key, Setting())


def test_the_digest_of_a_question_never_changes() -> None:
    """It stands in every stored line: another value would make all stored answers stale."""
    assert digest_request(**QUESTION) == "816f6edc353ee979d73cf77ffb7fbf51"


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("provider", "gemini"),
        ("model", "gpt-6-sol"),
        ("parameters", {}),
        ("parameters", {"temperature": 0.5}),
        ("parameters", {"temperature": 0.6, "seed": 7}),
        ("prompt", replace(PROMPT, system="Be quick.")),
        ("prompt", replace(PROMPT, pieces=("What is it? ", "Another article.", " End."))),
        ("prompt", replace(PROMPT, pieces=("Where is it? ", "An article.", " End."))),
        ("image", replace(IMAGE, digest="cd" * 32)),
        ("image", None),
        ("schema", {"type": "object", "properties": {"a": {"type": "string"}}}),
    ],
)
def test_whatever_decides_an_answer_changes_the_digest(what: str, value: object) -> None:
    assert digest_request(**QUESTION | {what: value}) != digest_request(**QUESTION)


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("parameters", {"seed": 7, "temperature": 0.5}),
        ("prompt", replace(PROMPT, pieces=(PROMPT.user,))),
        ("image", replace(IMAGE, path=Path("elsewhere/photo_1.jpeg"))),
    ],
)
def test_what_the_model_does_not_see_leaves_the_digest_alone(what: str, value: object) -> None:
    assert digest_request(**QUESTION | {what: value}) == digest_request(**QUESTION)


def test_a_schema_enters_the_digest_in_its_own_order() -> None:
    """Models write the properties in that order, so another order is another question."""
    one: dict[str, Any] = {"properties": {"reasons": {"type": "string"}, "score": {"type": "integer"}}}
    other = {"properties": dict(reversed(one["properties"].items()))}
    assert digest_request(**QUESTION, schema=None) == digest_request(**QUESTION)
    assert digest_request(**QUESTION, schema=one) == digest_request(**QUESTION, schema=json.loads(json.dumps(one)))
    assert digest_request(**QUESTION, schema=one) != digest_request(**QUESTION, schema=other)


def test_a_prompt_says_its_pieces_in_order() -> None:
    assert PROMPT.user == "What is it? An article. End."


def test_a_note_about_a_dataset_is_no_error() -> None:
    error, note = Problem("error", ("a",), "bad"), Problem("note", ("b",), "odd")
    assert Dataset(Path("x"), (), (error, note)).errors == (error,)


def test_records_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        IMAGE.digest = "other"  # type: ignore[misc]
