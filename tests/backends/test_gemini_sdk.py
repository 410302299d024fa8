"""Which SDK asks Gemini: what the retired one cannot carry is refused before anything is sent. What it does with what
it can carry is tested where it is installed: tests/generativeai."""

from __future__ import annotations

from datetime import date
from importlib.util import find_spec
from typing import Any

import pytest

from tests.conftest import Command
from vlures.backends import find_backend
from vlures.backends.models import check_model
from vlures.errors import UsageError
from vlures.runs.config import RunConfig, load_config

TODAY = date(2026, 11, 22)
RETIRED: dict[str, Any] = {"backend": "gemini", "sdk": "google-generativeai"}


def _check_model(config: RunConfig, today: date) -> str | None:
    provider = find_backend(config.who.backend, config.run_mode)
    return check_model(config.backend_options, provider, today)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"seed": 7}, "cannot carry `seed`"),
        ({"media_resolution": "low"}, "cannot carry `media_resolution`"),
        ({"thinking_level": "low"}, "cannot carry `thinking_level`"),
        ({"thinking_budget": 0}, "cannot carry `thinking_budget`"),
        ({"thinking_summary": True}, "cannot carry `thinking_summary`"),
        ({"service_tier": "flex"}, "cannot carry `service_tier`"),
        ({"max_output_tokens": 2**31}, "so large a `max_output_tokens`"),
        ({"mode": "batch"}, "has no batches"),
        ({"model": "publishers/x/y"}, "'publishers/x/y'"),
        ({"backend": "openai"}, "leave it out with --backend openai"),
    ],
)
@pytest.mark.parametrize("address", [None, "http://127.0.0.1:1"])
def test_what_the_retired_sdk_cannot_carry_is_refused(option: dict[str, Any], words: str, address: str | None) -> None:
    with pytest.raises(UsageError, match=words):
        _check_model(load_config(None, RETIRED | {"base_url": address} | option), TODAY)


def test_what_both_can_carry_is_the_same_to_both() -> None:
    set_here = {"temperature": 0.5, "top_p": 0.9, "max_output_tokens": 300, "model": "models/gemini-3.8-flash"}
    retired = load_config(None, RETIRED | set_here)
    assert _check_model(retired, TODAY) is None
    default = load_config(None, {"backend": "gemini"} | set_here)
    assert default.sdk == "google-genai"
    assert (retired.target.parameters, retired.target.model) == (default.target.parameters, default.target.model)


@pytest.mark.skipif(find_spec("google.generativeai") is not None, reason="the SDK is installed here")
def test_an_sdk_that_is_not_installed_is_one_sentence(vlures: Command) -> None:
    result = vlures("run", "--sandbox", "--backend", "gemini", "--sdk", "google-generativeai", "--dataset", "data")
    assert result.code == 1, result
    assert "pip install 'vlures[generativeai]'" in result.err
    assert len(result.err.strip().splitlines()) == 1
    assert not (vlures.folder / "outputs").exists()
