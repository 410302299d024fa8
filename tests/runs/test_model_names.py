"""Names of models: another provider's are refused, slips of the pen are told of, a server of one's own is believed."""

from __future__ import annotations

import pytest

from tests.conftest import Command

pytestmark = pytest.mark.warm
TASK = ("--dataset", "data", "--languages", "En", "--tasks", "1")


@pytest.mark.parametrize(
    ("backend", "model", "right"),
    [
        ("openai", "gemini-3.8-flash", "gemini"),
        ("openai", "google/gemini-3.8-flash", "gemini"),
        ("openai", " Gemini-3.8-Flash ", "gemini"),
        ("gemini", "gpt-6-luna", "openai"),
        ("gemini", "models/gpt-6-luna", "openai"),
        ("gemini", "o3", "openai"),
        ("gemini", "chatgpt-4o-latest", "openai"),
    ],
)
@pytest.mark.parametrize("command", [("plan",), ("run",), ("run", "--sandbox"), ("prompt", "--task", "OR")])
def test_a_model_of_another_provider_is_refused_with_its_backend(
    vlures: Command, command: tuple[str, ...], backend: str, model: str, right: str
) -> None:
    task = TASK if command[0] != "prompt" else TASK[:4]
    result = vlures(*command, *task, "--backend", backend, "--model", model)
    result.assert_stopped(2, f"The model {model.strip().removeprefix('models/')} is ", f"--backend {right}")


@pytest.mark.parametrize(
    ("backend", "model", "meant"),
    [
        ("openai", "gpt-6-lunna", "gpt-6-luna"),
        ("openai", "gpt6-luna", "gpt-6-luna"),
        ("openai", "GPT-6-Luna", "gpt-6-luna"),
        ("openai", "openai/gpt-6-luna", "gpt-6-luna"),
        ("gemini", "gemini-3.8-flahs", "gemini-3.8-flash"),
        ("gemini", "gemni-3.8-flash", "gemini-3.8-flash"),
    ],
)
def test_a_slip_of_the_pen_is_told_of_and_sent(vlures: Command, backend: str, model: str, meant: str) -> None:
    result = vlures("plan", *TASK, "--backend", backend, "--model", model)
    assert result.code == 0, result
    assert f"{model} is in no list of " in result.err
    assert f"did you mean {meant}?" in result.err


@pytest.mark.parametrize(
    ("backend", "model"),
    [
        ("openai", "gpt-6-luna"),
        ("openai", "gpt-5.4-mini-2026-03-17"),
        ("openai", "ft:gpt-4.1-mini:mine"),
        ("openai", "something-else"),
        ("gemini", "gemini-3.8-flash"),
        ("gemini", "models/gemini-3.8-flash"),
    ],
)
def test_a_name_that_may_be_right_is_not_doubted(vlures: Command, backend: str, model: str) -> None:
    result = vlures("plan", *TASK, "--backend", backend, "--model", model)
    assert (result.code, "did you mean" in result.err) == (0, False), result


@pytest.mark.parametrize("place", ["--base-url", "environment"])
@pytest.mark.parametrize(("backend", "model"), [("openai", "gemini-3.8-flash"), ("openai", "gpt-6-lunna")])
def test_no_name_is_judged_behind_an_address_of_ones_own(vlures: Command, backend: str, model: str, place: str) -> None:
    address = "http://127.0.0.1:9/v1"
    option = ("--base-url", address) if place == "--base-url" else ()
    vlures.environment |= {} if option else {"OPENAI_BASE_URL": address}
    result = vlures("plan", *TASK, "--mode", "live", "--backend", backend, "--model", model, *option)
    assert (result.code, "did you mean" in result.err) == (0, False), result


def test_blanks_around_a_model_are_not_sent(vlures: Command) -> None:
    shown = vlures("prompt", *TASK[:4], "--task", "1", "--model", "  gpt-6-luna ")
    assert "── gpt-6-luna" in shown.out, shown
