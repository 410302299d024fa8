"""`--max-cost` against what a provider really charged: the sandbox's own account of tokens, at the listed prices."""

import json
import re
from collections.abc import Callable

import pytest

from tests.conftest import Command, Sandbox, wait_until
from vlures.backends import find_provider
from vlures.config.sections import Mode
from vlures.pricing.costs import Prices, find_prices
from vlures.runs.config import RunConfig

pytestmark = pytest.mark.warm

# Without an announced end: a model that is gone is refused from that day on.
MODELS = {"openai": "gpt-5.4-mini", "gemini": "gemini-3.5-flash-lite"}
ASK = ("--dataset", "data", "--tasks", "1-4", "--max-output-tokens", "400", "--name", "run", "--poll-s", "0.2")
WAYS = [
    pytest.param(backend, mode, id=f"{backend}-{mode}")
    for backend in ("openai", "gemini")
    for mode in ("batch", "live")
]


def command(backend: str, mode: str, *options: str) -> tuple[str, ...]:
    sized = ("--batch-size", "8") if mode == "batch" else ("--concurrency", "4")
    return ("run", "--backend", backend, "--mode", mode, "--model", MODELS[backend], *ASK, *sized, *options)


def prices_of(backend: str, mode: str, model: str) -> Prices:
    config = RunConfig(backend=backend, mode=mode, model=model)
    return find_prices(config.target, config.money, find_provider(backend))


def charged(vlures: Command, sandbox: Sandbox) -> float:
    """USD, by the provider's own account, less what its cache has saved in the answers that came."""
    total = 0.0
    for entry in sandbox.ledger:
        backend = "gemini" if entry["provider"] == "gemini" else "openai"
        mode: Mode = entry["mode"]
        price = prices_of(backend, mode, entry["model"]).of(mode)
        assert price is not None
        total += (entry["input_tokens"] * price.input + entry["output_tokens"] * price.output) / 1e6
    return total - saved(vlures)


def saved(vlures: Command) -> float:
    total = 0.0
    for line in vlures.checkpoint_lines("run"):
        backend, mode = (
            "gemini" if line["model"].startswith("gemini") else "openai",
            "batch" if "job" in line else "live",
        )
        model = re.sub(r"-\d{4}-.*", "", line["model"])
        price = prices_of(backend, mode, model).of(mode)  # type: ignore[arg-type]
        assert price is not None
        total += line.get("usage", {}).get("cached_tokens", 0) * (price.input - price.cached_input) / 1e6
    return total


def said(vlures: Command, sentence: str) -> tuple[float, float]:
    """What the last sentence of a run, and the summary, say was spent."""
    spent = re.search(r"allows no further request: \$([\d.]+) is spent", sentence)
    assert spent is not None, sentence
    summary = json.loads((vlures.folder / "outputs/run/results_1shot_rationales/summary.json").read_bytes())
    return float(spent[1]), float(summary["cost_usd"])


@pytest.mark.parametrize(("backend", "mode"), WAYS)
def test_most_of_the_limit_is_used_and_it_is_never_passed(
    vlures: Command, start_sandbox: Callable[..., Sandbox], backend: str, mode: str
) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2")
    vlures.use(sandbox)
    run = command(backend, mode)
    limit = 0.02
    first = vlures(*run, "--max-cost", str(limit))
    assert first.code == 3, first
    spent, summed = said(vlures, first.err)
    assert spent == pytest.approx(summed, rel=0.06)
    assert charged(vlures, sandbox) <= summed * 1.0001 <= limit * 1.0001
    assert charged(vlures, sandbox) >= 0.8 * limit
    assert f"${spent:g}" in vlures("status", "outputs/run").out
    again = vlures(*run, "--max-cost", str(limit))
    assert again.code == 3, again
    assert charged(vlures, sandbox) <= limit
    enough = re.search(r"with --max-cost ([\d.]+) or more", again.err)
    assert enough is not None, again
    answered = len(sandbox.ledger)
    assert vlures(*run, "--max-cost", enough[1]).code in (0, 3)
    assert len(sandbox.ledger) > answered
    assert charged(vlures, sandbox) <= float(enough[1])


@pytest.mark.parametrize(("backend", "mode"), WAYS)
def test_answers_that_hide_or_falsify_their_usage_count_as_the_most_that_they_may_cost(
    vlures: Command, start_sandbox: Callable[..., Sandbox], backend: str, mode: str
) -> None:
    told = ("nothing", "negative", "absurd", "half", "text", "broken")
    faults = [word for number, how in enumerate(told) for word in ("--fault", f"usage:tell={how},times={number + 1}")]
    sandbox = start_sandbox("--batch-seconds", "0.2", *faults)
    vlures.use(sandbox)
    limit = 0.03
    result = vlures(*command(backend, mode), "--max-cost", str(limit))
    assert result.code == 3, result
    _, summed = said(vlures, result.err)
    assert "such answers count as the most that they may have cost" in result.err
    assert charged(vlures, sandbox) <= summed <= limit


@pytest.mark.parametrize("backend", ["openai", "gemini"])
def test_replies_that_are_charged_and_lost_count(
    vlures: Command, start_sandbox: Callable[..., Sandbox], backend: str
) -> None:
    faults = ("drop_after:times=3", "truncate:times=2", "bad_json:times=2", "empty:times=3")
    sandbox = start_sandbox(*(word for fault in faults for word in ("--fault", fault)))
    vlures.use(sandbox)
    limit = 0.03
    result = vlures(*command(backend, "live"), "--max-cost", str(limit))
    assert result.code == 3, result
    _, summed = said(vlures, result.err)
    assert charged(vlures, sandbox) <= summed <= limit


def test_kills_forget_nothing_that_was_in_flight(vlures: Command, start_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = start_sandbox("--latency", "0.3")
    vlures.use(sandbox)
    run = (*command("openai", "live"), "--max-cost", "0.06")
    for kills in range(1, 4):
        process = vlures.start(*run)
        wait_until(process, lambda least=4 * kills: len(sandbox.ledger) >= least)  # type: ignore[misc]
        process.kill()
        process.communicate()
    last = vlures(*run)
    assert last.code == 3, last
    assert "in flight when an earlier run was killed" in last.err
    _, summed = said(vlures, last.err)
    assert charged(vlures, sandbox) <= summed <= 0.06


@pytest.mark.parametrize("backend", MODELS)
@pytest.mark.parametrize("moment", ["uploaded", "created", "collected"])
def test_a_killed_batch_run_goes_on_within_the_limit(
    vlures: Command, start_sandbox: Callable[..., Sandbox], backend: str, moment: str
) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2")
    vlures.use(sandbox)
    run, limit = command(backend, "batch", "--no-canary", "--doubt-patience-s", "1"), 0.02
    is_reached = {
        "uploaded": lambda: any("upload" in name for name in sandbox.stats["requests"]),
        "created": lambda: sandbox.stats["batches_created"] >= 2,
        "collected": lambda: len(vlures.checkpoint_lines("run")) >= 10,
    }
    process = vlures.start(*run, "--max-cost", str(limit))
    wait_until(process, is_reached[moment])
    process.kill()
    process.communicate()
    result = vlures(*run, "--max-cost", str(limit))
    assert result.code == 3, result
    _, summed = said(vlures, result.err)
    assert 0.8 * limit <= charged(vlures, sandbox) <= summed * 1.0001 <= limit * 1.0001
    assert set(sandbox.paid.values()) == {1}


def test_all_settings_and_models_of_a_folder_share_the_limit_and_keep_their_own_prices(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox()
    vlures.use(sandbox)
    few = ("--languages", "En", "--limit", "2")
    assert vlures(*command("openai", "live"), *few).code == 0
    summary = vlures.folder / "outputs/run/results_1shot_rationales/summary.json"
    before = json.loads(summary.read_bytes())["cost_usd"]
    kept = vlures(*command("openai", "live"), *few, "--model", "gpt-5.4", "--stale", "keep", "--max-cost", "1")
    assert kept.code == 0, kept
    assert json.loads(summary.read_bytes())["cost_usd"] == before
    other = vlures(*command("openai", "live"), "--shots", "0", "--max-cost", str(before + 0.001))
    assert other.code == 3, other
    assert charged(vlures, sandbox) <= before + 0.001


def test_an_address_of_ones_own_is_priced_alike_however_it_is_named(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox()
    vlures.use(sandbox)
    plan = ("plan", *command("openai", "batch")[1:])
    by_environment = vlures(*plan)
    address = vlures.environment.pop("OPENAI_BASE_URL")
    by_option = vlures(*plan, "--base-url", address)
    assert by_environment.out == by_option.out
    assert "These are the list prices, and 127.0.0.1 may charge others" in by_option.out
