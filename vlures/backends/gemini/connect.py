"""Connects Gemini: live calls and batches."""

from __future__ import annotations

from vlures.backends import Backend, Setup
from vlures.backends.batch.accounts import SANDBOX_ACCOUNT, describe_account
from vlures.backends.batch.client import BatchPolicy
from vlures.backends.batch.driver import BatchDriver
from vlures.backends.gemini.facts import ADDRESS, FACTS
from vlures.backends.gemini.live import GeminiLive
from vlures.backends.gemini.versions import ApiVersion, split_version
from vlures.backends.live.client import LiveClient, LivePolicy
from vlures.backends.live.driver import LiveDriver
from vlures.backends.retry import Patience
from vlures.config.environment import find_address, find_key
from vlures.errors import VluresError


def connect_live(setup: Setup) -> Backend:
    """Gemini's generateContent, many requests at a time."""
    options = setup.options
    client = _find_live_client(setup)
    patience = Patience.of(FACTS.title, options.contact, setup.observer.trouble, answered=setup.has_answers)
    return LiveDriver(
        client, LivePolicy.of(options), patience, setup.observer, setup.keep_going, setup.budget, setup.may_send
    )


def connect_batch(setup: Setup) -> Backend:
    """Gemini's Batch API, over files of its Files API. Only this loads the SDK, which takes half a second."""
    from vlures.backends.gemini.batch import MOST_BYTES, MOST_LINES, GeminiBatch

    options = setup.options
    key, address = _find_access(setup)
    host, version = _find_version(setup, address)
    client = GeminiBatch(
        key,
        host,
        version,
        options.target.model,
        account=SANDBOX_ACCOUNT if setup.sandbox_url else describe_account(address or "Google's address", {"key": key}),
        summary=options.generation.thinking_summary,
        keep_think_tags=options.generation.keep_think_tags,
        timeout_s=options.live.timeout_s,
        connections=setup.connections,
    )
    patience = Patience.of(FACTS.title, options.contact, setup.observer.trouble, answered=setup.has_answers)
    policy = BatchPolicy.of(options, MOST_LINES, MOST_BYTES, setup.connections)
    return BatchDriver(client, policy, patience, setup.observer, setup.budget)


def _find_live_client(setup: Setup) -> LiveClient:
    """The client for live calls: by default our own (`live.py` says why), else the chosen SDK's.

    Raises UsageError for a missing key, VluresError for an SDK that cannot be loaded.
    """
    options = setup.options
    key, address = _find_access(setup)
    if options.provider.sdk == "google-genai":
        host, version = _find_version(setup, address)
        return GeminiLive(
            key,
            host,
            version,
            options.live.concurrency,
            options.target.service_tier,
            summary=options.generation.thinking_summary,
            keep_think_tags=options.generation.keep_think_tags,
        )
    try:
        from vlures.backends.gemini.generativeai import SUPPORT_ENDED, GenerativeAILive
    except ImportError as error:
        raise VluresError(
            f"google-generativeai cannot be loaded ({error}); get it with `pip install 'vlures[generativeai]'`, or "
            "leave --sdk out."
        ) from error
    client = GenerativeAILive(
        key,
        address,
        options.live.concurrency,
        options.find_timeout_s(),
        keep_think_tags=options.generation.keep_think_tags,
    )
    setup.observer.say(SUPPORT_ENDED)
    return client


def _find_version(setup: Setup, address: str | None) -> tuple[str | None, ApiVersion]:
    """The address without its version, and the version to ask for."""
    host, chosen = split_version(address)
    place = SANDBOX_ACCOUNT if setup.sandbox_url else host or ADDRESS
    return host, ApiVersion(chosen, setup.journal, place, setup.observer.say)


def _find_access(setup: Setup) -> tuple[str, str | None]:
    """Key and address. The sandbox never sees a real key. Raises UsageError if there is none."""
    if setup.sandbox_url:
        return "sandbox", f"{setup.sandbox_url}/gemini"
    key = find_key(setup.environment, *FACTS.key_variables)
    return key, find_address(setup.options.target.base_url, setup.environment, FACTS.address_variable)
