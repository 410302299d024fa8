"""Connects OpenAI, or a server that speaks its language: batches and live calls, over the SDK."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import httpx2
from openai import AsyncOpenAI

from vlures.backends import Backend, Journal, Setup
from vlures.backends.batch.accounts import SANDBOX_ACCOUNT
from vlures.backends.batch.client import BatchPolicy
from vlures.backends.batch.driver import BatchDriver
from vlures.backends.live.client import LivePolicy
from vlures.backends.live.driver import LiveDriver
from vlures.backends.openai.addresses import is_official
from vlures.backends.openai.batch import MOST_LINES, OpenAIBatch, account_of
from vlures.backends.openai.bodies import make_bodies
from vlures.backends.openai.facts import ADDRESS, FACTS
from vlures.backends.openai.hints import hint_at_setup
from vlures.backends.openai.image_files import find_file
from vlures.backends.openai.keys import NO_KEY
from vlures.backends.openai.live import OpenAILive
from vlures.backends.openai.models import MOST_BATCH_BYTES
from vlures.backends.openai.parameter_names import ParameterNames
from vlures.backends.retry import Patience
from vlures.config.environment import find_address, find_key, find_value
from vlures.config.sections import BackendOptions
from vlures.errors import UsageError
from vlures.records import Image

OPENAI_MODELS = re.compile(r"(openai/)?(gpt-\d|chatgpt|o\d)")
"""Models that refuse `max_tokens`, wherever they are served. It is the older name, and some servers of other models
know no other: https://github.com/ollama/ollama/issues/7125."""


def connect_batch(setup: Setup) -> Backend:
    """OpenAI's Batch API, over chat completions or responses."""
    options = setup.options
    patience = _make_patience(setup)
    client = OpenAIBatch(
        _client_settings(setup),
        make_bodies(options, _find_names(setup)),
        setup.journal,
        patience,
        setup.observer,
        options.live.timeout_s,
        connections=setup.connections,
        is_sandbox=setup.sandbox_url is not None,
    )
    policy = BatchPolicy.of(options, MOST_LINES, MOST_BATCH_BYTES, setup.connections)
    return BatchDriver(client, policy, patience, setup.observer, setup.budget)


def connect_live(setup: Setup) -> Backend:
    """One call per request, to OpenAI or to any server that speaks its chat completions."""
    options = setup.options
    client_settings = _client_settings(setup)
    official = is_official(client_settings["base_url"])
    bodies = make_bodies(options, _find_names(setup))
    client = OpenAILive(client_settings, bodies, setup.journal, options.live.concurrency, official=official)
    patience = _make_patience(setup)
    return LiveDriver(
        client, LivePolicy.of(options), patience, setup.observer, setup.keep_going, setup.budget, setup.may_send
    )


def _make_patience(setup: Setup) -> Patience:
    address = client_address(setup.options, setup.environment, setup.sandbox_url)
    official = setup.sandbox_url is not None or is_official(address)
    name = FACTS.title if official else f"The server at {urlsplit(address).netloc.rpartition('@')[2]}"
    hint = partial(hint_at_setup, official=official)
    return Patience.of(name, setup.options.contact, setup.observer.trouble, hint, answered=setup.has_answers)


def _find_names(setup: Setup) -> ParameterNames:
    model = setup.options.target.model
    address = client_address(setup.options, setup.environment, setup.sandbox_url)
    is_older = not is_official(address) and not OPENAI_MODELS.match(model)
    usual = {"max_completion_tokens": "max_tokens"} if is_older else {}
    place = f"{model} at {SANDBOX_ACCOUNT if setup.sandbox_url else address}"
    return ParameterNames(usual, setup.journal, place, setup.observer.say)


def find_uploaded(options: BackendOptions, environment: Mapping[str, str], journal: Journal) -> Callable[[Image], bool]:
    """A test whether the account that a run would use has an image as a file. Without a key: always False."""
    try:
        settings = client_options(options, environment, None)
    except UsageError:
        return lambda _: False
    account = account_of(AsyncOpenAI(**settings, http_client=httpx2.AsyncClient(trust_env=False)))
    return lambda image: find_file(journal, account, image) is not None


def _client_settings(setup: Setup) -> dict[str, Any]:
    return client_options(setup.options, setup.environment, setup.sandbox_url)


def client_options(options: BackendOptions, environment: Mapping[str, str], sandbox_url: str | None) -> dict[str, Any]:
    """Options of the SDK's clients, which never retry by themselves: a retried creation would be a second paid batch.
    The sandbox never sees a real key.

    Raises UsageError if a required key is missing.
    """
    address = client_address(options, environment, sandbox_url)
    return {
        "api_key": "sandbox" if sandbox_url else _find_key(environment, address),
        "base_url": address,
        "organization": environment.get("OPENAI_ORG_ID"),
        "project": environment.get("OPENAI_PROJECT_ID"),
        "max_retries": 0,
    }


def client_address(options: BackendOptions, environment: Mapping[str, str], sandbox_url: str | None) -> str:
    """The address that is asked: the user's own, the provider's, or the sandbox's."""
    if sandbox_url:
        return f"{sandbox_url}/openai/v1"
    return find_address(options.target.base_url, environment, FACTS.address_variable) or ADDRESS


def _find_key(environment: Mapping[str, str], address: str | None) -> str:
    """The key; for the user's own server NO_KEY if no key is set."""
    if not is_official(address) and not any(find_value(environment, name) for name in FACTS.key_variables):
        return NO_KEY
    return find_key(environment, *FACTS.key_variables)
