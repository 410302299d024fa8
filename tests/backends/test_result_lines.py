"""What holds of the lines of a result file at every provider, over each of its endpoints."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial

import pytest

from tests.backends import test_gemini_lines, test_openai_lines, test_openai_responses
from tests.backends.changed_lines import changed
from vlures.backends.gemini.results import read_result_line as read_gemini_line
from vlures.backends.openai.batch_results import read_result_line as read_openai_line
from vlures.backends.openai.bodies import ENDPOINTS
from vlures.records import Response

Read = Callable[[bytes], Response | None]

READERS: dict[str, Read] = {
    **{name: partial(read_openai_line, endpoint=endpoint) for name, endpoint in ENDPOINTS.items()},
    "gemini": read_gemini_line,
}
NAMES = {"chat": "custom_id", "responses": "custom_id", "gemini": "key"}
"""The field that names a line's request."""
ANSWERS = {
    "chat": (test_openai_lines.LINE, "response.body.choices.0.message.content"),
    "responses": (
        test_openai_lines.LINE | {"response": {"status_code": 200, "body": test_openai_responses.ANSWER}},
        "response.body.output.1.content.0.text",
    ),
    "gemini": (test_gemini_lines.LINE, "response.candidates.0.content.parts.0.text"),
}
"""A line that is an answer, and where its text is."""


@pytest.mark.parametrize("wire", READERS)
@pytest.mark.parametrize("text", ["a\u2028b\u2029c\u0085d\x0ce", 'کافی "二" \\n', "{}", "Error: a sign that says so"])
def test_an_answers_text_is_taken_letter_by_letter(wire: str, text: str) -> None:
    line, place = ANSWERS[wire]
    response = READERS[wire](json.dumps(changed(line, (place, text)), ensure_ascii=False).encode() + b"\n")
    assert response is not None
    assert (response.key, response.status, response.text) == (test_openai_lines.KEY, "ok", text)


@pytest.mark.parametrize("wire", READERS)
@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"not json\n",
        b'{"NAME": "Sw-t3',
        b"[]",
        b"5",
        b"null",
        b'{"NAME": null, "response": null}',
        b'{"NAME": 5}',
        b'{"NAME": ""}',
        b'{"response": {"status_code": 200}}',
        b'{"response": {"candidates": []}}',
        b"\xff\xfe\x00",
        b'{"NAME":"k","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=lambda line: repr(line[:40]),
)
def test_a_line_that_makes_no_sense_belongs_to_no_request(wire: str, line: bytes) -> None:
    assert READERS[wire](line.replace(b"NAME", NAMES[wire].encode())) is None
