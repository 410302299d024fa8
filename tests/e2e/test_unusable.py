"""Answers that are none, or not quite: what stands in the text beside them, how they end, and runs in which none can be
used.

Each is tried with both providers, live and in batches, through the real command.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Command, Result, Sandbox, make_dataset

pytestmark = pytest.mark.warm

RUN = ("run", "--languages", "En", "--no-canary", "--output", "outputs", "--name", "r")
SIX = ("--dataset", "data", "--tasks", "1")
MODELS = {"openai": "gpt-6-luna", "gemini": "gemini-3.8-flash"}
WAYS = {
    f"{provider}-{mode}": ("--backend", provider, "--model", model, "--mode", mode)
    for provider, model in MODELS.items()
    for mode in ("live", "batch")
}
EACH_WAY = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
RESPONSES = pytest.param((*WAYS["openai-live"], "--endpoint", "responses"), id="responses-live")
EACH_WAY_AND_RESPONSES = pytest.mark.parametrize(
    "way", [*(pytest.param(way, id=name) for name, way in WAYS.items()), RESPONSES]
)


def standing(vlures: Command) -> dict[str, dict[str, Any]]:
    """The last line of each request."""
    return {line["key"]: line for line in vlures.checkpoint_lines("r") if line["status"] != "due"}


def statuses(vlures: Command) -> list[str]:
    return [line["status"] for line in standing(vlures).values()]


def run(vlures: Command, sandbox: Sandbox, *arguments: str) -> Result:
    vlures.use(sandbox)
    return vlures(*RUN, *arguments)


@EACH_WAY_AND_RESPONSES
def test_thinking_that_goes_round_in_circles_holds_nobody_up(
    vlures: Command, shared_sandbox: Sandbox, way: tuple[str, ...]
) -> None:
    vlures.use(shared_sandbox, "sk-proj-Qx7RtY2uIoP9aSdFgH4jKlZx")
    shared_sandbox.show("think_tags:form=loop")
    result = vlures(*RUN, *SIX, *way, "--limit", "1")
    assert result.code == 0, result
    (line,) = standing(vlures).values()
    assert line["text"].startswith("[sandbox]")
    assert line["reasoning"].endswith("=" * 200_000)


@EACH_WAY_AND_RESPONSES
@pytest.mark.parametrize("form", ["lone", "channels"])
def test_thinking_in_the_text_is_no_part_of_the_answer(
    vlures: Command, shared_sandbox: Sandbox, way: tuple[str, ...], form: str
) -> None:
    shared_sandbox.show(f"think_tags:form={form}")
    result = run(vlures, shared_sandbox, *SIX, *way)
    assert result.code == 0, result
    assert result.err.count("--keep-think-tags") == 1, result
    for line in standing(vlures).values():
        assert "Synthetic thoughts" in line["reasoning"]
        assert "Synthetic thoughts" not in line["text"]
    assert all(text.startswith("[sandbox]") and "think" not in text for text in vlures.answers("r").values())
    kept = run(vlures, shared_sandbox, *SIX, *way, "--keep-think-tags")
    assert kept.code == 0, kept
    assert len(shared_sandbox.ledger) == 6, "the option makes no answer another one"


@pytest.mark.parametrize("way", [WAYS["openai-live"], WAYS["gemini-batch"]])
def test_thinking_stays_in_the_text_where_that_is_wanted(
    vlures: Command, shared_sandbox: Sandbox, way: tuple[str, ...]
) -> None:
    shared_sandbox.show("think_tags")
    result = run(vlures, shared_sandbox, *SIX, *way, "--keep-think-tags")
    assert result.code == 0, result
    assert all(text.startswith("<think>\n[sandbox]") for text in vlures.answers("r").values())
    assert all("reasoning" not in line for line in standing(vlures).values())


@EACH_WAY_AND_RESPONSES
@pytest.mark.parametrize("fault", ["reasoning_only", "think_tags:form=open"])
def test_words_that_are_all_thinking_are_kept_beside_the_failure_and_asked_for_once_more(
    vlures: Command, shared_sandbox: Sandbox, way: tuple[str, ...], fault: str
) -> None:
    shared_sandbox.show(fault)
    result = run(vlures, shared_sandbox, *SIX, "--limit", "2", *way)
    assert result.code == 3, result
    assert vlures.answers("r") == {}
    assert result.err.count("An answer has no text. All words came as thinking") == 1, result
    for line in standing(vlures).values():
        assert line["status"] == "failed"
        assert "Synthetic thoughts" in line["reasoning"]
        assert "turn thinking off" in line["error"]["message"]
        assert line["usage"]["output_tokens"] > 0
    assert len(shared_sandbox.ledger) == 4, "each of them is charged"


@EACH_WAY
def test_thinking_that_is_cut_off_is_truncated_without_a_text(
    vlures: Command, shared_sandbox: Sandbox, way: tuple[str, ...]
) -> None:
    shared_sandbox.show("think_tags:form=open,reason=length,after=1")
    result = run(vlures, shared_sandbox, *SIX, *way)
    assert result.code == 0, result
    assert sorted(statuses(vlures)) == ["ok", *["truncated"] * 5]
    assert len(vlures.answers("r")) == 1
    assert len(shared_sandbox.ledger) == 6


@EACH_WAY
def test_a_text_whose_end_is_not_known_is_kept_with_its_reason(
    vlures: Command, shared_sandbox: Sandbox, way: tuple[str, ...]
) -> None:
    shared_sandbox.show("finish:reason=SOMETHING_NEW")
    result = run(vlures, shared_sandbox, *SIX, *way)
    assert result.code == 0, result
    assert result.err.count("'SOMETHING_NEW'") == 1, result
    assert {(line["status"], line["finish_reason"]) for line in standing(vlures).values()} == {("ok", "SOMETHING_NEW")}
    assert len(vlures.answers("r")) == len(shared_sandbox.ledger) == 6


@EACH_WAY_AND_RESPONSES
def test_an_answer_that_broke_off_is_asked_again(
    vlures: Command, shared_sandbox: Sandbox, way: tuple[str, ...]
) -> None:
    lost = "finish:reason=error,message=Upstream provider lost"
    shared_sandbox.show(f"{lost},times=1", f"{lost},empty=1,times=1")
    result = run(vlures, shared_sandbox, *SIX, *way)
    assert result.code == 0, result
    assert statuses(vlures) == ["ok"] * 6
    assert len(shared_sandbox.ledger) == 8


@pytest.mark.parametrize("provider", MODELS)
def test_an_answer_that_always_breaks_off_fails_with_the_gateways_words(
    vlures: Command, shared_sandbox: Sandbox, provider: str
) -> None:
    shared_sandbox.show("finish:reason=network_error,message=Upstream provider lost")
    result = run(vlures, shared_sandbox, *SIX, "--limit", "1", *WAYS[f"{provider}-batch"])
    assert result.code == 3, result
    (failed,) = standing(vlures).values()
    assert (failed["status"], failed["error"]["transient"]) == ("failed", True)
    assert "Upstream provider lost" in failed["error"]["message"]
    assert len(shared_sandbox.ledger) == 3, "--max-attempts"


@pytest.mark.parametrize("way", [WAYS["openai-live"], WAYS["openai-batch"], RESPONSES.values[0]])
def test_thinking_beside_the_output_is_counted_as_charged(
    vlures: Command, shared_sandbox: Sandbox, way: tuple[str, ...]
) -> None:
    shared_sandbox.show("thinking_apart:tokens=2800")
    result = run(vlures, shared_sandbox, *SIX, "--limit", "1", *way)
    assert result.code == 0, result
    (line,) = standing(vlures).values()
    assert line["usage"]["thinking_tokens"] == 2800
    assert line["usage"]["output_tokens"] > 2800


# Runs in which no answer can be used


@EACH_WAY
@pytest.mark.parametrize(("fault", "status"), [("max_tokens", "truncated"), ("safety", "refused")])
def test_a_run_without_one_answer_that_can_be_used_is_no_success(
    vlures: Command, shared_sandbox: Sandbox, way: tuple[str, ...], fault: str, status: str
) -> None:
    shared_sandbox.show(fault)
    for _ in range(2):
        result = run(vlures, shared_sandbox, *SIX, *way)
        assert result.code == 3, result
        assert f"Not one of 6 answers can be used (6 {status})." in result.err, result
        assert f"--redo {status}" in result.err, result
    assert len(shared_sandbox.ledger) == 6, "the second command asks nothing"
    shared_sandbox.show(f"{fault}:times=5")
    assert run(vlures, shared_sandbox, *SIX, *way, "--redo", status).code == 0, "one answer can be used"


@pytest.mark.parametrize("provider", MODELS)
@pytest.mark.parametrize(("fault", "status"), [("max_tokens", "truncated"), ("safety", "refused")])
def test_a_canary_that_cannot_be_used_stops_the_batches(
    vlures: Command, shared_sandbox: Sandbox, provider: str, fault: str, status: str
) -> None:
    vlures.use(shared_sandbox)
    shared_sandbox.show(fault)
    arguments = [argument for argument in (*RUN, *SIX, *WAYS[f"{provider}-batch"]) if argument != "--no-canary"]
    for paid in (1, 2):
        result = vlures(*arguments)
        assert result.code == 3, result
        assert f"was sent alone and live, and its answer is {status}" in result.err, result
        assert f"--redo {status}" in result.err
        assert len(shared_sandbox.ledger) == paid, "the next one is tried, and no batch is sent"
    shared_sandbox.show()
    assert vlures(*arguments).code == 0
    assert sorted(statuses(vlures)) == ["ok"] * 4 + [status] * 2


@EACH_WAY
def test_first_answers_that_cannot_be_used_are_told_of_and_hold_batches_back(
    vlures: Command, shared_sandbox: Sandbox, way: tuple[str, ...]
) -> None:
    make_dataset(vlures.folder / "many", samples=60, texts=0)
    shared_sandbox.show("max_tokens")
    arguments = ("--tasks", "1", "--dataset", "many", "--batch-size", "60", "--concurrency", "20", *way)
    result = run(vlures, shared_sandbox, *arguments)
    assert result.code == 3, result
    assert result.err.count("Not one of 50 answers can be used (50 truncated).") >= 1, result
    assert "raise --max-output-tokens" in result.err, result
    assert len(shared_sandbox.ledger) == 60, "live goes on, and what is under way in batches is collected"
    assert statuses(vlures) == ["truncated"] * 60


@EACH_WAY
def test_a_raised_allowance_asks_only_those_again_that_were_cut(
    vlures: Command, shared_sandbox: Sandbox, way: tuple[str, ...]
) -> None:
    shared_sandbox.show("max_tokens:times=2")
    assert run(vlures, shared_sandbox, *SIX, *way, "--max-output-tokens", "2000").code == 0
    shared_sandbox.show()
    refused = run(vlures, shared_sandbox, *SIX, *way, "--max-output-tokens", "4000")
    assert refused.code == 1, refused
    assert "6 stored answers" in refused.err
    assert "--redo truncated" in refused.err
    redone = run(vlures, shared_sandbox, *SIX, *way, "--max-output-tokens", "4000", "--redo", "truncated")
    assert redone.code == 0, redone
    assert statuses(vlures) == ["ok"] * 6
    assert len(shared_sandbox.ledger) == 8
    again = run(vlures, shared_sandbox, *SIX, *way, "--max-output-tokens", "4000")
    assert again.code == 0, "the others are answers to the same question from now on"
    unlimited = run(vlures, shared_sandbox, *SIX, *way, "--redo", "truncated")
    assert unlimited.code == 0, unlimited
    assert len(shared_sandbox.ledger) == 8
    lowered = run(vlures, shared_sandbox, *SIX, *way, "--max-output-tokens", "3000", "--redo", "truncated")
    assert lowered.code == 1, "a smaller one might have cut them"
    assert "stored answer" in lowered.err


@pytest.mark.parametrize(
    "options",
    [("--reasoning-effort", "low"), ("--max-output-tokens", "4000", "--temperature", "0.5")],
    ids=["thinking", "temperature"],
)
def test_another_question_stays_one_where_more_than_the_allowance_changed(
    vlures: Command, shared_sandbox: Sandbox, options: tuple[str, ...]
) -> None:
    way = (
        "--backend",
        "openai",
        "--mode",
        "live",
        "--model",
        "my-model",
        "--base-url",
        f"{shared_sandbox.url}/plain/v1",
    )
    shared_sandbox.show("max_tokens:times=2")
    assert run(vlures, shared_sandbox, *SIX, *way, "--max-output-tokens", "2000").code == 0
    shared_sandbox.show()
    result = run(vlures, shared_sandbox, *SIX, *way, *options, "--redo", "truncated")
    assert result.code == 1, result
    assert "4 stored answers" in result.err, "those that were cut are asked again in any case"
    kept = run(vlures, shared_sandbox, *SIX, *way, *options, "--redo", "truncated", "--stale", "keep")
    assert kept.code == 0, kept
    assert statuses(vlures) == ["ok"] * 6
    assert len(shared_sandbox.ledger) == 8
