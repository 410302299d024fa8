"""Answers that the store cannot take: where they wait, and what is said of it."""

from __future__ import annotations

import asyncio
import errno
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

import vlures.runs.response_keeper
from tests.files.test_writing import FailingOs, put
from vlures.benchmarks.vlures.settings import Setting, make_cell
from vlures.errors import Incomplete
from vlures.files.writing import NotWritable
from vlures.pricing.costs import UNKNOWN
from vlures.pricing.spending import Spending
from vlures.records import Response
from vlures.runs.config import RunConfig
from vlures.runs.response_keeper import ResponseKeeper
from vlures.store.checkpoints import CheckpointStore
from vlures.store.keys import request_key
from vlures.store.rescue import find_rescued, take_rescued

ALWAYS = range(10_000)
CELL = make_cell("En", 1)


def answer(number: int) -> Response:
    return Response(request_key(CELL, Setting(), str(number)), "ok", "d", f"Answer {number}.")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CheckpointStore]:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(vlures.runs.response_keeper, "SYNC_EVERY_S", 0.01)
    monkeypatch.setattr(vlures.runs.response_keeper, "GIVE_UP_AFTER_S", 0.05)
    with closing(CheckpointStore(tmp_path / "run", Setting())) as store:
        yield store


def keep(
    store: CheckpointStore, said: list[str], *answers: Response, keep_going: Callable[[], bool] = lambda: True
) -> ResponseKeeper:
    keeper = ResponseKeeper(store, Spending(RunConfig().target, None, UNKNOWN, store, None), said.append, keep_going)

    async def work() -> None:
        async with keeper.watching():
            for one in answers:
                assert keeper.store(one)

    asyncio.run(work())
    return keeper


def test_a_write_that_fails_once_delays_an_answer_and_no_more(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(monkeypatch, FailingOs({"write": {0: errno.EIO}}))
    said: list[str] = []
    assert keep(store, said, answer(1), answer(2)).can_store()
    assert sorted(map(int, store.entries(CELL))) == [1, 2]
    assert find_rescued(store.folder) == []
    assert said[-1].endswith("can be written again; the waiting answers are stored.")


@pytest.mark.parametrize("call", ["fsync", "write"])
def test_what_a_disk_never_takes_is_found_by_the_next_run_once(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, call: str
) -> None:
    """The folder for temporary files is on another disk, which is in order."""
    system = put(monkeypatch, FailingOs(only=store.folder, faults={call: dict.fromkeys(ALWAYS, errno.EIO)}))
    said: list[str] = []
    with pytest.raises(Incomplete, match=r"2 answers are kept in .*; the next run over this folder stores them by"):
        keep(store, said, answer(1), answer(2))
    assert len(find_rescued(store.folder)) == 1
    system.faults.clear()
    for taken in (None if call == "fsync" else "2", None):
        said.clear()
        with closing(CheckpointStore(tmp_path / "run", Setting())) as later:
            take_rescued(later, said.append)
            assert {int(number): line["text"] for number, line in later.responses(CELL)} == {
                1: "Answer 1.",
                2: "Answer 2.",
            }
        assert [sentence.split()[0] for sentence in said] == ([taken] if taken else [])
    assert len(store.checkpoint_path(CELL).read_bytes().splitlines()) == 2


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_wish_to_ask_again_waits_with_the_answers(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lost: int
) -> None:
    """lost: how many lines the disk did not keep of those that it was given since the last sync."""
    store.append(replace(answer(1), time="2026-01-01T00:00:00+00:00"))
    store.close()
    system = put(monkeypatch, FailingOs(only=store.folder, faults={"fsync": dict.fromkeys(ALWAYS, errno.EIO)}))
    store.ask_again(CELL, "1", "redo")
    again = replace(answer(1), text="Another answer.")
    with pytest.raises(Incomplete, match=r" 1 answer is kept in "):
        keep(store, [], again)
    system.faults.clear()
    path = store.checkpoint_path(CELL)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[: 3 - lost]))
    for _ in range(2):
        said: list[str] = []
        with closing(CheckpointStore(tmp_path / "run", Setting(), say=said.append)) as later:
            take_rescued(later, said.append)
            assert [line["text"] for _, line in later.responses(CELL)] == ["Another answer."]
            assert not later.entries(CELL)["1"].due
        assert not [sentence for sentence in said if "cannot be read" in sentence]
    assert len(path.read_bytes().splitlines()) == 3


def test_a_wish_that_was_fulfilled_is_not_taken_in_again(store: CheckpointStore, tmp_path: Path) -> None:
    store.append(answer(1))
    store.ask_again(CELL, "1", "redo")
    wish = store.checkpoint_path(CELL).read_bytes().splitlines(keepends=True)[1]
    assert store.append(replace(answer(1), text="Another answer."))
    assert not store.take_in(wish)
    assert not store.take_in(wish.replace(b"redo", b"what the disk has lost"))
    assert not store.entries(CELL)["1"].due


def test_an_answer_that_no_disk_takes_is_said(store: CheckpointStore, monkeypatch: pytest.MonkeyPatch) -> None:
    system = put(monkeypatch, FailingOs({"write": dict.fromkeys(ALWAYS, errno.ENOSPC)}))
    said: list[str] = []
    with pytest.raises(Incomplete, match=r"cannot be written \(No space left on device\). Make room, then run again\."):
        keep(store, said, answer(1))
    assert "kept in memory until it can. Make room; then the run continues." in said[0]
    assert '"text":"Answer 1."' in said[-1]
    system.faults.clear()


def test_the_answer_of_a_batch_is_not_kept_since_the_provider_has_it(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(monkeypatch, FailingOs({"write": {0: errno.EIO}}))
    with pytest.raises(NotWritable):
        keep(store, [], replace(answer(1), job="tag"))
    assert find_rescued(store.folder) == []
