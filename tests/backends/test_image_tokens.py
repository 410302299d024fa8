"""What an image takes in tokens, by the providers' published formulas."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlures.backends import find_provider
from vlures.backends.openai.image_tokens import (
    AS_IT_IS,
    HIGH,
    LARGE_ORIGINAL,
    MOST_PATCHES,
    SMALL_HIGH,
    Budget,
    count_patches,
)
from vlures.backends.provider import Provider
from vlures.pricing import most_image_tokens


def provider_of(name: str) -> Provider:
    provider = find_provider(name)
    assert provider is not None
    return provider


def test_the_guides_own_example_of_scaling() -> None:
    assert count_patches(1800, 2400, SMALL_HIGH) == 1_452
    assert count_patches(1024, 1024, AS_IT_IS) == 1_024
    assert count_patches(6000, 6000, AS_IT_IS) == 35_344
    assert count_patches(6000, 6000, LARGE_ORIGINAL) == 10_000


@pytest.mark.parametrize(
    ("provider", "model", "width", "height", "detail", "tokens"),
    [
        ("openai", "gpt-5.6-luna", 640, 480, "original", 360),
        ("openai", "gpt-5.6-luna", 640, 480, "high", 360),
        ("openai", "gpt-5.4-mini", 640, 480, None, 360),
        ("openai", "gpt-5.6-luna", 640, 480, "low", 230),
        ("openai", "gpt-6-astra", 1024, 1024, "high", 1_229),
        ("openai", "gpt-6-astra", 1920, 1080, None, 2_448),
        ("openai", "gpt-6-astra", 1920, 1080, "high", 2_448),
        ("openai", "gpt-5.4-nano", 1920, 1080, "auto", 1_810),
        ("openai", "gpt-5.6-sol", 4000, 3000, None, 14_100),
        ("openai", "gpt-5.6-sol", 4000, 3000, "auto", 14_100),
        ("openai", "gpt-5.6-sol", 4000, 3000, "high", 2_941),
        ("openai", "gpt-5.4", 4000, 3000, None, 2_941),
        ("openai", "gpt-5-mini", 4000, 3000, "high", 1_742),
        ("openai", "gpt-6-astra", 6000, 6000, "high", 3_000),
        ("openai", "gpt-6-astra", 6000, 6000, "original", 0),
        ("openai", "gpt-5.5", 6000, 6000, "original", 12_000),
        ("openai", "gpt-6-astra", 2496, 1664, "high", 2_880),
        ("openai", "gpt-6-astra", 2496, 1664, "original", 4_867),
        ("openai", "gpt-4o", 640, 480, None, 425),
        ("openai", "gpt-4o", 1024, 1024, "high", 765),
        ("openai", "gpt-4o", 1920, 1080, "high", 1_105),
        ("openai", "gpt-4.1", 4000, 3000, "high", 765),
        ("openai", "gpt-4o", 4000, 3000, "low", 85),
        ("openai", "gpt-4o-mini", 640, 480, None, 14_167),
        ("openai", "gpt-4o-mini", 1024, 1024, None, 25_501),
        ("openai", "gpt-5", 1024, 1024, None, 630),
        ("openai", "o3", 1024, 1024, None, 675),
        ("gemini", "gemini-2.5-flash", 384, 384, None, 258),
        ("gemini", "gemini-2.5-flash", 960, 540, None, 1_548),
        ("gemini", "gemini-2.5-pro", 1000, 1000, "high", 1_032),
        ("gemini", "gemini-2.5-flash-lite", 960, 540, "low", 64),
        ("gemini", "gemini-2.0-flash-001", 960, 540, "medium", 256),
        ("gemini", "gemini-3.8-flash", 960, 540, None, 1_120),
        ("gemini", "gemini-3.8-flash", 6000, 6000, "high", 1_120),
        ("gemini", "gemini-3.5-flash-lite", 960, 540, "medium", 560),
        ("gemini", "gemini-3.1-pro-preview", 960, 540, "low", 280),
    ],
)
def test_images_by_the_published_formulas(
    provider: str, model: str, width: int, height: int, detail: str | None, tokens: int
) -> None:
    option = {"openai": "image_detail", "gemini": "media_resolution"}[provider]
    parameters = {option: detail} if detail else {}
    for asked in (model, f"{model}-2026-03-17") if provider == "openai" else (model,):
        assert provider_of(provider).image_tokens(asked, width, height, parameters) == tokens


@pytest.mark.parametrize(
    ("provider", "model", "parameters"),
    [
        ("openai", "gpt-6-luna", {}),
        ("openai", "gpt-6-sol", {}),
        ("openai", "gpt-6.2-astra", {"image_detail": "high"}),
        ("openai", "gpt-5.4-mini", {"image_detail": "original"}),
        ("openai", "gpt-4o", {"image_detail": "original"}),
        ("openai", "ft:gpt-4o:us", {}),
        ("gemini", "gemini-4-argon", {}),
    ],
)
def test_what_no_formula_covers_is_unknown_but_has_an_upper_end(
    provider: str, model: str, parameters: dict[str, Any]
) -> None:
    assert provider_of(provider).image_tokens(model, 640, 480, parameters) is None
    assert most_image_tokens(provider_of(provider), model, 640, 480, parameters) >= 738


def test_an_image_that_is_refused_costs_nothing_and_is_said() -> None:
    describe_refusal = provider_of("openai").describe_refusal
    sentence = describe_refusal("gpt-6-astra", 6000, 6000, {})
    assert sentence is not None
    assert "35,344 patches" in sentence
    assert "--image-detail high" in sentence
    assert describe_refusal("gpt-6-astra", 6000, 6000, {"image_detail": "high"}) is None
    assert describe_refusal("gpt-6-luna", 6000, 6000, {}) is None


side = st.integers(min_value=1, max_value=20_000)


@given(side, side, st.sampled_from([HIGH, SMALL_HIGH, LARGE_ORIGINAL, Budget(side_px=512)]))
def test_a_scaled_image_keeps_to_its_budget(width: int, height: int, budget: Budget) -> None:
    patches = count_patches(width, height, budget)
    assert 1 <= patches <= count_patches(width, height, AS_IT_IS)
    # A strip one patch high cannot be scaled any further down in that direction.
    assert patches <= max(budget.patches or 256, -(-(budget.side_px or 0) // 32))


@given(side, side, st.sampled_from(["gpt-6-astra", "gpt-6-luna", "gpt-4o", "gpt-5.5"]))
def test_what_an_image_takes_at_most_is_no_less_than_the_formula(width: int, height: int, model: str) -> None:
    known = provider_of("openai").image_tokens(model, width, height, {})
    most = most_image_tokens(provider_of("openai"), model, width, height, {})
    assert most >= (known or 0)
    assert most <= max(MOST_PATCHES * 2.46, 1.25 * (known or 0)) + 1
