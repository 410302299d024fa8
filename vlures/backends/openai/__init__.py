"""OpenAI, and every server that speaks its language: batches and live calls."""

from __future__ import annotations

import re
from typing import Any

from vlures.backends import Backend, Setup
from vlures.backends.batch import BatchDriver, BatchPolicy
from vlures.backends.live import LiveDriver, LivePolicy
from vlures.backends.openai.batch import MOST_BYTES, MOST_LINES, OpenAIBatch
from vlures.backends.openai.bodies import make_bodies
from vlures.backends.openai.errors import PROVIDER
from vlures.backends.openai.live import OpenAILive
from vlures.backends.patience import Patience
from vlures.config import find_address, find_key
from vlures.errors import UsageError

OPENAI_MODELS = re.compile(r"(openai/)?(gpt-\d|chatgpt|o\d)")
"""Models that refuse `max_tokens`, wherever they are served. The others' servers have known that word for longest, and
some know no other: https://github.com/ollama/ollama/issues/7125."""


def connect_batch(setup: Setup) -> Backend:
    """OpenAI's Batch API, over chat completions or responses."""
    config = setup.config
    patience = Patience(PROVIDER, config.retry_budget_s, config.first_contact_s, setup.observer.say)
    client = OpenAIBatch(client_options(setup), make_bodies(config), setup.journal, patience, setup.observer)
    return BatchDriver(client, BatchPolicy.of(config, MOST_LINES, MOST_BYTES), patience, setup.observer)


def connect_live(setup: Setup) -> Backend:
    """One call per request, to OpenAI or to any server that speaks its chat completions."""
    config = setup.config
    options = client_options(setup)
    official = is_official(options["base_url"])
    bodies = make_bodies(config)
    if not official and not OPENAI_MODELS.match(config.run_model):
        bodies.allowance = "max_tokens"
    client = OpenAILive(options, bodies, setup.journal, config.concurrency, official=official)
    patience = Patience(PROVIDER, config.retry_budget_s, config.first_contact_s, setup.observer.say)
    return LiveDriver(client, LivePolicy.of(config), patience, setup.observer, setup.keep_going)


def client_options(setup: Setup) -> dict[str, Any]:
    """Options of the SDK's clients, which never retry by themselves: a retried creation would be a second paid batch.

    Raises UsageError if there is no key where one is needed. The sandbox is not shown a real one.
    """
    config, environment, sandbox_url = setup.config, setup.environment, setup.sandbox_url
    address = f"{sandbox_url}/openai/v1" if sandbox_url else find_address(config, environment, "OPENAI_BASE_URL")
    return {
        "api_key": "sandbox" if sandbox_url else _find_key(setup, address),
        "base_url": address,
        "organization": environment.get("OPENAI_ORG_ID"),
        "project": environment.get("OPENAI_PROJECT_ID"),
        "max_retries": 0,
    }


def _find_key(setup: Setup, address: str | None) -> str:
    """A server of one's own needs no key, but is shown one that is there."""
    try:
        return find_key(setup.environment, "OPENAI_API_KEY")
    except UsageError:
        if is_official(address) or setup.environment.get("OPENAI_API_KEY", "").strip():
            raise
        return "none"


def is_official(address: str | None) -> bool:
    """Whether an address is OpenAI's own."""
    return address is None or re.match(r"https?://([\w-]+\.)*openai\.com([:/]|$)", address) is not None
