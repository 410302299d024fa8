"""What a run costs: the price before, the brake, the canary, the money spent."""

import json
from collections.abc import Callable

import pytest

from tests.conftest import Command, Sandbox

ASK = ("--dataset", "data", "--languages", "En,Ur", "--tasks", "1,7", "--max-output-tokens", "400")
BATCH = ("run", "--backend", "openai", "--model", "gpt-5.4-mini", "--poll-s", "0.2", *ASK)
LIVE = ("run", "--backend", "openai", "--mode", "live", "--model", "gpt-5.4-mini", "--concurrency", "2", *ASK)
OUTPUT = "gpt-5.4-mini"
REQUESTS = 2 * (6 + 5)


def spent(vlures: Command) -> float:
    path = vlures.folder / "outputs" / OUTPUT / "results_1shot_rationales/summary.json"
    return float(json.loads(path.read_text(encoding="utf-8"))["cost_usd"])


def test_a_plan_says_tokens_and_price_in_both_modes(vlures: Command) -> None:
    result = vlures("plan", *BATCH[1:])
    assert result.code == 0, result
    row = next(line for line in result.out.splitlines() if line.startswith("all ")).split()
    batch, live = float(row[-3].lstrip("$")), float(row[-2].lstrip("$"))
    assert batch == pytest.approx(live / 2, rel=0.1)
    assert "Estimates: $" in result.out
    assert "0.375 and 2.25 USD for a million tokens" in result.out
    unknown = vlures("plan", *BATCH[1:], "--model", "nobody-knows-it")
    assert unknown.code == 0, unknown
    assert "No price of nobody-knows-it is known" in unknown.out
    own = vlures("plan", *BATCH[1:], "--model", "nobody-knows-it", "--price-input", "1", "--price-output", "2")
    assert "1 and 2 USD for a million tokens" in own.out


@pytest.mark.parametrize("run", [LIVE, (*BATCH, "--no-canary", "--batch-size", "4")], ids=["live", "batch"])
def test_nothing_is_sent_beyond_the_cost_that_was_allowed_and_a_higher_limit_goes_on(
    vlures: Command, start_sandbox: Callable[..., Sandbox], run: tuple[str, ...]
) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2")
    vlures.use(sandbox)
    limit = 0.012
    first = vlures(*run, "--max-cost", str(limit))
    assert first.code == 3, first
    assert f"--max-cost {limit:g} lets nothing more go" in first.err
    answered = len(sandbox.ledger)
    assert 1 <= answered < REQUESTS
    assert 0 < spent(vlures) <= limit
    again = vlures(*run, "--max-cost", str(limit))
    assert again.code == 3, again
    assert spent(vlures) <= limit
    done = vlures(*run, "--max-cost", "5")
    assert done.code == 0, done
    assert len(vlures.answers(OUTPUT)) == REQUESTS
    assert set(sandbox.paid.values()) == {1}


def test_a_limit_that_cannot_be_kept_is_one_sentence(vlures: Command, start_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = start_sandbox()
    vlures.use(sandbox)
    too_low = vlures(*LIVE, "--max-cost", "0.000001")
    assert too_low.code == 2, too_low
    assert "does not reach for one request" in too_low.err
    no_price = vlures(*LIVE, "--model", "nobody-knows-it", "--max-cost", "5")
    assert no_price.code == 2, no_price
    assert "price_input" in no_price.err
    half = vlures(*LIVE, "--model", "nobody-knows-it", "--price-input", "1")
    assert half.code == 2, half
    assert "price_output" in half.err
    assert sandbox.ledger == []


def test_status_and_summary_say_what_was_spent(vlures: Command, start_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2")
    vlures.use(sandbox)
    result = vlures(*BATCH)
    assert result.code == 0, result
    assert "spent in all" in result.out
    status = vlures("status", f"outputs/{OUTPUT}")
    assert "spent" in status.out
    assert "$" in status.out.splitlines()[-1]
    summary = json.loads((vlures.folder / "outputs" / OUTPUT / "results_1shot_rationales/summary.json").read_bytes())
    cells = [cell["cost_usd"] for cell in summary["cells"].values()]
    assert summary["cost_usd"] == pytest.approx(sum(cells), abs=1e-5)


# The canary


def test_the_first_request_of_a_batch_run_goes_live_and_counts(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2")
    vlures.use(sandbox)
    assert vlures(*BATCH).code == 0
    kinds = [entry["mode"] for entry in sandbox.ledger]
    assert (kinds.count("live"), kinds.count("batch")) == (1, REQUESTS - 1)
    assert len(vlures.answers(OUTPUT)) == REQUESTS
    assert vlures(*BATCH).code == 0
    assert len(sandbox.ledger) == REQUESTS


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        (("error@chat:status=400,code=unsupported_value,message=No such thing.",), "No such thing."),
        (("error@chat:status=404,code=model_not_found,message=No such model.",), "No such model."),
        (("error@chat:status=401,code=invalid_api_key,message=Bad key.",), "Bad key."),
    ],
)
def test_what_is_wrong_is_known_before_a_batch_is_sent(
    vlures: Command, start_sandbox: Callable[..., Sandbox], faults: tuple[str, ...], words: str
) -> None:
    sandbox = start_sandbox(*(word for fault in faults for word in ("--fault", fault)))
    vlures.use(sandbox)
    result = vlures(*BATCH)
    assert result.code == 1, result
    assert words in result.err
    assert "batches.create" not in sandbox.stats["requests"]
    assert vlures.answers(OUTPUT) == {}
    sandbox.show()
    assert vlures(*BATCH).code == 0
    assert set(sandbox.paid.values()) == {1}


def test_a_run_can_go_without_the_canary(vlures: Command, start_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2")
    vlures.use(sandbox)
    assert vlures(*BATCH, "--no-canary").code == 0
    assert "chat" not in sandbox.stats["requests"]


# A tail that goes live


@pytest.mark.parametrize("fault", ["line_error:times=2,status=500", "expire:keep=0.9,times=1"])
def test_the_last_few_are_answered_live_instead_of_in_another_batch(
    vlures: Command, start_sandbox: Callable[..., Sandbox], fault: str
) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2", "--fault", fault)
    vlures.use(sandbox)
    result = vlures(*BATCH, "--no-canary", "--finish-live", "15%")
    assert result.code == 0, result
    assert "asked live instead of in another batch" in result.err
    assert sandbox.stats["requests"]["batches.create"] == 1
    assert 2 <= [entry["mode"] for entry in sandbox.ledger].count("live") <= 3
    assert len(vlures.answers(OUTPUT)) == REQUESTS
    assert set(sandbox.paid.values()) == {1}
    assert f"{REQUESTS} ok" in result.out


def test_many_that_failed_go_into_another_batch(vlures: Command, start_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2", "--fault", "expire:keep=0.5,times=1")
    vlures.use(sandbox)
    result = vlures(*BATCH, "--no-canary", "--finish-live", "15%")
    assert result.code == 0, result
    assert sandbox.stats["requests"]["batches.create"] == 2
    assert "chat" not in sandbox.stats["requests"]
    assert set(sandbox.paid.values()) == {1}
