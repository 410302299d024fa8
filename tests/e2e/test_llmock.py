"""The real command against llmock (https://github.com/JulienRabault/LLMock), a server that others wrote, with the
faults that it scripts. It records every request and gives a verdict on our retries, which is printed when these tests
are over.

What it has none of: connections lost and bodies broken outside of streams, batches that expire, single lines that fail,
and anything of Gemini's batches that the documents know (no files; fields of its own). The sandbox has them. Where it
errs, measured by the providers' documents:

- Its batches know chat completions only, and lines of /v1/responses fail one by one with a code of its own. OpenAI's
take both: https://developers.openai.com/api/docs/guides/batch - A batch whose lines have all failed is `failed` there.
OpenAI says that of an input file that did not pass validation. - It counts an upload that is tried again as another
call, because the boundary of a multipart body is new each time, and so blames the first for having given up. - It takes
every 429 for transient, also those that say that there is no credit:
https://learn.microsoft.com/microsoft-cloud/dev/dev-proxy/concepts/openai-insufficient-quota - Its errors in Gemini's
name carry Retry-After, where Gemini has RetryInfo in the body, and it says FAILED_PRECONDITION of 422, which is 400:
https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import pytest

from tests.conftest import REPOSITORY, Command, Result, make_dataset

pytestmark = pytest.mark.warm

CELLS = ("--dataset", "data", "--languages", "En,Ur", "--tasks", "1,7")
REQUESTS = 2 * (6 + 5)

LIVE = {
    "openai": ("run", "--backend", "openai", "--mode", "live", "--model", "gpt-6-luna", *CELLS),
    "gemini": ("run", "--backend", "gemini", "--mode", "live", "--model", "gemini-3.8-flash", *CELLS),
}
OUTPUTS = {"openai": "gpt-6-luna", "gemini": "gemini-3.8-flash"}
BATCH = (
    "run",
    "--no-canary",
    "--backend",
    "openai",
    "--model",
    "gpt-6-luna",
    "--poll-s",
    "1",
    "--doubt-patience-s",
    "0.5",
    *CELLS,
)

COUNTED = ("calls", "attempts", "faults_injected", "errors", "warnings")

UPLOADED_AGAIN = ("gave_up POST /v1/files", "it was uploaded again, as a multipart body with another boundary")
NO_CREDIT = ("gave_up POST", "no request is answered before there is credit")
PATIENCE_ENDED = ("gave_up POST", "the run's budget of time was over")
NOT_YET_KNOWN = ("retried_non_retryable GET /v1/batches/", "a batch that was just created may not be known everywhere")


def fail(status: int, path: str | None = None, **options: Any) -> dict[str, Any]:
    """A scripted error of the server, once unless `times` says otherwise. path: of the requests that get it."""
    return {"type": "fail", "status": status, "match": {"path": path} if path else {}, **options}


def reply(text: str, **options: Any) -> dict[str, Any]:
    """A scripted answer of the model."""
    return {"type": "reply", "text": text, **options}


@dataclass
class Verdicts:
    """What llmock said of our retries, over all tests of this file."""

    counts: Counter[str] = field(default_factory=Counter)
    excused: Counter[str] = field(default_factory=Counter)
    justified: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        counts = ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in self.counts.items())
        excused = [f"{count} × {what}" for what, count in self.excused.items()]
        lines = [
            f"llmock {version('llmock')} on our retries: {counts}",
            *(self.justified or ["no complaint is justified"]),
        ]
        return "\n  ".join([*lines, *excused])


@dataclass
class Llmock:
    """A running llmock, seen from outside."""

    url: str
    verdicts: Verdicts

    def ask(self, path: str, content: object = None, method: str = "GET") -> Any:
        data = None if content is None else json.dumps(content).encode()
        with urllib.request.urlopen(urllib.request.Request(self.url + path, data, method=method), timeout=30) as answer:
            return json.loads(answer.read())

    def script(self, *behaviours: dict[str, Any]) -> None:
        """Forget all requests and faults until now, and show these to the requests that come."""
        self.ask("/_llmock/reset", method="POST")
        if behaviours:
            self.ask("/_llmock/scenario", {"behaviors": behaviours}, method="POST")

    @property
    def requests(self) -> list[dict[str, Any]]:
        """Every request since, with its status."""
        return list(self.ask("/_llmock/requests")["requests"])

    def judge(self, *excused: tuple[str, str]) -> None:
        """Its verdict has no complaint but those that are excused: how one begins, and why it is none."""
        assert self.ask("/_llmock/scenario")["pending"] == [], "a fault that was scripted has met no request"
        verdict = self.ask("/_llmock/verdict")
        self.verdicts.counts.update({what: verdict[what] for what in COUNTED})
        justified = []
        for finding in verdict["findings"]:
            what = f"{finding['code']} {finding['path']}"
            excuse = next((why for begins, why in excused if what.startswith(begins)), None)
            if excuse is None:
                justified.append(f"{what}: {finding['title']}")
            else:
                self.verdicts.excused[f"{finding['code']}, excused: {excuse}"] += 1
        self.verdicts.justified += justified
        assert justified == []


@pytest.fixture(scope="module")
def verdicts(request: pytest.FixtureRequest) -> Iterator[Verdicts]:
    verdicts = Verdicts()
    yield verdicts
    capture = request.config.pluginmanager.getplugin("capturemanager")
    assert capture is not None
    with capture.global_and_fixture_disabled():
        print(f"\n{verdicts}", file=sys.stderr)  # a worker of pytest-xdist has no other way to the terminal


@pytest.fixture(scope="module")
def start(verdicts: Verdicts) -> Iterator[Callable[..., Llmock]]:
    started: list[subprocess.Popen[str]] = []

    def start(*options: str) -> Llmock:
        command = [sys.executable, "-m", "tests.e2e.llmock_server", *options]
        started.append(
            subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
        assert started[-1].stdout is not None
        line = started[-1].stdout.readline()
        assert "listening on" in line, line
        return Llmock(line.split()[-1], verdicts)

    yield start
    for process in started:
        process.communicate(timeout=20)


@pytest.fixture(scope="module")
def running(start: Callable[..., Llmock]) -> Llmock:
    return start()


@pytest.fixture
def llmock(running: Llmock, vlures: Command) -> Llmock:
    """A server without faults, to which the command's environment leads."""
    running.script()
    use(vlures, running)
    return running


def use(vlures: Command, llmock: Llmock) -> None:
    vlures.environment |= {
        "OPENAI_API_KEY": "test-key",
        "GOOGLE_API_KEY": "test-key",
        "OPENAI_BASE_URL": f"{llmock.url}/v1",
        "GOOGLE_GEMINI_BASE_URL": f"{llmock.url}/gemini",
    }


def assert_complete(vlures: Command, output: str, result: Result, requests: int = REQUESTS) -> None:
    """Every request has its answer, stored once."""
    assert result.code == 0, result
    assert len(vlures.answers(output)) == requests, result
    stored = Counter(line["key"] for line in vlures.checkpoint_lines(output) if line["status"] == "ok")
    assert len(stored) == requests
    assert set(stored.values()) == {1}


def assert_answered_once(llmock: Llmock, requests: int = REQUESTS) -> None:
    """The server has answered every request, and none twice. For live runs."""
    answered = Counter(request["fingerprint"] for request in llmock.requests if request["status"] == 200)
    assert len(answered) == requests
    assert set(answered.values()) == {1}


# Live


@pytest.mark.parametrize("door", ["openai", "gemini"])
def test_a_live_run_survives_what_passes(vlures: Command, llmock: Llmock, door: str) -> None:
    llmock.script(
        *(fail(status) for status in (500, 502, 408, 409)),
        *(fail(status, retry_after=0.4) for status in (503, 504, 529)),
        fail(429, retry_after=0.2, times=2),
        fail(429, retry_after=1.5),
    )
    assert_complete(vlures, OUTPUTS[door], vlures(*LIVE[door]))
    assert_answered_once(llmock)
    llmock.judge()


@pytest.mark.parametrize("door", ["openai", "gemini"])
def test_what_is_no_answer_is_not_stored_as_one_and_not_repeated(vlures: Command, llmock: Llmock, door: str) -> None:
    """Only the empty answer is asked for again."""
    llmock.script(
        *(fail(400), fail(413)),
        *(reply(""), reply("Half an ans", finish_reason="length"), reply("A word.", finish_reason="content_filter")),
    )
    result = vlures(*LIVE[door])
    assert result.code == 3, result
    statuses = Counter(line["status"] for line in vlures.checkpoint_lines(OUTPUTS[door]))
    assert statuses == {"ok": REQUESTS - 4, "failed": 2, "truncated": 1, "refused": 1}
    assert len(vlures.answers(OUTPUTS[door])) == REQUESTS - 4
    assert len(llmock.requests) == REQUESTS + 1
    llmock.judge()


@pytest.mark.parametrize(
    ("door", "fault", "words"),
    [
        ("openai", fail(402), "no credit left"),
        ("openai", fail(429, code="credit_balance_exhausted"), "no credit left"),
        ("gemini", fail(402, code="RESOURCE_EXHAUSTED"), "no credit left"),
        ("gemini", fail(429, message="Your prepayment credits are depleted."), "no credit left"),
    ],
)
def test_what_no_request_survives_ends_the_run_at_once(
    vlures: Command, llmock: Llmock, door: str, fault: dict[str, Any], words: str
) -> None:
    llmock.script(fault)
    result = vlures(*LIVE[door], "--concurrency", "1")
    assert result.code == 1, result
    assert words in result.err.splitlines()[-1]
    assert len(llmock.requests) == 1
    llmock.judge(NO_CREDIT)


def test_an_answer_that_takes_too_long_is_asked_for_again(vlures: Command, llmock: Llmock) -> None:
    llmock.script({"type": "delay", "seconds": 2, "times": 2})
    assert_complete(vlures, OUTPUTS["gemini"], vlures(*LIVE["gemini"], "--timeout-s", "1"))
    assert len(llmock.requests) >= REQUESTS + 2
    llmock.judge()


def test_an_outage_outlasts_the_runs_patience_and_the_next_run_completes_it(vlures: Command, llmock: Llmock) -> None:
    llmock.script(fail(503, times=None, retry_after=0.5))
    result = vlures(*LIVE["gemini"], "--retry-budget-s", "2")
    assert result.code == 3, result
    assert "has answered no call of this run" in result.err
    llmock.ask("/_llmock/scenario", method="DELETE")
    llmock.judge(PATIENCE_ENDED)
    llmock.script()
    assert_complete(vlures, OUTPUTS["gemini"], vlures(*LIVE["gemini"]))
    assert_answered_once(llmock)
    llmock.judge()


def test_a_quota_of_requests_a_minute_is_kept(vlures: Command, start: Callable[..., Llmock]) -> None:
    """Sixty at once, then one a second, and each refusal says how long the next takes to come."""
    llmock = start("--rpm", "60")
    use(vlures, llmock)
    make_dataset(vlures.folder / "many", samples=31)
    cells = ("--dataset", "many", "--languages", "Sw", "--tasks", "1,7")
    result = vlures("run", "--backend", "gemini", "--model", "gemini-3.8-flash", *cells)
    assert_complete(vlures, OUTPUTS["gemini"], result, requests=62)
    assert_answered_once(llmock, requests=62)
    llmock.judge()


@pytest.mark.parametrize("door", ["together/v1", "mistral/v1"])
def test_servers_that_speak_openais_language_are_understood(vlures: Command, llmock: Llmock, door: str) -> None:
    """Each has its dialect: Together ends an answer with `eos`, Mistral's errors stand in no object of their own."""
    del vlures.environment["OPENAI_API_KEY"]
    llmock.script(fail(400), reply("Half an ans", finish_reason="length"))
    result = vlures(*LIVE["openai"], "--base-url", f"{llmock.url}/{door}")
    assert result.code == 3, result
    assert f"{REQUESTS - 2} ok, 1 truncated, 1 failed" in result.out.splitlines()[-1]
    assert "Bad request." in result.err
    llmock.judge()


def test_each_picture_is_uploaded_once_and_named_in_all_its_requests(vlures: Command, llmock: Llmock) -> None:
    llmock.script(fail(503, "/v1/files"), fail(429, "/v1/responses", retry_after=0.2), reply(""))
    result = vlures(*LIVE["openai"], "--endpoint", "responses", "--image-transport", "file")
    assert_complete(vlures, OUTPUTS["openai"], result)
    requests = llmock.requests
    uploads = [request for request in requests if request["path"] == "/v1/files" and request["status"] == 200]
    named = {request["body"]["input"][0]["content"][1]["file_id"] for request in requests if request["body"]}
    assert (len(uploads), len(named)) == (6, 6)
    llmock.judge(UPLOADED_AGAIN)


# Batches


@dataclass
class Batches:
    """The batches of a run as the server has them, found by the tags of its journal."""

    found: list[dict[str, Any]]

    @classmethod
    def of(cls, vlures: Command, llmock: Llmock) -> Batches:
        path = vlures.folder / "outputs/gpt-6-luna/checkpoints_1shot_rationales/jobs.jsonl"
        tags = {json.loads(line).get("job") for line in path.read_bytes().splitlines()}
        listed = llmock.ask("/v1/batches?limit=10000")["data"]
        return cls([batch for batch in listed if (batch["metadata"] or {}).get("vlures") in tags])

    @property
    def answers(self) -> int:
        return sum(batch["request_counts"]["completed"] for batch in self.found)


def test_batches_survive_what_passes_at_every_step(vlures: Command, llmock: Llmock) -> None:
    llmock.script(
        fail(429, "/v1/files", retry_after=0.5),
        fail(500, "/v1/files"),
        fail(429, "/v1/batches", retry_after=1.2),
        fail(404, "/v1/batches/batch_*"),
        fail(503, "/v1/batches/batch_*", retry_after=1.5),
        fail(429, "/v1/files/*/content", retry_after=1.2),
    )
    result = vlures(*BATCH, "--batch-size", "12")
    assert_complete(vlures, "gpt-6-luna", result)
    llmock.judge(UPLOADED_AGAIN, NOT_YET_KNOWN)
    batches = Batches.of(vlures, llmock)
    assert (len(batches.found), batches.answers) == (2, REQUESTS)


def test_creations_that_were_refused_and_in_doubt_leave_one_batch(vlures: Command, llmock: Llmock) -> None:
    llmock.script(fail(400, "/v1/batches", message="The model does not take pictures."))
    refused = vlures(*BATCH)
    assert refused.code == 1, refused
    assert "does not take pictures" in refused.err.splitlines()[-1]
    llmock.judge()
    llmock.script(fail(500, "/v1/batches"))
    result = vlures(*BATCH)
    assert_complete(vlures, "gpt-6-luna", result)
    assert "looking for it by its tag" in result.err
    llmock.judge()
    batches = Batches.of(vlures, llmock)
    assert (len(batches.found), batches.answers) == (1, REQUESTS)


def test_lines_that_fail_are_no_answers_and_go_again(vlures: Command, llmock: Llmock) -> None:
    result = vlures(*BATCH, "--endpoint", "responses", "--max-attempts", "1")
    assert result.code == 3, result
    assert f"{REQUESTS} failed: unsupported_endpoint" in result.err
    assert vlures.answers("gpt-6-luna") == {}
    llmock.judge()
    llmock.script()
    assert_complete(vlures, "gpt-6-luna", vlures(*BATCH))
    llmock.judge()


def test_articles_with_unicodes_own_line_ends_stay_whole(vlures: Command, llmock: Llmock) -> None:
    """It reads a batch's file by `splitlines`, which takes more for the end of a line than JSON Lines does."""
    article = "Amina\u2028sold\u2029it\u0085in\x0bLahore\x0cor\x1cKyoto."
    (vlures.folder / "data/text2.txt").write_text(article, encoding="utf-8")
    assert_complete(vlures, "gpt-6-luna", vlures(*BATCH))
    assert [batch["request_counts"]["total"] for batch in Batches.of(vlures, llmock).found] == [REQUESTS]


def test_a_run_that_was_killed_finds_its_batch_again(vlures: Command, llmock: Llmock) -> None:
    llmock.script(fail(503, "/v1/files/*/content", times=None, retry_after=0.2))
    process = vlures.start(*BATCH)
    vlures.wait_for_journal("gpt-6-luna", '"created"', process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    llmock.script()
    assert_complete(vlures, "gpt-6-luna", vlures(*BATCH))
    assert len(Batches.of(vlures, llmock).found) == 1
    llmock.judge()


def test_geminis_batches_without_its_files_end_in_a_sentence(vlures: Command, llmock: Llmock) -> None:
    result = vlures(*LIVE["gemini"], "--mode", "batch", "--no-canary")
    assert result.code == 1, result
    assert "Gemini finds nothing at that address" in result.err.splitlines()[-1]
    assert [call["path"].split("/")[3] for call in llmock.requests] == ["v1", "v1beta"]
    llmock.judge()
