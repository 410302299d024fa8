"""kill -9 and several processes: what was answered stays, what was not is asked again, and the answers are the same."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Command, size_of_checkpoints, wait_until
from tests.local.conftest import DONE, run_arguments, texts, write_questions

IMAGES = 30


def test_kill_9_and_resume_gives_the_answers_of_an_uninterrupted_run(
    vlures: Command, tiny: Callable[[str], Path]
) -> None:
    write_questions(vlures.folder, IMAGES)
    assert vlures(*run_arguments(tiny("llava"), "--rows", "12", name="whole")).code in DONE
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")
    chance = random.Random(seed)
    kills = 0
    folder = vlures.folder / "outputs/tiny"
    while kills < 3:
        process = vlures.start(*run_arguments(tiny("llava"), "--rows", "12"))
        goal = size_of_checkpoints(folder) + chance.uniform(300, 6_000)
        while process.poll() is None and size_of_checkpoints(folder) < goal:
            try:
                process.wait(timeout=0.01)
            except subprocess.TimeoutExpired:
                continue
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += 1
    assert vlures(*run_arguments(tiny("llava"), "--rows", "12")).code in DONE
    assert texts(vlures) == texts(vlures, "whole")
    lines = [line["key"] for line in vlures.checkpoint_lines("tiny") if line["status"] in ("ok", "truncated")]
    assert len(lines) == len(set(lines)) == IMAGES * 6
    assert kills, "no kill came before the end"


def test_ctrl_c_ends_after_the_group_and_the_next_run_continues(vlures: Command, tiny: Callable[[str], Path]) -> None:
    write_questions(vlures.folder, IMAGES)
    process = vlures.start(*run_arguments(tiny("blip2_t5"), "--rows", "6"))
    wait_until(process, lambda: size_of_checkpoints(vlures.folder / "outputs/tiny") > 500)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode in (0, 130), err
    assert "Traceback" not in err
    assert vlures(*run_arguments(tiny("blip2_t5"), "--rows", "6")).code in DONE
    assert len(texts(vlures)) == IMAGES * 6


class Ranks:
    """The processes of one run, as torchrun starts them."""

    def __init__(self, vlures: Command, world: int) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self._common = {"WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        self._vlures, self._world = vlures, world

    def start(self, *arguments: str) -> list[subprocess.Popen[str]]:
        processes = []
        for rank in range(self._world):
            self._vlures.environment |= {**self._common, "RANK": str(rank), "LOCAL_RANK": str(rank)}
            processes.append(self._vlures.start(*arguments))
        for name in (*self._common, "RANK", "LOCAL_RANK"):
            del self._vlures.environment[name]
        return processes


@pytest.mark.parametrize("kind", ["blip2_t5", "llava"])
def test_two_processes_share_a_run(vlures: Command, tiny: Callable[[str], Path], kind: str) -> None:
    write_questions(vlures.folder, IMAGES)
    assert vlures(*run_arguments(tiny(kind), "--rows", "6", name="alone")).code in DONE
    processes = Ranks(vlures, 2).start(*run_arguments(tiny(kind), "--rows", "6"))
    ended = [(*process.communicate(timeout=120), process.returncode) for process in processes]
    assert [code for *_, code in ended] == [0, 0], ended
    assert texts(vlures) == texts(vlures, "alone")
    checkpoints = vlures.folder / "outputs/tiny/checkpoints_table"
    assert not list(checkpoints.glob("shards/*")), "nothing is left beside the checkpoints"
    lines = [line["key"] for line in vlures.checkpoint_lines("tiny") if line["status"] in ("ok", "truncated")]
    assert len(lines) == len(set(lines)) == IMAGES * 6


def test_a_rank_that_is_killed_takes_only_its_own_images_along(vlures: Command, tiny: Callable[[str], Path]) -> None:
    write_questions(vlures.folder, IMAGES)
    leader, helper = Ranks(vlures, 2).start(*run_arguments(tiny("blip2_t5"), "--rows", "6"))
    shards = vlures.folder / "outputs/tiny/checkpoints_table/shards"
    wait_until(helper, lambda: any(path.stat().st_size > 500 for path in shards.glob("*-rank1.jsonl")))
    os.kill(helper.pid, signal.SIGKILL)
    helper.communicate()
    _, err = leader.communicate(timeout=120)
    if leader.returncode == 3:  # else it had already finished
        assert "due again" in err
    before = {key for key, text in texts(vlures).items() if text}
    assert before
    again = vlures(*run_arguments(tiny("blip2_t5"), "--rows", "6"))  # another number of processes is no trouble
    assert again.code in DONE, again
    assert len(texts(vlures)) == IMAGES * 6


def test_a_rank_that_is_killed_before_it_begins(vlures: Command, tiny: Callable[[str], Path]) -> None:
    """Stopped before the first process says what is due, killed after: the first one waits for it at the barrier."""
    write_questions(vlures.folder, IMAGES)
    leader, helper = Ranks(vlures, 2).start(*run_arguments(tiny("blip2_t5"), "--rows", "6"))
    checkpoints = vlures.folder / "outputs/tiny/checkpoints_table"
    wait_until(leader, checkpoints.is_dir)  # made once all have met
    os.kill(helper.pid, signal.SIGSTOP)
    wait_until(leader, lambda: any(checkpoints.glob("shards/*.due")))
    os.kill(helper.pid, signal.SIGKILL)
    helper.communicate()
    _, err = leader.communicate(timeout=120)
    assert leader.returncode == 3, err
    assert "Traceback" not in err
    assert "has ended before" in err
    assert vlures(*run_arguments(tiny("blip2_t5"), "--rows", "6")).code in DONE
    assert len(texts(vlures)) == IMAGES * 6
    assert not list(checkpoints.glob("shards/*"))


def test_what_a_killed_run_left_in_shards_is_taken_in(vlures: Command, tiny: Callable[[str], Path]) -> None:
    write_questions(vlures.folder, IMAGES)
    leader, helper = Ranks(vlures, 2).start(*run_arguments(tiny("blip2_t5"), "--rows", "6"))
    shards = vlures.folder / "outputs/tiny/checkpoints_table/shards"
    wait_until(helper, lambda: any(path.stat().st_size > 500 for path in shards.glob("*-rank1.jsonl")))
    leader.send_signal(signal.SIGKILL)
    leader.communicate()
    helper.communicate(timeout=120)
    left = sum(len(path.read_bytes().splitlines()) for path in shards.glob("*-rank1.jsonl"))
    assert left
    again = vlures(*run_arguments(tiny("blip2_t5"), "--rows", "6"))
    assert again.code in DONE, again
    assert "came from" in again.err
    assert len(texts(vlures)) == IMAGES * 6
    assert not list(shards.glob("*"))


def test_nothing_due_lets_the_others_go(vlures: Command, tiny: Callable[[str], Path]) -> None:
    write_questions(vlures.folder, 2)
    assert vlures(*run_arguments(tiny("blip2_t5"))).code in DONE
    processes = Ranks(vlures, 2).start(*run_arguments(tiny("blip2_t5")))
    ended = [(*process.communicate(timeout=60), process.returncode) for process in processes]
    assert [code for *_, code in ended] == [0, 0], ended
