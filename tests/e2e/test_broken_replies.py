"""Replies that are no HTTP, lead elsewhere or never end: at every call of both providers they fail that call and
nothing else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.conftest import Command, Sandbox
from vlures.sandbox.faults.kinds import ENDLESS, MALFORMED

pytestmark = pytest.mark.warm

WHOLE = ("--dataset", "data", "--languages", "En", "--tasks", "1-5")
LIVE = {
    "openai": ("run", "--backend", "openai", "--mode", "live", "--model", "gpt-6-luna", *WHOLE),
    "gemini": ("run", "--backend", "gemini", "--mode", "live", "--model", "gemini-3.8-flash", *WHOLE),
}
# A connection that a broken reply has closed may take a creation with it; the sandbox lists every batch at once.
PROMPT = ("--no-canary", "--poll-s", "0.1", "--doubt-patience-s", "5")
BATCH = {
    backend: (*("batch" if word == "live" else word for word in options), *PROMPT) for backend, options in LIVE.items()
}
LIVE_PLACES = {"openai": "chat", "gemini": "gemini"}
PREFIXES = {"openai": "", "gemini": "gemini_"}
BACKENDS = pytest.mark.parametrize("backend", LIVE)
QUESTIONS = 30
READABLE = ("char", "deep", "stat", "cut_", "long")
"""A download that comes whole and is something else is looked at again, but not for ever."""
CUTS = [f"cut_at@{{}}:bytes={size},times=1" for size in (0, 1, 9, 20, 60, 100, 120, 150)]


def malformed(place: str) -> list[str]:
    return [f"malformed@{place}:how={how},times=1" for how in MALFORMED] + [cut.format(place) for cut in CUTS]


@BACKENDS
def test_a_live_reply_that_is_no_http_is_a_failed_call(vlures: Command, shared_sandbox: Sandbox, backend: str) -> None:
    vlures.use(shared_sandbox)
    shared_sandbox.show(*malformed(LIVE_PLACES[backend]))
    result = vlures(*LIVE[backend], "--concurrency", "40")
    assert result.code == 0, result
    assert f"{QUESTIONS} ok" in result.out, result


@BACKENDS
@pytest.mark.parametrize("call", ["upload", "create", "status", "content"])
def test_a_reply_about_a_batch_that_is_no_http_costs_nothing_twice(
    vlures: Command, shared_sandbox: Sandbox, backend: str, call: str
) -> None:
    vlures.use(shared_sandbox)
    faults = malformed(PREFIXES[backend] + call)[:: 8 if call == "upload" else 1]
    shared_sandbox.show(
        *(fault for fault in faults if call != "content" or fault.partition("how=")[2][:4] not in READABLE)
    )
    result = vlures(*BATCH[backend], "--batch-size", "1")
    assert result.code == 0, result
    assert f"{QUESTIONS} ok" in result.out, result
    assert set(shared_sandbox.paid.values()) == {1}, result


class Elsewhere(ThreadingHTTPServer):
    """Another server, which writes down who comes."""

    def __init__(self) -> None:
        self.visits: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.visits.append(f"{self.command} {self.path}")
                self.send_error(500)

            do_POST = do_DELETE = do_GET  # noqa: N815

        super().__init__(("127.0.0.1", 0), Handler)


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    with Elsewhere() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@BACKENDS
@pytest.mark.parametrize("status", [302, 307])
def test_a_live_call_follows_no_redirect(
    vlures: Command, shared_sandbox: Sandbox, elsewhere: Elsewhere, backend: str, status: int
) -> None:
    vlures.use(shared_sandbox)
    to = f"http://localhost:{elsewhere.server_port}/v1"
    shared_sandbox.show(f"redirect@{LIVE_PLACES[backend]}:status={status},to={to}")
    result = vlures(*LIVE[backend])
    assert result.code == 1, result
    assert f"redirects to http://localhost:{elsewhere.server_port}, which is not followed" in result.err, result
    assert elsewhere.visits == []


@BACKENDS
@pytest.mark.parametrize("call", ["upload", "create", "status", "content"])
def test_no_call_about_a_batch_follows_a_redirect(
    vlures: Command, shared_sandbox: Sandbox, elsewhere: Elsewhere, backend: str, call: str
) -> None:
    vlures.use(shared_sandbox)
    run = (*BATCH[backend], "--limit", "1", "--doubt-patience-s", "0.1")
    shared_sandbox.show(f"redirect@{PREFIXES[backend]}{call}:times=1,to=http://localhost:{elsewhere.server_port}/v1")
    result = vlures(*run)
    if call == "create":  # whether it was created is looked for
        assert "redirects to" in result.err, result
    else:
        assert result.code == 1, result
        assert f"redirects to http://localhost:{elsewhere.server_port}, which is not followed" in result.err, result
        result = vlures(*run)
    assert result.code == 0, result
    assert elsewhere.visits == []
    assert set(shared_sandbox.paid.values()) == {1}


@BACKENDS
def test_a_download_may_lead_to_another_path_of_the_same_server(
    vlures: Command, shared_sandbox: Sandbox, backend: str
) -> None:
    """As Gemini's do: https://github.com/maximhq/bifrost/pull/5579."""
    vlures.use(shared_sandbox)
    shared_sandbox.show(f"redirect@{PREFIXES[backend]}content:status=302,times=1,to=?alt=media&again")
    result = vlures(*BATCH[backend], "--limit", "1")
    assert result.code == 0, result


@BACKENDS
def test_a_live_reply_without_an_end_is_given_up(vlures: Command, shared_sandbox: Sandbox, backend: str) -> None:
    vlures.use(shared_sandbox)
    shared_sandbox.show(*(f"endless@{LIVE_PLACES[backend]}:how={how},times=1" for how in ENDLESS))
    result = vlures(*LIVE[backend], "--timeout-s", "2")
    assert result.code == 0, result
    assert f"{QUESTIONS} ok" in result.out, result


@BACKENDS
@pytest.mark.parametrize("call", ["create", "status"])
def test_a_reply_about_a_batch_without_an_end_is_given_up(
    vlures: Command, shared_sandbox: Sandbox, backend: str, call: str
) -> None:
    vlures.use(shared_sandbox)
    shared_sandbox.show(*(f"endless@{PREFIXES[backend]}{call}:how={how},times=1" for how in ENDLESS))
    result = vlures(*BATCH[backend], "--batch-size", "6", "--timeout-s", "2")
    assert result.code == 0, result
    assert set(shared_sandbox.paid.values()) == {1}


@BACKENDS
@pytest.mark.parametrize("how", ["huge", "bomb"])
def test_a_result_file_has_no_more_bytes_than_its_lines_can_have(
    vlures: Command, shared_sandbox: Sandbox, backend: str, how: str
) -> None:
    vlures.use(shared_sandbox)
    shared_sandbox.show(f"endless@{PREFIXES[backend]}content:how={how},times=1")
    result = vlures(*BATCH[backend], "--limit", "1", "--tasks", "1")
    assert result.code == 0, result
