"""What a judge replies: a verdict, or a reason why there is none. Nothing else becomes a number."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from vlures.judge.forms import ANSWER_FORM, PAIRWISE_FORM, UPSTREAM_FORM, WHOLE_FORM, Form, Invalid, Reading, read_reply

FOLDER = Path(__file__).parent
FORMS = (ANSWER_FORM, WHOLE_FORM, UPSTREAM_FORM, PAIRWISE_FORM)


def read_corpus(name: str) -> list[dict[str, Any]]:
    lines = (FOLDER / name).read_text("utf-8").split("\n")
    return [json.loads(line) for line in lines if line]


MALFORMED = read_corpus("malformed_replies.jsonl")
VALID = read_corpus("valid_replies.jsonl")


def test_no_malformed_reply_becomes_a_score() -> None:
    assert len(MALFORMED) >= 200
    taken = [
        (reply["kind"], reading)
        for reply in MALFORMED
        if not isinstance(reading := read_reply(reply["text"] * reply.get("times", 1), ANSWER_FORM), Invalid)
    ]
    assert taken == []


def test_no_reply_is_a_verdict_of_every_form() -> None:
    for reply in MALFORMED:
        taken = [form for form in FORMS if isinstance(read_reply(reply["text"], form), Reading)]
        assert len(taken) <= 1, reply


def test_a_reason_is_one_short_line_whatever_was_said() -> None:
    for reply in MALFORMED:
        reading = read_reply(reply["text"] * reply.get("times", 1), ANSWER_FORM)
        assert isinstance(reading, Invalid)
        assert 0 < len(reading.reason) < 120, reply["kind"]
        assert reading.reason.isprintable(), reply["kind"]


@pytest.mark.parametrize("reply", VALID, ids=lambda reply: reply["kind"])
def test_a_valid_reply_is_read_as_it_is(reply: dict[str, Any]) -> None:
    reading = read_reply(reply["text"], ANSWER_FORM)
    assert isinstance(reading, Reading), reading
    assert (reading.overall, reading.reasons, reading.unwrapped) == (
        reply["overall"],
        reply["reasons"],
        reply["unwrapped"],
    )
    assert list(reading.criteria) == ["faithful", "complete", "on_task", "language"]
    reading.reasons.encode("utf-8")  # it can be stored


def test_every_text_cut_anywhere_is_no_verdict() -> None:
    whole = VALID[0]["text"]
    for end in range(len(whole)):
        assert isinstance(read_reply(whole[:end], ANSWER_FORM), Invalid), whole[:end]


def test_a_choice_is_one_of_three_words() -> None:
    reply = '{"reasons": "The first names the spoon.", "choice": "first"}'
    reading = read_reply(reply, PAIRWISE_FORM)
    assert isinstance(reading, Reading)
    assert (reading.choice, reading.overall) == ("first", None)
    for other in ('"First"', '"A"', "1", "null", '"tie"', '["first"]', '{"first": 1}', "true", '""'):
        assert isinstance(read_reply(reply.replace('"first"', other), PAIRWISE_FORM), Invalid), other


def test_the_original_scale_begins_at_0_and_asks_for_no_reasons() -> None:
    reading = read_reply('{"score": 0}', UPSTREAM_FORM)
    assert isinstance(reading, Reading)
    assert reading.overall == 0
    for other in ('{"score": 850}', '{"score": true}', '{"score": NaN}', '{"score": 85.0}', "[85]", "85"):
        assert isinstance(read_reply(other, UPSTREAM_FORM), Invalid), other


@pytest.mark.parametrize("form", FORMS)
def test_a_schema_asks_for_the_keys_in_order_and_for_nothing_that_a_provider_ignores(form: Form) -> None:
    schema = form.schema()
    assert list(schema["properties"]) == schema["required"] == list(form.keys)
    assert list(re.findall(r'"(\w+)": ', form.sketch())) == list(form.keys)
    assert set(schema) == {"type", "properties", "required"}
    assert all(set(kind) <= {"type", "enum"} for kind in schema["properties"].values())
    if form.has_reasons:
        assert schema["required"][0] == "reasons"
