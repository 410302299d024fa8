"""The checkpoint store: what is stored stands after any end of the process, and nothing is ever lost or guessed."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlures.benchmarks.vlures.settings import Setting, make_cell
from vlures.errors import VluresError
from vlures.files.writing import CANCELLED, write_whole
from vlures.records import STATUSES, Cell, Failure, Job, Response, Usage
from vlures.store.checkpoints import CheckpointStore
from vlures.store.keys import request_key

CELL = make_cell("Sw", 3)
SETTING = Setting()


def response(
    sample_id: int, status: Any = "ok", *, digest: str = "d1", text: str = "Ndiyo", cell: Cell = CELL
) -> Response:
    key = request_key(cell, SETTING, str(sample_id))
    if status == "failed":
        return Response(key, "failed", digest, error=Failure("500 server_error", "Sorry.", transient=True))
    return Response(key, status, digest, text, usage=Usage(10, 2, 1, None), time="2026-11-21T10:00:00+00:00")


@contextmanager
def opened(folder: Path, **how: Any) -> Iterator[CheckpointStore]:
    store = CheckpointStore(folder, SETTING, **how)
    try:
        yield store
    finally:
        store.close()


def standing(store: CheckpointStore) -> dict[tuple[Cell, int], tuple[str, str, bool]]:
    return {
        (cell, int(number)): (entry.status, entry.digest, entry.due)
        for cell in store.cells
        for number, entry in store.entries(cell).items()
    }


def texts(store: CheckpointStore, cell: Cell = CELL) -> dict[int, str | None]:
    return {int(number): stored.get("text") for number, stored in store.responses(cell)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The checkpoint file of the cell, with three answers."""
    with opened(tmp_path) as store:
        for number in (1, 2, 3):
            store.append(response(number, text=f"Jibu {number} – جواب\u2028答え"))
        return store.checkpoint_path(CELL)


def test_half_a_line_that_its_writer_gave_up_is_passed_over(tmp_path: Path, path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:-40] + CANCELLED + whole)
    with opened(tmp_path) as store:
        assert sorted(texts(store)) == [1, 2, 3]
    assert path.read_bytes() == whole[:-40] + CANCELLED + whole


# Files


@pytest.mark.parametrize(
    ("setting", "folder"),
    [
        (Setting(1, True), "checkpoints_1shot_rationales"),
        (Setting(1, False), "checkpoints_1shot_norationales"),
        (Setting(0, True), "checkpoints_0shot_rationales"),
        (Setting(0, False), "checkpoints_0shot_norationales"),
    ],
)
def test_the_files_have_the_names_of_the_original_scripts(tmp_path: Path, setting: Setting, folder: str) -> None:
    store = CheckpointStore(tmp_path / "outputs/gpt", setting)
    store.append(Response(request_key(make_cell("Ur", 8), setting, "5"), "ok", "d", "متن"))
    store.begin_job(Job("t", "OpenAI", "intended", {}, "2026-11-21T10:00:00+00:00"))
    store.write_json("run.json", {})
    store.close()
    assert {path.name for path in (tmp_path / "outputs/gpt" / folder).iterdir()} == {
        "checkpoint_task8_Ur.jsonl",
        "jobs.jsonl",
        "run.json",
    }


def test_a_line_holds_the_whole_response_and_nothing_that_was_not_said(tmp_path: Path) -> None:
    whole = Response(
        key="Sw-t3-1shot-rationales-421",
        status="truncated",
        digest="abc",
        text="Picha “ya” کافی\n二",
        finish_reason="length",
        model="gpt-6-luna-2026",
        usage=Usage(10, 20, None, 5),
        error=Failure("no text", "Raise it."),
        response_id="chatcmpl-1",
        job="tag1",
        attempts=2,
        latency_s=1.5,
        time="2026-11-21T10:00:00+00:00",
    )
    with opened(tmp_path) as store:
        store.append(whole)
        line = store.checkpoint_path(CELL).read_bytes()
    assert line.endswith(b"\n")
    assert "“ya” کافی\\n二".encode() in line, "texts are UTF-8, not escaped"
    assert json.loads(line) == {
        "key": "Sw-t3-1shot-rationales-421",
        "status": "truncated",
        "digest": "abc",
        "text": "Picha “ya” کافی\n二",
        "finish_reason": "length",
        "model": "gpt-6-luna-2026",
        "usage": {"input_tokens": 10, "output_tokens": 20, "thinking_tokens": 5},
        "error": {"code": "no text", "message": "Raise it.", "transient": False},
        "response_id": "chatcmpl-1",
        "job": "tag1",
        "attempts": 2,
        "latency_s": 1.5,
        "time": "2026-11-21T10:00:00+00:00",
    }


def test_a_response_without_a_time_gets_one(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.append(Response("Sw-t3-1shot-rationales-1", "ok", "d", "x"))
        [(_, stored)] = store.responses(CELL)
    assert stored["time"].endswith("+00:00")


def test_an_answer_is_in_the_file_before_anyone_is_told(tmp_path: Path) -> None:
    """Without sync or close: a process that is killed right after loses nothing."""
    store = CheckpointStore(tmp_path, SETTING)
    assert store.append(response(7))
    with opened(tmp_path, writable=False) as other:
        assert texts(other) == {7: "Ndiyo"}
    store.close()


def test_a_key_of_another_setting_is_not_stored(tmp_path: Path) -> None:
    with opened(tmp_path) as store, pytest.raises(ValueError, match="0shot"):
        store.append(Response("Sw-t3-0shot-rationales-1", "ok"))


# What stands


@pytest.mark.parametrize(
    ("statuses", "stored", "stands"),
    [
        (["ok"], [True], "ok"),
        (["failed"], [True], "failed"),
        (["failed", "failed"], [True, True], "failed"),
        (["failed", "ok"], [True, True], "ok"),
        (["ok", "failed"], [True, False], "ok"),
        (["refused", "failed"], [True, False], "refused"),
        (["truncated", "failed"], [True, False], "truncated"),
        (["ok", "ok"], [True, False], "ok"),
        (["refused", "ok"], [True, False], "refused"),
        (["failed", "truncated", "ok"], [True, True, False], "truncated"),
    ],
)
def test_the_first_answer_to_a_question_stands_and_is_stored_once(
    tmp_path: Path, statuses: list[str], stored: list[bool], stands: str
) -> None:
    with opened(tmp_path) as store:
        assert [store.append(response(1, status)) for status in statuses] == stored
        assert len(store.checkpoint_path(CELL).read_text().splitlines()) == sum(stored)
        assert store.entries(CELL)["1"].status == stands
    with opened(tmp_path) as store:
        assert store.entries(CELL)["1"].status == stands


def test_an_answer_to_another_question_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.append(response(1, text="old"))
        assert store.append(response(1, digest="d2", text="new"))
        assert not store.append(response(1, digest="d2", text="newer"))
        assert texts(store) == {1: "new"}


def test_a_failure_to_answer_another_question_leaves_the_answer_alone(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.append(response(1, text="old"))
        assert not store.append(response(1, "failed", digest="d2"))
        assert standing(store) == {(CELL, 1): ("ok", "d1", False)}


def test_asking_again_makes_it_due_and_the_old_answer_stands_until_a_new_one_comes(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.append(response(1, "truncated", text="half"))
        store.ask_again(CELL, "1", "redo truncated")
    with opened(tmp_path) as store:
        assert standing(store) == {(CELL, 1): ("truncated", "d1", True)}
        assert texts(store) == {1: "half"}
        assert store.append(response(1, "failed"))
    with opened(tmp_path) as store:
        assert standing(store) == {(CELL, 1): ("truncated", "d1", True)}
        assert store.append(response(1, text="whole"))
        assert standing(store) == {(CELL, 1): ("ok", "d1", False)}
    with opened(tmp_path) as store:
        assert standing(store) == {(CELL, 1): ("ok", "d1", False)}
        assert texts(store) == {1: "whole"}
        lines = store.checkpoint_path(CELL).read_text().splitlines()
    assert [json.loads(line)["status"] for line in lines] == ["truncated", "due", "failed", "ok"]


def test_tokens_are_counted_for_every_answer_that_was_paid(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.append(response(1, "truncated"))
        store.ask_again(CELL, "1", "redo")
        store.append(response(1))
        store.append(response(1))
        store.append(response(2, "failed"))
    with opened(tmp_path) as store:
        totals = store.totals(CELL)
        assert (totals.input_tokens, totals.output_tokens, totals.cached_tokens, totals.thinking_tokens) == (
            20,
            4,
            2,
            0,
        )
        assert store.totals(make_cell("En", 1)).input_tokens == 0


def test_tokens_that_a_line_does_not_know_or_counts_otherwise_are_none(tmp_path: Path, path: Path) -> None:
    usage = b'{"input_tokens":7,"output_tokens":null,"audio_tokens":3}'
    with path.open("ab") as file:
        file.write(b'{"key":"Sw-t3-1shot-rationales-4","status":"ok","text":"t","usage":' + usage + b',"job":"tag"}\n')
        file.write(b'{"key":"Sw-t3-1shot-rationales-5","status":"ok","text":"t","usage":null}\n')
    with opened(tmp_path) as store:
        assert sorted(store.entries(CELL)) == ["1", "2", "3", "4", "5"]
        totals = store.totals(CELL, "batch")
        assert (totals.input_tokens, totals.output_tokens) == (7, 0)
        assert store.totals(CELL).input_tokens == 37


def test_responses_come_by_ascending_number(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        for number in (10, 2, 33, 1):
            store.append(response(number, text=str(number)))
        assert list(texts(store)) == [1, 2, 10, 33]
        assert all(text == str(number) for number, text in texts(store).items())
        assert store.entry(CELL, "4") is None
        assert texts(store, make_cell("En", 1)) == {}


# Properties

Step = tuple[str, Cell, int, str, str]
STEPS: st.SearchStrategy[list[Step]] = st.lists(
    st.tuples(
        st.sampled_from([*STATUSES, "due"]),
        st.sampled_from([CELL, make_cell("Jp", 8)]),
        st.integers(0, 3),
        st.sampled_from(["d1", "d2"]),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    ),
    max_size=15,
)


def take(store: CheckpointStore, step: Step) -> None:
    status, cell, number, digest, text = step
    if status != "due":
        store.append(response(number, status, digest=digest, text=text, cell=cell))
    elif store.entry(cell, str(number)):
        store.ask_again(cell, str(number), "redo")


def everything(store: CheckpointStore) -> object:
    return (
        {cell: dict(store.entries(cell)) for cell in store.cells},
        {cell: (store.totals(cell), list(store.responses(cell))) for cell in store.cells},
        store.jobs,
    )


@given(steps=STEPS, cut=st.integers(0, 15))
@settings(deadline=None, max_examples=60)
def test_closing_and_opening_again_changes_nothing(steps: list[Step], cut: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with opened(folder) as store:
            for step in steps[:cut]:
                take(store, step)
        with opened(folder) as store:
            for step in steps[cut:]:
                take(store, step)
            before = everything(store)
        with opened(folder) as store:
            assert everything(store) == before
        with opened(folder, writable=False) as store:
            assert everything(store) == before


@given(steps=STEPS, data=st.data())
@settings(deadline=None, max_examples=80)
def test_a_file_cut_at_any_byte_loses_at_most_its_last_line(steps: list[Step], data: st.DataObject) -> None:
    steps = [(status, CELL, number, digest, text) for status, _, number, digest, text in steps]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with opened(folder / "whole") as store:
            for step in steps:
                take(store, step)
            whole = store.checkpoint_path(CELL).read_bytes() if store.cells else b""
        cut = data.draw(st.integers(0, len(whole)), label="bytes kept")
        kept = whole[: whole.rfind(b"\n", 0, cut) + 1]
        if whole[cut : cut + 1] == b"\n":
            kept = whole[: cut + 1]
        for place, content in (("cut", whole[:cut]), ("expected", kept)):
            path = folder / place / "checkpoints_1shot_rationales/checkpoint_task3_Sw.jsonl"
            path.parent.mkdir(parents=True)
            path.write_bytes(content)
        with opened(folder / "cut") as cut_store, opened(folder / "expected") as expected:
            assert everything(cut_store) == everything(expected)
            assert cut_store.checkpoint_path(CELL).read_bytes() == kept
            assert cut_store.append(response(9, text="after"))
            assert texts(cut_store)[9] == "after"
        aside = b"".join(path.read_bytes() for path in cut_store.folder.glob("*.torn-*"))
        assert aside == (b"" if len(kept) > cut else whole[len(kept) : cut])


# Torn, garbled, full


def test_a_torn_last_line_is_cut_off_said_and_kept_aside(tmp_path: Path, path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    said: list[str] = []
    with opened(tmp_path, say=said.append) as store:
        assert sorted(map(int, store.entries(CELL))) == [1, 2]
    last = whole.rfind(b"\n", 0, -1) + 1
    assert path.read_bytes() == whole[:last]
    [aside] = path.parent.glob("*torn*")
    assert aside.read_bytes() == whole[last:-20]
    [sentence] = said
    assert str(path) in sentence
    assert aside.name in sentence
    with opened(tmp_path, say=said.append):
        assert len(said) == 1, "a repair is reported once"


def test_an_answer_whose_line_break_a_power_cut_has_made_nul_is_kept(tmp_path: Path, path: Path) -> None:
    whole = path.read_bytes()
    with opened(tmp_path) as store:
        answers = texts(store)
    path.write_bytes(whole[:-1] + b"\0" * 4096)
    said: list[str] = []
    with opened(tmp_path, writable=False, say=said.append) as store:
        assert texts(store) == answers
    assert path.read_bytes() == whole[:-1] + b"\0" * 4096
    with opened(tmp_path, say=said.append) as store:
        assert texts(store) == answers
    assert path.read_bytes() == whole
    assert "the next run repairs it" in said[0]
    assert "it is whole again" in said[1]


def test_two_torn_lines_at_the_same_place_are_both_kept(tmp_path: Path, path: Path) -> None:
    whole = path.read_bytes()
    for torn in (b'{"key":"one', b'{"key":"two'):
        path.write_bytes(whole + torn)
        with opened(tmp_path):
            pass
    kept = b" ".join(aside.read_bytes() for aside in path.parent.glob("*torn*"))
    assert b"one" in kept
    assert b"two" in kept


def test_a_last_line_that_lacks_only_its_line_break_is_kept(tmp_path: Path, path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    said: list[str] = []
    with opened(tmp_path, say=said.append) as store:
        assert sorted(map(int, store.entries(CELL))) == [1, 2, 3]
        store.append(response(4))
    assert len(said) == 1
    assert path.read_bytes().startswith(whole)
    with opened(tmp_path) as store:
        assert sorted(map(int, store.entries(CELL))) == [1, 2, 3, 4]


def test_a_torn_line_longer_than_any_buffer_is_cut_off_whole(tmp_path: Path, path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"key":"Sw-t3-1shot-rationales-4","text":"' + b"x" * 200_000)
    with opened(tmp_path) as store:
        assert sorted(map(int, store.entries(CELL))) == [1, 2, 3]
    assert path.read_bytes() == whole


def test_a_fact_is_recalled_by_a_later_run_and_the_last_one_stands(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        assert store.recall("picture abc") == {}
        store.remember("picture abc", {"file_id": "file-1", "expires_at": 5})
        store.remember("picture abc", {"file_id": "file-2", "expires_at": 6})
        store.remember("picture def", {"file_id": "file-3"})
        store.remember("picture def", {})
        store.begin_job(Job("tag", "OpenAI", "intended", {"k": "d"}, "2026-11-21T10:00:00+00:00"))
    with opened(tmp_path) as store:
        assert store.recall("picture abc") == {"file_id": "file-2", "expires_at": 6}
        assert store.recall("picture def") == {}
        assert [job.tag for job in store.jobs] == ["tag"]


def test_a_torn_event_of_a_job_is_cut_off_too(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.begin_job(JOB)
        path = store.jobs_path
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"job":"tag1","state":"crea')
    with opened(tmp_path) as store:
        assert [job.state for job in store.jobs] == ["intended"]
    assert path.read_bytes() == whole


GARBAGE = {
    "no JSON": b"garbage",
    "half a line": b'{"key":"Sw-t3-1shot-rat',
    "an empty line": b"",
    "a list": b"[]",
    "no status": b'{"key":"Sw-t3-1shot-rationales-1"}',
    "a number for a key": b'{"key":1,"status":"ok"}',
    "a key of another cell": b'{"key":"Sw-t4-1shot-rationales-1","status":"ok"}',
    "a key of another setting": b'{"key":"Sw-t3-0shot-rationales-1","status":"ok"}',
    "a key without a number": b'{"key":"Sw-t3-1shot-rationales-x","status":"ok"}',
    "a key that ends early": b'{"key":"Sw-t3-1shot-rationales-","status":"ok"}',
    "a key with a sign": b'{"key":"Sw-t3-1shot-rationales--1","status":"ok"}',
    "a key with a grouped number": b'{"key":"Sw-t3-1shot-rationales-1_0","status":"ok"}',
    "a key with other digits": '{"key":"Sw-t3-1shot-rationales-١","status":"ok"}'.encode(),
    "a bare number for a key": b'{"key":"1","status":"ok"}',
    "an unknown status": b'{"key":"Sw-t3-1shot-rationales-1","status":"well"}',
    "words for tokens": b'{"key":"Sw-t3-1shot-rationales-1","status":"ok","usage":{"input_tokens":"ten"}}',
    "bytes that are no UTF-8": b'{"key":"Sw-t3-1shot-rationales-1","status":"\xff"}',
    "zeros of a lost block": b"\0" * 40,
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_garbage_in_the_middle_stops_with_file_and_line_and_changes_nothing(
    tmp_path: Path, path: Path, garbage: bytes
) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    spoilt = b"".join([lines[0], garbage + b"\n", *lines[1:]])
    path.write_bytes(spoilt)
    for writable in (True, False):
        with pytest.raises(VluresError, match=rf"{path.name}, line 2,"):
            CheckpointStore(tmp_path, SETTING, writable=writable)
    assert path.read_bytes() == spoilt
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    "garbage",
    [
        b"garbage",
        b"[]",
        b"5",
        b'{"state":"created"}',
        b'{"job":"unknown","state":"created"}',
        b'{"job":[],"state":"created"}',
    ],
)
def test_garbage_among_the_jobs_stops_with_file_and_line(tmp_path: Path, garbage: bytes) -> None:
    with opened(tmp_path) as store:
        store.begin_job(JOB)
        path = store.jobs_path
    path.write_bytes(path.read_bytes() + garbage + b"\n")
    with pytest.raises(VluresError, match=r"jobs\.jsonl, line 2,"):
        CheckpointStore(tmp_path, SETTING)


def test_a_torn_last_line_with_bytes_that_are_no_utf_8_is_cut_off(tmp_path: Path, path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"key":"\xff\xfe"}')
    with opened(tmp_path) as store:
        assert sorted(map(int, store.entries(CELL))) == [1, 2, 3]


def test_reading_only_repairs_nothing_and_makes_nothing(tmp_path: Path, path: Path) -> None:
    torn = path.read_bytes()[:-20]
    path.write_bytes(torn)
    said: list[str] = []
    with opened(tmp_path, writable=False, say=said.append) as store:
        assert sorted(map(int, store.entries(CELL))) == [1, 2]
    assert path.read_bytes() == torn
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert len(said) == 1
    with opened(tmp_path / "nowhere", writable=False) as store:
        assert store.cells == ()
    assert not (tmp_path / "nowhere").exists()


FILL_UP = """
import resource, sys
from pathlib import Path
from vlures.errors import VluresError
from vlures.benchmarks.vlures.settings import Setting
from vlures.records import Response
from vlures.store.checkpoints import CheckpointStore
store = CheckpointStore(Path(sys.argv[1]), Setting())
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
stored = 0
try:
    for number in range(100):
        store.append(Response(f"Sw-t3-1shot-rationales-{number}", "ok", "d", "x" * 200))
        stored += 1
except VluresError as error:
    assert "checkpoint_task3_Sw.jsonl cannot be written" in str(error), error
    print(stored, len(store.entries(next(iter(store.cells)))))
"""


def test_a_line_that_does_not_fit_is_taken_back_whole(tmp_path: Path) -> None:
    child = subprocess.run([sys.executable, "-c", FILL_UP, str(tmp_path)], capture_output=True, text=True, check=True)
    stored, entries = map(int, child.stdout.split())
    assert stored == entries > 0
    said: list[str] = []
    with opened(tmp_path, say=said.append) as store:
        assert sorted(map(int, store.entries(CELL))) == list(range(stored))
        assert store.checkpoint_path(CELL).read_bytes().endswith(b"\n")
    assert said == [], "there was nothing to repair"


def test_a_file_where_the_folder_should_be_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "outputs").write_text("")
    with pytest.raises(VluresError, match=r"cannot be made.*--output"):
        CheckpointStore(tmp_path / "outputs/gpt", SETTING)


def test_a_checkpoint_that_cannot_be_opened_is_one_sentence(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.jobs_path.mkdir()
        with pytest.raises(VluresError, match=r"jobs\.jsonl cannot be written"):
            store.begin_job(JOB)
        assert store.jobs == ()


# Jobs

JOB = Job("tag1", "OpenAI", "intended", {"Sw-t3-1shot-rationales-1": "d1"}, "2026-11-21T10:00:00+00:00")
LIFE: list[tuple[Any, dict[str, str | None]]] = [
    ("uploaded", {"file_id": "file-1"}),
    ("creating", {}),
    ("created", {"batch_id": "batch-1", "status": None}),
    ("collected", {"status": "completed", "note": None}),
]


@pytest.mark.parametrize("steps", range(len(LIFE) + 1))
def test_a_job_is_remembered_as_far_as_it_came(tmp_path: Path, steps: int) -> None:
    with opened(tmp_path) as store:
        store.begin_job(JOB)
        for state, facts in LIFE[:steps]:
            store.update_job("tag1", state, **facts)
        before = store.jobs
    with opened(tmp_path) as store:
        assert store.jobs == before
        [job] = store.jobs
        assert job.state == ["intended", "uploaded", "creating", "created", "collected"][steps]
        assert (job.file_id, job.batch_id) == ("file-1" if steps else None, "batch-1" if steps > 2 else None)
        assert (job.provider, dict(job.requests), job.time) == (JOB.provider, JOB.requests, JOB.time)
        assert store.open_jobs() == (() if steps == 4 else (job,))


@pytest.mark.parametrize("state", ["intended", "uploaded", "creating", "created"])
def test_a_job_is_open_until_it_is_collected_or_dropped(tmp_path: Path, state: Any) -> None:
    with opened(tmp_path) as store:
        for tag in ("a", "b", "c"):
            store.begin_job(Job(tag, "OpenAI", state, {}, "2026-11-21T10:00:00+00:00", file_id="file-9"))
        store.update_job("a", "dropped", note="no batch came of it")
        store.update_job("b", "collected")
    with opened(tmp_path) as store:
        assert [job.tag for job in store.open_jobs()] == ["c"]
        assert [job.state for job in store.jobs] == ["dropped", "collected", state]
        assert store.jobs[0].note == "no batch came of it"
        assert store.jobs[2].file_id == "file-9"


def test_a_jobs_events_are_never_rewritten(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.begin_job(JOB)
        first = store.jobs_path.read_bytes()
        store.update_job("tag1", "creating")
        store.update_job("tag1", "created", batch_id="batch-1")
        lines = store.jobs_path.read_bytes()
    assert lines.startswith(first)
    events = [json.loads(line) for line in lines.splitlines()]
    assert [event["state"] for event in events] == ["intended", "creating", "created"]
    assert all(event["job"] == "tag1" and event["time"] for event in events)


# Small files


def test_a_small_file_is_replaced_whole_and_read_back(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        assert store.read_json("run.json") == {}
        store.write_json("run.json", {"model": "gpt", "name": "کافی"})
        store.write_json("run.json", {"model": "二"})
        assert store.read_json("run.json") == {"model": "二"}
        assert "二" in (store.folder / "run.json").read_text(encoding="utf-8")
        assert [path.name for path in store.folder.iterdir()] == ["run.json"]


def test_a_broken_small_file_is_named(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        (store.folder / "run.json").write_text("{")
        with pytest.raises(VluresError, match=r"run\.json cannot be read"):
            store.read_json("run.json")


def test_a_folder_in_a_small_files_place_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "x.json").mkdir()
    with pytest.raises(VluresError, match=r"x\.json cannot be written"):
        write_whole(tmp_path / "x.json", "{}")
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


def test_a_small_file_whose_folder_is_none_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("")
    with pytest.raises(VluresError, match=r"x\.json cannot be written"):
        write_whole(tmp_path / "folder/x.json", "{}")


OVERFILL = """
import resource, sys
from pathlib import Path
from vlures.errors import VluresError
from vlures.files.writing import write_whole
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_whole(Path(sys.argv[1]), "x" * 5000)
except VluresError as error:
    print(error)
"""


def test_a_small_file_that_does_not_fit_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text("old")
    child = subprocess.run([sys.executable, "-c", OVERFILL, str(path)], capture_output=True, text=True, check=True)
    assert "x.json cannot be written" in child.stdout
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"x.json": "old"}
