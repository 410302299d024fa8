"""Checkpoints of the original scripts: every real text in them counts once, nothing else does, and nothing is lost."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.conftest import Command, Sandbox, make_dataset, wait_until
from vlures.benchmarks.vlures.settings import Setting, make_cell
from vlures.errors import VluresError
from vlures.legacy.checkpoint_files import parse_checkpoint
from vlures.legacy.checkpoints import assume_checkpoints_imported, import_checkpoints
from vlures.records import Failure, Response
from vlures.store.checkpoints import CheckpointStore
from vlures.store.keys import request_key

pytestmark = pytest.mark.warm

CELL = make_cell("Ur", 2)
NAME = "checkpoint_task2_Ur.json"
SETTING = Setting()


def write(folder: Path, name: str, content: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    data = content if isinstance(content, bytes) else json.dumps(content, ensure_ascii=False, indent=2).encode()
    (folder / name).write_bytes(data)
    return folder / name


def take(output: Path, source: Path) -> tuple[dict[int, str | None], list[str]]:
    """Take a folder's checkpoints over; the cell's texts, and what was said."""
    said: list[str] = []
    store = CheckpointStore(output, SETTING, say=said.append)
    try:
        import_checkpoints(store, source, said.append)
        return {int(number): line.get("text") for number, line in store.responses(CELL)}, said
    finally:
        store.close()


# The command


def test_a_run_goes_on_where_the_original_scripts_stopped(vlures: Command, shared_sandbox: Sandbox) -> None:
    vlures.use(shared_sandbox)
    output = vlures.folder / "outputs/old"
    folder = output / "checkpoints_1shot_rationales"
    urdu = {str(number): f"تصویر {number} میں ایک رنگ ہے۔" for number in range(1, 7)}
    texts = {"1": "One colour.", "image2.png": " Two\ncolours. ", "900": "No."}
    mixed = texts | {"3": "Error: timed out", "4": None, "5": ""}
    originals = [write(folder, "checkpoint_task1_Ur.json", urdu), write(folder, "checkpoint_task1_En.json", mixed)]
    before = [path.read_bytes() for path in originals]
    how = ("--backend", "openai", "--model", "gpt-6-luna", "--name", "old", "--dataset", "data", "--tasks", "1")
    run = ("run", *how, "--languages", "En,Ur", "--poll-s", "0.2")

    assert "The next run imports 2 checkpoints of the original scripts" in vlures("status", "outputs/old").out
    planned = vlures("plan", *run[1:])
    assert "4 due of 12 requests in 2 cells, 8 answered already (8 imported)" in planned.out, planned
    assert not list(folder.glob("*.jsonl"))

    shared_sandbox.show("error@chat:status=400,code=invalid_value,message=It is odd.")
    refused = vlures(*run, "--mode", "live")
    assert refused.code == 1, refused
    assert "All 4 requests so far failed in the same way" in refused.err, "imported answers show nothing of the request"
    assert "checkpoint_task1_Ur.json: 6 answers imported." in refused.err
    assert "3 answers imported; 3 with an error or no text are due." in refused.err
    assert "1 imported answer is about samples that the dataset does not have, such as En-t1-1shot-" in refused.err
    shared_sandbox.show()
    first = vlures(*run)
    assert first.code == 0, first
    answers = vlures.answers("old")
    assert {key: text for key, text in answers.items() if key.startswith("Ur")} == {
        f"Ur-t1-{i}": t for i, t in urdu.items()
    }
    assert (answers["En-t1-1"], answers["En-t1-2"], answers["En-t1-900"]) == ("One colour.", " Two\ncolours. ", "No.")
    assert all("sandbox" in answers[f"En-t1-{number}"].lower() for number in (3, 4, 5, 6))
    modes = sorted(entry["mode"] for entry in shared_sandbox.ledger)
    assert modes == ["batch"] * 3 + ["live"], (
        "imported answers show nothing of the key, so one request goes first, live"
    )

    changed = vlures("run", *how, "--languages", "Ur", "--seed", "5")
    assert (changed.code, len(shared_sandbox.ledger)) == (0, 4), changed
    assert "checkpoint_task" not in changed.err
    assert "9 of the answers are imported from the original scripts" in vlures("status", "outputs/old").out
    summary = json.loads((output / "results_1shot_rationales/summary.json").read_bytes())
    assert (summary["imported"], summary["cells"]["Ur-t1"]["imported"], summary["status"]) == (9, 6, {"ok": 13})
    rows = [json.loads(line) for line in vlures("export", "outputs/old", "--out", "-").out.splitlines()]
    marks = {(row["language"], row["sample_id"]): (row["imported"], row["mode"], row["digest"]) for row in rows}
    assert marks["Ur", 4] == ("checkpoint_task1_Ur.json", None, "")
    assert marks["En", 6][:2] == (None, "batch")

    again = vlures("run", *how, "--languages", "Ur", "--samples", "1,2", "--redo", "imported", "--mode", "live")
    assert (again.code, len(shared_sandbox.ledger)) == (0, 6), again
    answers = vlures.answers("old")
    assert "sandbox" in answers["Ur-t1-1"].lower()
    assert answers["Ur-t1-3"] == urdu["3"]
    assert [path.read_bytes() for path in originals] == before


def test_a_folder_is_imported_by_command_and_once(vlures: Command) -> None:
    old = vlures.folder / "old"
    whole = json.dumps({str(number): f"Jibu {number}" for number in range(1, 9)}, indent=2).encode()
    path = write(old, "checkpoint_task3_Sw.json", whole[:100])
    write(old, "checkpoint_task9_En.json", {})
    write(old, "checkpoint_task1_Fr.json", {})
    write(old, "notes.json", b"no JSON")
    vlures("import", "--from", "data", "--name", "x")
    assert not (vlures.folder / "outputs").exists()
    assert "no checkpoint of the original scripts" in vlures("import", "--name", "x").err

    torn = vlures("import", "--from", "old", "--name", "x")
    assert torn.code == 3, torn
    assert "5 answers from 1 file. Nothing was sent." in torn.out
    assert "it is torn after byte 89 (line 7)" in torn.err
    assert "checkpoint_task9_En.json is ignored: there is no task 9" in torn.err
    assert "checkpoint_task1_Fr.json is ignored: there is no language Fr" in torn.err
    second = vlures("import", "--from", "old", "--name", "x")
    assert (second.code, second.out.count("0 answers from 0 files; 1 file had been imported before")) == (
        0,
        1,
    ), second

    path.write_bytes(whole.replace(b"Jibu 2", b"Jibu la pili"))
    fixed = vlures("import", "--from", "old", "--name", "x")
    assert fixed.code == 0, fixed
    assert "another file of this name was imported before; new answers in this one are added" in fixed.err
    assert "3 answers imported" in fixed.err
    assert "5 not, because the run has an answer already (1 with another text)" in fixed.err
    assert vlures.answers("x") == {f"Sw-t3-{number}": f"Jibu {number}" for number in range(1, 9)}
    status = vlures("status").out
    assert "outputs/x" in status
    assert "1shot_rationales" in status

    run = vlures("run", "--name", "x", "--dataset", "data", "--languages", "Sw", "--tasks", "3")
    assert run.code == 0, run
    assert "0 due of 6 requests in 1 cell, 6 answered already (6 imported)" in run.err
    assert "2 imported answers are about samples that the dataset does not have, such as Sw-t3-1shot-" in run.err
    exported = vlures("export", "outputs/x", "--out", "-")
    assert json.loads(exported.out.splitlines()[1])["image"] == "data/image2.png"
    assert "nothing is due" in exported.err


def test_an_import_that_is_killed_is_completed_by_the_next(vlures: Command) -> None:
    texts = {str(number): f"Jibu la swali {number}" for number in range(12_000)}
    write(vlures.folder / "old", "checkpoint_task1_Sw.json", texts)
    folder = vlures.folder / "outputs/x/checkpoints_1shot_rationales"
    checkpoint = folder / "checkpoint_task1_Sw.jsonl"
    process = vlures.start("import", "--from", "old", "--name", "x")
    wait_until(process, lambda: checkpoint.exists() and checkpoint.stat().st_size > 10_000)
    process.kill()
    process.communicate()
    stored = checkpoint.read_bytes().count(b"\n")
    assert 0 < stored < len(texts)
    assert not (folder / "jobs.jsonl").exists()

    result = vlures("import", "--from", "old", "--name", "x")
    assert result.code == 0, result
    assert vlures.answers("x") == {f"Sw-t1-{number}": text for number, text in texts.items()}
    assert len(checkpoint.read_bytes().splitlines()) == len(texts)


# What stands in them


@pytest.mark.parametrize(
    ("content", "taken", "words"),
    [
        pytest.param(
            {"1": "a", "2": "Error: no", "3": (" error : x"), "4": " \n"},
            {1: "a"},
            [("3 with an error or no text")],
            id="errors",
        ),
        pytest.param({"007": "a", "image12.png": "b"}, {7: "a", 12: "b"}, [], id="IDs in names"),
        pytest.param(
            {"abc": "a", "1_2": "b", "3": "c"}, {3: "c"}, ["2 of its", ("'abc' (no number"), "'1_2' (2 sep"], id="no ID"
        ),
        pytest.param(
            {"-5": "a", "\u22126": "b", "12 (copy)": "c", "9 (copy).png": "d", "7b": "e", "8": "f"},
            {8: "f"},
            ["5 of its entries", "'-5' (neither a whole number nor a file's name)"],
            id="numbers with something to them",
        ),
        pytest.param(
            {"421.png": "a", "img_12": "b", "42_tall.jpg": "c", " 13 ": "d"},
            {12: "b", 13: "d", 42: "c", 421: "a"},
            [],
            id="names of files",
        ),
        pytest.param(
            b'{"1": "a", "image1.png": "b", "1": "c", "2": "d", "002": "d", "3": "Error: no", "x3": "e"}',
            {2: "d", 3: "e"},
            ["2 of its entries", "'1' (the ID 1 has another text under 'image1.png')", "'image1.png' (the ID 1"],
            id="several keys of one ID",
        ),
        pytest.param(
            [{"id": 4, "text": "a"}, {"id": "04", "text": "b"}], {}, [("2 of its entries")], id="the same in a list"
        ),
        pytest.param(
            b'{"1": "a", "1": "b", "2": "c", "2": "c"}',
            {1: "b", 2: "c"},
            ["1 ID occurs", "last was used: 1."],
            id="twice",
        ),
        pytest.param(b'{"1": "a", "1": "Error: x"}', {1: "a"}, [], id="an error behind an answer"),
        pytest.param(
            {"1": 5, "2": {"text": "a"}, "3": ["a"], "4": True},
            {},
            ["4 of its", "(a number,", "(an object,", "(a list,"],
            id="no texts",
        ),
        pytest.param(
            [{"id": 1, "text": "a"}, {"id": "2", "answer": "b"}, {"id": 3, "response": None}],
            {1: "a", 2: "b"},
            ["1 with an error"],
            id="list",
        ),
        pytest.param(
            [{"id": 1, "text": "a", "answer": "b"}, {"text": "c"}, 7, {"id": 4}],
            {},
            [("text and answer"), "no id", "entry 3", "none of"],
            id="odd list",
        ),
        pytest.param(b'\xef\xbb\xbf{"1": "a"', {1: "a"}, ["byte order mark", "byte 12 (line 1)"], id="BOM, torn"),
        pytest.param(b'{"1": "a",\n}\n', {1: "a"}, [], id="a comma too many"),
        pytest.param(b'{"1": "a"}{"2": "b"}', {1: "a"}, ["byte 10 "], id="more behind it"),
        pytest.param(b'{"1": "a" "2": "b"}', {}, ["torn after byte 1 "], id="where the value ends is unsure"),
        pytest.param(b'{"1": "a\n"2": "b"}', {}, ["torn after byte 1 "], id="a lost quotation mark"),
        pytest.param(b'{"1": "a", ' + b"[" * 100_000, {1: "a"}, ["byte 11 "], id="brackets without end"),
        pytest.param(b'{"1": "a", "2": ' + b"9" * 5_000 + b"}", {1: "a"}, ["byte 11 "], id="a number without end"),
        pytest.param(
            (b'{"1": "a", "2": "\xd8') + b"\0" * 500, {1: "a"}, ["torn after byte 11 "], id="room without content"
        ),
        pytest.param(
            b'{"1": "\\ud83d", "2": "\\ud83d\\ude00"}', {2: "😀"}, ["half a character"], id="half a character"
        ),
        pytest.param(b"", {}, ["it is empty"], id="empty"),
        pytest.param(b'"1"', {}, ["neither an object nor a list"], id="a text"),
    ],
)
def test_what_is_no_answer_is_named_and_what_is_one_is_taken(
    tmp_path: Path, content: Any, taken: dict[int, str], words: list[str]
) -> None:
    write(tmp_path / "old", NAME, content)
    texts, said = take(tmp_path, tmp_path / "old")
    assert texts == taken
    for word in words:
        assert word in "\n".join(said)
    assert len(said) == 1 or words, said
    assert take(tmp_path, tmp_path / "old") == (taken, [])


@pytest.mark.parametrize(
    ("data", "place"),
    [
        ('{"1": "a",\n"2": "Là"}'.encode("latin-1"), "byte 18, line 2"),
        ('{"1": "a"}'.encode("utf-16"), "byte 0, line 1"),
    ],
)
def test_another_encoding_stops_the_run_before_its_answers_are_paid_for_again(
    tmp_path: Path, data: bytes, place: str
) -> None:
    path = write(tmp_path / "old", NAME, data)
    with pytest.raises(VluresError, match=rf"is not UTF-8 \({place}\), and nothing of it was imported"):
        take(tmp_path, path.parent)
    path.unlink()
    path.mkdir()
    with pytest.raises(VluresError, match="is a folder, not a file"):
        take(tmp_path, path.parent)


def test_an_answer_of_the_run_is_never_replaced_but_a_failure_is(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, SETTING)
    keys = [request_key(CELL, SETTING, str(number)) for number in range(4)]
    store.append(Response(keys[0], "ok", "d", "ours"))
    store.append(Response(keys[1], "refused", "d"))
    store.append(Response(keys[2], "failed", "d", error=Failure("500", "No.")))
    store.append(Response(keys[3], "truncated", "d", "our"))
    store.ask_again(CELL, "3", "redo truncated")
    store.close()
    write(tmp_path / "old", NAME, {str(number): f"theirs {number}" for number in range(5)})
    _, said = take(tmp_path, tmp_path / "old")
    assert "2 answers imported" in said[0]
    assert "3 not, because the run has an answer already (3 with another text)" in said[0]
    store = CheckpointStore(tmp_path, SETTING)
    standing = {int(number): (entry.status, entry.due, entry.imported) for number, entry in store.entries(CELL).items()}
    assert standing == {
        0: ("ok", False, False),
        1: ("refused", False, False),
        2: ("ok", False, True),
        3: ("truncated", True, False),
        4: ("ok", False, True),
    }
    store.append(Response(keys[2], "ok", "d", "a paid answer that was on its way"))
    entry = store.entry(CELL, "2")
    assert entry is not None
    assert not entry.imported
    store.close()


def test_a_file_that_was_imported_is_not_read_anew(tmp_path: Path) -> None:
    data = "Là !".encode("latin-1")  # which reading it would stumble over
    path = write(tmp_path / "checkpoints_1shot_rationales", NAME, data)
    store = CheckpointStore(tmp_path, SETTING)
    store.remember(f"imported {NAME}", {"digests": [hashlib.sha256(data).hexdigest()[:32]]})
    said: list[str] = []
    assume_checkpoints_imported(store, said.append)
    counts = import_checkpoints(store, path.parent, said.append)
    store.close()
    assert (counts.files, counts.new, said) == (1, 0, [])


def test_imported_and_failed_answers_bind_a_folder_to_no_texts(vlures: Command, shared_sandbox: Sandbox) -> None:
    for code in ("En", "Jp"):
        make_dataset(vlures.folder / f"ImagesText{code}1K", samples=2)
    vlures.use(shared_sandbox)
    folder = vlures.folder / "outputs/old/checkpoints_1shot_rationales"
    write(folder, "checkpoint_task1_Jp.json", {"1": "一色"})
    how = ("--backend", "openai", "--model", "gpt-6-luna", "--name", "old", "--languages", "Jp", "--tasks", "1")
    english, japanese = ("--dataset", "ImagesTextEn1K"), ("--dataset", "ImagesTextJp1K")

    shared_sandbox.show("error@chat:status=400,code=invalid_value,message=It is odd.")
    failed = vlures("run", *how, *english, "--mode", "live")
    assert failed.code == 1, failed
    shared_sandbox.show()
    other = vlures("run", *how, *japanese, "--mode", "live")
    assert other.code == 0, other
    assert vlures.answers("old").keys() == {"Jp-t1-1", "Jp-t1-2"}
    back = vlures("plan", *how, *english)
    assert back.code == 1, back
    assert "holds answers in Japanese about texts in Japanese, and ImagesTextEn1K has texts in English" in back.err


def test_importing_says_nothing_of_the_texts(vlures: Command) -> None:
    """Not even to the next run, should it find no more than this one: nothing was asked about them."""
    make_dataset(vlures.folder / "ImagesTextEn1K", samples=1)
    folder = vlures.folder / "outputs/old/checkpoints_1shot_rationales"
    write(folder, "checkpoint_task1_Jp.json", {"1": "一色"})
    how = ("--backend", "openai", "--model", "gpt-6-luna", "--name", "old", "--languages", "Jp", "--tasks", "1")
    result = vlures("run", *how, "--dataset", "ImagesTextEn1K")
    assert result.code == 0, result
    assert json.loads((folder / "run.json").read_bytes())["text_languages"] == {"Jp": "En"}
    assert "text_languages" not in (folder / "jobs.jsonl").read_text(encoding="utf-8")


# Wherever it ends

TEXTS = st.one_of(
    st.none(),
    st.sampled_from(
        ["", "Error: 429 Too Many Requests", 'Ndiyo, "hivyo"\n\\ {x}', "یہ ایک بس ہے۔", "写真のバス", "😀\x7f"]
    ),
    st.text(st.characters(codec="utf-8"), max_size=12),
)


def is_answer(text: str | None) -> bool:
    return bool(text and text.strip()) and not str(text).lstrip().casefold().startswith("error")


@settings(max_examples=15, deadline=None)
@given(
    content=st.dictionaries(st.integers(0, 999), TEXTS, min_size=1, max_size=5),
    ascii_only=st.booleans(),
    indent=st.sampled_from([None, 2]),
)
@example(content={1: "a", 22: "دو"}, ascii_only=False, indent=2)
def test_of_a_torn_file_every_answer_before_the_tear_is_taken_and_none_is_invented(
    content: dict[int, str | None], ascii_only: bool, indent: int | None
) -> None:
    def dump(value: object) -> str:
        return json.dumps(value, ensure_ascii=ascii_only)

    pieces, ends = [], {}
    blank = "\n" + " " * indent if indent else " "
    for number, text in content.items():
        pieces.append(f"{',' if pieces else '{'}{blank}{dump(str(number))}: {dump(text)}")
        ends[number] = len("".join(pieces).encode())
    data = "".join([*pieces, "\n}"]).encode()
    assert json.loads(data) == {str(number): text for number, text in content.items()}
    with TemporaryDirectory() as folder:
        path = Path(folder) / NAME
        for cut in range(len(data) + 1):
            path.write_bytes(data[:cut])
            original = parse_checkpoint(path, CELL, path.read_bytes())
            before = {number: text for number, text in content.items() if ends[number] <= cut}
            assert original.answers == {str(number): text for number, text in before.items() if is_answer(text)}
            whole_empty = {str(number) for number, text in before.items() if not is_answer(text)}
            assert original.empty == whole_empty
            assert original.is_whole == (cut == len(data))


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_an_import_that_ended_anywhere_is_completed_without_loss_or_double(data: st.DataObject) -> None:
    texts = {number: f"جواب {number} – 答え" for number in range(6)}
    with TemporaryDirectory() as folder:
        root = Path(folder)
        write(root / "old", NAME, {str(number): text for number, text in texts.items()})
        assert take(root, root / "old")[0] == texts
        checkpoints = root / "checkpoints_1shot_rationales"
        path = checkpoints / "checkpoint_task2_Ur.jsonl"
        lines = path.read_bytes()
        path.write_bytes(lines[: data.draw(st.integers(0, len(lines)))])
        (checkpoints / "jobs.jsonl").unlink()
        assert take(root, root / "old")[0] == texts
        keys = [json.loads(line)["key"] for line in path.read_bytes().splitlines()]
        assert len(keys) == len(set(keys)) == len(texts)


def test_one_reply_under_many_ids_is_told_of(vlures: Command) -> None:
    """The scripts for zero shots sent eight images at once and stored the one reply under all of their IDs."""
    reply = "1. A market with fruit. 2. A bus in the rain. 3. Two children at a well, and so on to the eighth."
    answers = {str(number): reply for number in range(1, 9)} | {"9": "Another one.", "10": "Yes.", "11": "Yes."}
    write(vlures.folder / "old", "checkpoint_task1_En.json", answers)
    imported = vlures("import", "--from", "old", "--model", "gpt-4o", "--name", "mine")
    assert imported.code == 0, imported
    assert (
        "10 answers are letter by letter the same as another's: 2 texts are, the most frequent under the IDs 1, 2, 3, "
        "4, 5 and 3 more; if one reply was stored under several IDs, it is about none of them alone." in imported.err
    )
    summary = json.loads((vlures.folder / "outputs/mine/results_1shot_rationales/summary.json").read_text())
    assert summary["same_answers"] == {"En-t1": [[str(number) for number in range(1, 9)]]}
    assert "8 answers are letter by letter the same" in vlures("status", "outputs/mine").out


def test_different_replies_are_not_told_of(vlures: Command) -> None:
    write(vlures.folder / "old", "checkpoint_task1_En.json", {"1": "A market.", "2": "A bus.", "3": "A market"})
    imported = vlures("import", "--from", "old", "--model", "gpt-4o", "--name", "mine")
    assert "letter by letter" not in imported.err + vlures("status", "outputs/mine").out
