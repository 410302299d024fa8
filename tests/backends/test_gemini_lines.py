"""Gemini's batches: the lines that are sent, the lines that come back, what a batch says of itself, how errors read."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from google.genai.errors import APIError, ClientError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.backends.changed_lines import ANYTHING, changed, paths
from vlures.backends.batch.client import BatchState
from vlures.backends.batch.results import Findings, why_incomplete
from vlures.backends.gemini.batch import GeminiBatch
from vlures.backends.gemini.batch_errors import Errors, UnreadableReply, read_refusal
from vlures.backends.gemini.content import build_content
from vlures.backends.gemini.results import read_batch, read_result_line
from vlures.backends.gemini.versions import ApiVersion
from vlures.backends.memory import Forgetful
from vlures.benchmarks.vlures.settings import make_cell
from vlures.errors import Incomplete, InDoubt, NotFound, Retry, VluresError
from vlures.records import Failure, Image, Prompt, Request, Response, Usage

KEY = "Sw-t3-1shot-rationales-421"
BATCH = "batches/7h9w4gzuqot3bb3f"

ANSWER: dict[str, Any] = {
    "candidates": [{"content": {"parts": [{"text": "Kikombe"}], "role": "model"}, "finishReason": "STOP", "index": 0}],
    "usageMetadata": {
        "promptTokenCount": 1300,
        "candidatesTokenCount": 60,
        "thoughtsTokenCount": 40,
        "cachedContentTokenCount": 1024,
        "totalTokenCount": 1400,
    },
    "modelVersion": "gemini-3.8-flash",
    "responseId": "r-1",
}
LINE: dict[str, Any] = {"key": KEY, "response": ANSWER}
FAILED: dict[str, Any] = {"key": KEY, "error": {"code": 13, "message": "Internal error encountered.", "details": []}}
HEARD = Response(
    KEY,
    "ok",
    text="Kikombe",
    finish_reason="STOP",
    model="gemini-3.8-flash",
    usage=Usage(1300, 100, 1024, 40),
    response_id="r-1",
)


def read(content: Any) -> Response:
    response = read_result_line(json.dumps(content, ensure_ascii=False).encode() + b"\n")
    assert response is not None
    assert response.key == KEY
    return response


def in_snake_case(value: Any) -> Any:
    if isinstance(value, list):
        return [in_snake_case(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name): in_snake_case(item)
        for name, item in value.items()
    }


# Result lines that are answers


def test_an_answer_is_read_with_all_that_came_with_it() -> None:
    assert read(LINE) == HEARD


def test_an_answer_by_the_names_of_protocol_buffers_is_the_same_answer() -> None:
    snake = {"key": KEY, "response": in_snake_case(ANSWER)}
    assert "usage_metadata" in snake["response"]
    assert read(snake) == HEARD
    blocked = {"key": KEY, "response": {"prompt_feedback": {"block_reason": "PROHIBITED_CONTENT"}}}
    assert (read(blocked).status, read(blocked).finish_reason) == ("refused", "PROHIBITED_CONTENT")


# Result lines that are no full answers


def candidate(finish_reason: str | None, *parts: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": list(parts)}, "finishReason": finish_reason}]}


@pytest.mark.parametrize(
    ("reply", "status", "text", "error"),
    [
        pytest.param(candidate("MAX_TOKENS", {"text": "Half an"}), "truncated", "Half an", None, id="cut short"),
        pytest.param(candidate("MAX_TOKENS"), "truncated", None, "no text", id="thought only"),
        pytest.param(candidate("SAFETY"), "refused", None, None, id="withheld"),
        pytest.param({"promptFeedback": {"blockReason": "OTHER"}}, "refused", None, None, id="blocked"),
        pytest.param(candidate("STOP"), "failed", None, "empty answer", id="stopped without a word"),
        pytest.param(candidate("OTHER", {"text": "x"}), "ok", "x", None, id="another reason"),
        pytest.param(candidate("OTHER"), "failed", None, "empty answer", id="another reason without text"),
        pytest.param({"candidates": []}, "failed", None, "empty answer", id="no candidates"),
        pytest.param({"candidates": "x"}, "failed", None, "empty answer", id="candidates that are none"),
        pytest.param({}, "failed", None, "blank result", id="an empty reply"),
        pytest.param(None, "failed", None, "blank result", id="no reply"),
        pytest.param("x", "failed", None, "blank result", id="a reply that is a text"),
    ],
)
def test_what_is_no_full_answer_is_a_status_and_never_a_text(
    reply: Any, status: str, text: str | None, error: str | None
) -> None:
    response = read({"key": KEY, "response": reply})
    assert (response.status, response.text) == (status, text)
    assert (response.error.code if response.error else None) == error
    if status == "failed":
        assert response.error
        assert response.error.transient, "asking again has been seen to help"


# Result lines that are errors


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        ({"code": 13, "message": "m"}, Failure("INTERNAL", "m", transient=True)),
        ({"code": 14, "message": "m"}, Failure("UNAVAILABLE", "m", transient=True)),
        ({"code": 8, "message": "m"}, Failure("RESOURCE_EXHAUSTED", "m", transient=True)),
        ({"code": 4, "message": "m"}, Failure("DEADLINE_EXCEEDED", "m", transient=True)),
        ({"code": 10, "message": "m"}, Failure("ABORTED", "m", transient=True)),
        ({"code": 3, "message": "m"}, Failure("INVALID_ARGUMENT", "m", transient=False)),
        ({"code": 5, "message": "m"}, Failure("NOT_FOUND", "m", transient=False)),
        ({"code": 7, "message": "m"}, Failure("PERMISSION_DENIED", "m", transient=False)),
        ({"code": 1}, Failure("CANCELLED", "no reason was given", transient=False)),
        ({"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED"}, Failure("429 RESOURCE_EXHAUSTED", "m", True)),
        ({"code": 503, "message": "m"}, Failure("503", "m", transient=True)),
        ({"code": 400, "message": "m", "status": "INVALID_ARGUMENT"}, Failure("400 INVALID_ARGUMENT", "m", False)),
        ({"status": "UNAVAILABLE"}, Failure("UNAVAILABLE", "no reason was given", transient=True)),
        ({"code": "14", "message": "m"}, Failure("UNAVAILABLE", "m", transient=True)),
        ({"code": "14" * 4000, "message": "m"}, Failure("no code", "m", transient=False)),
        ("a mishap", Failure("no code", "a mishap", transient=False)),
        ([1], Failure("no code", "no reason was given", transient=False)),
    ],
)
@pytest.mark.parametrize(
    "place",
    [
        lambda error: {"key": KEY, "error": error},
        lambda error: {"key": KEY, "status": error},
        lambda error: {"key": KEY, "response": {"error": error}},
        lambda error: {"key": KEY, "response": {"status": error}},
        lambda error: {"key": KEY, "response": None, "error": error},
    ],
    ids=["error", "status", "error in the response", "status in the response", "beside an empty response"],
)
def test_an_error_says_why_and_whether_asking_again_may_help(place: Any, error: Any, failure: Failure) -> None:
    response = read(place(error))
    assert (response.status, response.text, response.error) == ("failed", None, failure)


SHAPES = [LINE, FAILED, {"key": KEY, "response": in_snake_case(ANSWER)}, {"key": KEY, "response": FAILED}]
PLACES = [(shape, path) for shape in SHAPES for path in paths(shape)]


@given(place=st.sampled_from(PLACES), value=ANYTHING)
@example(place=(LINE, "response.candidates.0.content"), value="x")
@example(place=(LINE, "response.candidates.0.finishReason"), value=["STOP"])
@example(place=(LINE, "response.candidates.0.content.parts.0.text"), value={"text": "x"})
@example(place=(LINE, "response.usageMetadata"), value=[1])
@example(place=(FAILED, "error"), value=[1])
@example(place=(FAILED, "error.code"), value="500")
@settings(deadline=None)
def test_no_value_anywhere_in_a_line_can_stop_the_reading_of_the_others(place: tuple[Any, str], value: Any) -> None:
    shape, path = place
    response = read_result_line(json.dumps(changed(shape, (path, value))).encode())
    if response is not None:
        assert response.status in ("ok", "truncated", "refused", "failed")
        assert response.text is None or isinstance(response.text, str)
        assert response.text or response.status != "ok"


# Batches


def operation(state: str, done: bool = False, **facts: Any) -> dict[str, Any]:
    metadata = {
        "@type": "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch",
        "model": "models/gemini-3.8-flash",
        "displayName": "tag",
        "inputConfig": {"fileName": "files/in"},
        "batchStats": {"requestCount": "9", "pendingRequestCount": "9"},
        "state": state,
        "name": BATCH,
    }
    top: dict[str, Any] = {name: facts.pop(name) for name in ("error", "response") if name in facts}
    return {"name": BATCH, "metadata": metadata | facts, **({"done": True} if done else {})} | top


OUTPUT = {"responsesFile": "files/batch-out"}


def without_metadata(item: dict[str, Any]) -> dict[str, Any]:
    return {"key": item["metadata"]["key"], "response": item["response"]}


@pytest.mark.parametrize("prefix", ["BATCH_STATE_", "JOB_STATE_"])
@pytest.mark.parametrize(
    "state", ["QUEUED", "PENDING", "RUNNING", "PAUSED", "CANCELLING", "UPDATING", "UNSPECIFIED", "SOMETHING_NEW"]
)
def test_a_batch_under_way_has_not_ended_and_shows_its_state(prefix: str, state: str) -> None:
    stats = {"requestCount": "9", "successfulRequestCount": "3", "failedRequestCount": "2", "pendingRequestCount": "4"}
    batch = read_batch(BATCH, operation(prefix + state, batchStats=stats))
    is_new = state == "SOMETHING_NEW"
    assert batch == BatchState(
        BATCH, state.lower(), ended=False, done=5, answered=3, total=9, is_known=not is_new, is_exhaustive=is_new
    )


@pytest.mark.parametrize(
    "state", ["SUCCEEDED", "PARTIALLY_SUCCEEDED", "FAILED", "EXPIRED", "CANCELLED", "SOMETHING_NEW"]
)
@pytest.mark.parametrize("where", [{"output": OUTPUT}, {"response": OUTPUT}, {"output": OUTPUT, "response": OUTPUT}])
def test_results_are_read_for_every_end(state: str, where: dict[str, Any]) -> None:
    batch = read_batch(BATCH, operation(f"JOB_STATE_{state}", done=True, **where))
    assert batch.ended
    assert batch.result_files == ("files/batch-out",)
    assert batch.problem is None, "a batch with results was begun"
    assert batch.resubmit is (state != "CANCELLED")


@pytest.mark.parametrize("state", ["SUCCEEDED", "PARTIALLY_SUCCEEDED"])
@pytest.mark.parametrize("counted", [{}, {"successfulRequestCount": "9"}, {"failedRequestCount": "9"}])
@pytest.mark.parametrize("done", [True, False])
def test_a_batch_that_names_no_file_yet_has_results_all_the_same(state: str, counted: Any, done: bool) -> None:
    stats = {"requestCount": "9", **counted}
    batch = read_batch(BATCH, operation(f"JOB_STATE_{state}", done=done, batchStats=stats))
    assert (batch.ended, batch.result_files, batch.problem) == (True, (), None)
    assert why_incomplete(batch, 9, Findings(0, 0)) == "0 of 9 results can be read"


ANSWERS = [
    {"response": {"candidates": [{"content": {"parts": [{"text": f"answer {n}"}]}, "finishReason": "STOP"}]}}
    | {"metadata": {"key": f"key-{n}"}}
    for n in range(3)
]


@pytest.mark.parametrize(
    "facts",
    [
        {"output": {"inlinedResponses": {"inlinedResponses": ANSWERS}}},
        {"response": {"inlinedResponses": {"inlinedResponses": ANSWERS}}},
        {"response": {"inlinedResponses": ANSWERS}},
        {"output": {"inlined_responses": {"inlined_responses": ANSWERS}}},
        {"dest": {"inlined_responses": ANSWERS}},
        {"output": {"inlinedResponses": ANSWERS}, "response": {"inlinedResponses": ANSWERS}},
        {"output": {"inlinedResponses": [without_metadata(item) for item in ANSWERS]}},
    ],
)
def test_answers_that_stand_in_the_batch_are_read_by_their_keys(facts: dict[str, Any]) -> None:
    batch = read_batch(BATCH, operation("JOB_STATE_SUCCEEDED", done=True, **facts))
    found = [read_result_line(line) for line in batch.inline_lines]
    assert [(line.key, line.text) for line in found if line] == [(f"key-{n}", f"answer {n}") for n in range(3)]


def test_an_answer_in_the_batch_without_a_key_belongs_to_no_request() -> None:
    nameless = [{"response": item["response"]} for item in ANSWERS]
    batch = read_batch(BATCH, operation("JOB_STATE_SUCCEEDED", done=True, output={"inlinedResponses": nameless}))
    assert [read_result_line(line) for line in batch.inline_lines] == [None, None, None]


@pytest.mark.parametrize("error", [None, {"code": 8, "message": "Too much."}, {"code": 13}])
def test_a_state_of_a_later_version_is_no_reason_to_ask_again(error: Any) -> None:
    facts = {"error": error} if error else {}
    batch = read_batch(BATCH, operation("JOB_STATE_SOMETHING_NEW", done=True, **facts))
    assert (batch.is_known, batch.problem) == (False, None)
    assert why_incomplete(batch, 9, Findings(0, 0)) is not None


@pytest.mark.parametrize(
    ("state", "error", "resubmit"),
    [
        ("EXPIRED", None, True),
        ("EXPIRED", {"code": 4, "message": "The batch has expired."}, True),
        ("CANCELLED", {"code": 13, "message": "The batch was cancelled."}, False),
    ],
)
def test_a_batch_that_came_to_nothing_leaves_its_requests_unanswered(state: str, error: Any, resubmit: bool) -> None:
    facts = {"error": error} if error else {}
    batch = read_batch(BATCH, operation(f"BATCH_STATE_{state}", done=bool(error), **facts))
    assert (batch.ended, batch.result_files, batch.problem, batch.resubmit) == (True, (), None, resubmit)


@pytest.mark.parametrize("state", ["BATCH_STATE_FAILED", "JOB_STATE_FAILED"])
@pytest.mark.parametrize(
    ("error", "problem", "reason"),
    [
        ({"code": 8, "message": "Too much."}, "queue full", "RESOURCE_EXHAUSTED: Too much."),
        ({"code": 3, "message": "The enqueued token limit is exceeded."}, "queue full", "token limit"),
        ({"code": 5, "message": "The file files/in was not found."}, "file gone", "NOT_FOUND: The file files/in"),
        ({"code": 3, "message": "Line 7 is no JSON."}, "refused", "INVALID_ARGUMENT: Line 7 is no JSON."),
        ({"code": 13}, "refused", "INTERNAL: no reason was given"),
        ({"code": "odd", "message": ["x"]}, "refused", "odd: no reason was given"),
    ],
)
def test_a_batch_that_could_not_begin_says_why(state: str, error: Any, problem: str, reason: str) -> None:
    batch = read_batch(BATCH, operation(state, done=True, error=error))
    assert (batch.ended, batch.problem, batch.result_files) == (True, problem, ())
    assert reason in batch.reason


@pytest.mark.parametrize("error", [None, {}, "x", []])
def test_a_batch_may_fail_without_a_word(error: Any) -> None:
    batch = read_batch(BATCH, operation("BATCH_STATE_FAILED", error=error))
    assert (batch.problem, batch.reason) == ("refused", "no reason was given")


@pytest.mark.parametrize("reply", [None, [], "x", 5, {}, {"name": BATCH}, {"metadata": {"state": 5}}])
def test_a_reply_that_is_no_batch_is_unreadable(reply: Any) -> None:
    with pytest.raises(UnreadableReply):
        read_batch(BATCH, reply)


WHOLE = operation(
    "JOB_STATE_PARTIALLY_SUCCEEDED",
    done=True,
    output=OUTPUT,
    response=OUTPUT,
    error={"code": 3, "message": "m"},
    batchStats={"requestCount": "9", "successfulRequestCount": "3", "failedRequestCount": "2"},
)


@given(path=st.sampled_from(list(paths(WHOLE))), value=ANYTHING)
@settings(deadline=None)
def test_no_value_anywhere_in_a_batch_is_more_than_unreadable(path: str, value: Any) -> None:
    try:
        batch = read_batch(BATCH, changed(WHOLE, (path, value)))
    except (UnreadableReply, NotFound):
        return
    assert batch.batch_id == BATCH
    assert all(isinstance(file_id, str) for file_id in batch.result_files)


# Errors of the calls


def error(code: int, message: str = "m", status: str = "", details: Any = None) -> APIError:
    document = {"error": {"code": code, "message": message, "status": status, "details": details or []}}
    return ClientError(code, document, httpx2.Response(code))


QUOTA = "You exceeded your current quota, please check your plan and billing details."
MINUTE = [{"violations": [{"quotaId": "BatchCreatesPerMinutePerProject"}]}]
DAY = [{"violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel"}]}, {"retryDelay": "20s"}]
GONE = "You do not have permission to access the File abc or it may not exist."


@pytest.mark.parametrize(
    ("refused", "problem"),
    [
        (error(429, QUOTA, "RESOURCE_EXHAUSTED"), "queue full"),
        (error(429, QUOTA, details=[{"@type": "type.googleapis.com/google.rpc.Help"}]), "queue full"),
        (error(429, QUOTA, details=MINUTE), None),
        (error(429, QUOTA, details=[{"retryDelay": "7s"}]), None),
        (error(429, QUOTA, details=DAY), None),
        (error(403, GONE, "PERMISSION_DENIED"), "file gone"),
        (error(404, "File files/abc was not found."), "file gone"),
        (error(400, "The File abc is not in an ACTIVE state and usage is not allowed."), "file not visible"),
        (error(403, "Your project has been denied access."), None),
        (error(404, "models/x is not found for API version v1."), None),
        (error(400, "Error on line 1: no such field."), None),
        (error(503, "The model is overloaded."), None),
    ],
)
def test_a_creation_that_is_refused_for_now_is_a_batch_that_could_not_begin(
    refused: APIError, problem: str | None
) -> None:
    state = read_refusal(refused)
    assert (state.problem if state else None) == problem
    if state:
        assert (state.batch_id, state.ended, state.result_files) == ("", True, ())
        assert str(refused.message) in state.reason


def raised(failure: Exception, *, creating: bool) -> Exception:
    with pytest.raises(Exception) as caught, Errors(creating=creating):  # noqa: PT011
        raise failure
    return caught.value


@pytest.mark.parametrize(
    ("failure", "kind", "words", "when_creating"),
    [
        (error(404), NotFound, "404 m.", VluresError),
        (error(401), VluresError, "GOOGLE_API_KEY", VluresError),
        (error(403), VluresError, "refuses the key", VluresError),
        (error(400, "x", details=[{"reason": "API_KEY_INVALID"}]), VluresError, "refuses the key", VluresError),
        (error(400, "Bad."), VluresError, "Gemini refuses the request: 400 Bad. Correct", VluresError),
        (error(429, QUOTA, details=DAY), Incomplete, "day's quota", Incomplete),
        (error(429, QUOTA, details=MINUTE), Retry, "429", Retry),
        (error(503), Retry, "503", InDoubt),
        (error(500), Retry, "500", InDoubt),
        (error(408), Retry, "408", InDoubt),
        (error(409), Retry, "409", InDoubt),
        (httpx2.ReadError("cut"), Retry, "cut", InDoubt),
        (httpx2.ReadTimeout("late"), Retry, "late", InDoubt),
        (httpx2.RemoteProtocolError("half"), Retry, "half", InDoubt),
        (httpx2.ConnectError("nobody there"), Retry, "nobody there", Retry),
        (json.JSONDecodeError("no JSON", "x", 0), Retry, "could not be read", InDoubt),
        (KeyError("file"), Retry, "could not be read", InDoubt),
        (AttributeError("'str' object has no attribute 'get'"), Retry, "could not be read", InDoubt),
        (UnreadableReply("a reply without a name"), Retry, "without a name", InDoubt),
        (VluresError("The picture changed."), VluresError, "The picture changed.", VluresError),
        (OSError(28, "No space left on device"), OSError, "No space left", OSError),
    ],
)
def test_an_exception_becomes_what_the_driver_knows(
    failure: Exception, kind: type[Exception], words: str, when_creating: type[Exception]
) -> None:
    usual = raised(failure, creating=False)
    assert type(usual) is kind
    assert words in str(usual)
    assert type(raised(failure, creating=True)) is when_creating


# Lines that are sent


def request(article: str, parameters: dict[str, Any] | None = None) -> Request:
    image = Image(Path("1.png"), "image/png", 3, 1, 1, "d")
    prompt = Prompt("Be careful.", ("Read this:\n", article, "\nAnd answer."))
    return Request(KEY, make_cell("Sw", 3), "421", "gemini-3.8-flash", parameters or {}, prompt, image, "d")


@pytest.fixture(scope="module")
def client() -> GeminiBatch:
    version = ApiVersion("v1", Forgetful(), "", lambda _: None)
    return GeminiBatch("key", None, version, "gemini-3.8-flash", account="an account", summary=True)


@given(article=st.text(st.characters(exclude_categories=["Cs"])))
@example(article='"data":"\x00"')
@example(article='"data":"\\u0000"')
@example(article="کافی\u2028二\n")
@settings(deadline=None)
def test_a_line_holds_any_article_and_the_image_in_its_place(client: GeminiBatch, article: str) -> None:
    asked = request(article, {"thinking_level": "low"})
    line = client.write_line(asked)
    assert line.tail is not None
    image = base64.b64encode(b"abc")
    whole = line.head + image + line.tail
    assert whole.index(b"\n") == len(whole) - 1
    content = build_content(asked, summary=True)
    content["contents"][0]["parts"][1]["inlineData"]["data"] = image.decode()
    assert json.loads(whole) == {"key": KEY, "request": content}
    assert content["generationConfig"]["thinkingConfig"] == {"thinkingLevel": "LOW", "includeThoughts": True}
