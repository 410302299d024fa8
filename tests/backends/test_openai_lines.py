"""OpenAI's wire: the lines that are sent, the lines that come back in both shapes, and what a batch says of itself."""

import base64
import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from openai.types import Batch

from tests.backends.changed_lines import ANYTHING, changed, paths
from vlures.backends.openai.batch import write_line
from vlures.backends.openai.batch_results import read_batch, read_result_line
from vlures.backends.openai.bodies import ENDPOINTS, make_bodies
from vlures.backends.openai.chat import build_completion, read_completion
from vlures.backends.openai.image_parts import ImagePart
from vlures.backends.outcomes import is_blank
from vlures.benchmarks.vlures.settings import make_cell
from vlures.records import Failure, Image, Prompt, Request, Response, Usage
from vlures.runs.config import RunConfig

KEY = "Sw-t3-1shot-rationales-421"

COMPLETION: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "gpt-6-luna-2026-09-01",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Kikombe", "refusal": None}}
    ],
    "usage": {
        "prompt_tokens": 1300,
        "completion_tokens": 60,
        "total_tokens": 1360,
        "prompt_tokens_details": {"cached_tokens": 1024},
        "completion_tokens_details": {"reasoning_tokens": 40},
    },
}
LINE: dict[str, Any] = {
    "id": "batch_req_1",
    "custom_id": KEY,
    "response": {"status_code": 200, "request_id": "req_1", "body": COMPLETION},
    "error": None,
}
HEARD = Response(
    KEY,
    "ok",
    text="Kikombe",
    finish_reason="stop",
    model="gpt-6-luna-2026-09-01",
    usage=Usage(1300, 60, 1024, 40),
    response_id="chatcmpl-1",
)


def read(content: Any) -> Response:
    response = read_result_line(json.dumps(content, ensure_ascii=False).encode() + b"\n", ENDPOINTS["chat"])
    assert response is not None
    assert response.key == KEY
    return response


# Result lines that are answers


def test_an_answer_is_read_with_all_that_came_with_it() -> None:
    assert read(LINE) == HEARD


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param([("response.body", json.dumps(COMPLETION))], id="the body is JSON in a string"),
        pytest.param([("response.status_code", 0)], id="status 0, seen in the field"),
        pytest.param([("response.status_code", None)], id="no status"),
        pytest.param([("response.body.choices.0.finish_reason", None)], id="no finish reason"),
        pytest.param([("new_field", {"a": [1]})], id="a field that we do not know"),
    ],
)
def test_an_answer_in_another_wrapping_is_an_answer(changes: list[tuple[str, Any]]) -> None:
    response = read(changed(LINE, *changes))
    assert (response.status, response.text, response.usage) == ("ok", "Kikombe", HEARD.usage)
    assert response.error is None


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, None),
        ({}, Usage()),
        ({"prompt_tokens": 5, "completion_tokens": 0}, Usage(5, 0)),
        ({"prompt_tokens": 5, "prompt_tokens_details": None}, Usage(5)),
        ({"completion_tokens_details": {"reasoning_tokens": 0}}, Usage(thinking_tokens=0)),
    ],
)
def test_usage_is_what_the_provider_said_and_no_more(usage: Any, expected: Usage | None) -> None:
    response = read(changed(LINE, ("response.body.usage", usage)))
    assert (response.usage, response.status) == (expected, "ok")


def test_usage_may_be_missing_altogether() -> None:
    content = copy.deepcopy(LINE)
    del content["response"]["body"]["usage"]
    assert read(content).usage is None


# Result lines that are no full answers


def completion(finish_reason: str | None, **message: Any) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": finish_reason, "message": {"role": "assistant", "content": None} | message}
    return COMPLETION | {"choices": [choice]}


@pytest.mark.parametrize(
    ("body", "status", "text", "error"),
    [
        pytest.param(completion("length", content="Half an"), "truncated", "Half an", None, id="cut short"),
        pytest.param(completion("length"), "truncated", None, "no text", id="thought only"),
        pytest.param(completion("length", content=""), "truncated", None, "no text", id="thought only, empty string"),
        pytest.param(completion("stop", refusal="I can't."), "refused", "I can't.", None, id="refusal in words"),
        pytest.param(
            completion("stop", content="x", refusal="No."), "refused", "No.", None, id="refusal beside a text"
        ),
        pytest.param(completion("content_filter"), "refused", None, None, id="content filter"),
        pytest.param(completion("content_filter", content="Half"), "refused", "Half", None, id="filtered half way"),
        pytest.param(
            completion("tool_calls", tool_calls=[{"id": "c", "type": "function", "function": {}}]),
            "failed",
            None,
            "empty answer",
            id="a tool call only",
        ),
        pytest.param(completion("stop"), "failed", None, "empty answer", id="stopped without a word"),
        pytest.param(completion("stop", content=""), "failed", None, "empty answer", id="an empty text"),
        pytest.param(completion(None), "failed", None, "empty answer", id="nothing at all"),
        pytest.param(completion("something new", content="x"), "ok", "x", None, id="unknown reason"),
        pytest.param(completion("STOP", content="x"), "ok", "x", None, id="another case"),
        pytest.param(completion("eos_token", content="x"), "ok", "x", None, id="another server's word"),
        pytest.param(COMPLETION | {"choices": []}, "failed", None, "empty answer", id="no choices"),
        pytest.param(COMPLETION | {"choices": None}, "failed", None, "empty answer", id="choices are null"),
    ],
)
def test_what_is_no_full_answer_is_a_status_and_never_a_text(
    body: dict[str, Any], status: str, text: str | None, error: str | None
) -> None:
    for response in (read(changed(LINE, ("response.body", body))), read_completion(KEY, body)):
        assert (response.status, response.text) == (status, text)
        assert (response.error.code if response.error else None) == error
        assert response.usage == HEARD.usage, "what was paid is counted all the same"


@pytest.mark.parametrize(
    "rest",
    [
        {},
        {"response": None, "error": None},
        {"response": {"status_code": 200, "body": {}}},
        {"response": {"status_code": 200, "body": None}, "error": None},
        {"response": "a text"},
        {"method": "POST", "url": "/v1/chat/completions", "body": {"model": "m"}},
    ],
)
def test_a_line_that_says_nothing_of_its_request_is_blank(rest: dict[str, Any]) -> None:
    response = read({"custom_id": KEY} | rest)
    assert is_blank(response)
    assert response.error
    assert response.error.transient


@pytest.mark.parametrize(
    ("body", "transient"),
    [
        (completion("stop"), True),
        (COMPLETION | {"choices": []}, True),
        (completion("tool_calls"), False),
        (completion("something new"), False),
    ],
)
def test_an_empty_answer_is_asked_again_where_that_may_help(body: dict[str, Any], transient: bool) -> None:
    error = read_completion(KEY, body).error
    assert error
    assert error.transient is transient


@pytest.mark.parametrize("body", ["not JSON", "5", None, [], 5])
def test_a_body_that_makes_no_sense_is_a_failure_of_its_request(body: Any) -> None:
    response = read(changed(LINE, ("response.body", body)))
    assert (response.status, response.text) == ("failed", None)


# Errors, in both shapes


def api_error(status_code: Any, code: Any, message: Any = "Because.", kind: Any = "some_error") -> dict[str, Any]:
    """The first shape: an API error in the response's body."""
    error = {"message": message, "type": kind, "param": None, "code": code}
    return LINE | {"response": {"status_code": status_code, "request_id": "r", "body": {"error": error}}}


def never_ran(error: Any) -> dict[str, Any]:
    """The second shape: no response at all."""
    return LINE | {"response": None, "error": error}


@pytest.mark.parametrize(
    ("content", "failure"),
    [
        (api_error(400, "invalid_image"), Failure("400 invalid_image", "Because.", transient=False)),
        (api_error(400, None), Failure("400 some_error", "Because.", transient=False)),
        (api_error(400, None, None, None), Failure("400 400", "no reason was given", transient=False)),
        (api_error(404, "model_not_found"), Failure("404 model_not_found", "Because.", transient=False)),
        (api_error(408, "timeout"), Failure("408 timeout", "Because.", transient=True)),
        (api_error(409, "conflict"), Failure("409 conflict", "Because.", transient=True)),
        (api_error(429, "rate_limit_exceeded"), Failure("429 rate_limit_exceeded", "Because.", transient=True)),
        (api_error(429, "insufficient_quota"), Failure("429 insufficient_quota", "Because.", transient=False)),
        (api_error(500, "server_error"), Failure("500 server_error", "Because.", transient=True)),
        (api_error(504, None), Failure("504 some_error", "Because.", transient=True)),
        (api_error(0, "server_error"), Failure("server_error", "Because.", transient=True)),
        (
            never_ran({"code": "batch_expired", "message": "This request could not be executed."}),
            Failure("batch_expired", "This request could not be executed.", transient=True),
        ),
        (never_ran({"code": "batch_cancelled", "message": "x"}), Failure("batch_cancelled", "x", transient=True)),
        (never_ran({"code": "insufficient_quota", "message": "x"}), Failure("insufficient_quota", "x", False)),
        (never_ran("a sentence"), Failure("no code", "a sentence", transient=True)),
        (
            api_error(400, "x")
            | {"response": {"status_code": 400, "body": None}, "error": {"code": "c", "message": "m"}},
            Failure("400 c", "m", transient=False),
        ),
        (
            LINE | {"response": {"status_code": 500, "body": "<html>Bad gateway</html>"}},
            Failure("500 500", "no reason was given", transient=True),
        ),
        (
            changed(api_error(400, "c"), ("response.body", json.dumps({"error": {"code": "c", "message": "m"}}))),
            Failure("400 c", "m", transient=False),
        ),
    ],
)
def test_an_error_says_why_and_whether_asking_again_may_help(content: dict[str, Any], failure: Failure) -> None:
    response = read(content)
    assert (response.status, response.text, response.error) == ("failed", None, failure)


def test_an_error_under_status_200_keeps_its_reason() -> None:
    error = read(api_error(200, "server_error", "The engine is overloaded.")).error
    assert error
    assert error.message == "The engine is overloaded."


SHAPES = [LINE, api_error(400, "c"), never_ran({"code": "c", "message": "m"})]
PLACES = [(shape, path) for shape in SHAPES for path in paths(shape)]


@given(place=st.sampled_from(PLACES), value=ANYTHING)
@example(place=(LINE, "response.body.choices.0.message"), value="x")
@example(place=(LINE, "response.body.choices.0.message.content"), value=[{"type": "text", "text": "x"}])
@example(place=(LINE, "response.body.choices.0.finish_reason"), value=["stop"])
@example(place=(LINE, "response.body.usage.prompt_tokens_details"), value=[1])
@example(place=(api_error(400, "c"), "response.status_code"), value="500")
@settings(deadline=None)
def test_no_value_anywhere_in_a_line_can_stop_the_reading_of_the_others(place: tuple[Any, str], value: Any) -> None:
    shape, path = place
    response = read_result_line(json.dumps(changed(shape, (path, value))).encode(), ENDPOINTS["chat"])
    if response is not None:
        assert response.status in ("ok", "truncated", "refused", "failed")
        assert response.text is None or isinstance(response.text, str)
        assert response.text or response.status != "ok"


# Batches


def batch(status: str, **facts: Any) -> Batch:
    return Batch.model_validate(
        {
            "id": "batch_1",
            "object": "batch",
            "endpoint": "/v1/chat/completions",
            "input_file_id": "file-in",
            "completion_window": "24h",
            "created_at": 1,
            "status": status,
        }
        | facts
    )


@pytest.mark.parametrize("status", ["validating", "in_progress", "finalizing", "cancelling"])
def test_a_batch_under_way_has_not_ended(status: str) -> None:
    state = read_batch(batch(status, request_counts={"total": 9, "completed": 3, "failed": 2}))
    assert (state.batch_id, state.status, state.ended, state.problem) == ("batch_1", status, False, None)
    assert (state.done, state.total) == (5, 9)


@pytest.mark.parametrize("status", ["completed", "failed", "expired", "cancelled"])
@pytest.mark.parametrize(
    ("output", "error", "files"),
    [
        ("file-o", "file-e", ("file-o", "file-e")),
        ("file-o", None, ("file-o",)),
        ("file-o", "", ("file-o",)),
        (None, "file-e", ("file-e",)),
        ("", "file-e", ("file-e",)),
    ],
)
def test_both_result_files_are_read_for_every_end(
    status: str, output: str | None, error: str | None, files: tuple[str, ...]
) -> None:
    state = read_batch(batch(status, output_file_id=output, error_file_id=error))
    assert state.ended
    assert state.result_files == files
    assert state.problem is None, "a batch with results was begun"


@pytest.mark.parametrize("none", [None, ""])
def test_a_batch_without_any_result_file_has_none(none: str | None) -> None:
    state = read_batch(batch("completed", output_file_id=none, error_file_id=none))
    assert (state.ended, state.result_files, state.problem) == (True, (), None)


@pytest.mark.parametrize(
    ("errors", "problem", "reason"),
    [
        (
            [{"code": "token_limit_exceeded", "message": "Enqueued token limit reached for gpt-x.", "line": None}],
            "queue full",
            "token_limit_exceeded: Enqueued token limit reached for gpt-x.",
        ),
        (
            [{"code": "invalid_request", "message": "Cannot find file file-in, or the organization lacks access."}],
            "file not visible",
            "Cannot find file",
        ),
        (
            [{"code": "duplicate_custom_id", "message": "Twice.", "line": 7}],
            "refused",
            "duplicate_custom_id: Twice. (line 7)",
        ),
        ([{"code": "a", "message": "x"}, {"code": "b", "message": None}], "refused", "a: x; b: "),
        ([], "refused", "no reason was given"),
        (None, "refused", "no reason was given"),
    ],
)
@pytest.mark.parametrize("none", [None, ""])
def test_a_batch_that_could_not_begin_says_why(errors: Any, problem: str, reason: str, none: str | None) -> None:
    facts = {"errors": None if errors is None else {"object": "list", "data": errors}}
    state = read_batch(batch("failed", **facts, output_file_id=none, error_file_id=none))
    assert (state.ended, state.problem, state.result_files) == (True, problem, ())
    assert reason in state.reason


def test_the_same_reason_on_every_line_is_said_once() -> None:
    errors = [{"code": "invalid", "message": "Bad model."}] * 500
    assert read_batch(batch("failed", errors={"data": errors})).reason == "invalid: Bad model."


@pytest.mark.parametrize(("status", "resubmit"), [("cancelled", False), ("expired", True), ("completed", True)])
def test_what_a_cancelled_batch_left_out_is_not_sent_again_unasked(status: str, resubmit: bool) -> None:
    assert read_batch(batch(status)).resubmit is resubmit


# Lines that are sent


def request(article: str, parameters: dict[str, Any] | None = None) -> Request:
    image = Image(Path("1.png"), "image/png", 3, 1, 1, "d")
    prompt = Prompt("Be careful.", ("Read this:\n", article, "\nAnd answer."))
    return Request(KEY, make_cell("Sw", 3), "421", "gpt-6-luna", parameters or {}, prompt, image, "d")


def build_body(asked: Request, image: str) -> dict[str, Any]:
    return build_completion(asked, ImagePart(f"data:image/png;base64,{image}"), None, summary=False)


@given(article=st.text(st.characters(exclude_categories=["Cs"])))
@example(article='base64,\x00"')
@example(article='data:image/png;base64,\\u0000"')
@example(article="کافی\u2028二\n")
@settings(deadline=None)
def test_a_line_holds_any_article_and_the_image_in_its_place(article: str) -> None:
    asked = request(article)
    line = write_line(asked, make_bodies(RunConfig().backend_options))
    assert line.tail is not None
    image = base64.b64encode(b"abc")
    whole = line.head + image + line.tail
    assert whole.index(b"\n") == len(whole) - 1
    assert json.loads(whole) == {
        "custom_id": KEY,
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": build_body(asked, image.decode()),
    }


def test_a_line_is_utf_8_and_not_escaped() -> None:
    assert "کافی 二".encode() in write_line(request("کافی 二"), make_bodies(RunConfig().backend_options)).head


def test_only_parameters_that_were_set_are_sent_and_by_their_names_of_today() -> None:
    assert set(build_body(request("x"), "")) == {"model", "messages"}
    parameters = {"temperature": 0.5, "top_p": 0.9, "max_output_tokens": 800, "seed": 7, "image_detail": "high"}
    body = build_body(request("x", parameters), "cGlj")
    sent = {key: value for key, value in body.items() if key not in ("model", "messages")}
    assert sent == {"temperature": 0.5, "top_p": 0.9, "max_completion_tokens": 800, "seed": 7}
    system, user = body["messages"]
    assert system == {"role": "system", "content": "Be careful."}
    assert user["content"] == [
        {"type": "text", "text": "Read this:\nx\nAnd answer."},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,cGlj", "detail": "high"}},
    ]
