"""What a user is told: one thing is not told of as many."""

from __future__ import annotations

import re

import pytest

from tests.conftest import REPOSITORY, Command
from vlures.errors import counted


@pytest.mark.parametrize(
    ("number", "noun", "verbs", "said"),
    [
        (0, "batch", (), "0 batches"),
        (1, "batch", (), "1 batch"),
        (2, "batch", (), "2 batches"),
        (1, "stored answer", ("is", "are"), "1 stored answer is"),
        (1_234, "stored answer", ("is", "are"), "1,234 stored answers are"),
        (2, "retry", (), "2 retries"),
        (3, "day", (), "3 days"),
    ],
)
def test_a_number_has_the_form_of_its_noun(number: int, noun: str, verbs: tuple[str, ...], said: str) -> None:
    assert counted(number, noun, *verbs) == said


def test_no_sentence_leaves_the_form_to_its_reader() -> None:
    files = (REPOSITORY / "vlures").rglob("*.py")
    texts = {path: path.read_text(encoding="utf-8") for path in files}
    assert [path for path, text in texts.items() if re.search(r"} [\w ]+\(e?s\)", text)] == []


@pytest.mark.parametrize(("options", "cells"), [((), "6 due of 6 requests"), (("--limit", "1"), "1 due of 1 request")])
@pytest.mark.warm
def test_one_cell_is_one_batch(vlures: Command, options: tuple[str, ...], cells: str) -> None:
    task = ("--dataset", "data", "--languages", "En", "--tasks", "1", "--sandbox", "--no-canary", *options)
    assert f"{cells} in 1 cell, " in (planned := vlures("plan", *task)).out, planned
    assert ", 1 batch, " in planned.out
    sent = vlures("run", *task, "--no-wait", "--name", "mine")
    assert "1 batch continues at the provider" in sent.err, sent
    cancelled = vlures("cancel", "outputs/sandbox-mine")
    assert "1 of 1 batch ended" in cancelled.out, cancelled
