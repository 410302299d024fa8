"""What cannot work ends with one sentence and the right exit code, and stores nothing as an answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Command, Result, Sandbox
from tests.e2e.targets import EACH_PROVIDER, OUTPUT, PROVIDERS, Start, Target

pytestmark = pytest.mark.warm

MODES = {
    "batch": ("--tasks", "1", "--no-canary", "--doubt-patience-s", "1", "--name", OUTPUT),
    "live": ("--tasks", "1", "--name", OUTPUT),
}
OPENAI = PROVIDERS["openai"].run("batch", *MODES["batch"])
GEMINI = PROVIDERS["gemini"].run("live", *MODES["live"])
EITHER = pytest.mark.parametrize("arguments", [OPENAI, GEMINI], ids=["openai", "gemini"])
EACH_MODE = pytest.mark.parametrize("mode", MODES)
KEYS = {"openai": "OPENAI_API_KEY", "gemini": "GOOGLE_API_KEY or GEMINI_API_KEY"}
PATHS = {"openai": "openai/v1", "gemini": "gemini"}


def assert_refused(result: Result, vlures: Command, code: int, *words: str) -> None:
    result.assert_stopped(code, *words)
    assert vlures.answers(OUTPUT) == {}


@EACH_MODE
@EACH_PROVIDER
def test_a_wrong_key(vlures: Command, start_sandbox: Start, target: Target, mode: str) -> None:
    sandbox = start_sandbox("--api-key", "right")
    vlures.use(sandbox, key="wrong")
    result = vlures(*target.run(mode, *MODES[mode]))
    assert_refused(result, vlures, 1, "refuses the key", KEYS[target.backend])
    assert sandbox.ledger == []
    assert vlures.checkpoint_lines(OUTPUT) == []


@pytest.mark.parametrize(
    ("provider", "mode", "words"),
    [
        ("openai", "batch", ("model 'gpt-6-luna' is not supported by the Batch API",)),
        ("openai", "live", ("gpt-6-luna is not available", "--model")),
        ("gemini", "batch", ("Choose another with --model",)),
        ("gemini", "live", ("Choose another with --model",)),
    ],
)
def test_an_unknown_model(
    vlures: Command, start_sandbox: Start, provider: str, mode: str, words: tuple[str, ...]
) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2", "--model", "another-model")
    vlures.use(sandbox)
    assert_refused(vlures(*PROVIDERS[provider].run(mode, *MODES[mode])), vlures, 1, *words)
    assert sandbox.ledger == []
    lines = vlures.checkpoint_lines(OUTPUT)
    assert lines == [] or (provider, mode) == ("openai", "batch"), "there, each line fails by itself"


@pytest.mark.parametrize(
    ("provider", "mode", "words"),
    [
        ("openai", "batch", "check the base URL"),
        ("openai", "live", "Check --base-url"),
        ("gemini", "batch", "check the base URL"),
        ("gemini", "live", "check the base URL"),
    ],
)
def test_a_wrong_address(vlures: Command, shared_sandbox: Sandbox, provider: str, mode: str, words: str) -> None:
    vlures.use(shared_sandbox)
    address = ("--base-url", f"{shared_sandbox.url}/{PATHS[provider]}/nowhere")
    assert_refused(vlures(*PROVIDERS[provider].run(mode, *MODES[mode]), *address), vlures, 1, words)
    assert shared_sandbox.ledger == []


@EACH_MODE
@EACH_PROVIDER
def test_no_network(vlures: Command, target: Target, mode: str) -> None:
    vlures.environment = {
        "OPENAI_API_KEY": "key",
        "GOOGLE_API_KEY": "key",
        "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
        "GOOGLE_GEMINI_BASE_URL": "http://127.0.0.1:9",
    }
    result = vlures(*target.run(mode, *MODES[mode]), "--first-contact-s", "1")
    assert_refused(result, vlures, 1, "cannot be reached", "base URL")


@EITHER
def test_no_key(vlures: Command, arguments: tuple[str, ...]) -> None:
    assert_refused(vlures(*arguments), vlures, 2, "API_KEY", ".env")


@EITHER
@pytest.mark.parametrize("key", ["sk-…", "sk a b"])
def test_a_key_that_cannot_be_one_is_not_shown(vlures: Command, arguments: tuple[str, ...], key: str) -> None:
    vlures.environment = {"OPENAI_API_KEY": key, "GOOGLE_API_KEY": key}
    result = vlures(*arguments)
    assert_refused(result, vlures, 2, "cannot be a key")
    assert key not in result.err


@EITHER
def test_a_base_url_that_is_none(vlures: Command, arguments: tuple[str, ...]) -> None:
    vlures.environment = {"OPENAI_API_KEY": "key", "GOOGLE_API_KEY": "key"}
    assert_refused(vlures(*arguments, "--base-url", "127.0.0.1:9/x"), vlures, 2, "http://host:port/path")


@EITHER
def test_an_error_on_every_line(vlures: Command, start_sandbox: Start, arguments: tuple[str, ...]) -> None:
    faults = (
        "--fault",
        "line_error:code=odd_thing,message=It is odd.",
        "--fault",
        "error@gemini:status=400,code=INVALID_ARGUMENT,message=It is odd.",
    )
    vlures.use(start_sandbox("--batch-seconds", "0.2", *faults))
    assert_refused(vlures(*arguments), vlures, 1, "It is odd.", "no answer is stored")


def test_a_refused_parameter(vlures: Command, start_sandbox: Start) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2")
    vlures.use(sandbox)
    address = ("--base-url", f"{sandbox.url}/openai/v1")  # no model behind an address of one's own is judged
    assert_refused(vlures(*OPENAI, "--temperature", "0.5", *address), vlures, 1, "temperature")


@EITHER
def test_a_dataset_with_problems(vlures: Command, arguments: tuple[str, ...]) -> None:
    (vlures.folder / "data/image3b4.png").write_bytes(b"")
    assert_refused(vlures(*arguments), vlures, 1, "image3b4.png", "vlures check")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--languages", "French"), ("French", "Swahili")),
        (("--tasks", "9"), ("no task 9",)),
        (("--dataset", "nowhere"), ("--dataset", "En=data")),
        (("--output", "data/image1.png"), ("data/image1.png",)),
        (("--config", "nowhere.toml"), ("nowhere.toml",)),
        (("--backend", "azure", "--model", "x"), ("choose from openai, gemini, local", "--base-url http://")),
        (("--model", "gpt-4-turbo"), ("gpt-4-turbo", "2026-10-23", "gpt-6-sol")),
        (("--temperature", "0.5"), ("gpt-6-luna", "temperature")),
        (("--thinking-level", "low"), ("thinking_level", "reasoning_effort")),
        (("--image-transport", "file"), ("--endpoint responses",)),
        (("--image-transport", "url"), ("--image-url-template",)),
        (("--service-tier", "flex"), ("live",)),
        (("--batch-bytes", "500000000"), ("200,000,000",)),
        (("--fault", "429"), ("--sandbox",)),
        (("--model", "a\udcff"), ("--model", "not UTF-8")),
        (("--output", "a\udcff"), ("--output", "not UTF-8")),
    ],
)
def test_options_that_make_no_sense(vlures: Command, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    result = vlures(*OPENAI, *arguments)
    assert result.code in (1, 2), result
    assert_refused(result, vlures, result.code, *words)


def test_a_dataset_that_is_not_there(vlures: Command) -> None:
    assert_refused(vlures("run", "--dataset", "nowhere"), vlures, 1, "nowhere", "does not exist")


def test_an_unknown_key_of_the_configuration(vlures: Command) -> None:
    (vlures.folder / "run.toml").write_text('langauges = ["En"]\n')
    assert_refused(vlures("run", "-c", "run.toml"), vlures, 2, "run.toml", "langauges", "did you mean `languages`")


def test_a_number_that_is_one_of_few_can_be_a_flag(vlures: Command) -> None:
    result = vlures("prompt", "--dataset", "data", "--shots", "0", "--language", "En", "--task", "1")
    assert result.code == 0, result
    assert "En-t1-0shot-rationales-1" in result.out
    assert_refused(vlures("prompt", "--shots", "2"), vlures, 2, "--shots", "0, 1")


def test_a_reader_that_has_seen_enough_is_no_failure(tmp_path: Path) -> None:
    process = Command(tmp_path).start("run", "--help")
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    assert process.stderr is not None
    assert process.stderr.read() == ""
