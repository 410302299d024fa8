"""What is known of models: which are gone, which parameters a provider or a model does not have."""

import re
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from vlures.backends import PROVIDERS, all_providers, find_backend
from vlures.backends.models import check_model
from vlures.errors import UsageError
from vlures.runs.config import RunConfig, load_config

TODAY = date(2026, 11, 22)


def config(backend: str, model: str | None = None, **values: Any) -> RunConfig:
    return load_config(None, {"backend": backend, "model": model, **values})


def _check_model(config: RunConfig, today: date) -> str | None:
    provider = find_backend(config.who.backend, config.run_mode)
    return check_model(config.backend_options, provider, today)


@pytest.mark.parametrize(
    ("backend", "model", "instead"),
    [
        ("gemini", "gemini-1.5-flash", "gemini-3.5-flash-lite"),
        ("gemini", "gemini-1.5-pro-latest", "gemini-3.8-flash"),
        ("gemini", "gemini-2.0-flash", "gemini-3.8-flash"),
        ("gemini", "gemini-3.7-flash", "gemini-3.8-flash"),
        ("openai", "gpt-4-turbo-2024-04-09", "gpt-6-sol"),
        ("openai", "gpt-4.1-nano", "gpt-6-luna"),
        ("openai", "o4-mini-2025-04-16", "gpt-6-luna"),
    ],
)
def test_a_model_that_is_gone_is_refused_with_the_nearest_living_one(backend: str, model: str, instead: str) -> None:
    with pytest.raises(UsageError, match=rf"{re.escape(model)} .*--model {re.escape(instead)} "):
        _check_model(config(backend, model), TODAY)
    assert _check_model(config(backend, model, base_url="http://127.0.0.1:1/v1"), TODAY) is None


@pytest.mark.parametrize(
    "model",
    ["gpt-6-luna", "gpt-6.2-astra", "gpt-5.6-terra", "gpt-5.4-mini", "gpt-99", "ft:gpt-4-turbo:mine", *PROVIDERS],
)
def test_a_model_that_is_not_listed_is_taken_to_be_alive(model: str) -> None:
    assert _check_model(config("openai", model), TODAY) is None


def test_a_model_near_its_end_is_announced_and_one_far_from_it_is_not() -> None:
    asked = config("openai", "gpt-4o")
    assert _check_model(asked, date(2026, 11, 1)) is None
    assert "2027-01-14" in (_check_model(asked, date(2026, 12, 1)) or "")
    with pytest.raises(UsageError, match="gpt-6-sol"):
        _check_model(asked, date(2027, 1, 14))
    rerouted = _check_model(config("gemini", "gemini-2.5-flash"), TODAY)
    assert rerouted is not None
    assert "answered by gemini-3.5-flash-lite" in rerouted


def test_no_run_is_sent_to_a_model_that_is_gone_itself() -> None:
    for provider in all_providers():
        for ending in provider.endings:
            assert _check_model(config(provider.name, ending.instead), provider.listed_on) is None


OPENAI, GEMINI = config("openai"), config("gemini")


@pytest.mark.parametrize(
    ("base", "values", "words"),
    [
        (GEMINI, {"image_detail": "high"}, "`image_detail`"),
        (GEMINI, {"reasoning_effort": "low"}, "`reasoning_effort`"),
        (GEMINI, {"endpoint": "responses"}, "--endpoint"),
        (GEMINI, {"service_tier": "default"}, "flex and priority"),
        (GEMINI, {"thinking_budget": 0}, "thinking_level, not thinking_budget"),
        (GEMINI, {"model": "gemini-2.5-flash-lite", "thinking_level": "low"}, "thinking_budget, not thinking_level"),
        (GEMINI, {"thinking_level": "low", "thinking_budget": 5}, "not both"),
        (OPENAI, {"media_resolution": "low"}, "`media_resolution`"),
        (OPENAI, {"endpoint": "responses", "seed": 1}, "no `seed`"),
        (OPENAI, {"thinking_summary": True}, "--endpoint responses"),
        (OPENAI, {"image_transport": "url"}, "--image-url-template"),
        (OPENAI, {"image_url_template": "https://x/{id}"}, "--image-transport url"),
        (OPENAI, {"top_p": 0.5}, "top_p"),
    ],
)
def test_what_the_provider_or_the_model_does_not_take_is_refused(
    base: RunConfig, values: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        _check_model(replace(base, **values), TODAY)


@pytest.mark.parametrize(
    ("base", "values"),
    [
        (GEMINI, {"thinking_level": "low", "media_resolution": "high", "seed": 1}),
        (GEMINI, {"model": "gemini-2.5-flash-lite", "thinking_budget": 0, "temperature": 0.5}),
        (GEMINI, {"service_tier": "flex", "thinking_summary": True}),
        (OPENAI, {"reasoning_effort": "none", "temperature": 0.5}),
        (OPENAI, {"temperature": 1.0, "seed": 3, "image_detail": "low"}),
        (OPENAI, {"endpoint": "responses", "image_transport": "file", "thinking_summary": True}),
        (OPENAI, {"mode": "live", "service_tier": "flex"}),
        (OPENAI, {"model": "my-llava", "base_url": "http://127.0.0.1:8000/v1", "temperature": 0.0, "mode": "live"}),
    ],
)
def test_what_they_take_is_not(base: RunConfig, values: dict[str, Any]) -> None:
    assert _check_model(replace(base, **values), TODAY) is None
