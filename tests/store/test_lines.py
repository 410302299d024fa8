"""What was damaged in a run's folder stops every command with one sentence; what only counts oddly stops none."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import Command
from vlures.records import Failure, Response, Usage
from vlures.store.job_events import read_event
from vlures.store.lines import StoredLine, UnreadableLine, encode_line, read_answer, read_line, read_lines
from vlures.store.tails import is_torn

KEY = "En-t1-1shot-rationales-1"
SOUND = {"key": KEY, "status": "ok", "digest": "d", "text": "A bus.", "usage": {"input_tokens": 3}, "attempts": 1}
JOB = {"job": "a", "state": "created", "provider": "openai", "requests": {}, "time": "2026-11-21T10:00:00+00:00"}


def line(**changed: Any) -> bytes:
    """A sound line with other values; None leaves a field out."""
    return json.dumps({name: value for name, value in (SOUND | changed).items() if value is not None}).encode()


DAMAGED: dict[str, tuple[bytes, str]] = {
    "bad UTF-8 in the text": (line().replace(b"bus", b"b\xffs"), "is not UTF-8"),
    "bad UTF-8 in the reasoning": (line(reasoning="bus").replace(b"bus", b"b\xffs"), "is not UTF-8"),
    "a number as text": (line(text=5), "expected `str | null`, got `int`"),
    "no text": (line(text=None), "'ok' without its text"),
    "a cut answer with neither text nor reason": (line(status="truncated", text=None), "'truncated' without its text"),
    "no status": (line(status=None), "missing required field `status`"),
    "a later status": (line(status="withheld"), "written by a later version of vlures: invalid enum value 'withheld'"),
    "a doubled text": (line()[:-1] + b', "text": "B"}', "'text' occurs twice"),
    "a doubled status": (line()[:-1] + b', "status": "failed"}', "'status' occurs twice"),
    "a doubled key": (b'{"key": "x", ' + line()[1:], "'key' occurs twice"),
    "CR in it": (line() + b"\r" + line(), "lines end in CR alone"),
    "NULs": (line() + b"\0" * 30, "NUL bytes"),
    "a byte order mark": (b"\xef\xbb\xbf" + line(), "byte order mark"),
    "two objects": (line() + line(), "more than one object"),
    "something behind it": (line() + b"]", "more follows"),
    "words as usage": (line(usage="many"), "`usage`"),
    "words as tokens": (line(usage={"input_tokens": "12"}), "`usage.input_tokens`"),
    "a list as error": (line(status="failed", error=[]), "`error`"),
    "an error without a message": (line(status="failed", error={"code": "x"}), "`message`"),
    "a number as time": (line(time=5), "`time`"),
    "deep nesting": (b'{"key": ' + b"[" * 100_000, "nested too deeply"),
    "a list": (b"[]", "not a JSON object"),
    "nothing": (b"", "it is empty"),
    "blanks": (b"   ", "it is empty"),
    "half a character": (line().replace(b"bus", b"\\ud83d"), "half a character"),
}


@pytest.mark.parametrize(("data", "reason"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_line_is_not_believed(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableLine, match=re.escape(reason)):
        read_line(data + b"\n")


ODD = {"input_tokens": 2**63, "output_tokens": -400, "cached_tokens": 1.5, "thinking_tokens": 12.0}


def test_a_count_that_makes_no_sense_is_missing_and_stops_nothing() -> None:
    huge = b'{"input_tokens": 1e400, "output_tokens": ' + b"9" * 5000 + b"}"
    for data, attempts in (
        (line(usage=ODD, latency_s=-1.0, attempts=10**30), None),
        (line(usage=None)[:-1] + b', "usage": ' + huge + b"}", 1),
    ):
        answer, stored = read_answer(data), read_line(data)
        assert stored.usage is not None
        assert (stored.usage.input_tokens, stored.usage.output_tokens, stored.usage.cached_tokens) == (None, None, None)
        assert (stored.attempts, stored.latency_s) == (attempts, None)
        assert answer["usage"]["input_tokens"] is None
        assert answer["text"] == "A bus."
    assert read_answer(line(usage=ODD))["usage"]["thinking_tokens"] == 12
    assert read_line(line(latency_s=3)).latency_s == 3.0
    assert read_line(line(usage={"input_tokens": 7, "audio_tokens": 2**70})).usage.input_tokens == 7  # type: ignore[union-attr]


@pytest.mark.parametrize("doubled", ['"text": "B"', '"status": "refused"', '"text": "' + "C" * 500 + '"', '"key":"x"'])
def test_a_name_that_occurs_twice_is_found(doubled: str) -> None:
    with pytest.raises(UnreadableLine, match="occurs twice"):
        read_line(line(model="m")[:-1] + f", {doubled}}}".encode())


def test_a_text_may_hold_what_looks_like_keys_and_line_ends() -> None:
    text = 'He said {"text": "x", "text": 1, "status": "ok"}\r\n\ttwice \u2028 "key" "key"'
    assert read_line(line(text=text)).text == text
    assert read_answer(line(text=text))["text"] == text
    assert read_line(line(finish_reason="text", model="text")).model == "text"


def test_a_cut_answer_may_lack_a_text_where_it_says_why() -> None:
    assert read_line(line(status="truncated", text=None, error={"code": "no text", "message": "m"})).text is None
    assert read_line(line(status="failed", text=None)).status == "failed"


WRITTEN = encode_line(
    Response(
        KEY,
        "truncated",
        "d",
        'Two "buses" 雨\n\t\u2028.',
        "Well …",
        ("think tags",),
        "length",
        "m",
        Usage(3, 5, 1),
        Failure("cut", "It was cut."),
        "id-1",
        "tag",
        2,
        1.25,
        "2026-11-21T10:00:00+00:00",
        None,
        800,
    )
)


def test_lines_as_they_are_written_are_read_all_at_once() -> None:
    for one in (WRITTEN, encode_line(Response(KEY, "ok", text="")), encode_line(Response(KEY, "failed"))):
        assert list(read_lines([one, one])) == [read_line(one)] * 2
    assert list(read_lines([encode_line(Response(KEY, "ok", "d"))])) == []
    assert list(read_lines([WRITTEN, WRITTEN[:-2] + b', "text": "B"}\n'])) == []


@given(st.integers(0, len(WRITTEN) - 1), st.integers(0, len(WRITTEN) - 1), st.binary(max_size=3))
def test_what_is_read_at_once_is_what_is_read_line_by_line(start: int, end: int, instead: bytes) -> None:
    lines = io.BytesIO(WRITTEN[:start] + instead + WRITTEN[end:]).readlines()
    if stored := read_lines(lines):
        assert list(stored) == [read_line(one) for one in lines]


@given(st.binary(max_size=300) | st.text(max_size=100).map(lambda text: line(text=text)), st.data())
def test_any_bytes_are_a_line_or_are_not_believed(data: bytes, draw: st.DataObject) -> None:
    damaged = bytearray(data)
    for place in draw.draw(st.lists(st.integers(0, max(len(damaged) - 1, 0)), max_size=3)):
        if damaged:
            damaged[place] = draw.draw(st.integers(0, 255))
    try:
        stored = read_line(bytes(damaged))
    except UnreadableLine:
        return
    assert isinstance(stored, StoredLine)


EVENTS: dict[str, tuple[dict[str, Any], str]] = {
    "a later state": (JOB | {"state": "paused"}, "written by a later version of vlures: invalid enum value 'paused'"),
    "a later kind": ({"refund": "a"}, "written by a later version"),
    "a number as batch": (JOB | {"batch_id": 5}, "`batch_id`"),
    "requests that are a list": (JOB | {"requests": []}, "`requests`"),
    "no provider": ({name: JOB[name] for name in JOB if name != "provider"}, "begins without its provider"),
    "not a time": (JOB | {"time": "yesterday"}, "`time` 'yesterday' is not a time"),
    "a time without a zone": (JOB | {"deadline": "2026-11-21T10:00:00"}, "`deadline`"),
    "a batch that was seen before its job": (
        {"seen": "b", "status": "s", "time": JOB["time"], "since": JOB["time"]},
        "no line before it names the job 'b'",
    ),
    "not facts": ({"fact": "x", "facts": 5}, "`facts`"),
}


@pytest.mark.parametrize(("event", "reason"), EVENTS.values(), ids=EVENTS)
def test_a_damaged_event_is_not_believed(event: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnreadableLine, match=re.escape(reason)):
        read_event(json.dumps(event).encode(), {})


def test_an_event_may_say_more_than_is_known() -> None:
    assert read_event(json.dumps(JOB | {"colour": "red"}).encode(), {})["colour"] == "red"


@pytest.mark.parametrize(
    ("tail", "torn"),
    [
        (line()[:-5], True),
        (line().replace(b"bus", b"\xd8\xa8")[:-50], True),
        (line()[:40] + b"\0" * 100, True),
        (b"\0" * 4096, True),
        (line(), False),
        (line() + b"\r", False),
        (line() + b"\0" * 50, False),
    ],
)
def test_only_a_line_that_was_not_written_to_its_end_is_torn(tail: bytes, torn: bool) -> None:
    assert is_torn(tail) is torn


@pytest.mark.parametrize(
    "tail",
    [
        line() + b"\r" + line() + b"\r",
        line() + b"\r" + line()[:30],
        line().replace(b'"ok"', b"ok") + b"\r" + line() + b"\r",
        line() + line()[:30],
        line() + b"]",
    ],
)
def test_what_may_hold_whole_answers_is_not_torn(tail: bytes) -> None:
    with pytest.raises(UnreadableLine):
        is_torn(tail)


# The commands


def damage(vlures: Command, name: str, change: Any) -> Path:
    """A run of two live answers, one file of which is then changed."""
    options = ["--sandbox", "--mode", "live", "--dataset", "data", "--languages", "En", "--tasks", "1", "--limit", "2"]
    assert vlures("run", *options).code == 0
    [folder] = vlures.folder.glob("outputs/*/checkpoints_*")
    (folder / "jobs.jsonl").touch()
    [path] = folder.glob(name)
    path.write_bytes(change(path.read_bytes()))
    return path


COMMANDS = (
    ("run", "--sandbox", "--mode", "live", "--dataset", "data", "--languages", "En", "--tasks", "1", "--limit", "2"),
    ("plan", "--sandbox", "--mode", "live", "--dataset", "data", "--languages", "En", "--tasks", "1", "--limit", "2"),
    ("status",),
    ("export", "outputs/sandbox-gpt-6-luna", "--out", "-"),
)


@pytest.mark.warm
@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("checkpoint_*.jsonl", lambda data: data.replace(b'"text":"', b'"text":5,"x":"', 1), "line 1, cannot be read"),
        ("checkpoint_*.jsonl", lambda data: data.replace(b"\n", b"\r"), "line 1, cannot be read"),
        ("checkpoint_*.jsonl", lambda data: data.replace(b'"ok"', b'"later"', 1), "later version of vlures"),
        ("checkpoint_*.jsonl", lambda data: b'"text":5,"x":"'.join(data.rsplit(b'"text":"', 1))[:-1], "line 2, cannot"),
        ("checkpoint_*.jsonl", lambda data: data.replace(b'"text":"', b'"text":5,"x":"', 1)[:-9], "line 1, cannot"),
        ("jobs.jsonl", lambda data: data + b'{"job":"a"}\n', "cannot be read (object missing required field `state`)"),
        ("run.json", lambda data: b"[" * 100_000, "it is not readable JSON: it is nested too deeply"),
        ("run.json", lambda data: b"[]", "it is not a JSON object"),
        ("run.json", lambda data: data.replace(b'"model": "', b'"model": 5, "x": "', 1), "`model`"),
        ("run.json", lambda data: data.replace(b'"En-t1": {', b'"En": {', 1), "which is not a cell"),
    ],
)
def test_what_is_damaged_stops_every_command_in_one_sentence(
    vlures: Command, name: str, change: Any, says: str
) -> None:
    path = damage(vlures, name, change)
    before = path.read_bytes()
    for command in COMMANDS:
        if name == "run.json" and command[0] == "plan":  # which does not look into it
            continue
        done = vlures(*command)
        assert done.code == 1, (command, str(done))
        assert f"{path.relative_to(vlures.folder)}" in done.err
        assert says in done.err
        assert "run again" in done.err
    assert path.read_bytes() == before
    assert not list(path.parent.glob("*torn*"))


@pytest.mark.warm
def test_odd_numbers_in_a_line_stop_no_command(vlures: Command) -> None:
    usage = (
        b'"usage":{"input_tokens":99999999999999999999,"output_tokens":-3,"cached_tokens":0.5,"thinking_tokens":1e400}'
    )
    odd = usage + b',"latency_s":-1e300,"attempts":18446744073709551616'
    damage(
        vlures,
        "checkpoint_*.jsonl",
        lambda data: re.sub(rb'"usage":\{[^}]*\}', odd, re.sub(rb',"(attempts|latency_s)":[0-9.e-]+', b"", data)),
    )
    for command in COMMANDS[:3]:
        assert vlures(*command).code == 0, command
    for form in ("jsonl", "csv", "parquet"):
        assert vlures("export", "outputs/sandbox-gpt-6-luna", "--format", form, "--out", f"table.{form}").code == 0
    rows = [json.loads(row) for row in (vlures.folder / "table.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [rows[0][name] for name in ("input_tokens", "output_tokens", "cached_tokens", "thinking_tokens")] == [
        None
    ] * 4
    assert (rows[0]["latency_s"], rows[0]["attempts"]) == (None, 1)
    assert rows[0]["answer"]
    [summary] = vlures.folder.glob("outputs/*/results_*/summary.json")
    assert json.loads(summary.read_text(encoding="utf-8"))["cells"]["En-t1"]["usage"]["input_tokens"] == 0
