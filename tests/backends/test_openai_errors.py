"""What an error of a live call to OpenAI, or to a server that speaks its language, means."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from vlures.backends.lenient_json import decode_object
from vlures.backends.openai.errors import asked_wait, error_of, read_failure, read_live_error, status_within
from vlures.errors import Incomplete, Retry, VluresError
from vlures.records import Failure


def read(
    status: int, error: dict[str, Any] | None = None, headers: dict[str, str] | None = None, *, official: bool = True
) -> Retry | VluresError | Failure:
    return read_live_error(status, error or {}, headers or {}, model="gpt-6-luna", official=official)


def said(message: str, code: Any = None, kind: Any = None) -> dict[str, Any]:
    return {"message": message, "type": kind, "param": None, "code": code}


RPM = "Rate limit reached for gpt-6-luna on requests per min (RPM): Limit 500. Please try again in 120ms."


@pytest.mark.parametrize(
    ("status", "error", "headers", "code", "after_s", "signal"),
    [
        (429, said(RPM, "rate_limit_exceeded", "requests"), {"retry-after": "7"}, "429", 7.0, "rate"),
        (429, said(RPM, "rate_limit_exceeded"), {"retry-after-ms": "120", "retry-after": "1"}, "429", 0.12, "rate"),
        (429, said("Too many."), {}, "429", None, "rate"),
        (429, None, {}, "429", None, "rate"),
        (429, said("Resource Unavailable", "resource_unavailable"), {}, "429", None, "overload"),
        (500, said("The server had an error", None, "server_error"), {}, "500", None, None),
        (502, None, {}, "502", None, None),
        (503, said("Overloaded"), {"retry-after": "2"}, "503", 2.0, "overload"),
        (529, said("Overloaded"), {}, "529", None, "overload"),
        (408, None, {}, "408", None, None),
        (409, said("Locked"), {}, "409", None, None),
    ],
)
def test_what_is_transient_goes_again(
    status: int, error: Any, headers: dict[str, str], code: str, after_s: float | None, signal: str | None
) -> None:
    outcome = read(status, error, headers)
    assert isinstance(outcome, Retry)
    assert (outcome.code, outcome.after_s, outcome.signal, outcome.reached) == (code, after_s, signal, True)
    assert outcome.reason.startswith(f"{status} ")


@pytest.mark.parametrize("message", [RPM.replace("per min (RPM)", "per day (RPD)"), "Limit on tokens per day reached"])
def test_a_days_quota_ends_the_run_until_it_is_renewed(message: str) -> None:
    outcome = read(429, said(message, "rate_limit_exceeded"), {"retry-after": "7200"})
    assert isinstance(outcome, Incomplete)
    renewed = f"{datetime.now(UTC) + timedelta(seconds=7200):%Y-%m-%d %H}"
    assert renewed in str(outcome)
    assert "UTC" in str(outcome)
    unknown = read(429, said(message))
    assert isinstance(unknown, Incomplete)
    assert "UTC" not in str(unknown)


@pytest.mark.parametrize(
    ("status", "error", "official", "words"),
    [
        (401, said("Incorrect API key provided: sk-4***abcd.", "invalid_api_key"), True, ("refuses the key", "401")),
        (403, said("You are not allowed here"), True, ("OPENAI_API_KEY", "not allowed here. ")),
        (404, said("The model does not exist.", "model_not_found"), True, ("gpt-6-luna", "--model")),
        (404, None, False, ("gpt-6-luna", "--base-url", "no reason was given")),
        (429, said("You exceeded your current quota!", "insufficient_quota"), True, ("no credit", "quota! ")),
        (429, said("You exceeded your quota.", None, "insufficient_quota"), True, ("no credit",)),
        (402, said("Insufficient Balance"), False, ("no credit",)),
    ],
)
def test_what_no_request_will_get_past_stops_the_run(
    status: int, error: Any, official: bool, words: tuple[str, ...]
) -> None:
    outcome = read(status, error, official=official)
    assert isinstance(outcome, VluresError)
    assert not isinstance(outcome, Incomplete)
    for word in words:
        assert word in str(outcome)


@pytest.mark.parametrize(
    ("status", "error", "failure"),
    [
        (400, said("Bad picture.", "invalid_image"), Failure("400 invalid_image", "Bad picture.")),
        (
            400,
            said("Bad picture.", None, "invalid_request_error"),
            Failure("400 invalid_request_error", "Bad picture."),
        ),
        (400, said("Bad", 400, "BadRequestError"), Failure("400 BadRequestError", "Bad.")),
        (400, said("Bad", "400", None), Failure("400", "Bad.")),
        (413, said("Request entity\n  too large"), Failure("413", "Request entity too large.")),
        (422, {"detail": "No such field"}, Failure("422", "No such field.")),
        (400, {"message": ["odd"], "code": {"odd": 1}}, Failure("400", "['odd'].")),
        (418, None, Failure("418", "no reason was given.")),
    ],
)
def test_everything_else_is_a_failure_of_its_request(status: int, error: Any, failure: Failure) -> None:
    assert read(status, error) == failure


def test_a_long_message_is_cut() -> None:
    outcome = read(400, said("x" * 5000))
    assert isinstance(outcome, Failure)
    assert len(outcome.message) <= 401


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ('{"error": {"message": "m", "code": "c"}}', {"message": "m", "code": "c"}),
        ('{"error": "m"}', {"message": "m"}),
        ('{"detail": "m"}', {"detail": "m"}),
        ('{"object": "error", "message": "m", "code": 400}', {"object": "error", "message": "m", "code": 400}),
        ('{"error": null, "message": "m"}', {"error": None, "message": "m"}),
        ('[{"error": {"message": "m"}}]', {}),
        ("<html>", {}),
        ("", {}),
    ],
)
def test_an_error_is_found_wherever_a_server_puts_it(body: str, error: dict[str, Any]) -> None:
    assert error_of(decode_object(body)) == error


@pytest.mark.parametrize("status", [400, 401, 404, 408, 422, 429, 500, 503])
@pytest.mark.parametrize("value", [None, 5, "x", [], ["x"], {}, {"a": 1}, True])
@pytest.mark.parametrize("field", ["message", "code", "type", "detail", "error"])
def test_no_value_anywhere_in_an_error_is_too_odd(status: int, value: Any, field: str) -> None:
    outcome = read(status, dict(error_of(json.loads(json.dumps({field: value})))))
    assert isinstance(outcome, Retry | VluresError | Failure)
    assert not isinstance(outcome, Failure) or outcome.message.endswith(".")


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("400 invalid_prompt", "refused"),
        ("invalid_prompt", "refused"),
        ("400 content_policy_violation", "refused"),
        ("400 content_filter", "refused"),
        ("400 invalid_image", "failed"),
        ("400", "failed"),
        ("", "failed"),
    ],
)
def test_a_request_that_the_filters_refuse_is_refused_and_keeps_the_reason(code: str, status: str) -> None:
    response = read_failure("key", Failure(code, "Because."))
    assert (response.key, response.status, response.text) == ("key", status, None)
    assert response.error == Failure(code, "Because.")


def test_the_wait_that_is_asked_for() -> None:
    assert asked_wait({}) is None
    assert asked_wait({"retry-after": "soon"}) is None
    assert asked_wait({"retry-after": "3"}) == 3.0
    assert asked_wait({"retry-after-ms": "250", "retry-after": "3"}) == 0.25
    assert asked_wait({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0.0


def test_an_invalid_url_is_a_wrong_path_only_where_it_is_the_call_s() -> None:
    assert status_within({"message": "Invalid URL (POST /v1/v1/chat/completions)"}) == 404
    assert status_within({"message": "Invalid url: the image could not be downloaded."}) is None
