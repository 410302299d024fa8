"""Result files through the batch driver: every known shape of a provider's line, alone and among others."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.protocol_model.clock import Clock, StepLoop
from vlures.backends.batch.client import BatchPolicy, BatchState, Lifetimes
from vlures.backends.batch.driver import BatchDriver
from vlures.backends.batch.shards import Line, ShardFile
from vlures.backends.gemini.results import read_result_line as read_gemini
from vlures.backends.openai.batch_results import read_result_line
from vlures.backends.openai.bodies import ENDPOINTS
from vlures.backends.retry import Patience
from vlures.backends.trouble import Trouble
from vlures.benchmarks.vlures.settings import make_cell
from vlures.records import BatchSnapshot, Image, Job, JobState, Prompt, Request, Response

KEYS = [f"Sw-t3-1shot-rationales-{number}" for number in (4, 21, 421)]
BREAKS = "a\u2028b\u2029c\u0085d"
NO_REQUEST = "missing"
"""What is said of a request whose only line names no request."""

Write = Callable[[str], Any]
"""Key → the content of a line, or its bytes."""


# OpenAI's lines


def completion(finish_reason: str | None = "stop", **message: Any) -> dict[str, Any]:
    said = {"role": "assistant", "content": None} | message
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    choices = [{"index": 0, "finish_reason": finish_reason, "message": said}]
    return {"id": "c", "object": "chat.completion", "model": "m", "choices": choices, "usage": usage}


def openai_line(body: Any, status_code: Any = 200) -> Write:
    response = {"status_code": status_code, "request_id": "r", "body": body}
    return lambda key: {"id": "b", "custom_id": key, "response": response, "error": None}


def without(content: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in content.items() if key != name}


ANSWER = completion(content="Kikombe")
OPENAI: dict[str, tuple[Write, str]] = {
    "an answer": (openai_line(ANSWER), "ok"),
    "the body as JSON in a string": (openai_line(json.dumps(ANSWER)), "ok"),
    "status 0 with an answer": (openai_line(ANSWER, 0), "ok"),
    "status 0 without one": (openai_line(None, 0), "failed"),
    "usage missing": (openai_line(without(ANSWER, "usage")), "ok"),
    "ends of lines inside the text": (openai_line(completion(content=BREAKS)), "ok"),
    "200 with no choices": (openai_line(ANSWER | {"choices": []}), "failed"),
    "a refusal": (openai_line(completion(refusal="No.")), "refused"),
    "the content filter": (openai_line(completion("content_filter")), "refused"),
    "a tool call only": (openai_line(completion("tool_calls", tool_calls=[{"id": "t"}])), "failed"),
    "cut short": (openai_line(completion("length", content="Half an")), "truncated"),
    "cut short before a word": (openai_line(completion("length")), "truncated"),
    "an error, first shape": (openai_line({"error": {"code": "c", "message": "m"}}, 400), "failed"),
    "an error of the server": (openai_line({"error": {"code": "c", "message": "m"}}, 500), "failed"),
    "an error, second shape": (
        lambda key: {"custom_id": key, "response": None, "error": {"code": "batch_expired", "message": "m"}},
        "failed",
    ),
    "response null and no error": (lambda key: {"custom_id": key, "response": None}, "failed"),
    "custom_id null": (lambda key: openai_line(ANSWER)(key) | {"custom_id": None}, NO_REQUEST),
    "custom_id missing": (lambda key: without(openai_line(ANSWER)(key), "custom_id"), NO_REQUEST),
    "an unknown id": (lambda key: openai_line(ANSWER)(f"{key}9"), NO_REQUEST),
}


# Gemini's


def gemini_reply(finish_reason: str | None, *parts: Any) -> dict[str, Any]:
    candidates = [{"content": {"parts": list(parts), "role": "model"}, "finishReason": finish_reason}]
    return {"candidates": candidates, "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2}}


def gemini_line(reply: Any) -> Write:
    return lambda key: {"key": key, "response": reply}


REPLY = gemini_reply("STOP", {"text": "Kikombe"})
ERROR = {"code": 13, "message": "Internal error encountered."}
GEMINI: dict[str, tuple[Write, str]] = {
    "an answer": (gemini_line(REPLY), "ok"),
    "usage missing": (gemini_line(without(REPLY, "usageMetadata")), "ok"),
    "ends of lines inside the text": (gemini_line(gemini_reply("STOP", {"text": BREAKS})), "ok"),
    "no candidates": (gemini_line(REPLY | {"candidates": []}), "failed"),
    "withheld": (gemini_line(gemini_reply("SAFETY")), "refused"),
    "a blocked prompt": (gemini_line({"promptFeedback": {"blockReason": "OTHER"}}), "refused"),
    "a function call only": (gemini_line(gemini_reply("STOP", {"functionCall": {"name": "f", "args": {}}})), "failed"),
    "cut short": (gemini_line(gemini_reply("MAX_TOKENS", {"text": "Half an"})), "truncated"),
    "cut short before a word": (gemini_line(gemini_reply("MAX_TOKENS")), "truncated"),
    "an error, first shape": (lambda key: {"key": key, "error": ERROR}, "failed"),
    "an error, second shape": (lambda key: {"key": key, "response": {"error": ERROR}}, "failed"),
    "an error as a status": (lambda key: {"key": key, "status": {"code": 400, "status": "INVALID_ARGUMENT"}}, "failed"),
    "response null": (gemini_line(None), "failed"),
    "the reply as JSON in a string": (gemini_line(json.dumps(REPLY)), "failed"),
    "a key alone": (lambda key: {"key": key}, "failed"),
    "key null": (lambda key: {"key": None, "response": REPLY}, NO_REQUEST),
    "key missing": (lambda key: {"response": REPLY}, NO_REQUEST),
    "an unknown id": (lambda key: gemini_line(REPLY)(f"{key}9"), NO_REQUEST),
}

ODD: dict[str, tuple[Write, str]] = {
    "half a line": (lambda key: b'{"custom_id":"' + key.encode(), NO_REQUEST),
    "no JSON": (lambda key: b"<html>", NO_REQUEST),
    "no object": (lambda key: b"[1]", NO_REQUEST),
    "an empty line": (lambda key: b"", NO_REQUEST),
    "blanks": (lambda key: b"  \t", NO_REQUEST),
    "no UTF-8": (lambda key: b"\xff\xfe" + key.encode(), NO_REQUEST),
}
CORPUS = {"openai": OPENAI | ODD, "gemini": GEMINI | ODD}


def read_openai(line: bytes) -> Response | None:
    return read_result_line(line, ENDPOINTS["chat"])


READ = {"openai": read_openai, "gemini": read_gemini}


# A provider whose batch has ended


class Finished:
    """Takes one batch, which has ended with these result files when it is created, and counts the requests that have a
    line in them. sent: the batches created."""

    provider = "The provider"
    account = "an account"
    lifetimes = Lifetimes(timedelta(hours=24), timedelta(days=30), timedelta(days=30))
    needs_trial = False

    def __init__(self, read_line: Callable[[bytes], Response | None], files: Mapping[str, bytes]) -> None:
        self.read_line = read_line
        self.files = files
        self.sent = 0

    def end_trial(self, outcome: Response) -> bool:
        return False

    async def place_images(self, requests: Iterable[Request]) -> None: ...

    def write_line(self, request: Request) -> Line:
        return Line(request.key.encode() + b"\n", None)

    async def upload(self, file: ShardFile) -> str:
        return "file-in"

    async def create(self, file_id: str, tag: str) -> BatchState:
        self.sent += 1
        lines = [self.read_line(line) for content in self.files.values() for line in content.splitlines()]
        done = len({line.key for line in lines if line is not None and line.key in KEYS})
        named = tuple(self.files) if done else ()
        self.state = BatchState("batch", "cancelled", ended=True, done=done, total=len(KEYS), result_files=named)
        return self.state

    async def find(self, tag: str) -> tuple[BatchState, ...]:
        raise AssertionError("nothing is in doubt")

    async def status(self, batch_id: str) -> BatchState:
        return self.state

    async def cancel(self, batch_id: str) -> None:
        raise AssertionError("nothing is cancelled")

    async def download(self, file_id: str, path: Path, most_bytes: int) -> None:
        path.write_bytes(self.files[file_id])

    async def delete(self, file_id: str) -> None:
        raise AssertionError("nothing is deleted")

    async def close(self) -> None: ...


class Notes:
    """A journal and an observer for one run."""

    jobs: tuple[Job, ...] = ()

    def open_jobs(self) -> tuple[Job, ...]:
        return ()

    def left_by_batches(self) -> frozenset[str]:
        return frozenset()

    def begin_job(self, job: Job) -> None: ...

    def update_job(self, tag: str, state: JobState, **facts: str | None) -> None: ...

    def see_job(self, tag: str, snapshot: BatchSnapshot) -> None: ...

    def recall(self, name: str) -> Mapping[str, Any]:
        return {}

    def remember(self, name: str, facts: Mapping[str, Any]) -> None: ...

    def say(self, sentence: str) -> None: ...

    def in_flight(self, count: int) -> None: ...

    def job_changed(self, tag: str, state: str, done: int, total: int) -> None: ...

    def job_ended(self, tag: str) -> None: ...

    def next_look(self, tag: str, in_s: float) -> None: ...

    def trouble(self, trouble: Trouble | None) -> None: ...


LONGEST_S = 1_000.0
POLICY = BatchPolicy(
    most_lines=10,
    most_bytes=10_000,
    max_attempts=1,
    longest_poll_s=0.01,
    doubt_patience_s=0.0,
    result_patience_s=0.0,
    ask_changed_again=False,
    forget_lost=False,
)
IMAGE = Image(Path("1.png"), "image/png", 3, 1, 1, "d")
REQUESTS = [
    Request(key, make_cell("Sw", 3), key.rpartition("-")[2], "m", {}, Prompt("s", ("u",)), IMAGE, f"digest of {key}")
    for key in KEYS
]

Fates = dict[str, list[Response]]


def collect(provider: str, *files: bytes) -> Fates:
    """What the driver hands over for each request of a batch with these result files."""

    async def drive() -> Fates:
        client, notes = Finished(READ[provider], {f"file-{n}": content for n, content in enumerate(files)}), Notes()
        driver = BatchDriver(client, POLICY, Patience("The provider", 1.0, 1.0), notes)
        fates: Fates = {key: [] for key in KEYS}
        async with aclosing(driver.generate(REQUESTS, notes)) as responses:
            async for response in responses:
                assert isinstance(response, Response)
                fates[response.key].append(response)
        assert client.sent == 1
        return fates

    loop = StepLoop(Clock())  # pauses between looks at a batch take no time
    driving = loop.create_task(drive())
    while loop.step(LONGEST_S):
        pass
    return driving.result()  # type: ignore[no-any-return]


def encode(content: Any) -> bytes:
    line = content if isinstance(content, bytes) else json.dumps(content, ensure_ascii=False).encode()
    return line + b"\n"


def describe(responses: list[Response]) -> list[object]:
    return [(r.status, r.text, r.error, r.usage, r.digest) for r in responses]


def fate_of(response: Response) -> str:
    return NO_REQUEST if response.error is not None and response.error.code == "missing" else response.status


@pytest.mark.parametrize(("provider", "shape"), [(p, shape) for p in CORPUS for shape in CORPUS[p]])
def test_each_shape_has_its_fate_and_leaves_the_others_alone(provider: str, shape: str) -> None:
    write, fate = CORPUS[provider][shape]
    answer = CORPUS[provider]["an answer"][0]
    fates = collect(provider, encode(answer(KEYS[0])) + encode(write(KEYS[1])) + encode(answer(KEYS[2])))
    assert [[fate_of(response) for response in fates[key]] for key in KEYS] == [["ok"], [fate], ["ok"]]
    assert all(response.digest == f"digest of {key}" for key in KEYS for response in fates[key])


@pytest.mark.parametrize("provider", CORPUS)
@pytest.mark.parametrize("files", [(), (b"",), (b"\n\n",), (b"", b"")], ids=["none", "empty", "blank", "both empty"])
def test_without_a_line_every_request_is_missing(provider: str, files: tuple[bytes, ...]) -> None:
    fates = collect(provider, *files)
    assert [[fate_of(response) for response in fates[key]] for key in KEYS] == [[NO_REQUEST]] * len(KEYS)


@pytest.mark.parametrize("provider", CORPUS)
@pytest.mark.parametrize("cut", [1, 2, 10, 60])
def test_a_file_that_ends_in_the_middle_of_a_line_keeps_the_lines_before(provider: str, cut: int) -> None:
    answer = CORPUS[provider]["an answer"][0]
    whole = b"".join(encode(answer(key)) for key in KEYS)
    fates = collect(provider, whole[:-cut])
    last = "ok" if cut == 1 else NO_REQUEST  # without its line break it is whole all the same
    assert [[fate_of(response) for response in fates[key]] for key in KEYS] == [["ok"], ["ok"], [last]]


@pytest.mark.parametrize("provider", CORPUS)
@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_no_line_ever_changes_the_fate_of_another(provider: str, data: st.DataObject) -> None:
    """Lines of all shapes in any order and number, in one result file or two, the last cut or not."""
    shapes = st.tuples(st.sampled_from(KEYS), st.sampled_from(sorted(CORPUS[provider])))
    output, errors = (data.draw(st.lists(shapes, max_size=8), label=label) for label in ("output", "errors"))
    cut = data.draw(st.integers(0, 30), label="cut off the output's end")

    def write(lines: list[tuple[str, str]], of: str | None, cut: int = 0) -> bytes:
        """A file of the lines, or of one request's alone."""
        written = [(key, encode(CORPUS[provider][shape][0](key))) for key, shape in lines]
        if written and cut:
            written[-1] = (written[-1][0], written[-1][1][:-cut])
        return b"".join(line for key, line in written if of in (None, key))

    fates = collect(provider, write(output, None, cut), write(errors, None))
    for key in KEYS:
        alone = collect(provider, write(output, key, cut), write(errors, key))
        assert describe(fates[key]) == describe(alone[key])
        assert len(fates[key]) == 1, "every request ends as one thing"
