"""Gemini's wire: what an answer of status 200 means, and what an error means for its request and for the run."""

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vlures.backends.gemini.content import read_answer
from vlures.backends.gemini.errors import read_error
from vlures.errors import Incomplete, Retry, VluresError
from vlures.records import Failure, Response, Usage

KEY = "Jp-t7-1shot-rationales-3"


def body(finish_reason: str | None, *parts: Any, **more: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    if finish_reason:
        candidate["finishReason"] = finish_reason
    return {
        "candidates": [candidate],
        "usageMetadata": {"promptTokenCount": 1300, "candidatesTokenCount": 60, "totalTokenCount": 1360},
        "modelVersion": "gemini-3.5-flash-lite",
        "responseId": "r-1",
    } | more


def blocked(reason: str) -> dict[str, Any]:
    return {"promptFeedback": {"blockReason": reason}, "usageMetadata": {"promptTokenCount": 9}, "modelVersion": "m"}


# Answers


def test_an_answer_is_read_with_all_that_came_with_it() -> None:
    assert read_answer(KEY, body("STOP", {"text": "二つの"}, {"text": "カップ\u2028です"})) == Response(
        KEY,
        "ok",
        text="二つのカップ\u2028です",
        finish_reason="STOP",
        model="gemini-3.5-flash-lite",
        usage=Usage(1300, 60),
        response_id="r-1",
    )


def test_thoughts_are_no_part_of_the_answer() -> None:
    parts = ({"text": "Let me look.", "thought": True}, {"text": "A cup."}, {"thoughtSignature": "x"})
    assert read_answer(KEY, body("STOP", *parts)).text == "A cup."


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, None),
        ({"promptTokenCount": 5, "candidatesTokenCount": 7, "thoughtsTokenCount": 100}, Usage(5, 107, None, 100)),
        ({"promptTokenCount": 5, "thoughtsTokenCount": 100}, Usage(5, 100, None, 100)),
        ({"promptTokenCount": 5, "candidatesTokenCount": 7, "cachedContentTokenCount": 4}, Usage(5, 7, 4, None)),
    ],
)
def test_thinking_is_billed_as_output_and_counted_as_such(usage: Any, expected: Usage | None) -> None:
    assert read_answer(KEY, body("STOP", {"text": "x"}, usageMetadata=usage)).usage == expected


REFUSALS = [
    "SAFETY",
    "RECITATION",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "LANGUAGE",
    "IMAGE_SAFETY",
    "MODEL_ARMOR",
]


@pytest.mark.parametrize("reason", REFUSALS)
@pytest.mark.parametrize("parts", [[], [{"text": "Half"}]])
def test_a_blocked_answer_is_refused(reason: str, parts: list[Any]) -> None:
    response = read_answer(KEY, body(reason, *parts))
    assert (response.status, response.finish_reason) == ("refused", reason)
    assert response.text == ("Half" if parts else None)
    assert response.usage == Usage(1300, 60)


@pytest.mark.parametrize("reason", ["SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "JAILBREAK", "SOMETHING_NEW"])
def test_a_blocked_prompt_is_refused(reason: str) -> None:
    response = read_answer(KEY, blocked(reason))
    assert (response.status, response.text, response.finish_reason) == ("refused", None, reason)
    assert response.usage
    assert response.usage.input_tokens == 9


def test_an_answer_cut_short_is_kept_as_truncated() -> None:
    response = read_answer(KEY, body("MAX_TOKENS", {"text": "Half an"}))
    assert (response.status, response.text, response.error) == ("truncated", "Half an", None)


@pytest.mark.parametrize("parts", [[], [{"text": ""}], [{"text": "Hm.", "thought": True}]])
def test_thinking_that_used_up_the_allowance_is_truncated_and_not_asked_again(parts: list[Any]) -> None:
    response = read_answer(KEY, body("MAX_TOKENS", *parts))
    assert (response.status, response.text) == ("truncated", None)
    assert response.error
    assert "max_output_tokens" in response.error.message
    assert response.usage == Usage(1300, 60)


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(body("STOP"), id="STOP without parts"),
        pytest.param(body("STOP", {"text": ""}), id="STOP with an empty text"),
        pytest.param(body("STOP", {"text": "Hm.", "thought": True}), id="STOP with thoughts only"),
        pytest.param(body("STOP", {"functionCall": {"name": "f"}}), id="STOP with a call"),
        pytest.param({"candidates": [{"finishReason": "STOP"}]}, id="STOP without content"),
        pytest.param({"candidates": [{"finishReason": "STOP", "content": {}}]}, id="STOP with empty content"),
        pytest.param(body("OTHER"), id="OTHER"),
        pytest.param(body("MALFORMED_RESPONSE"), id="MALFORMED_RESPONSE"),
        pytest.param(body("FINISH_REASON_UNSPECIFIED"), id="UNKNOWN"),
        pytest.param(body("A_NEW_REASON"), id="a reason that came later"),
        pytest.param(body(None), id="no reason"),
        pytest.param({"candidates": []}, id="no candidates"),
        pytest.param({"candidates": None}, id="candidates are null"),
        pytest.param({}, id="nothing at all"),
        pytest.param([], id="a list"),
        pytest.param(None, id="null"),
        pytest.param("text", id="a text"),
    ],
)
def test_an_empty_answer_is_asked_again_once_or_twice(reply: Any) -> None:
    with pytest.raises(Retry) as retry:
        read_answer(KEY, reply)
    assert retry.value.code == "empty answer"
    assert retry.value.limit in (1, 2)
    assert retry.value.signal is None
    assert retry.value.reached


@pytest.mark.parametrize(
    "reply",
    [
        {"candidates": [None]},
        {"candidates": "x"},
        {"candidates": {"0": 1}},
        {"candidates": [{"content": "x"}]},
        {"candidates": [{"content": {"parts": [None]}}]},
        {"candidates": [{"content": {"parts": "x"}}]},
        {"candidates": [{"content": {"parts": [{"text": 5}]}, "finishReason": "STOP"}]},
        {"candidates": [{"finishReason": ["STOP"]}]},
        {"promptFeedback": "x"},
    ],
)
def test_a_reply_in_another_shape_is_an_empty_answer_and_does_not_stop_the_run(reply: Any) -> None:
    with pytest.raises(Retry):
        read_answer(KEY, reply)


# Errors: every row of the table in facts/gemini.md


def error(
    code: int, status: str, *details: Any, message: str = "Because.", headers: dict[str, str] | None = None
) -> Any:
    """What the error means, read from the API's own shape of it."""
    content = {"error": {"code": code, "message": message, "status": status, "details": list(details)}}
    return read_error(code, status, content, headers or {})


INVALID_KEY = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}


@pytest.mark.parametrize(
    ("code", "status", "details", "advice"),
    [
        (400, "INVALID_ARGUMENT", [INVALID_KEY], "GOOGLE_API_KEY"),
        (401, "UNAUTHENTICATED", [], "GOOGLE_API_KEY"),
        (403, "PERMISSION_DENIED", [], "GOOGLE_API_KEY"),
        (400, "FAILED_PRECONDITION", [], "Because."),
        (404, "NOT_FOUND", [], "--model"),
    ],
)
def test_a_wrong_configuration_stops_the_run(code: int, status: str, details: list[Any], advice: str) -> None:
    outcome = error(code, status, *details)
    assert type(outcome) is VluresError
    assert f"{code} Because." in str(outcome)
    assert advice in str(outcome)


@pytest.mark.parametrize(
    ("code", "status"),
    [(400, "INVALID_ARGUMENT"), (413, "INVALID_ARGUMENT"), (416, "OUT_OF_RANGE"), (499, "CANCELLED"), (418, "")],
)
def test_a_bad_request_fails_alone_and_is_not_asked_again(code: int, status: str) -> None:
    outcome = error(code, status, {"@type": "type.googleapis.com/google.rpc.BadRequest"})
    assert outcome == Failure(f"{code} {status}".strip(), "Because.", transient=False)


def quota(quota_id: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": quota_id}]}


RETRY_INFO = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "53s"}
PER_DAY = quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier")
PER_MINUTE = quota("GenerateRequestsPerMinutePerProjectPerModel-FreeTier")


@pytest.mark.parametrize("details", [[PER_DAY], [RETRY_INFO, PER_DAY], [PER_DAY, RETRY_INFO], [PER_MINUTE, PER_DAY]])
def test_a_day_quota_that_is_used_up_ends_the_run_until_midnight_in_california(details: list[Any]) -> None:
    """It carries a short retryDelay all the same, which is not believed."""
    outcome = error(429, "RESOURCE_EXHAUSTED", *details)
    assert isinstance(outcome, Incomplete)
    assert "midnight Pacific" in str(outcome)
    assert "run the same command again" in str(outcome)


def test_a_quota_of_nothing_is_no_matter_of_waiting() -> None:
    message = "Quota exceeded for metric: generate_content_free_tier_requests, limit: 0"
    assert isinstance(error(429, "RESOURCE_EXHAUSTED", RETRY_INFO, message=message), Incomplete)


@pytest.mark.parametrize(
    ("code", "status", "details", "signal"),
    [
        (429, "RESOURCE_EXHAUSTED", [], "rate"),
        (429, "RESOURCE_EXHAUSTED", [PER_MINUTE], "rate"),
        (503, "UNAVAILABLE", [], "overload"),
        (500, "INTERNAL", [], None),
        (502, "", [], None),
        (504, "DEADLINE_EXCEEDED", [], None),
        (408, "", [], None),
    ],
)
def test_what_is_transient_is_tried_again_and_a_shortage_concerns_everyone(
    code: int, status: str, details: list[Any], signal: str | None
) -> None:
    outcome = error(code, status, *details)
    assert isinstance(outcome, Retry)
    assert (outcome.code, outcome.signal, outcome.after_s) == (str(code), signal, None)
    assert (outcome.reached, outcome.limit) == (True, None)


@pytest.mark.parametrize("code", [429, 503, 500])
@pytest.mark.parametrize(
    ("delay", "header", "after_s"),
    [
        ("53s", None, 53.0),
        ("53.016s", None, 53.016),
        ("0s", None, 0.0),
        (None, "12", 12.0),
        ("5s", "12", 12.0),
        ("20s", "12", 20.0),
        ("soon", "12", 12.0),
        ("soon", "later", None),
        (None, None, None),
        ("-3s", None, 0.0),
    ],
)
def test_the_longer_of_both_wishes_to_wait_is_granted(
    code: int, delay: str | None, header: str | None, after_s: float | None
) -> None:
    details = [PER_MINUTE, RETRY_INFO | {"retryDelay": delay}] if delay else []
    outcome = error(code, "", *details, headers={"retry-after": header} if header else {})
    assert isinstance(outcome, Retry)
    assert outcome.after_s == after_s


@pytest.mark.parametrize("delay", ["infs", "1e999s"])
def test_a_wait_without_end_is_not_granted(delay: str) -> None:
    outcome = error(429, "RESOURCE_EXHAUSTED", RETRY_INFO | {"retryDelay": delay})
    assert outcome.after_s is None


@pytest.mark.parametrize(
    ("details", "message"),
    [
        (None, "INVALID_ARGUMENT."),
        ("<html>", "INVALID_ARGUMENT."),
        ({}, "INVALID_ARGUMENT."),
        ({"error": None}, "INVALID_ARGUMENT."),
        ({"error": "a text"}, "INVALID_ARGUMENT."),
        ({"error": {"message": None}}, "INVALID_ARGUMENT."),
        ({"error": {"message": "Two\n lines", "details": None}}, "Two lines."),
        ({"message": "Without its wrapping."}, "Without its wrapping."),
        ({"error": {"message": "x" * 1000}}, "x" * 400 + "."),
    ],
)
def test_an_errors_message_is_one_line_wherever_it_stands(details: Any, message: str) -> None:
    assert read_error(400, "INVALID_ARGUMENT", details, {}) == Failure("400 INVALID_ARGUMENT", message)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "details", "message", "reason", "violations", "quotaId", "retryDelay"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(code=st.sampled_from([400, 404, 429, 500]), details=ANYTHING)
@example(code=429, details={"error": {"details": 5}})
@example(code=429, details={"error": {"details": [{"reason": []}]}})
@example(code=429, details={"error": {"details": [{"violations": [None]}]}})
@settings(deadline=None)
def test_an_error_in_any_shape_is_read(code: int, details: Any) -> None:
    assert isinstance(read_error(code, "", json.loads(json.dumps(details)), {}), Retry | VluresError | Failure)
