"""There is one way in: what `vlures plan` refuses, `vlures run` and a notebook refuse, with the same sentence."""

from __future__ import annotations

import io
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import pytest

import vlures
from tests.conftest import make_dataset
from vlures.cli import call
from vlures.errors import VluresError
from vlures.runs.config import all_options, load_config
from vlures.runs.session import open_session

BASE = ("--languages", "En", "--tasks", "1", "--dataset", "data", "--name", "x")
CHOICES: dict[str, tuple[tuple[str, ...], ...]] = {
    "backend": (("--backend", "openai"), ("--backend", "gemini"), ("--backend", "local")),
    "mode": (("--mode", "batch"), ("--mode", "live")),
    "model": (
        ("--model", "gpt-6-luna"),
        ("--model", "gemini-3.8-flash"),
        ("--model", "gemini-2.5-flash-lite"),
        ("--model", "o1"),
    ),
    "benchmark": (("--benchmark", "table"), ("--benchmark", "urban"), ("--benchmark", "judge")),
    "prompt_style": (("--prompt-style", "template"),),
    "cot": (("--cot",),),
    "groups": (("--groups", "count"),),
    "judged": (("--judged", "outputs/none"),),
    "rubric": (("--rubric", "upstream"),),
    "questions": (("--questions", "my.jsonl"),),
    "service_tier": (("--service-tier", "flex"), ("--service-tier", "auto")),
    "sdk": (("--sdk", "google-generativeai"),),
    "endpoint": (("--endpoint", "responses"),),
    "image_transport": (("--image-transport", "file"), ("--image-transport", "url")),
    "image_url_template": (("--image-url-template", "https://host/{name}"), ("--image-url-template", "https://host/x")),
    "base_url": (("--base-url", "http://127.0.0.1:1/v1"), ("--base-url", "nothing")),
    "name": (("--name", "sandbox-x"), ("--name", "..")),
    "text_language": (("--text-language", "Jp"),),
    "shots": (("--shots", "0"),),
    "rationales": (("--no-rationales",),),
    "example_language": (("--example-language", "Ur"),),
    "prompts": (("--prompts", "none"),),
    "columns": (("--columns", "text=story"),),
    "languages": (("--languages", "Ur"),),
    "tasks": (("--tasks", "6"),),
    "limit": (("--limit", "1"),),
    "samples": (("--samples", "1"), ("--samples", "7")),
    "temperature": (("--temperature", "0.5"),),
    "top_p": (("--top-p", "0.5"),),
    "max_output_tokens": (("--max-output-tokens", "100"), ("--max-output-tokens", "3000000000")),
    "seed": (("--seed", "1"),),
    "image_detail": (("--image-detail", "low"), ("--image-detail", "original")),
    "media_resolution": (("--media-resolution", "low"),),
    "reasoning_effort": (("--reasoning-effort", "none"),),
    "thinking_level": (("--thinking-level", "low"),),
    "thinking_budget": (("--thinking-budget", "0"),),
    "thinking_summary": (("--thinking-summary",),),
    "keep_think_tags": (("--keep-think-tags",),),
    "batch_bytes": (("--batch-bytes", "500000000"),),
    "wait": (("--no-wait",),),
    "finish_live": (("--finish-live", "2%"), ("--finish-live", "many")),
    "canary": (("--no-canary",),),
    "redo": (("--redo", "truncated"),),
    "stale": (("--stale", "redo"),),
    "max_cost": (("--max-cost", "5"), ("--max-cost", "0.0000001")),
    "price_input": (("--price-input", "1"),),
    "price_output": (("--price-output", "1"),),
    "sandbox": (("--sandbox",),),
    "dtype": (("--dtype", "fp32"),),
    "fault": (("--fault", "blocked_prompt"), ("--fault", "nonsense")),
}
"""Values that may not go together. An option that is not here is a number or a place that every other one lets be."""
INDIFFERENT = {
    "notify",
    *("output", "text_encoding", "skip_problems", "follow_links", "dataset", "batch_size", "max_attempts", "poll_s"),
    *("doubt_patience_s", "result_patience_s", "forget_lost", "stall_after_s", "delete_remote_files", "concurrency"),
    *("pairwise", "judge_what", "pack_language", "repeats", "controls", "control_seed"),  # as judged and rubric
    *("rpm", "tpm", "timeout_s", "retry_budget_s", "first_contact_s"),
    *("device", "quant", "rows", "trust_remote_code"),  # as dtype: refused with every provider that has a server
}


@dataclass(frozen=True)
class Refusal:
    code: int
    sentence: str


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    make_dataset(folder / "data", samples=2, texts=1)
    (folder / "my.jsonl").write_text('{"image": "data/image1.png", "question": "What?"}\n')
    return folder


def refused_by_command(*arguments: str) -> Refusal | None:
    """In this process: thousands of command lines are tried."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = call(list(arguments))
    if code == 0:
        return None
    assert "internal error of vlures" not in err.getvalue(), (arguments, err.getvalue())
    lines = [line for line in err.getvalue().splitlines() if line.startswith("vlures: ")]
    return Refusal(code, lines[-1])


def refused_by_session(*flags: str) -> Refusal | None:
    """What `vlures run` and a notebook go through before anything is sent."""
    names = all_options()
    values: dict[str, object] = {}
    words = list(flags)
    while words:
        word = words.pop(0).removeprefix("--").replace("-", "_")
        if word in names and names[word].hint is not bool:
            values[word] = words.pop(0)
        else:
            values[word.removeprefix("no_")] = not word.startswith("no_")
    for name, value in values.items():
        if isinstance(value, str) and names[name].hint not in (str,) and name not in ("name", "model"):
            with suppress(ValueError):
                values[name] = float(value) if "." in value else int(value)
    try:
        with open_session(load_config(None, values), lambda _: None):
            return None
    except VluresError as error:
        return Refusal(2 if isinstance(error, vlures.UsageError) else 1, f"vlures: {error}")


def pairs() -> list[tuple[str, ...]]:
    ways = [(name, way) for name, choices in CHOICES.items() for way in choices]
    return [(*one, *other) for (name, one), (second, other) in combinations(ways, 2) if name != second]


def test_every_option_is_tried_or_known_to_let_the_others_be() -> None:
    assert set(CHOICES) | INDIFFERENT == set(all_options())
    assert set(CHOICES) & INDIFFERENT == set()


@pytest.mark.parametrize("part", range(4))
def test_what_a_plan_refuses_a_run_refuses_and_the_other_way_round(
    place: Path, part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    for name in ("OPENAI_API_KEY", "GOOGLE_API_KEY", "GEMINI_API_KEY", "OPENAI_BASE_URL", "GOOGLE_GEMINI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    found = 0
    for number, flags in enumerate(pairs()[part::4]):
        # What stands twice on a command line is another question; the later one wins here, as in a file over defaults.
        base = [words for words in zip(BASE[::2], BASE[1::2], strict=True) if words[0] not in flags]
        output = ("--output", f"outputs/{part}-{number}")
        line = (*(word for words in base for word in words), *output, *flags)
        planned = refused_by_command("plan", *line)
        begun = refused_by_session(*line)
        assert (planned is None) == (begun is None), (flags, planned, begun)
        if planned is not None and begun is not None:
            found += 1
            assert planned.code == begun.code, (flags, planned, begun)
            if begun.code == 1:
                assert planned.sentence == begun.sentence, (flags, planned, begun)
    assert found > 50


REFUSED = [
    ("--mode", "live", "--no-wait"),
    ("--mode", "live", "--finish-live", "2%"),
    ("--backend", "gemini", "--endpoint", "responses"),
    ("--backend", "openai", "--thinking-level", "low"),
    ("--image-transport", "file", "--backend", "openai"),
    ("--mode", "batch", "--service-tier", "flex"),
    ("--sdk", "google-generativeai", "--mode", "batch"),
    ("--fault", "blocked_prompt", "--mode", "live"),
    ("--benchmark", "table", "--tasks", "3"),
    ("--max-cost", "0.0000001", "--mode", "live"),
]


@pytest.mark.parametrize("flags", REFUSED, ids=lambda flags: " ".join(flags))
def test_all_doors_refuse_with_the_same_words(
    place: Path, flags: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    base = [word for words in zip(BASE[::2], BASE[1::2], strict=True) if words[0] not in flags for word in words]
    said = {refused_by_command(command, *base, *flags) for command in ("plan", "run")}
    assert len(said) == 1
    (refusal,) = said
    assert refusal is not None
    assert refusal.code == 2
