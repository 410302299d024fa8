"""`vlures run --endpoint responses`, in batches and live, with its pictures inline, as files and by addresses."""

from __future__ import annotations

import json
import random
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.conftest import Command, Sandbox, make_dataset, wait_until

pytestmark = pytest.mark.warm

LUNA = ("run", "--no-canary", "--backend", "openai", "--model", "gpt-6-luna", "--dataset", "data", "--poll-s", "1")
RUN_ANY = (*LUNA, "--endpoint", "responses", "--languages", "En,Ur", "--doubt-patience-s", "2")
RUN = (*RUN_ANY, "--tasks", "1,7")
RUN_IN_LOTS = (*RUN, "--batch-size", "6")
FILE = ("--image-transport", "file")
OUTPUT = "gpt-6-luna"
IMAGES = 6
REQUESTS = 2 * (6 + 5)


def assert_complete(vlures: Command, sandbox: Sandbox, requests: int = REQUESTS) -> None:
    """Every request has one answer of the model, and none was paid twice."""
    answers = vlures.answers(OUTPUT)
    assert len(answers) == requests
    assert all("sandbox" in text.lower() for text in answers.values())
    assert len(sandbox.paid) == len(sandbox.ledger) == requests


def events(vlures: Command, output: str = OUTPUT) -> list[dict[str, Any]]:
    """The lines of the journal."""
    path = vlures.folder / "outputs" / output / "checkpoints_1shot_rationales/jobs.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def lots(vlures: Command) -> list[int]:
    """How many lines each batch had, in the order in which they were begun."""
    return [len(event["requests"]) for event in events(vlures) if "requests" in event]


def remembered(vlures: Command) -> list[dict[str, Any]]:
    """The pictures in the journal: each with its file and its expiry."""
    found = [event for event in events(vlures) if event.get("fact", "").startswith("picture ")]
    assert all(re.match(r"picture [0-9a-f]{64} at http", event["fact"]) for event in found)
    assert all(event["facts"]["file_id"].startswith("file-") for event in found)
    return found


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


class Uploads:
    """The pictures that a sandbox has been sent since this was made."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._before = self.total

    @property
    def total(self) -> int:
        return int(self._sandbox.stats["vision_uploads"])

    @property
    def count(self) -> int:
        return self.total - self._before


@pytest.fixture
def album(vlures: Command) -> Iterator[tuple[str, list[str]]]:
    """The dataset's folder on a server of its own: its address, and the paths that were asked for."""
    asked: list[str] = []

    class AlbumHandler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            super().do_GET()

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(AlbumHandler, directory=str(vlures.folder / "data"))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


# Every transport


@pytest.mark.parametrize("mode", ["batch", "live"])
def test_pictures_inline(vlures: Command, shared_sandbox: Sandbox, mode: str) -> None:
    vlures.use(shared_sandbox)
    uploads = Uploads(shared_sandbox)
    result = vlures(*RUN_IN_LOTS, "--mode", mode)
    assert result.code == 0, result
    assert_complete(vlures, shared_sandbox)
    assert uploads.count == 0
    assert {entry["mode"] for entry in shared_sandbox.ledger} == {mode}
    lines = vlures.checkpoint_lines(OUTPUT)
    assert all(line["response_id"].startswith("resp_") for line in lines)
    assert all(line["usage"]["output_tokens"] > 0 for line in lines)


@pytest.mark.parametrize("mode", ["batch", "live"])
def test_pictures_as_files_are_uploaded_once(vlures: Command, shared_sandbox: Sandbox, mode: str) -> None:
    vlures.use(shared_sandbox)
    uploads = Uploads(shared_sandbox)
    result = vlures(*RUN_IN_LOTS, *FILE, "--mode", mode)
    assert result.code == 0, result
    assert_complete(vlures, shared_sandbox)
    assert uploads.count == IMAGES
    if mode == "batch":
        assert "One request goes first, alone" in result.err
        assert lots(vlures) == [1, 6, 6, 6, 3]
    images = remembered(vlures)
    assert len({event["fact"] for event in images}) == len(images) == IMAGES
    assert all(29 < (event["facts"]["expires_at"] - time.time()) / 86_400 <= 30 for event in images)

    more = vlures(*RUN_IN_LOTS, *FILE, "--mode", mode, "--tasks", "2")
    assert more.code == 0, more
    assert len(shared_sandbox.ledger) == REQUESTS + 2 * 6
    assert "One request goes first" not in more.err, "that files are taken is remembered"
    assert uploads.count == IMAGES


@pytest.mark.parametrize("mode", ["batch", "live"])
def test_pictures_by_addresses(
    vlures: Command, shared_sandbox: Sandbox, album: tuple[str, list[str]], mode: str
) -> None:
    (vlures.folder / "data/image1.png").rename(vlures.folder / "data/rangi ya kwanza #1.png")
    address, asked = album
    vlures.use(shared_sandbox)
    template = ("--image-transport", "url", "--image-url-template")
    result = vlures(*RUN, "--mode", mode, *template, f"{address}/{{name}}?of={{folder}}&id={{id}}&sha={{sha256}}")
    assert result.code == 0, result
    assert_complete(vlures, shared_sandbox)
    assert len(asked) == REQUESTS
    assert any(re.fullmatch(r"/rangi%20ya%20kwanza%20%231\.png\?of=data&id=1&sha=[0-9a-f]{64}", path) for path in asked)


@pytest.mark.parametrize(
    ("mode", "template", "words"),
    [
        ("live", "http://127.0.0.1/{nmae}", ("{nmae}", "KeyError('nmae')", "it may hold {id}")),
        ("live", "http://127.0.0.1/a.png?of={folder}", ("different images", "{sha256}")),
        ("batch", "http://127.0.0.1/a.png?of={folder}", ("different images", "{sha256}")),
    ],
)
def test_a_template_that_cannot_be_right_is_one_sentence(
    vlures: Command, shared_sandbox: Sandbox, mode: str, template: str, words: tuple[str, ...]
) -> None:
    vlures.use(shared_sandbox)
    shared_sandbox.show("error@responses:message=There is nothing.")
    result = vlures(*RUN, "--mode", mode, "--image-transport", "url", "--image-url-template", template)
    assert result.code == 2, result
    (sentence,) = [line for line in result.err.splitlines() if line.startswith("vlures: ")]
    assert all(word in sentence for word in ("image_url_template", *words)), sentence
    assert vlures.answers(OUTPUT) == {}
    assert shared_sandbox.ledger == []


def test_a_plan_shows_how_much_less_is_sent(vlures: Command) -> None:
    def planned(*options: str) -> str:
        result = vlures("plan", *RUN_ANY[1:], "--languages", "Jp,Sw", *options)
        assert result.code == 0, result
        return next(line for line in result.out.splitlines() if " MB to send" in line)

    for image in (vlures.folder / "data").glob("*.png"):
        with image.open("ab") as file:
            file.write(random.Random(image.name).randbytes(1_000_000))
    inline, files = planned(), planned(*FILE)
    assert (inline_mb := float(re.findall(r"about ([\d.,]+) MB", inline)[0].replace(",", ""))) > 200
    assert float(re.findall(r"about ([\d.,]+) MB", files)[0].replace(",", "")) < inline_mb / 25
    assert "MB less than inline" in files


# The line that goes first


@pytest.mark.parametrize("fault", ["no_file_ids", "no_file_ids_batch"])
def test_a_batch_that_takes_no_files_gets_its_pictures_inline(
    vlures: Command, shared_sandbox: Sandbox, fault: str
) -> None:
    shared_sandbox.show(fault)
    vlures.use(shared_sandbox)
    uploads = Uploads(shared_sandbox)
    result = vlures(*RUN, *FILE)
    assert result.code == 0, result
    assert result.err.count("Images go inline: OpenAI refused a batch that names them") == 1
    assert_complete(vlures, shared_sandbox)
    assert lots(vlures) == [1, REQUESTS - 1, 1]
    assert uploads.count == 1

    more = vlures(*RUN, *FILE, "--tasks", "2")
    assert more.code == 0, more
    assert re.search(r"Images go inline: OpenAI refused .* on 2\d{3}-\d\d-\d\d \(", more.err)
    assert "One request goes first" not in more.err
    assert lots(vlures)[3:] == [12]
    assert uploads.count == 1


def test_a_line_that_goes_first_and_comes_to_nothing_says_nothing_of_files(
    vlures: Command, shared_sandbox: Sandbox
) -> None:
    shared_sandbox.show("expire:keep=0,times=1", "line_error:times=1,status=500")
    vlures.use(shared_sandbox)
    result = vlures(*RUN, *FILE)
    assert result.code == 0, result
    assert "inline" not in result.err.partition("MB less than inline")[2]
    assert result.err.count("One request goes first") == 3
    assert_complete(vlures, shared_sandbox)
    assert lots(vlures)[:3] == [1, 1, 1]


def test_a_parameter_that_is_refused_is_not_taken_for_a_refusal_of_files(
    vlures: Command, shared_sandbox: Sandbox
) -> None:
    vlures.use(shared_sandbox)
    address = ("--base-url", f"{shared_sandbox.url}/openai/v1")  # no model behind an address of one's own is judged
    result = vlures(*RUN, *FILE, *address, "--temperature", "0.5")
    assert result.code == 1, result
    assert "temperature" in result.err.splitlines()[-1]
    assert shared_sandbox.ledger == []
    forms = [event for event in events(vlures) if event.get("fact", "").startswith("file ids in batches")]
    assert forms == [], "the next run lets one request go first again"


# What becomes of files


@pytest.mark.parametrize("mode", ["batch", "live"])
def test_files_that_are_gone_are_uploaded_again(vlures: Command, shared_sandbox: Sandbox, mode: str) -> None:
    shared_sandbox.show("file_gone:every=7,times=2", "file_gone:times=1,after=1")
    vlures.use(shared_sandbox)
    uploads = Uploads(shared_sandbox)
    result = vlures(*RUN, *FILE, "--mode", mode)
    assert result.code == 0, result
    assert_complete(vlures, shared_sandbox)
    assert all(fault["struck"] for fault in shared_sandbox.stats["faults"])
    assert IMAGES < uploads.count <= IMAGES + 3  # what two requests under way find gone is uploaded once


def test_a_file_that_was_gone_when_nobody_looked_is_not_named_again(vlures: Command, shared_sandbox: Sandbox) -> None:
    """It is an adopted batch that says so: nothing of it was written by the process that reads it."""
    vlures.use(shared_sandbox)
    shared_sandbox.show("queued:seconds=1,after=1", "file_gone@line:times=1,after=4")
    run = (*RUN_ANY, *FILE, "--tasks", "1")
    uploads = Uploads(shared_sandbox)
    process = vlures.start(*run)
    wait_until(process, lambda: len(shared_sandbox.ledger) == 1)
    vlures.wait_for_journal(OUTPUT, '"created"', process, times=2)
    kill(process)
    result = vlures(*run)
    assert result.code == 0, result
    assert_complete(vlures, shared_sandbox, requests=12)
    assert lots(vlures) == [1, 11, 2], "both lines of the picture fail, and both go again, once"
    assert uploads.count == IMAGES + 1


def test_a_file_near_its_end_is_uploaded_again(vlures: Command, shared_sandbox: Sandbox) -> None:
    run = (*RUN_ANY, *FILE, "--mode", "live")
    vlures.use(shared_sandbox)
    assert vlures(*run, "--tasks", "1").code == 0
    path = vlures.folder / "outputs" / OUTPUT / "checkpoints_1shot_rationales/jobs.jsonl"
    for image, days_left in zip(remembered(vlures), (3, 1), strict=False):
        image["facts"]["expires_at"] = time.time() + days_left * 86_400
        with path.open("a", encoding="utf-8") as journal:
            journal.write(json.dumps(image) + "\n")
    uploads = Uploads(shared_sandbox)
    assert vlures(*run, "--tasks", "2").code == 0
    assert uploads.count == 1


def test_files_where_there_are_none(vlures: Command, shared_sandbox: Sandbox) -> None:
    vlures.use(shared_sandbox)
    for mode, fault, words in (
        ("batch", "not_found@upload", ("no images as files", "base URL")),
        ("live", "error@upload:status=400,message=No such purpose.", ("refuses data/image", "No such purpose.")),
    ):
        shared_sandbox.show(fault)
        result = vlures(*RUN, *FILE, "--mode", mode)
        assert result.code == 1, result
        (sentence,) = [line for line in result.err.splitlines() if line.startswith("vlures: ")]
        assert all(word in sentence for word in (*words, "--image-transport file")), sentence
    assert shared_sandbox.ledger == []


# Mishaps


@pytest.mark.parametrize(
    ("faults", "paid_and_lost"),
    [
        (
            (
                *("line_error:times=2,status=500", "line_error_b:times=2", "line_status0:times=2", "doubled:every=3"),
                *("shuffle", "unknown_id:times=1", "null_id:times=1", "garbage_line:times=1", "empty_ids"),
            ),
            0,
        ),
        (("expire:keep=0.5,times=2,after=1", "missing:times=2,after=1", "empty@line:times=1"), 3),
        (
            (
                *("429@upload:times=1,retry_after=1", "bad_json@upload:times=1,after=3", "503@status:times=1"),
                *("html@status:times=1,after=1", "truncate@content:times=1", "drop_before@create:times=1,after=1"),
            ),
            0,
        ),
        (("drop_after@create:times=2", "token_limit:times=1,after=1", "cannot_find_file:times=1"), 0),
    ],
    ids=["lines", "lost lines", "calls", "creations"],
)
def test_batches_survive(vlures: Command, shared_sandbox: Sandbox, faults: tuple[str, ...], paid_and_lost: int) -> None:
    shared_sandbox.show(*faults)
    vlures.use(shared_sandbox)
    result = vlures(*RUN, "--batch-size", "11", *FILE)
    assert result.code == 0, result
    assert len(vlures.answers(OUTPUT)) == REQUESTS
    assert len(shared_sandbox.paid) == REQUESTS
    assert len(shared_sandbox.ledger) <= REQUESTS + paid_and_lost
    assert all(fault["struck"] for fault in shared_sandbox.stats["faults"])


def test_live_calls_survive(vlures: Command, shared_sandbox: Sandbox) -> None:
    kinds = ("429", "500", "503", "html", "drop_before")
    lost = ("drop_after", "truncate", "bad_json", "hang", "empty")
    shared_sandbox.show(*(f"{kind}@responses:times=1" for kind in (*kinds, *lost)), "503@upload:times=2")
    vlures.use(shared_sandbox)
    uploads = Uploads(shared_sandbox)
    result = vlures(*RUN, "--mode", "live", *FILE, "--timeout-s", "2", "--thinking-summary")
    assert result.code == 0, result
    assert {line["reasoning"][:27] for line in vlures.checkpoint_lines(OUTPUT)} == {"[sandbox] Synthetic summary"}
    assert len(vlures.answers(OUTPUT)) == REQUESTS
    assert all(fault["struck"] for fault in shared_sandbox.stats["faults"])
    assert len(shared_sandbox.ledger) <= REQUESTS + len(lost)
    assert uploads.count == IMAGES


def test_what_is_no_answer_has_its_own_status(vlures: Command, shared_sandbox: Sandbox) -> None:
    kinds = ("refusal", "safety", "blocked_prompt", "max_tokens", "max_tokens_empty")
    shared_sandbox.show(*(f"{kind}:times=1" for kind in kinds))
    vlures.use(shared_sandbox)
    result = vlures(*RUN, "--thinking-summary", "--reasoning-effort", "low")
    assert result.code == 0, result
    assert f"{REQUESTS - 5} ok, 2 truncated, 3 refused" in result.out.splitlines()[-1]
    lines = vlures.checkpoint_lines(OUTPUT)
    said = sorted((line["status"], "text" in line, line.get("error", {}).get("code", "")) for line in lines)
    assert said[-5:] == [
        ("refused", False, ""),
        ("refused", False, "400 invalid_prompt"),
        ("refused", True, ""),
        ("truncated", False, "no text"),
        ("truncated", True, ""),
    ]
    thoughts = [line["reasoning"] for line in lines if line["status"] == "ok"]
    assert all(thought.startswith("[sandbox] Synthetic summary") for thought in thoughts)
    assert all(line["usage"]["thinking_tokens"] == 64 for line in lines if line["status"] == "ok")
    assert all("Synthetic summary" not in text for text in vlures.answers(OUTPUT).values())


# The end of the process


def test_kills_pay_nothing_twice_and_upload_no_picture_that_is_known_again(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    """Also among the uploads of the pictures, which take a while here."""
    images = 16
    make_dataset(vlures.folder / "data", samples=images)
    run = (*RUN_ANY, *FILE, "--tasks", "1", "--batch-size", "6")
    sandbox = start_sandbox("--batch-seconds", "1", "--fault", "latency@upload:seconds=0.15")
    vlures.use(sandbox)
    moments = (('"picture ', 1), ('"created"', 1), ('"picture ', 9), ('"created"', 4), ('"collected"', 2))
    for word, times in moments:
        process = vlures.start(*run)
        try:
            vlures.wait_for_journal(OUTPUT, word, process, times)
        finally:
            kill(process)
    result = vlures(*run)
    assert result.code == 0, result
    assert_complete(vlures, sandbox, requests=2 * images)
    assert len({event["fact"] for event in remembered(vlures)}) == len(remembered(vlures)) == images
    assert sandbox.stats["vision_uploads"] <= images + 3 * 8, "what the kills found on its way"


def test_a_batch_of_an_earlier_process_is_collected_with_its_files(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox("--batch-seconds", "1")
    vlures.use(sandbox)
    process = vlures.start(*RUN_IN_LOTS, *FILE)
    vlures.wait_for_journal(OUTPUT, '"created"', process, times=5)
    kill(process)
    assert sandbox.stats["vision_uploads"] == IMAGES
    result = vlures(*RUN_IN_LOTS, *FILE)
    assert result.code == 0, result
    assert_complete(vlures, sandbox)
    assert sandbox.stats["batches_created"] == 5
    assert sandbox.stats["vision_uploads"] == IMAGES


@pytest.mark.parametrize(("first", "second"), [("chat", "responses"), ("responses", "chat")])
def test_a_batch_over_the_other_endpoint_is_collected_too(
    vlures: Command, start_sandbox: Callable[..., Sandbox], first: str, second: str
) -> None:
    sandbox = start_sandbox("--batch-seconds", "1.5", "--fault", "line_error:times=1,status=500")
    vlures.use(sandbox)
    run = (*RUN, "--endpoint", first) if first != "responses" else RUN
    process = vlures.start(*run)
    vlures.wait_for_journal(OUTPUT, '"created"', process)
    kill(process)
    result = vlures(*RUN, "--endpoint", second)
    assert result.code == 0, result
    assert_complete(vlures, sandbox)
    assert sandbox.stats["batches_created"] == 2, "the other one holds the line that failed"
    ids = [line["response_id"].split("_")[0].split("-")[0] for line in vlures.checkpoint_lines(OUTPUT)]
    assert sorted((ids.count("resp"), ids.count("chatcmpl"))) == [1, REQUESTS - 1]


# What makes an answer stale


def test_the_way_a_question_takes_changes_no_answer_but_the_effort_does(
    vlures: Command, shared_sandbox: Sandbox, album: tuple[str, list[str]]
) -> None:
    vlures.use(shared_sandbox)
    live = (*LUNA, "--languages", "En", "--tasks", "1", "--mode", "live")
    assert vlures(*live).code == 0
    template = ("--image-transport", "url", "--image-url-template", album[0] + "/{name}")
    other_ways = (
        ("--endpoint", "responses", *FILE, "--thinking-summary", "--service-tier", "flex"),
        template,
        ("--mode", "batch"),
    )
    for way in other_ways:
        result = vlures("plan", *live[1:], *way)
        assert "stored answers" not in result.out, result
        assert "0 due of 6" in result.out, result
    ledger = len(shared_sandbox.ledger)
    harder = vlures(*live, "--reasoning-effort", "high")
    assert harder.code == 1, harder
    assert "6 stored answers" in harder.err
    assert "the parameters ({} → {'reasoning_effort': 'high'})" in harder.err
    assert len(shared_sandbox.ledger) == ledger
    assert vlures(*live, "--reasoning-effort", "high", "--stale", "redo").code == 0
    assert len(shared_sandbox.ledger) == 2 * ledger == 12
    thinking = [line["usage"]["thinking_tokens"] for line in vlures.checkpoint_lines(OUTPUT) if "usage" in line]
    assert sorted(thinking) == [0] * 6 + [512] * 6
