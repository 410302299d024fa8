"""A sandbox in a process of its own, and the SDK clients that speak to it."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import openai
import pytest
from google import genai
from google.genai import types

from tests.conftest import REPOSITORY
from tests.sandbox.specs import SpecChecker, load_checker

BATCH_S = 0.25


@dataclass
class Sandbox:
    """A running sandbox and the SDK clients that speak to it."""

    base: str
    process: subprocess.Popen[str]
    openai: openai.OpenAI
    gemini: genai.Client

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.base + path) as reply:
            return json.loads(reply.read())

    def ledger(self) -> list[dict[str, Any]]:
        with urllib.request.urlopen(self.base + "/sandbox/ledger") as reply:
            return [json.loads(line) for line in reply]

    def faults(self, *texts: str) -> None:
        self.send("DELETE", "/sandbox/faults")
        if texts:
            self.send("POST", "/sandbox/faults", json.dumps(texts).encode())

    def send(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes, dict[str, str]]:
        """A bare request, for what an SDK would never send."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.base + path, body or None, names, method=method)
        try:
            with urllib.request.urlopen(request) as reply:
                return reply.status, reply.read(), {name.lower(): value for name, value in reply.headers.items()}
        except urllib.error.HTTPError as error:
            return error.code, error.read(), {name.lower(): value for name, value in error.headers.items()}


def gemini_client(base: str, key: str = "any", timeout_ms: int = 5000) -> genai.Client:
    options = types.HttpOptions(
        base_url=base + "/gemini", timeout=timeout_ms, retry_options=types.HttpRetryOptions(attempts=1)
    )
    return genai.Client(vertexai=False, api_key=key, http_options=options)


def openai_client(base: str, key: str = "any", timeout_s: float = 5.0) -> openai.OpenAI:
    return openai.OpenAI(api_key=key, base_url=base + "/openai/v1", max_retries=0, timeout=timeout_s)


def launch(*options: str, checked: bool = False) -> Sandbox:
    """Start a sandbox. checked: it checks each request against the published specifications."""
    command = [
        sys.executable,
        "-m",
        "tests.sandbox.specs" if checked else "vlures.sandbox",
        "--until-stdin-closes",
        "--batch-seconds",
        str(BATCH_S),
        *options,
    ]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
    assert process.stdout
    line = process.stdout.readline()
    assert line.startswith("vlures sandbox listening on http://127.0.0.1:"), line
    base = line.split()[-1]
    return Sandbox(base, process, openai_client(base), gemini_client(base))


def stop(sandbox: Sandbox) -> int:
    assert sandbox.process.stdin
    sandbox.process.stdin.close()
    return sandbox.process.wait(timeout=10)


@contextmanager
def running(*options: str, checked: bool = False) -> Iterator[Sandbox]:
    sandbox = launch(*options, checked=checked)
    try:
        yield sandbox
    finally:
        stop(sandbox)


@pytest.fixture(scope="module")
def shared() -> Iterator[Sandbox]:
    with running() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(shared: Sandbox) -> Sandbox:
    shared.faults()
    return shared


@pytest.fixture(scope="module")
def checker() -> SpecChecker:
    return load_checker()
