"""What a run costs: the price before, the brake, the canary, the money spent."""

import json
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import Command, Sandbox, wait_until

ASK = ("--dataset", "data", "--languages", "En,Ur", "--tasks", "1,7", "--max-output-tokens", "400")
BATCH = ("run", "--backend", "openai", "--model", "gpt-5.4-mini", "--poll-s", "0.2", *ASK)
LIVE = ("run", "--backend", "openai", "--mode", "live", "--model", "gpt-5.4-mini", "--concurrency", "2", *ASK)
OUTPUT = "gpt-5.4-mini"
REQUESTS = 2 * (6 + 5)


pytestmark = pytest.mark.warm


def spent(vlures: Command) -> float:
    path = vlures.folder / "outputs" / OUTPUT / "results_1shot_rationales/summary.json"
    return float(json.loads(path.read_text(encoding="utf-8"))["cost_usd"])


def test_a_plan_says_tokens_and_price_in_both_modes(vlures: Command) -> None:
    result = vlures("plan", *BATCH[1:])
    assert result.code == 0, result
    row = next(line for line in result.out.splitlines() if line.startswith("total ")).split()
    batch, live = float(row[-3].lstrip("$")), float(row[-2].lstrip("$"))
    assert batch == pytest.approx(live / 2, rel=0.1)
    assert "Estimates: $" in result.out
    assert "0.375 and 2.25 USD per million tokens" in result.out
    unknown = vlures("plan", *BATCH[1:], "--model", "nobody-knows-it")
    assert unknown.code == 0, unknown
    assert "The price of nobody-knows-it is unknown" in unknown.out
    own = vlures("plan", *BATCH[1:], "--model", "nobody-knows-it", "--price-input", "1", "--price-output", "2")
    assert "1 and 2 USD per million tokens" in own.out


@pytest.mark.parametrize("run", [LIVE, (*BATCH, "--no-canary", "--batch-size", "4")], ids=["live", "batch"])
def test_nothing_is_sent_beyond_the_cost_that_was_allowed_and_a_higher_limit_goes_on(
    vlures: Command, start_sandbox: Callable[..., Sandbox], run: tuple[str, ...]
) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2")
    vlures.use(sandbox)
    limit = 0.012
    first = vlures(*run, "--max-cost", str(limit))
    assert first.code == 3, first
    assert f"--max-cost {limit:g} allows no further request" in first.err
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
    assert "does not cover one request" in too_low.err
    no_price = vlures(*LIVE, "--model", "nobody-knows-it", "--max-cost", "5")
    assert no_price.code == 2, no_price
    assert "price_input" in no_price.err
    half = vlures(*LIVE, "--model", "nobody-knows-it", "--price-input", "1")
    assert half.code == 2, half
    assert "price_output" in half.err
    for option, value in (
        *(("--price-input", "-1"), ("--price-output", "nan"), ("--price-output", "inf")),
        *(
            ("--max-cost", "-3"),
            ("--max-cost", "0"),
            ("--max-cost", "nan"),
            ("--max-cost", "inf"),
            ("--max-cost", "free"),
        ),
    ):
        wrong = vlures(*LIVE, option, value)
        assert wrong.code == 2, wrong
        assert option in wrong.err
        assert len(wrong.err.strip().splitlines()) <= 4, wrong  # click puts its usage before its own
    assert sandbox.ledger == []


def test_status_and_summary_say_what_was_spent_and_what_a_rerun_would_cost(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2", "--fault", "line_error:every=5,status=400")
    vlures.use(sandbox)
    result = vlures(*BATCH, "--no-canary")
    assert result.code == 3, result
    assert "spent in all" in result.out
    failed = REQUESTS // 5
    status = vlures("status", f"outputs/{OUTPUT}")
    headers = re.split(r"\s{2,}", status.out.splitlines()[1])
    row = [line for line in status.out.splitlines() if "$" in line][-1]
    in_all = dict(zip(headers, re.split(r"\s{2,}", row), strict=True))
    assert (in_all["ok"], in_all["failed"], in_all["due"]) == (str(REQUESTS - failed), str(failed), str(failed))
    summary = json.loads((vlures.folder / "outputs" / OUTPUT / "results_1shot_rationales/summary.json").read_bytes())
    cells = summary["cells"].values()
    assert summary["cost_usd"] == pytest.approx(sum(cell["cost_usd"] for cell in cells), abs=1e-5)
    assert (summary["due"], sum(cell["due"] for cell in cells)) == (failed, failed)
    for cell in cells:
        ok = cell["status"]["ok"]
        assert cell["rerun_usd"] == pytest.approx(cell["cost_usd"] / ok * cell["due"], rel=0.01, abs=1e-6)
    assert float(in_all["for real"].lstrip("$")) == pytest.approx(summary["cost_usd"], rel=0.06)
    assert float(in_all["rest for real"].lstrip("$")) == pytest.approx(summary["rerun_usd"], rel=0.06)
    sandbox.show()
    assert vlures(*BATCH).code == 0
    table = [line for line in vlures("status", f"outputs/{OUTPUT}").out.splitlines() if "$" in line]
    assert table[-1].endswith("$0.00")


def test_a_plan_counts_only_the_pictures_that_are_still_to_upload(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    for number in range(1, 7):
        image = Image.effect_noise((500, 400), 100.0 + number)
        image.save(vlures.folder / f"data/image{number}.png")
    sandbox = start_sandbox("--batch-seconds", "0.2")
    vlures.use(sandbox)
    run = (*BATCH, "--languages", "En", "--no-canary", "--endpoint", "responses", "--image-transport", "file")
    size = {limit: sum(path.stat().st_size for path in first_pictures(vlures, limit)) / 1e6 for limit in (2, 6)}

    def planned() -> float:
        plan = vlures("plan", *run[1:], "--tasks", "1,2")
        assert plan.code == 0, plan
        return float(re.search(r"about ([\d.]+) MB to send", plan.out)[1])  # type: ignore[index]

    assert planned() == pytest.approx(size[6], abs=0.2)
    assert vlures(*run, "--tasks", "1", "--limit", "2").code == 0
    assert planned() == pytest.approx(size[6] - size[2], abs=0.2)
    vlures.environment["OPENAI_API_KEY"] = "another-account"
    assert planned() == pytest.approx(size[6], abs=0.2)


def test_a_plan_and_a_run_say_which_images_the_model_refuses(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    Image.new("L", (6000, 6000)).save(vlures.folder / "data/image1.png")
    vlures.use(start_sandbox("--batch-seconds", "0.2"))
    ask = ("--backend", "openai", "--model", "gpt-6-astra", "--dataset", "data", "--tasks", "1", "--limit", "2")
    refused = "2 due requests will fail, at no charge, because gpt-6-astra refuses the images (data/image1.png)"
    for door in ("plan", "run"):
        result = vlures(door, *ask, "--languages", "En,Ur", *(("--max-cost", "1") if door == "run" else ()))
        assert refused in result.out + result.err, result
        assert "An image of 6000 × 6000 pixels has 35,344 patches" in result.out + result.err, result
    left_out = vlures("plan", *ask, "--languages", "En,Ur", "--skip-problems")
    assert "Left out: data/image1.png." in left_out.out, left_out
    assert "will fail, at no charge" not in left_out.out


def first_pictures(vlures: Command, count: int) -> list[Path]:
    return [vlures.folder / f"data/image{number}.png" for number in range(1, count + 1)]


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
    assert "sent live instead of in another batch" in result.err
    assert sandbox.stats["requests"]["batches.create"] == 1
    assert 2 <= [entry["mode"] for entry in sandbox.ledger].count("live") <= 3
    assert len(vlures.answers(OUTPUT)) == REQUESTS
    assert set(sandbox.paid.values()) == {1}
    assert f"{REQUESTS} ok" in result.out


def test_ctrl_c_waits_for_what_is_under_way_live_in_a_batch_run_too(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2", "--latency", "2", "--fault", "expire:keep=0,times=1")
    vlures.use(sandbox)
    process = vlures.start(*BATCH, "--no-canary", "--batch-size", "100", "--finish-live", "100%", "--concurrency", "2")
    wait_until(process, lambda: sandbox.stats["live_peak"] >= 2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "waiting for the answers in flight, which are paid" in err
    assert len(vlures.answers(OUTPUT)) == len(sandbox.ledger) > 0


def test_a_kill_in_the_live_tail_costs_at_most_what_was_in_flight(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2", "--latency", "1", "--fault", "expire:keep=0.5,times=1")
    vlures.use(sandbox)
    run = (*BATCH, "--no-canary", "--finish-live", "100%", "--concurrency", "2")
    process = vlures.start(*run)
    wait_until(process, lambda: [entry["mode"] for entry in sandbox.ledger].count("live") >= 3)
    process.kill()
    process.communicate()
    assert vlures(*run).code == 0
    assert len(vlures.answers(OUTPUT)) == REQUESTS
    assert REQUESTS <= len(sandbox.ledger) <= REQUESTS + 2


def count_modes(sandbox: Sandbox) -> tuple[int, int]:
    """How many answers came live, and in batches."""
    modes = [entry["mode"] for entry in sandbox.ledger]
    return modes.count("live"), modes.count("batch")


@pytest.mark.parametrize(
    "options", [("--batch-size", "4"), ("--max-attempts", "1"), ("--batch-size", "4", "--max-attempts", "1")]
)
@pytest.mark.parametrize("fault", ["line_error:times=8,status=500", "expire:keep=0.5", "cancelled:keep=0.5,times=1"])
def test_all_that_batches_leave_goes_live_where_all_of_it_may(
    vlures: Command, start_sandbox: Callable[..., Sandbox], options: tuple[str, ...], fault: str
) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2", "--fault", fault)
    vlures.use(sandbox)
    result = vlures(*BATCH, "--no-canary", "--finish-live", "100%", *options)
    assert result.code == 0, result
    live, batch = count_modes(sandbox)
    assert live > 0
    assert live + batch == len(vlures.answers(OUTPUT)) == REQUESTS
    assert set(sandbox.paid.values()) == {1}
    lots = -(-REQUESTS // 4) if "--batch-size" in options else 1
    assert sandbox.stats["batches_created"] == lots


def test_what_an_earlier_process_left_goes_live_and_what_no_batch_has_seen_does_not(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2", "--fault", "line_error:times=3,status=500")
    vlures.use(sandbox)
    few = ("--limit", "3")
    assert vlures(*BATCH, "--no-canary", *few, "--max-attempts", "1").code == 3
    sent = count_modes(sandbox)[1]
    result = vlures(*BATCH, "--no-canary", "--finish-live", "100%")
    assert result.code == 0, result
    assert count_modes(sandbox) == (3, REQUESTS - 3)
    assert 0 < sent < REQUESTS - 3
    assert sandbox.stats["batches_created"] == 2
    assert set(sandbox.paid.values()) == {1}


def test_many_that_failed_go_into_another_batch(vlures: Command, start_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2", "--fault", "expire:keep=0.5,times=1")
    vlures.use(sandbox)
    result = vlures(*BATCH, "--no-canary", "--finish-live", "15%")
    assert result.code == 0, result
    assert sandbox.stats["requests"]["batches.create"] == 2
    assert "chat" not in sandbox.stats["requests"]
    assert set(sandbox.paid.values()) == {1}
