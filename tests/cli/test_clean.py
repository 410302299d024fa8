"""`vlures clean`: what it lists, what it removes, and all that it must never remove."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import Command, Sandbox
from tests.disk_faults import DiskFault, FailingDisk
from tests.warm import WarmCommand
from vlures.benchmarks.vlures.settings import Setting, make_cell
from vlures.records import Job, Response
from vlures.store.checkpoints import CheckpointStore
from vlures.store.keys import request_key
from vlures.store.rescue import RescueFile

pytestmark = pytest.mark.warm
WHAT = ("--dataset", "data", "--languages", "En", "--tasks", "1", "--limit", "2")
CELL = make_cell("En", 8)


def rehearse(vlures: Command, name: str = "try", *options: str, mode: str = "live") -> Path:
    result = vlures("run", "--sandbox", "--mode", mode, "--name", name, *WHAT, *options)
    assert result.code in (0, 3), result
    return vlures.folder / f"outputs/sandbox-{name}"


def store_answer(folder: Path, setting: Setting, **facts: str) -> None:
    """What a model's answer leaves."""
    store = CheckpointStore(folder, setting)
    text = facts.pop("text", "A market in Mombasa.")
    store.append(Response(request_key(CELL, setting, "1"), "ok", "d", text, **facts))  # type: ignore[arg-type]
    store.close()


def real_run(folder: Path) -> Path:
    store_answer(folder, Setting())
    (folder / "checkpoints_1shot_rationales/run.json").write_text(json.dumps({"config": {"sandbox": False}}))
    return folder


def photograph(folder: Path) -> dict[str, bytes | None]:
    """Every file below a folder with its content, but those of the lock, which `--yes` takes."""
    paths = [path for path in folder.rglob("*") if not path.name.startswith(".lock")]
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in paths}


def test_rehearsals_are_listed_and_then_removed_and_a_run_is_left(vlures: Command) -> None:
    rehearsals = [rehearse(vlures, "live", "--backend", "gemini"), rehearse(vlures, "batch", mode="batch")]
    assert vlures("export", "outputs/sandbox-live").code == 0
    outputs = vlures.folder / "outputs"
    real_run(outputs / "gpt")
    before = photograph(outputs)
    listed = vlures("clean")
    assert listed.code == 0, listed
    rows = [line.split() for line in listed.out.splitlines()[2:4]]
    assert [(row[0], row[3]) for row in rows] == [("outputs/sandbox-batch", "2"), ("outputs/sandbox-live", "2")]
    assert "2 rehearsals, " in listed.out
    assert "with --yes, the same command removes what is listed" in listed.out
    assert "gpt" not in listed.out + listed.err
    assert photograph(outputs) == before
    removed = vlures("clean", "--yes")
    assert removed.code == 0, removed
    for folder in rehearsals:
        assert f"Removed outputs/{folder.name}: 2 answers, " in removed.out
    assert removed.err == ""
    assert [path.name for path in outputs.iterdir()] == ["gpt"]
    assert photograph(outputs) == {name: data for name, data in before.items() if name.startswith("gpt")}
    again = vlures("clean", "--yes")
    assert (again.code, again.out) == (0, "There is no rehearsal to remove.\n")


def test_scores_and_predictions_go_with_the_rehearsal_that_they_are_of(vlures: Command) -> None:
    assert vlures("urban", "scenes", "--n", "4", "--size", "64", "--out", "streets").code == 0
    asked = ("--benchmark", "urban", "--questions", "streets/test.jsonl", "--dataset", "streets/images")
    assert vlures("run", "--sandbox", "--mode", "live", *asked, "--limit", "2", "--name", "streets").code == 0
    for parser in ("strict", "legacy"):
        scored = vlures("score", "outputs/sandbox-streets", "--parser", parser)
        assert scored.code == 0, scored
        assert "**a rehearsal**: a sandbox gave the answers" in scored.out
    removed = vlures("clean", "--yes")
    assert (removed.code, removed.err) == (0, ""), removed
    assert not (vlures.folder / "outputs/sandbox-streets").exists()


def test_one_is_chosen_by_folder_pattern_or_configuration(vlures: Command) -> None:
    for name in ("a1", "a2", "b", "c"):
        rehearse(vlures, name)
    assert "Removed outputs/sandbox-b:" in vlures("clean", "--yes", "outputs/sandbox-b").out
    assert vlures("clean", "outputs/sandbox-a*").out.count("outputs/sandbox-a") == 2
    assert vlures("clean", "--yes", "outputs/sandbox-a*").out.count("Removed") == 2
    assert "Removed elsewhere" not in vlures("clean", "--yes", "--output", "elsewhere").out
    assert "outputs/sandbox-c" in vlures("clean", "--sandbox", "--name", "c").out
    assert "Removed outputs/sandbox-c:" in vlures("clean", "--yes", "--sandbox", "--name", "c").out
    assert list((vlures.folder / "outputs").iterdir()) == []


def test_a_rehearsal_with_a_sandbox_of_ones_own_is_one(vlures: Command, shared_sandbox: Sandbox) -> None:
    vlures.use(shared_sandbox)
    for mode in ("batch", "live"):
        assert vlures("run", "--mode", mode, "--name", mode, *WHAT).code == 0
    listed = vlures("clean")
    assert [line.split()[6] for line in listed.out.splitlines()[2:4]] == ["–", "–"], listed
    assert vlures("clean", "--yes").code == 0
    assert list((vlures.folder / "outputs").iterdir()) == []
    assert shared_sandbox.stats["answered"] >= 4


@pytest.mark.parametrize(
    "options",
    [
        ("--fault", "refusal:rate=0.5"),
        ("--fault", "blocked_prompt:rate=0.5", "--backend", "gemini"),
        ("--fault", "safety", "--backend", "gemini"),
        ("--fault", "max_tokens_empty"),
        ("--fault", "think_tags", "--keep-think-tags"),
        ("--max-output-tokens", "16"),
    ],
    ids=" ".join,
)
def test_answers_without_the_mark_are_known_by_the_ledger(vlures: Command, options: tuple[str, ...]) -> None:
    folder = rehearse(vlures, "odd", *options)
    result = vlures("clean", "--yes")
    assert result.code == 0, result
    assert not folder.exists(), result


def other_run(folder: Path) -> None:
    store_answer(folder, Setting(0))
    (folder / "checkpoints_0shot_rationales/run.json").write_text('{"config": {}}')


def displaced_answer(folder: Path) -> None:
    """One that was asked again since: it no longer stands, and was paid for."""
    store = CheckpointStore(folder, Setting())
    for text, digest in (("A model's own words.", "d1"), ("[sandbox] Synthetic answer. Words.", "d2")):
        store.append(Response(request_key(CELL, Setting(), "1"), "ok", digest, text))
        store.ask_again(CELL, "1", "redo")
    store.close()


def batch_elsewhere(folder: Path) -> None:
    account = "https://api.openai.com/v1 (key 1a2b3c4d)"
    store = CheckpointStore(folder, Setting())
    store.begin_job(Job("t", "OpenAI", "created", {}, "2026-01-01T00:00:00+00:00", "f", "batch_real", account=account))
    store.close()


def rescued_answer(folder: Path) -> None:
    line = b'{"key":"En-t8-1shot-rationales-1","status":"ok","digest":"d","text":"x"}\n'
    assert RescueFile(folder / "checkpoints_1shot_rationales").keep(line)


def torn_middle(folder: Path) -> None:
    path = next((folder / "checkpoints_1shot_rationales").glob("checkpoint_*.jsonl"))
    path.write_bytes(b"{half a line\n" + path.read_bytes())


def linked_checkpoints(folder: Path) -> None:
    elsewhere = real_run(folder.parent.parent / "elsewhere")
    (folder / "checkpoints_0shot_rationales").symlink_to(elsewhere / "checkpoints_1shot_rationales")


def unknown_checkpoints(folder: Path) -> None:
    (folder / "checkpoints_rubric").mkdir()
    (folder / "checkpoints_rubric/checkpoint_1.jsonl").write_text('{"text": "of a later version"}\n')


MIXED: dict[Callable[[Path], None], str] = {
    lambda folder: store_answer(folder, Setting()): "holds answers that may be a model's: 1 answer is without",
    lambda folder: store_answer(folder, Setting(), imported="old.json"): "holds answers that may be a model's",
    displaced_answer: "holds answers that may be a model's: 1 answer is without",
    other_run: "also holds a run that no sandbox answered (checkpoints_0shot_rationales)",
    batch_elsewhere: "also holds a batch of https://api.openai.com/v1 (key 1a2b3c4d) (batch_real)",
    rescued_answer: "has answers that a failing disk left in",
    torn_middle: "cannot be judged: ",
    linked_checkpoints: "has a link among its checkpoints (checkpoints_0shot_rationales)",
    unknown_checkpoints: "also holds checkpoints that this version does not know (checkpoints_rubric)",
}


@pytest.mark.parametrize(("spoil", "reason"), MIXED.items(), ids=list(map(str, range(len(MIXED)))))
def test_a_rehearsal_that_holds_anything_real_is_kept_whole(
    vlures: Command, spoil: Callable[[Path], None], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = rehearse(vlures)
    monkeypatch.setenv("HOME", vlures.environment["HOME"])
    Path(vlures.environment["HOME"]).mkdir(exist_ok=True)
    spoil(folder)
    before = photograph(vlures.folder)
    for arguments in (("clean",), ("clean", "--yes"), ("clean", "--yes", "outputs/sandbox-try")):
        result = vlures(*arguments)
        assert result.code == (1 if len(arguments) == 3 else 0), result
        assert f"outputs/sandbox-try {reason}" in result.err
        assert "It is kept." in result.err
        assert result.out == "There is no rehearsal to remove.\n"
    assert photograph(vlures.folder) == before


def test_a_run_that_is_named_is_refused(vlures: Command) -> None:
    folder = real_run(vlures.folder / "outputs/gpt")
    (vlures.folder / "outputs/link").symlink_to(folder)
    before = photograph(vlures.folder)
    for name, reason in (
        ("outputs/gpt", "is a run that no sandbox answered"),
        ("outputs/link", "is a link, which is not followed"),
        ("data", "holds no run"),
        ("nowhere", "holds no run"),
    ):
        result = vlures("clean", "--yes", name)
        assert (result.code, result.err) == (1, f"{name} {reason}. It is kept.\n")
    assert photograph(vlures.folder) == before


def test_files_of_the_user_are_kept_and_named_and_no_link_is_followed(vlures: Command) -> None:
    folder = rehearse(vlures, mode="batch")
    outside = vlures.folder / "outside"
    (outside / "batches").mkdir(parents=True)
    (outside / "batches/batch_1.json").write_text("mine")
    (outside / "notes.json").write_text("mine")
    shutil.rmtree(folder / "sandbox/gemini_files")
    (folder / "sandbox/gemini_files").symlink_to(outside / "batches")
    (folder / "sandbox/files/file-1.data").symlink_to(outside / "notes.json")
    (folder / "run.log").unlink()
    (folder / "run.log").symlink_to(outside / "notes.json")
    (folder / "notes.txt").write_text("mine")
    (folder / "results_1shot_rationales/English/scores.ods").write_text("mine")
    (folder / "figures/sandbox").mkdir(parents=True)
    names = ("figures", "notes.txt", "results_1shot_rationales/English/scores.ods", "run.log")
    links = ("sandbox/files/file-1.data", "sandbox/gemini_files")
    sentence = f"also has what vlures did not write, and that is kept: {', '.join((*names, *links))}"
    assert sentence in vlures("clean").err
    result = vlures("clean", "--yes")
    assert (result.code, sentence in result.err) == (0, True), result
    left = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()}
    assert left == {*names[1:], *links}
    assert {path.name: path.read_text() for path in outside.rglob("*.json")} == {
        "batch_1.json": "mine",
        "notes.json": "mine",
    }
    assert vlures("clean").out == "There is no rehearsal to remove.\n"


def test_a_rehearsal_under_way_is_left_until_it_is_dead(vlures: Command) -> None:
    arguments = ("run", "--sandbox", "--mode", "batch", "--name", "try", *WHAT, "--fault", "stuck")
    process = vlures.start(*arguments)
    vlures.wait_for_journal("sandbox-try", '"state":"created"', process)
    folder = vlures.folder / "outputs/sandbox-try"
    refused = vlures("clean", "--yes")
    refused.assert_stopped(1, "outputs/sandbox-try is in use by process", "wait for it, or stop it, then clean")
    assert process.poll() is None
    assert list(folder.glob("sandbox/files/*.data")) != []
    process.kill()
    process.wait(timeout=20)
    result = vlures("clean", "--yes")  # its sandbox may still be ending
    assert result.code == 0, result
    assert not folder.exists()


def test_one_whose_state_a_sandbox_uses_is_left(vlures: Command, start_sandbox: Callable[..., Sandbox]) -> None:
    folder = rehearse(vlures)
    other = rehearse(vlures, "zzz")
    start_sandbox(state=folder / "sandbox")
    before = photograph(folder)
    result = vlures("clean", "--yes")
    result.assert_stopped(1, "outputs/sandbox-try/sandbox is in use by a sandbox; stop it, then clean.")
    assert photograph(folder) == before
    assert not other.exists()  # one that is in use does not keep the others


def test_a_removal_that_fails_anywhere_is_told_and_completed_by_the_next(vlures: WarmCommand) -> None:
    """Also what a kill leaves: it stops at the same places."""
    folder = rehearse(vlures, mode="batch")
    whole = vlures.folder / "whole"
    folder.rename(whole)
    real_run(vlures.folder / "outputs/gpt")
    for number in range(1, 100):
        shutil.copytree(whole, folder)
        fault = DiskFault("unlink", number, "EACCES", times=None)
        disk = FailingDisk((folder,), fault, vlures.folder / f"{number}.calls")
        result = replace(vlures, disk=disk)("clean", "--yes")
        if not disk.strikes():
            break
        result.assert_stopped(1, "cannot be removed (Permission denied), so the rest of outputs/sandbox-try is still")
        assert "clean --yes outputs/sandbox-try" in result.err
        completed = vlures("clean", "--yes", "outputs/sandbox-try")
        assert (completed.code, completed.err, folder.exists()) == (0, "", False), (number, completed)
    assert number > 10
    assert not folder.exists()


def test_a_removal_that_is_killed_is_completed_by_the_next(vlures: Command) -> None:
    folder = rehearse(vlures)
    for number in range(3_000):
        (folder / f"sandbox/files/file-{number}.data").write_bytes(b"x")
    process = vlures.start("clean", "--yes")
    while process.poll() is None and (folder / "sandbox/files/file-0.data").exists():
        pass
    process.kill()
    process.wait(timeout=20)
    vlures("clean", "--yes", "outputs/sandbox-try")
    assert not folder.exists()
