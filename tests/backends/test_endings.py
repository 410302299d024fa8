"""What a provider's finish reason makes of an answer: one table for all protocols that may carry it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlures.backends.endings import read_ending, read_word
from vlures.backends.gemini.content import ENDINGS as GEMINI
from vlures.backends.gemini.content import read_answer
from vlures.backends.gemini.results import read_result_line as read_gemini_line
from vlures.backends.openai.batch_results import read_result_line
from vlures.backends.openai.bodies import ENDPOINTS
from vlures.backends.openai.chat import ENDINGS as CHAT
from vlures.backends.openai.chat import read_completion
from vlures.backends.openai.responses import ENDINGS as RESPONSES
from vlures.backends.openai.responses import read_response
from vlures.backends.outcomes import most_retries
from vlures.errors import Retry
from vlures.records import Response

KEY = "Sw-t3-1shot-rationales-421"
USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}


def of_chat(reason: Any, text: str | None, error: Any = None) -> dict[str, Any]:
    return {
        "choices": [{"finish_reason": reason, "message": {"role": "assistant", "content": text}, "error": error}],
        "usage": USAGE,
    }


def of_gemini(reason: Any, text: str | None, message: Any = None) -> dict[str, Any]:
    parts = [] if text is None else [{"text": text}]
    return {"candidates": [{"finishReason": reason, "finishMessage": message, "content": {"parts": parts}}]}


def gemini_live(reason: Any, text: str | None, message: Any = None) -> Response:
    try:
        return read_answer(KEY, of_gemini(reason, text, message))
    except Retry as retry:
        return _heard_by(retry)


def _heard_by(retry: Retry) -> Response:
    assert retry.heard is not None
    assert retry.heard.error is not None
    assert (retry.code, retry.reason) == (retry.heard.error.code, retry.heard.error.message)
    assert retry.limit == most_retries(retry.heard)
    return retry.heard


def line(answer: str, body: Any) -> bytes:
    wrapped = {"custom_id": KEY, "response": {"status_code": 200, "body": body}}
    return json.dumps(wrapped if answer == "chat" else {"key": KEY, "response": body}).encode()


def chat_line(reason: Any, text: str | None, error: Any = None) -> Response:
    response = read_result_line(line("chat", of_chat(reason, text, error)), ENDPOINTS["chat"])
    assert response is not None
    return response


def gemini_line(reason: Any, text: str | None, message: Any = None) -> Response:
    response = read_gemini_line(line("gemini", of_gemini(reason, text, message)))
    assert response is not None
    return response


WIRES: dict[str, Callable[..., Response]] = {
    "chat": lambda *what: read_completion(KEY, of_chat(*what)),
    "chat in a batch": chat_line,
    "gemini": gemini_live,
    "gemini in a batch": gemini_line,
}

CUT = [
    *("length", "LENGTH", "max_tokens", "MAX_TOKENS", "max_output_tokens", "maxTokens", "model_length", "token_limit"),
    *("FINISH_REASON_MAX_TOKENS", "max-length", "context_length_exceeded", "model_context_window_exceeded", "limit"),
    *("max_completion_tokens", "OutputLength", "length_limit", "truncated", "MaxTokensReached", "token limit reached"),
]
WITHHELD = [
    *(
        "content_filter",
        "CONTENT_FILTER",
        "contentFilter",
        "ContentFiltered",
        "sensitive",
        "SAFETY",
        "safety",
        "refusal",
    ),
    *("RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "blocked"),
    *("guardrail_intervened", "content_policy_violation", "moderation", "ERROR_SENSITIVE", "FINISH_REASON_SAFETY"),
]
BROKEN = [
    *("error", "ERROR", "abort", "aborted", "network_error", "insufficient_system_resource", "upstream_error"),
    *("timeout", "timed_out", "overloaded", "cancelled", "canceled", "failed", "rate_limit", "rate_limit_exceeded"),
    *(
        "internal_error",
        "internal-server-error",
        "disconnected",
        "interrupted",
        "backend_unavailable",
        "quota_exceeded",
    ),
    *("ERROR_TOXIC_NETWORK", "FINISH_REASON_ERROR", "streamError"),
]
DONE = [
    *("stop", "STOP", "eos", "eos_token", "end_turn", "stop_sequence", "COMPLETE", "completed", "FINISH_REASON_STOP"),
    *("stopSequence", "finished", "end", None, "", " ", "null", "stopped_eos"),
]
UNKNOWN = [
    *("something new", "tool_calls", "function_call", "tool_use", "OTHER", "MALFORMED_FUNCTION_CALL", "CONTINUATION"),
    *(
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MISSING_THOUGHT_SIGNATURE",
        "MALFORMED_RESPONSE",
        "结束",
        "repetition",
    ),
    *(5, True, 1.5, ["x"], {"type": "y"}, "x" * 5_000),
]


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    ("reasons", "with_text", "without"),
    [
        (CUT, "truncated", "truncated"),
        (WITHHELD, "refused", "refused"),
        (BROKEN, "failed", "failed"),
        (DONE, "ok", "failed"),
        (UNKNOWN, "ok", "failed"),
    ],
    ids=["cut", "withheld", "broken", "done", "unknown"],
)
def test_every_word_for_an_end_means_the_same_on_every_wire(
    wire: str, reasons: list[Any], with_text: str, without: str
) -> None:
    for reason in reasons:
        spoken, silent = WIRES[wire](reason, "Half"), WIRES[wire](reason, None)
        assert (reason, spoken.status, silent.status) == (reason, with_text, without)
        assert spoken.text == (None if with_text == "failed" else "Half")
        assert silent.text is None
        assert spoken.finish_reason == silent.finish_reason == read_word(reason)
        if reasons is UNKNOWN:
            assert spoken.notes == ("unknown end",), "it is said once, and stands in the record"
            assert silent.error is not None
            assert repr(read_word(reason)) in silent.error.message, "the failure names it"


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("text", ["Half", "", None])
def test_a_broken_answer_fails_with_the_gateways_own_words_and_is_asked_again(wire: str, text: str | None) -> None:
    said = {"code": 502, "message": "Upstream\n provider lost"} if "chat" in wire else "502 Upstream provider lost"
    error = WIRES[wire]("error", text, said).error
    assert error is not None
    assert error.transient
    assert "'error'): 502 Upstream provider lost." in error.message


@pytest.mark.parametrize("said", ["lost", {"message": "lost"}, {"code": "lost"}, {"type": "lost"}])
@pytest.mark.parametrize("place", ["choice", "message", "body"])
def test_a_gateway_may_say_what_broke_in_several_places(place: str, said: Any) -> None:
    body = of_chat(None, "Half")
    {"choice": body["choices"][0], "message": body["choices"][0]["message"], "body": body}[place]["error"] = said
    for response in (read_completion(KEY, body), read_result_line(line("chat", body), ENDPOINTS["chat"])):
        assert response is not None
        assert response.error is not None
        assert (response.status, response.error.transient) == ("failed", True)
        assert "lost." in response.error.message


def test_an_answer_that_ended_by_itself_is_one_whatever_error_stands_beside_it() -> None:
    for error in (None, {}, "", {"code": 500, "message": "late"}):
        assert read_completion(KEY, of_chat("stop", "A dog.", error)).status == "ok"


@pytest.mark.parametrize(
    ("status", "reason", "text", "expected"),
    [
        ("incomplete", "max_output_tokens", "Half", "truncated"),
        ("incomplete", "MAX_TOKENS", None, "truncated"),
        ("incomplete", "content_filter", "Half", "refused"),
        ("incomplete", "something new", "Half", "truncated"),
        ("incomplete", "something new", None, "failed"),
        ("incomplete", "upstream_error", "Half", "failed"),
        ("completed", None, "All", "ok"),
        ("something new", None, "All", "ok"),
        ("something new", None, None, "failed"),
        ("failed", None, "Half", "failed"),
        ("in_progress", None, None, "failed"),
    ],
)
def test_a_responses_status_and_reason_are_read_by_the_same_rules(
    status: str, reason: str | None, text: str | None, expected: str
) -> None:
    message = {"type": "message", "content": [{"type": "output_text", "text": text}] if text else []}
    details = {"reason": reason} if reason else None
    response = read_response(KEY, {"status": status, "incomplete_details": details, "output": [message]})
    assert (response.status, response.finish_reason) == (expected, reason or status)


@given(reason=st.none() | st.text() | st.integers() | st.lists(st.text()) | st.dictionaries(st.text(), st.text()))
@settings(deadline=None)
def test_no_word_stops_the_reading_or_loses_a_text_in_silence(reason: Any) -> None:
    for table in (CHAT, RESPONSES, GEMINI):
        assert read_ending(read_word(reason), table) in ("done", "cut", "withheld", "broken", "unknown")
    for wire in WIRES.values():
        response = wire(reason, "Half")
        assert response.status in ("ok", "truncated", "refused") or (response.error and response.error.transient)
