"""Tokens and money: the providers' published figures, the ranges around them, and the brake that keeps a limit."""

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlures.backends import all_providers
from vlures.benchmarks.vlures.answer_length import expect_tokens
from vlures.benchmarks.vlures.languages import LANGUAGES
from vlures.benchmarks.vlures.prompts import build_cell_prompt, load_pack
from vlures.benchmarks.vlures.settings import Setting, make_cell, parse_cell
from vlures.benchmarks.vlures.tasks import TASKS
from vlures.errors import UsageError
from vlures.pricing import (
    Estimate,
    Price,
    RequestEstimator,
    TextCounter,
    Totals,
    calibrate,
    cost,
    cost_range,
    describe_calibration,
    describe_change,
    describe_gaps,
    expect_output,
    find_price,
    format_usd,
    highest_cost,
    recalibrate,
    require_price,
)
from vlures.pricing.text_tokens import MESSAGE_TOKENS, find_script
from vlures.records import Image, Prompt, Request, Usage

NOW = datetime(2026, 11, 22, tzinfo=UTC)
SETTING = Setting()
PRICE = Price(input=1.0, output=10.0, cached_input=0.1, cache_write=1.25, source="a test", cached_from_tokens=1_024)
PROVIDERS = {provider.name: provider for provider in all_providers()}
OPENAI, GEMINI = PROVIDERS["openai"], PROVIDERS["gemini"]


# Texts


def test_a_text_is_counted_by_its_script_and_language(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    counter = TextCounter(OPENAI, "gpt-6-luna")
    assert counter.by == "the number of characters"
    assert counter.count("a" * 440, "en") == 100
    assert counter.count("a" * 330, "sw") == 100
    assert counter.count("あ" * 120, "ja") == 100
    assert counter.count("ا" * 280, "ur") == 100
    assert counter.count("", "en") == 0
    # An English article in a Japanese or Urdu question, and the other way round.
    assert counter.count("a" * 440, "ja") == 100
    assert counter.count("あ" * 120, "en") == 100
    assert find_script("Café, naïve", "sw") == "sw"


def test_a_prompt_is_its_pieces_and_what_messages_take(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    counter = TextCounter(OPENAI, "gpt-6-luna")
    prompt = Prompt("s" * 44, ("b" * 88, "c" * 44))
    assert counter.count_prompt(prompt, "en") == 10 + 20 + 10 + MESSAGE_TOKENS


def test_nothing_heavy_is_loaded_on_import() -> None:
    loaded = "import sys, vlures.pricing; print(sorted({'tiktoken', 'genai_prices', 'pydantic'} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


# Answers


ENGLISH_TOKENS = expect_tokens(4, SETTING)


def test_an_answer_is_a_range_that_keeps_to_its_allowance() -> None:
    plain = expect_output(OPENAI, "gpt-4o", ENGLISH_TOKENS, "en", {})
    assert plain.low < plain.expected < plain.high
    assert not plain.bounded
    bounded = expect_output(OPENAI, "gpt-4o", ENGLISH_TOKENS, "en", {"max_output_tokens": 300})
    assert bounded.expected == bounded.high == 300
    assert bounded.bounded
    assert (
        expect_output(OPENAI, "gpt-4o", expect_tokens(4, Setting(rationales=False)), "en", {}).expected < plain.expected
    )
    assert expect_output(OPENAI, "gpt-4o", ENGLISH_TOKENS, "ja", {}).expected > plain.expected
    assert expect_output(OPENAI, "gpt-4o", expect_tokens(4, Setting(shots=0)), "en", {}).expected > plain.expected


# Prices


@pytest.mark.parametrize(
    ("provider", "model", "standard"),
    [
        ("openai", "gpt-6.2-astra", (8, 40)),
        ("openai", "gpt-6.2-sol", (2, 10)),
        ("openai", "gpt-6-astra", (10, 50)),
        ("openai", "gpt-6.1-sol", (2, 10)),
        ("openai", "gpt-6-sol", (2, 10)),
        ("openai", "gpt-6.1-terra", (1, 5)),
        ("openai", "gpt-6-luna", (0.10, 0.50)),
        ("openai", "gpt-6-luna-2026-09-22", (0.10, 0.50)),
        ("openai", "gpt-5.6-sol", (4, 20)),
        ("openai", "gpt-5.6-terra", (2, 12)),
        ("openai", "gpt-5.6-luna", (0.2, 1.2)),
        ("openai", "gpt-5.5", (5, 30)),
        ("openai", "gpt-5.4", (2.5, 15)),
        ("openai", "gpt-5.4-mini", (0.75, 4.5)),
        ("openai", "gpt-5.4-nano", (0.2, 1.25)),
        ("openai", "gpt-4o", (2.5, 10)),
        ("openai", "gpt-4.1-mini", (0.4, 1.6)),
        ("gemini", "gemini-3.8-flash", (0.75, 3.75)),
        ("gemini", "gemini-3.5-flash-lite", (0.30, 2.50)),
        ("gemini", "gemini-3.5-flash", (1.50, 9.00)),
        ("gemini", "gemini-3.1-flash-lite", (0.25, 1.50)),
        ("gemini", "gemini-3.1-pro-preview", (2, 12)),
        ("gemini", "gemini-2.5-pro", (1.25, 10)),
        ("gemini", "gemini-2.5-flash-lite", (0.10, 0.40)),
    ],
)
@pytest.mark.parametrize("when", [NOW, datetime(2026, 10, 1, tzinfo=UTC)])
def test_a_batch_costs_half_of_the_listed_price(
    provider: str, model: str, standard: tuple[float, float], when: datetime
) -> None:
    live = find_price(PROVIDERS[provider], model, "live", None, when)
    batch = find_price(PROVIDERS[provider], model, "batch", None, when)
    assert live is not None
    assert batch is not None
    assert (live.input, live.output) == standard
    assert (batch.input, batch.output) == pytest.approx((standard[0] / 2, standard[1] / 2))
    assert live.cached_input <= live.input <= live.cache_write
    assert "batch" in batch.source


def test_a_table_without_a_batch_price_is_noticed() -> None:
    """genai-prices has none for gemini-3.5-flash and answers with the standard one."""
    batch = find_price(GEMINI, "gemini-3.5-flash", "batch", None, NOW)
    assert batch is not None
    assert (batch.input, batch.output) == (0.75, 4.5)
    assert batch.source.endswith("halved for batch")


def test_tiers_of_live_calls() -> None:
    def live(provider: str, model: str, tier: str | None) -> tuple[float, float]:
        price = find_price(PROVIDERS[provider], model, "live", tier, NOW)
        assert price is not None
        return price.input, price.output

    assert live("openai", "gpt-6-luna", "flex") == (0.05, 0.25)
    assert live("openai", "gpt-6-luna", "default") == live("openai", "gpt-6-luna", "auto") == (0.1, 0.5)
    assert live("openai", "gpt-6-luna", "priority") == (0.2, 1.0)
    assert live("gemini", "gemini-3.8-flash", "flex") == (0.375, 1.875)
    assert live("gemini", "gemini-3.8-flash", "priority")[0] >= 0.75 * 1.75
    # Flex is not for every model of OpenAI's: no source says that it would be cheaper.
    assert live("openai", "gpt-4o", "flex") == (2.5, 10)


def test_the_end_of_a_promotion_is_known_by_its_date() -> None:
    before = find_price(GEMINI, "gemini-3.8-flash", "batch", None, datetime(2026, 12, 31, 23, tzinfo=UTC))
    after = find_price(GEMINI, "gemini-3.8-flash", "batch", None, datetime(2027, 1, 1, tzinfo=UTC))
    assert before is not None
    assert after is not None
    assert (before.input, before.output) == (0.375, 1.875)
    assert (after.input, after.output) == (0.75, 3.75)
    sentence = describe_change(GEMINI, "gemini-3.8-flash", "live", None, NOW)
    assert sentence == (
        "From 2027-01-01 on, gemini-3.8-flash costs 1.5 and 7.5 USD per million tokens of input and output, instead of "
        "0.75 and 3.75."
    )
    assert describe_change(GEMINI, "gemini-3.8-flash", "live", None, datetime(2026, 10, 20, tzinfo=UTC)) is None
    assert describe_change(OPENAI, "gpt-6-luna", "batch", None, NOW) is None


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "gpt-6"),
        ("openai", "gpt-7-luna"),
        ("openai", "ft:gpt-6-luna:me"),
        ("openai", ""),
        ("openai", "gemini-3.8-flash"),
        ("gemini", "gemini-9-krypton"),
        ("gemini", "gpt-6-luna"),
    ],
)
def test_an_unlisted_model_has_no_price(provider: str, model: str) -> None:
    assert find_price(PROVIDERS[provider], model, "batch", None, NOW) is None
    assert describe_change(PROVIDERS[provider], model, "batch", None, NOW) is None
    with pytest.raises(UsageError, match=r"--max-cost cannot be kept; add price_input and price_output"):
        require_price(None, model)


def test_the_users_own_price_wins() -> None:
    own = find_price(OPENAI, "any", "batch", None, NOW, price_input=3, price_output=4)
    assert own is not None
    assert (own.input, own.output, own.cached_input, own.cache_write) == (3, 4, 3, 3)
    assert "configuration" in own.source
    half = find_price(OPENAI, "gpt-6-luna", "live", None, NOW, price_output=7)
    assert half is not None
    assert (half.input, half.output) == (0.1, 7)
    free = find_price(OPENAI, "gpt-6-luna", "live", None, NOW, price_input=0, price_output=0)
    assert free is not None
    assert free.input == free.output == free.cache_write == 0
    with pytest.raises(UsageError, match=r"price_input is not enough; add price_output"):
        find_price(OPENAI, "any", "batch", None, NOW, price_input=3)
    with pytest.raises(UsageError, match=r"price_output is not enough; add price_input"):
        find_price(OPENAI, "any", "batch", None, NOW, price_output=3)


def test_what_a_usage_cost() -> None:
    price = find_price(OPENAI, "gpt-5.6-luna", "batch", None, NOW)
    assert price is not None
    # The facts' own example: 10,000 × (1,229 tokens of an image, 100 of text, 50 of answer).
    assert 10_000 * cost(Usage(1_329, 50), price, written_tokens=0) == pytest.approx(1.63, abs=0.005)
    astra = find_price(OPENAI, "gpt-6-astra", "batch", None, NOW)
    assert astra is not None
    assert 10_000 * cost(Usage(1_329, 50), astra, written_tokens=0) == pytest.approx(79, abs=0.1)
    assert cost(None, PRICE) == cost(Usage(), PRICE) == 0
    assert cost(Usage(1_000, 100), PRICE) == pytest.approx((1_000 * 1 + 100 * 10) / 1e6)
    # Long enough to be written into the cache, and no usage says whether it was.
    assert cost(Usage(2_000, 0), PRICE) == pytest.approx(2_000 * 1.25 / 1e6)
    assert cost(Usage(2_000, 0), PRICE, written_tokens=500) == pytest.approx((1_500 + 500 * 1.25) / 1e6)
    assert cost(Usage(2_000, 0, cached_tokens=1_500), PRICE) == pytest.approx((500 * 1.25 + 1_500 * 0.1) / 1e6)
    assert cost(Usage(2_000, 0, cached_tokens=9_999), PRICE) == pytest.approx(2_000 * 0.1 / 1e6)


def test_money_for_people() -> None:
    amounts = {0: "$0.00", 12.3: "$12.30", 1234.5: "$1,234.50", 0.0042: "$0.0042", 0.5: "$0.50", 0.000001: "$0.000001"}
    assert {amount: format_usd(amount) for amount in amounts} == amounts


# Estimates


def image_of(width: int = 640, height: int = 480) -> Image:
    return Image(Path("a.jpg"), "image/jpeg", 1, width, height, "")


def request(model: str, language: str = "En", text: str | None = None, **parameters: Any) -> Request:
    task = 6 if text else 1
    pack = load_pack(LANGUAGES[language])
    prompt = build_cell_prompt(pack, pack, TASKS[task], SETTING).fill(text)
    return Request(
        "key", make_cell(language, task), "1", model, parameters, prompt, image_of(), "", LANGUAGES[language].tag
    )


def estimate(**values: Any) -> Estimate:
    usual: dict[str, Any] = {"text_tokens": 900, "image_tokens": 360, "image_most": 450, "input_most": 1_700}
    usual |= {"output_low": 100, "output_expected": 300, "output_high": 1_024, "output_bounded": True}
    usual |= values
    usual["cacheable"] = usual["text_tokens"] + (usual["image_tokens"] or 0) >= 1_024
    return Estimate(**usual)


def test_a_request_is_estimated_with_its_text_image_and_answer() -> None:
    estimator = RequestEstimator(OPENAI, "gpt-5.6-luna", lambda cell: expect_tokens(parse_cell(cell)[1], SETTING))
    plain = estimator.estimate(request("gpt-5.6-luna", max_output_tokens=1_024))
    assert plain.image_tokens == 360
    assert 400 < plain.text_tokens < 1_200
    assert plain.output_low < plain.output_expected < plain.output_high == 1_024
    assert plain.input_most > plain.input_tokens
    article = "A short article about a harbour. " * 40
    longer = estimator.estimate(request("gpt-5.6-luna", text=article))
    assert longer.text_tokens > plain.text_tokens + 200
    assert not longer.output_bounded
    assert (plain.cacheable, longer.cacheable) == (plain.input_tokens >= 1_024, True)


def test_a_request_without_an_image_pays_for_none_and_a_schema_is_input() -> None:
    estimator = RequestEstimator(OPENAI, "gpt-5.6-luna", lambda _: 100)
    plain = request("gpt-5.6-luna", max_output_tokens=1_024)
    seeing = estimator.estimate(plain)
    blind = estimator.estimate(replace(plain, image=None))
    assert (blind.image_tokens, blind.image_most) == (0, 0)
    assert seeing.input_tokens - blind.input_tokens == 360
    schema = {"type": "object", "properties": {"reasons": {"type": "string"}}, "required": ["reasons"]}
    formed = estimator.estimate(replace(plain, image=None, schema=schema))
    assert 10 < formed.input_tokens - blind.input_tokens < 60
    assert formed.input_most > blind.input_most
    totals = Totals()
    totals.add(blind)
    assert totals.unknown_images == 0
    assert cost_range(totals, PRICE).expected is not None


def test_totals_of_a_cell_and_of_all() -> None:
    cell, everything = Totals(), Totals()
    for _ in range(10):
        cell.add(estimate())
    everything.add_all(cell)
    everything.add_all(cell)
    assert (everything.requests, everything.text_tokens, everything.image_tokens) == (20, 18_000, 7_200)
    assert everything.output_high == 20_480
    assert everything.cacheable == 20 * 1_260
    range_of_all = cost_range(everything, PRICE)
    assert range_of_all.low == pytest.approx(20 * (1_260 * 1 + 100 * 10) / 1e6)
    assert range_of_all.expected == pytest.approx(20 * (1_260 * 1.25 + 300 * 10) / 1e6)
    assert range_of_all.high == pytest.approx(20 * highest_cost(estimate(), PRICE))
    assert describe_gaps(everything, "gpt-5.6-luna") == []
    assert cost_range(Totals(), PRICE).expected == 0


def test_an_unknown_image_leaves_no_expected_price_and_is_named() -> None:
    totals = Totals()
    totals.add(estimate(image_tokens=None, output_bounded=False))
    assert cost_range(totals, PRICE).expected is None
    assert cost_range(totals, PRICE).high > 0
    gaps = describe_gaps(totals, "gpt-6-luna")
    assert "with gpt-6-luna are not published" in gaps[0]
    assert "max_output_tokens" in gaps[1]


# The first answers


def test_estimates_are_corrected_by_real_usage() -> None:
    totals = Totals()
    for _ in range(1_000):
        totals.add(estimate())
    calibration = calibrate([(estimate(), Usage(2_520, 150))] * 50 + [(estimate(), None), (estimate(), Usage())])
    assert calibration is not None
    assert calibration.answers == 50
    assert (calibration.input, calibration.output) == (2.0, 0.5)
    assert describe_calibration(calibration) == (
        "By the first 50 answers, the input is 2 times the estimate (126,000 tokens instead of 63,000) and the output "
        "is 0.5 times the estimate (7,500 tokens instead of 15,000); the estimate of what is due now takes that into "
        "account."
    )
    corrected = recalibrate(totals, calibration)
    assert corrected.input_tokens == 2_520_000
    assert corrected.output_expected == 150_000
    assert corrected.output_high == totals.output_high
    assert corrected.input_most == pytest.approx(2_520_000, rel=1e-6)


def test_estimates_within_a_quarter_are_not_talked_about() -> None:
    calibration = calibrate([(estimate(), Usage(1_500, 240))])
    assert calibration is not None
    assert describe_calibration(calibration) is None
    assert calibrate([(estimate(), None)]) is None
    assert calibrate([]) is None


def test_images_without_a_formula_are_learned() -> None:
    unknown = estimate(image_tokens=None, image_most=800, input_most=2_000)
    totals = Totals()
    for _ in range(100):
        totals.add(unknown)
    calibration = calibrate([(unknown, Usage(1_300, 300))] * 50)
    assert calibration is not None
    sentence = describe_calibration(calibration)
    assert sentence is not None
    assert "an image takes about 400 tokens" in sentence
    corrected = recalibrate(totals, calibration)
    assert (corrected.unknown_images, corrected.image_tokens, corrected.text_tokens) == (0, 40_000, 90_000)
    assert cost_range(corrected, PRICE).expected is not None


@given(
    st.lists(st.tuples(st.integers(0, 9_000), st.integers(0, 9_000)), min_size=1, max_size=20),
    st.sampled_from([360, None]),
)
def test_put_right_a_range_is_still_a_range_and_its_high_end_held(
    usages: list[tuple[int, int]], image: int | None
) -> None:
    one = estimate(image_tokens=image)
    totals = Totals()
    for _ in usages:
        totals.add(one)
    calibration = calibrate([(one, Usage(*usage)) for usage in usages])
    assert calibration is not None
    corrected = recalibrate(totals, calibration)
    assert corrected.output_low <= corrected.output_expected <= corrected.output_high
    assert corrected.input_most >= totals.input_most
    real = sum(cost(Usage(*usage), PRICE) for usage in usages)
    assert cost_range(corrected, PRICE).high >= real * (1 - 1e-3)
