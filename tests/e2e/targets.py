"""What the tests that run against several targets share: each provider, OpenAI over both of its endpoints."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.conftest import Command, Sandbox

Start = Callable[..., Sandbox]

OUTPUT = "mine"
REQUESTS = 2 * (6 + 5)
"""Two languages, a task for each of six images and one for each of five texts."""


@dataclass(frozen=True)
class Target:
    """A provider over one of its endpoints."""

    backend: str
    model: str
    live_place: str
    """The sandbox's name for a live call."""
    batch_prefix: str = ""
    """How the sandbox's names for the calls of a batch begin."""
    options: tuple[str, ...] = ()

    def run(self, mode: str, *options: str, dataset: str = "data") -> tuple[str, ...]:
        """Arguments of the command."""
        asked = ("--backend", self.backend, "--mode", mode, "--model", self.model, *self.options)
        return ("run", *asked, "--dataset", dataset, *options)

    def in_batches(self, *faults: str) -> list[str]:
        """Faults as this provider's batches meet them: `503@status` becomes `503@gemini_status`."""
        return [re.sub("@(?!line)", f"@{self.batch_prefix}", fault) for fault in faults]

    def live(self, *faults: str) -> list[str]:
        """Faults as live calls to this target meet them: `503:times=2` becomes `503@chat:times=2`."""
        return [re.sub("(:|$)", rf"@{self.live_place}\1", fault, count=1) for fault in faults]


TARGETS = {
    "openai": Target("openai", "gpt-6-luna", "chat"),
    "responses": Target("openai", "gpt-6-luna", "responses", options=("--endpoint", "responses")),
    "gemini": Target("gemini", "gemini-3.8-flash", "gemini", "gemini_"),
}
PROVIDERS = {name: TARGETS[name] for name in ("openai", "gemini")}
EACH_PROVIDER = pytest.mark.parametrize("target", PROVIDERS.values(), ids=PROVIDERS)


def run_in_batches(target: Target) -> tuple[str, ...]:
    """Arguments of a run of REQUESTS requests in as few batches as they fit in."""
    asked = ("--languages", "En,Ur", "--tasks", "1,7", "--name", OUTPUT, "--no-canary")
    return target.run("batch", *asked, "--poll-s", "0.2", "--doubt-patience-s", "2")


def start_with(start_sandbox: Start, target: Target, *faults: str, batch_s: float = 0.2) -> Sandbox:
    """A sandbox whose batches show faults."""
    options = [word for fault in target.in_batches(*faults) for word in ("--fault", fault)]
    return start_sandbox("--batch-seconds", str(batch_s), *options)


def assert_complete(vlures: Command, sandbox: Sandbox, requests: int = REQUESTS) -> None:
    """Every request has one answer of the model, and none was paid twice."""
    answers = vlures.answers(OUTPUT)
    assert len(answers) == requests
    assert all("sandbox" in text.lower() for text in answers.values())
    paid = sandbox.paid
    assert len(paid) == requests
    assert set(paid.values()) == {1}
