"""OpenAI's responses: what is sent, what an answer means, and how a request names its image."""

import asyncio
import base64
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.backends.changed_lines import ANYTHING, changed, paths
from vlures.backends.openai.addresses import fill_template
from vlures.backends.openai.batch import write_line
from vlures.backends.openai.batch_results import read_result_line
from vlures.backends.openai.bodies import ENDPOINTS, Bodies, make_bodies
from vlures.backends.openai.image_files import LIFETIME_S, OUTLIVES_S, PLACEHOLDER, ImageFiles
from vlures.backends.openai.image_parts import ImagePart
from vlures.backends.openai.responses import build_response, read_response
from vlures.benchmarks.vlures.settings import Setting, make_cell
from vlures.errors import Retry, UsageError
from vlures.records import Failure, Image, Prompt, Request, Response, Usage
from vlures.runs.config import RunConfig
from vlures.store.checkpoints import CheckpointStore

KEY = "Sw-t3-1shot-rationales-421"


def make_image(name: str = "421.png", digest: str = "d1") -> Image:
    return Image(Path("photos") / name, "image/png", 3, 1, 1, digest)


def request(image: Image | None = None, article: str = "x", **parameters: Any) -> Request:
    prompt = Prompt("Be careful.", ("Read this:\n", article, "\nAnd answer."))
    return Request(KEY, make_cell("Sw", 3), "421", "gpt-6-luna", parameters, prompt, image or make_image(), "d")


def build(asked: Request, image: ImagePart, tier: str | None = None, *, summary: bool = False) -> dict[str, Any]:
    return build_response(asked, image, tier, summary=summary)


# What is sent


def test_a_body_has_what_was_set_and_no_more() -> None:
    body = build(request(), ImagePart(address="https://host/1.png"))
    assert body == {
        "model": "gpt-6-luna",
        "instructions": "Be careful.",
        "input": [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "Read this:\nx\nAnd answer."},
                    {"type": "input_image", "image_url": "https://host/1.png", "detail": "auto"},
                ],
            }
        ],
    }


def test_every_parameter_has_its_place() -> None:
    asked = request(temperature=0.5, top_p=0.9, max_output_tokens=800, reasoning_effort="low", image_detail="high")
    body = build(asked, ImagePart(file_id="file-1"), "flex", summary=True)
    set_there = {key: value for key, value in body.items() if key not in ("model", "instructions", "input")}
    assert set_there == {
        "temperature": 0.5,
        "top_p": 0.9,
        "max_output_tokens": 800,
        "reasoning": {"effort": "low", "summary": "auto"},
        "service_tier": "flex",
    }
    part = body["input"][0]["content"][1]
    assert part == {"type": "input_image", "file_id": "file-1", "detail": "high"}
    assert build(request(), ImagePart(), summary=True)["reasoning"] == {"summary": "auto"}
    assert build(request(reasoning_effort="none"), ImagePart())["reasoning"] == {"effort": "none"}


# What an answer means

MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Kikombe", "annotations": [], "logprobs": []}],
}
THOUGHT: dict[str, Any] = {
    "id": "rs_1",
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": "First."}, {"type": "summary_text", "text": "Second."}],
}
ANSWER: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "error": None,
    "incomplete_details": None,
    "model": "gpt-6-luna-2026-09-01",
    "output": [THOUGHT, MESSAGE],
    "usage": {
        "input_tokens": 1300,
        "input_tokens_details": {"cached_tokens": 1024},
        "output_tokens": 60,
        "output_tokens_details": {"reasoning_tokens": 40},
        "total_tokens": 1360,
    },
}
HEARD = Response(
    KEY,
    "ok",
    text="Kikombe",
    reasoning="First.\n\nSecond.",
    finish_reason="completed",
    model="gpt-6-luna-2026-09-01",
    usage=Usage(1300, 60, 1024, 40),
    response_id="resp_1",
)
COMPLETION = {
    "object": "chat.completion",
    "choices": [{"finish_reason": "stop", "message": {"role": "assistant", "content": "Kikombe"}}],
}


def message(*parts: dict[str, Any]) -> dict[str, Any]:
    return MESSAGE | {"content": list(parts)}


def text(words: str) -> dict[str, Any]:
    return {"type": "output_text", "text": words}


def refusal(words: str) -> dict[str, Any]:
    return {"type": "refusal", "refusal": words}


def incomplete(reason: str | None, *output: dict[str, Any]) -> dict[str, Any]:
    details = {"reason": reason} if reason else None
    return ANSWER | {"status": "incomplete", "incomplete_details": details, "output": list(output)}


def failed(code: str | None, words: str | None = "Because.") -> dict[str, Any]:
    return ANSWER | {"status": "failed", "error": {"code": code, "message": words}, "output": []}


def test_an_answer_is_read_with_all_that_came_with_it() -> None:
    assert read_response(KEY, ANSWER) == HEARD


@pytest.mark.parametrize(
    ("body", "status", "words", "error"),
    [
        pytest.param(ANSWER | {"output": [message(text("Ki"), text("kombe"))]}, "ok", "Kikombe", None, id="two parts"),
        pytest.param(
            ANSWER | {"output": [message(text("Ki")), message(text("kombe"))]}, "ok", "Kikombe", None, id="two"
        ),
        pytest.param(ANSWER | {"status": None}, "ok", "Kikombe", None, id="no status"),
        pytest.param(incomplete("max_output_tokens", message(text("Ki"))), "truncated", "Ki", None, id="cut short"),
        pytest.param(incomplete("max_output_tokens", THOUGHT), "truncated", None, "no text", id="thought only"),
        pytest.param(incomplete("max_output_tokens", message(text(" \n"))), "truncated", None, "no text", id="blank"),
        pytest.param(incomplete("content_filter"), "refused", None, None, id="content filter"),
        pytest.param(incomplete("content_filter", message(text("Ki"))), "refused", "Ki", None, id="filtered half way"),
        pytest.param(ANSWER | {"output": [message(refusal("No."))]}, "refused", "No.", None, id="refusal"),
        pytest.param(ANSWER | {"output": [message(text("x"), refusal("No."))]}, "refused", "No.", None, id="both"),
        pytest.param(ANSWER | {"output": []}, "failed", None, "empty answer", id="nothing"),
        pytest.param(ANSWER | {"output": [message()]}, "failed", None, "empty answer", id="an empty message"),
        pytest.param(ANSWER | {"output": [message(text(""))]}, "failed", None, "empty answer", id="an empty text"),
        pytest.param(ANSWER | {"output": None}, "failed", None, "empty answer", id="output is null"),
        pytest.param(incomplete("something new", message(text("x"))), "truncated", "x", None, id="new reason"),
        pytest.param(incomplete("something new"), "failed", None, "empty answer", id="new reason without text"),
        pytest.param(incomplete(None, message(text("x"))), "truncated", "x", None, id="no reason"),
        pytest.param(ANSWER | {"status": "cancelled"}, "failed", None, "empty answer", id="cancelled"),
        pytest.param(failed("server_error"), "failed", None, "server_error", id="the server failed"),
        pytest.param(failed(None, None), "failed", None, "failed", id="an error without words"),
        pytest.param(failed("invalid_prompt"), "refused", None, "invalid_prompt", id="withheld"),
        pytest.param({}, "failed", None, "empty answer", id="an empty body"),
    ],
)
def test_a_status_is_never_a_text(body: dict[str, Any], status: str, words: str | None, error: str | None) -> None:
    response = read_response(KEY, body)
    assert (response.status, response.text) == (status, words)
    assert (response.error.code if response.error else None) == error
    assert response.usage == (HEARD.usage if body else None), "what was paid is counted all the same"


@pytest.mark.parametrize(
    ("body", "transient"),
    [
        (ANSWER | {"output": []}, True),
        ({}, True),
        (ANSWER | {"status": "cancelled"}, False),
        (failed("server_error"), True),
        (failed("rate_limit_exceeded"), True),
        (failed("invalid_image"), False),
        (failed("invalid_prompt"), False),
    ],
)
def test_what_failed_goes_again_where_that_may_help(body: dict[str, Any], transient: bool) -> None:
    error = read_response(KEY, body).error
    assert error
    assert error.transient is transient


def test_the_thoughts_of_open_models_are_told_in_full() -> None:
    told = {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "All of it."}]}
    assert read_response(KEY, ANSWER | {"output": [told, MESSAGE]}).reasoning == "All of it."
    assert read_response(KEY, ANSWER | {"output": [MESSAGE]}).reasoning is None


SHAPES = [ANSWER, incomplete("max_output_tokens", MESSAGE), failed("server_error")]


@given(place=st.sampled_from([(shape, path) for shape in SHAPES for path in paths(shape)]), value=ANYTHING)
@example(place=(ANSWER, "output.1.content"), value="x")
@example(place=(ANSWER, "output.1.content.0.text"), value=["x"])
@example(place=(ANSWER, "incomplete_details"), value="max_output_tokens")
@example(place=(SHAPES[2], "error"), value="x")
@example(place=(ANSWER, "object"), value="chat.completion")
@settings(deadline=None)
def test_no_value_anywhere_in_a_line_can_stop_the_reading_of_the_others(place: tuple[Any, str], value: Any) -> None:
    shape, path = place
    reply = {"status_code": 200, "body": changed(shape, (path, value))}
    line = json.dumps({"custom_id": KEY, "response": reply}).encode()
    response = read_result_line(line, ENDPOINTS["responses"])
    assert response is not None
    assert response.status in ("ok", "truncated", "refused", "failed")
    assert response.text is None or isinstance(response.text, str)
    assert response.text or response.status != "ok"


# Lines of either endpoint


def result_line(body: Any, status_code: int = 200) -> bytes:
    reply = {"status_code": status_code, "request_id": "r", "body": body}
    return json.dumps({"id": "b", "custom_id": KEY, "response": reply, "error": None}).encode()


@pytest.mark.parametrize("asked", ENDPOINTS)
@pytest.mark.parametrize(
    ("body", "response_id"),
    [
        (ANSWER, "resp_1"),
        ({key: value for key, value in ANSWER.items() if key != "object"}, "resp_1"),
        (json.dumps(ANSWER), "resp_1"),
        (COMPLETION, None),
        ({key: value for key, value in COMPLETION.items() if key != "object"}, None),
    ],
)
def test_an_answer_is_read_as_what_it_is_whatever_is_asked_today(
    asked: str, body: Any, response_id: str | None
) -> None:
    response = read_result_line(result_line(body), ENDPOINTS[asked])
    assert response is not None
    assert (response.status, response.text, response.response_id) == ("ok", "Kikombe", response_id)


@pytest.mark.parametrize("asked", ENDPOINTS)
@pytest.mark.parametrize(
    ("body", "status_code", "status", "code"),
    [
        ({}, 200, "failed", "blank result"),
        ({"error": {"code": "invalid_prompt", "message": "m"}}, 400, "refused", "400 invalid_prompt"),
        ({"error": {"code": "invalid_image", "message": "m"}}, 400, "failed", "400 invalid_image"),
        (failed("server_error"), 200, "failed", "500 server_error"),
    ],
)
def test_a_failure_is_one_whatever_is_asked_today(
    asked: str, body: Any, status_code: int, status: str, code: str
) -> None:
    response = read_result_line(result_line(body, status_code), ENDPOINTS[asked])
    assert response is not None
    assert (response.status, response.error.code if response.error else None) == (status, code)


# Addresses of images


@pytest.mark.parametrize(
    ("template", "address"),
    [
        ("https://host/{name}", "https://host/rangi%20%231%20%E9%96%80.png"),
        ("https://host/{folder}/{stem}.jpg", "https://host/photos/rangi%20%231%20%E9%96%80.jpg"),
        ("https://host/{id}.png", "https://host/421.png"),
        ("https://host/{id:06d}.png", "https://host/000421.png"),
        ("https://host/{sha256}", "https://host/d1"),
        ("https://host/{{{id}}}", "https://host/{421}"),
    ],
)
def test_a_template_is_filled(template: str, address: str) -> None:
    assert fill_template(template, make_image("rangi #1 門.png"), "421") == address


@pytest.mark.parametrize(
    "template", ["{nmae}", "{0}", "{}", "{name", "name}", "{id:xyz}", "{id.real.nothing}", "{id[0]}"]
)
def test_a_template_that_cannot_be_filled_says_what_it_may_hold(template: str) -> None:
    words = re.escape(template) + r".*\{id\}, \{sha256\}, \{name\}, \{stem\}, \{folder\}"
    with pytest.raises(UsageError, match=words):
        fill_template(template, make_image(), "421")


# Bodies


def bodies(transport: str, template: str | None = None) -> Bodies:
    return make_bodies(
        RunConfig(endpoint="responses", image_transport=transport, image_url_template=template).backend_options
    )


def shown(line: bytes) -> dict[str, Any]:
    """How a line names its image."""
    content = json.loads(line)
    assert (content["custom_id"], content["method"], content["url"]) == (KEY, "POST", "/v1/responses")
    part = dict(content["body"]["input"][0]["content"][1])
    assert (part.pop("type"), part.pop("detail")) == ("input_image", "auto")
    return part


@pytest.mark.parametrize("article", ["x", 'base64,\x00"', "کافی\u2028二\n"])
def test_an_image_in_its_line(article: str) -> None:
    line = write_line(request(article=article), bodies("inline"))
    assert line.tail is not None
    whole = line.head + base64.b64encode(b"abc") + line.tail
    assert whole.index(b"\n") == len(whole) - 1 == line.size_bytes(make_image()) - 1
    assert shown(whole) == {"image_url": "data:image/png;base64,YWJj"}
    assert json.loads(whole)["body"]["input"][0]["content"][0]["text"] == f"Read this:\n{article}\nAnd answer."


def test_an_address_in_its_line() -> None:
    made = bodies("url", "https://host/{name}")
    line = write_line(request(), made)
    assert line.tail is None
    assert shown(line.head) == {"image_url": "https://host/421.png"}
    assert line.head.index(b"\n") == len(line.head) - 1 == line.size_bytes(make_image()) - 1
    assert shown(write_line(request(), made).head) == {"image_url": "https://host/421.png"}


def test_two_images_never_have_one_address() -> None:
    made = bodies("url", "https://host/{name}")
    made.write(request())
    with pytest.raises(UsageError, match=r"gives https://host/421\.png for several images"):
        made.write(request(make_image(digest="another")))


class Uploads:
    """Takes images: each gets the next number for its id."""

    def __init__(self, *, lifetime_s: float | None = None, failures: int = 0) -> None:
        self.digests: list[str] = []
        self._lifetime_s = lifetime_s
        self._failures = failures

    async def take(self, image: Image) -> tuple[str, float | None]:
        await asyncio.sleep(0)
        if self._failures:
            self._failures -= 1
            raise Retry("busy", code="503")
        self.digests.append(image.digest)
        expires_at = time.time() + self._lifetime_s if self._lifetime_s else None
        return f"file-{len(self.digests)}", expires_at


async def again_and_again(call: Any) -> Any:
    while True:
        try:
            return await call()
        except Retry:
            continue


def open_store(folder: Path) -> CheckpointStore:
    return CheckpointStore(folder, Setting())


def test_a_file_in_its_line_once_it_is_there(tmp_path: Path) -> None:
    made, uploads = bodies("file"), Uploads()
    made.files = ImageFiles(uploads.take, open_store(tmp_path), "an account")
    before = write_line(request(), made)
    assert shown(before.head) == {"file_id": PLACEHOLDER}
    asyncio.run(made.files.place_all([request(), request()], again_and_again))
    assert shown(write_line(request(), made).head) == {"file_id": "file-1"}
    assert uploads.digests == ["d1"]
    made.transport = "inline"
    assert write_line(request(), made).tail is not None


def test_an_image_is_uploaded_once_however_many_want_it(tmp_path: Path) -> None:
    store, uploads = open_store(tmp_path), Uploads(failures=3)
    files = ImageFiles(uploads.take, store, "an account")

    async def place_many() -> None:
        wanted = [make_image(digest=f"d{number % 3}") for number in range(30)]
        await asyncio.gather(*(files.place(image, again_and_again) for image in wanted))

    asyncio.run(place_many())
    assert sorted(uploads.digests) == ["d0", "d1", "d2"]
    store.close()

    later = open_store(tmp_path)
    known = ImageFiles(uploads.take, later, "an account").find(make_image(digest="d1"))
    assert known == f"file-{uploads.digests.index('d1') + 1}"
    assert ImageFiles(uploads.take, later, "another account").find(make_image(digest="d1")) is None


@pytest.mark.parametrize(
    ("lifetime_s", "age_s", "found"),
    [
        (None, 0, True),
        (LIFETIME_S, LIFETIME_S - OUTLIVES_S - 60, True),
        (LIFETIME_S, LIFETIME_S - OUTLIVES_S + 60, False),
        (3600, 0, True),
        (3600, 1700, True),
        (3600, 1900, False),
    ],
)
def test_a_file_is_used_while_it_outlives_a_batch_or_is_in_the_first_half_of_its_life(
    tmp_path: Path, lifetime_s: float | None, age_s: float, found: bool
) -> None:
    store, uploads = open_store(tmp_path), Uploads(lifetime_s=lifetime_s)
    files = ImageFiles(uploads.take, store, "an account")
    asyncio.run(files.place(make_image(), again_and_again))
    name = "picture d1 at an account"
    facts = dict(store.recall(name))
    store.remember(name, facts | {"expires_at": facts["expires_at"] - age_s})
    assert (files.find(make_image()) is not None) is found


@pytest.mark.parametrize(
    ("failure", "gone"),
    [
        (Failure("400 file_not_found", "No such File object: file-1"), True),
        (Failure("400 invalid_value", "The file file-1 has expired."), True),
        (Failure("404", "file-1 does not exist.", transient=True), True),
        (Failure("400 not_found_error", "Files [file-1] were not found."), True),
        (Failure("400 unsupported_parameter", "A file_id (file-1) is not supported for images in batches."), False),
        (Failure("400 invalid_image", "The picture file-1 cannot be read."), False),
        (Failure("batch_expired", "This request expired.", transient=True), False),
        (None, False),
    ],
)
def test_a_file_that_is_gone_is_not_named_again(tmp_path: Path, failure: Failure | None, gone: bool) -> None:
    """Also where another process named it: `find` was not asked before."""
    store, uploads = open_store(tmp_path), Uploads()
    asyncio.run(ImageFiles(uploads.take, store, "an account").place(make_image(), again_and_again))
    files = ImageFiles(uploads.take, store, "an account")
    response = Response(KEY, "failed" if failure else "ok", error=failure)
    checked = files.forget_gone(response)
    assert (files.find(make_image()) is None) is gone
    if gone:
        assert checked.error
        assert checked.error.transient
        asyncio.run(files.place(make_image(), again_and_again))
        assert files.find(make_image()) == "file-2"
    else:
        assert checked == response
