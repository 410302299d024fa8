"""While calls fail the run says so, once, and keeps a line about it current; run.log has every one of them."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Command, Sandbox, wait_until
from tests.e2e.targets import EACH_PROVIDER, OUTPUT, Target

pytestmark = pytest.mark.warm
ASKED = ("--languages", "En", "--tasks", "1", "--name", OUTPUT, "--no-canary")
PLACES = {"live": {"openai": "chat", "gemini": "gemini"}, "batch": {"openai": "upload", "gemini": "gemini_upload"}}


def said(process: subprocess.Popen[str], vlures: Command, words: str) -> None:
    """Wait until the log of the run says it."""
    log = vlures.folder / "outputs" / OUTPUT / "run.log"
    wait_until(process, lambda: log.is_file() and words in log.read_text(encoding="utf-8"))


@EACH_PROVIDER
@pytest.mark.parametrize("mode", ["live", "batch"])
@pytest.mark.parametrize("kind", ["500", "503", "429:retry_after=3", "drop_before"])
def test_trouble_is_said_once_while_it_lasts(
    vlures: Command, shared_sandbox: Sandbox, target: Target, mode: str, kind: str
) -> None:
    name, _, options = kind.partition(":")
    shared_sandbox.show(f"{name}@{PLACES[mode][target.backend]}" + (f":{options}" if options else ""))
    vlures.use(shared_sandbox)
    process = vlures.start(*target.run(mode, *ASKED))
    said(process, vlures, "The run keeps trying until")
    shared_sandbox.show()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    sentences = [line for line in err.splitlines() if "The run keeps trying until" in line]
    assert len(sentences) == 1, err
    assert "Ctrl-C is safe" in sentences[0]
    assert [line for line in err.splitlines() if "trouble for" in line and "trying until" in line]
    assert "answers again after" in err
    assert "6 ok" in out


@EACH_PROVIDER
@pytest.mark.parametrize("mode", ["live", "batch"])
def test_a_run_without_a_key_leaves_no_trace_of_a_run(vlures: Command, target: Target, mode: str) -> None:
    vlures(*target.run(mode, *ASKED)).assert_stopped(2, "is not set")
    vlures("status").assert_stopped(1, "There is no run under outputs yet")


@EACH_PROVIDER
def test_what_could_not_be_uploaded_is_due(vlures: Command, target: Target) -> None:
    vlures.environment |= {"OPENAI_API_KEY": "k", "GEMINI_API_KEY": "k"}
    away = ("--base-url", "http://127.0.0.1:9/v1", "--first-contact-s", "1")
    result = vlures(*target.run("batch", *ASKED, *away))
    result.assert_stopped(1, "cannot be reached")
    assert "6 requests are still due" in result.err
    status = vlures("status", f"outputs/{OUTPUT}")
    assert "in flight" not in status.err
    assert "reserved" not in status.out + status.err, status
    assert vlures("plan", "--dataset", "data", *ASKED, "--backend", target.backend).code == 0


@EACH_PROVIDER
def test_a_server_that_is_not_there_is_said_before_the_run_gives_up(vlures: Command, target: Target) -> None:
    vlures.environment |= {"OPENAI_API_KEY": "k", "GEMINI_API_KEY": "k"}
    result = vlures(*target.run("live", *ASKED, "--base-url", "http://127.0.0.1:9/v1", "--first-contact-s", "4"))
    assert result.code == 1, result
    said, told = result.err.find("Check the network, the proxy and the base URL"), result.err.find("vlures: ")
    assert 0 <= said < told, result


def test_half_of_the_calls_fail_and_the_run_says_so(vlures: Command, shared_sandbox: Sandbox) -> None:
    shared_sandbox.show("503@chat:every=2", "503@chat:after=2,times=4")
    vlures.use(shared_sandbox)
    asked = ("--languages", "En,Ur", "--tasks", "1", "--name", OUTPUT)
    result = vlures("run", "--backend", "openai", "--mode", "live", "--dataset", "data", *asked, "--concurrency", "3")
    assert result.code == 0, result
    assert result.err.count("The run keeps trying until") == 1, result


def test_the_log_has_every_sentence_and_every_failed_call_and_no_key(vlures: Command, shared_sandbox: Sandbox) -> None:
    shared_sandbox.show("echo_key@chat:status=500,times=3")
    key = "sk-very-secret-key-of-the-user-0123456789"
    vlures.use(shared_sandbox, key)
    result = vlures("run", "--backend", "openai", "--mode", "live", "--dataset", "data", *ASKED)
    assert result.code == 0, result
    log = (vlures.folder / "outputs" / OUTPUT / "run.log").read_text(encoding="utf-8")
    assert log.count("a call failed (500)") == 3
    assert "6 due of 6 requests" in log
    assert key[:14] not in log + result.err
    again = vlures("run", "--backend", "openai", "--mode", "live", "--dataset", "data", *ASKED)
    assert again.code == 0, again
    longer = (vlures.folder / "outputs" / OUTPUT / "run.log").read_text(encoding="utf-8")
    assert longer.startswith(log)
    assert "0 due of 6 requests" in longer[len(log) :]


def test_a_log_that_cannot_be_written_stops_nothing(vlures: Command, shared_sandbox: Sandbox) -> None:
    (vlures.folder / "outputs" / OUTPUT / "run.log").mkdir(parents=True)
    shared_sandbox.show("503@chat:times=2")
    vlures.use(shared_sandbox)
    result = vlures("run", "--backend", "openai", "--mode", "live", "--dataset", "data", *ASKED)
    assert result.code == 0, result
    assert len(vlures.answers(OUTPUT)) == 6


def test_the_log_tells_of_a_cancellation_too(vlures: Command, shared_sandbox: Sandbox) -> None:
    shared_sandbox.show("stuck@create")
    vlures.use(shared_sandbox)
    run = ("run", "--backend", "openai", "--dataset", "data", *ASKED, "--no-wait")
    assert vlures(*run).code == 3
    shared_sandbox.show("503@cancel:times=1")
    cancelled = vlures("cancel", f"outputs/{OUTPUT}", "--poll-s", "0.2")
    assert cancelled.code == 0, cancelled
    assert "a call failed (503)" in (vlures.folder / f"outputs/{OUTPUT}/run.log").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [(None, "complete"), ("error@chat:status=400", "stopped: "), ("empty@chat:after=3", "incomplete")],
)
def test_a_command_of_the_user_hears_how_the_run_has_ended(
    vlures: Command, shared_sandbox: Sandbox, fault: str | None, outcome: str
) -> None:
    shared_sandbox.show(*([fault] if fault else []))
    vlures.use(shared_sandbox)
    notify = 'printf "%s|%s" "$VLURES_OUTCOME" "$VLURES_RUN" > heard.txt; exit 3'
    result = vlures("run", "--backend", "openai", "--mode", "live", "--dataset", "data", *ASKED, "--notify", notify)
    heard = (vlures.folder / "heard.txt").read_text()
    assert heard.startswith(outcome), result
    assert heard.endswith(f"|outputs/{OUTPUT}")
    assert "The command of --notify ended with code 3" in result.err
    assert "heard.txt" not in (vlures.folder / f"outputs/{OUTPUT}/checkpoints_1shot_rationales/run.json").read_text()


def test_after_ctrl_c_the_run_says_what_is_stored_and_what_is_due(vlures: Command, shared_sandbox: Sandbox) -> None:
    shared_sandbox.show("latency@chat:seconds=1")
    vlures.use(shared_sandbox)
    asked = ("--backend", "openai", "--mode", "live", "--dataset", "data", *ASKED, "--concurrency", "2")
    process = vlures.start("run", *asked, "--notify", "touch heard.txt")
    wait_until(process, lambda: len(shared_sandbox.ledger) >= 2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    stored = len(vlures.answers(OUTPUT))
    assert f"{stored} ok" in out
    due = 6 - stored
    assert f"{due} requests are still due; the same command continues" in err or due == 1
    assert "vlures show outputs/mine" in err
    assert not (vlures.folder / "heard.txt").exists()


def test_what_has_no_answer_is_told_by_reason_with_its_remedy(vlures: Command, shared_sandbox: Sandbox) -> None:
    shared_sandbox.show(
        "refusal@chat:times=1", "max_tokens@chat:times=2", "error@chat:status=400,message=Too odd,times=1"
    )
    vlures.use(shared_sandbox)
    result = vlures("run", "--backend", "openai", "--mode", "live", "--dataset", "data", *ASKED, "--concurrency", "1")
    assert result.code == 3, result
    groups = [line for line in result.err.splitlines() if line.startswith("  ")]
    by_status = {line.split()[1].rstrip(":"): line for line in groups}
    assert set(by_status) == {"refused", "truncated", "failed"}, result
    assert "--max-output-tokens" in by_status["truncated"]
    assert "--redo refused" in by_status["refused"]
    assert "Too odd" in by_status["failed"]
    assert "Fix what the reason names" in by_status["failed"]
    assert "English" in by_status["failed"] or "En" in by_status["failed"]
    assert "1 request is still due" in result.err


def test_status_has_a_line_for_each_run_and_the_whole_of_one(vlures: Command, shared_sandbox: Sandbox) -> None:
    vlures.use(shared_sandbox)
    for name in ("one", "two"):
        asked = ("--languages", "En", "--tasks", "1", "--name", name, "--limit", "2")
        assert vlures("run", "--backend", "openai", "--mode", "live", "--dataset", "data", *asked).code == 0
    for words in ((), ("outputs/*",), ("outputs/one", "outputs/two")):
        lines = vlures("status", *words).out.splitlines()
        assert [line.split()[0] for line in lines[2:4]] == ["outputs/one", "outputs/two"], words
        assert "for real about" in lines[2]
    whole = vlures("status", "outputs/o*").out
    assert "outputs/one" in whole
    assert "outputs/two" not in whole
    assert "rest for real" in whole
    assert "holds no run" in vlures("status", "nowhere").err


@pytest.mark.parametrize("sample", [None, "2"])
def test_show_prints_the_answers_about_a_sample(
    vlures: Command, shared_sandbox: Sandbox, sample: str | None, tmp_path: Path
) -> None:
    vlures.use(shared_sandbox)
    asked = ("--languages", "En,Ur", "--tasks", "1,2", "--limit", "2")
    assert vlures("run", "--backend", "openai", "--mode", "live", "--dataset", "data", *asked).code == 0
    run = next((vlures.folder / "outputs").iterdir())
    words = [str(run), *([sample] if sample else [])]
    shown = vlures("show", *words)
    assert shown.code == 0, shown
    assert shown.out.count("· sample " + (sample or "1")) == 4
    assert "[sandbox]" in shown.out
    assert vlures("show", *words, "--languages", "Ur", "--tasks", "2").out.count("· sample") == 1
    page = vlures("show", *words, "--out", "page.html")
    assert page.code == 0, page
    text = (vlures.folder / "page.html").read_text(encoding="utf-8")
    assert text.count("data:image/jpeg;base64,") >= 1
    assert 'lang="ur"' in text
    assert vlures("show", *words, "--out", "page.html").code == 1  # nothing is overwritten in silence
