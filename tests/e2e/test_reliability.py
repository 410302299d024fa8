"""What a run costs when something goes wrong or it is killed, measured and published in docs/reliability.md.

Each test measures one row and compares it with the committed page. VLURES_WRITE_DOCS=1 writes what was measured instead.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.conftest import Result, Sandbox, make_dataset, wait_until
from tests.e2e.reliability_page import (
    KILLED,
    LIVE,
    PAGE,
    TABLES,
    WRITES,
    WRONG,
    Row,
    Table,
    publish,
    rows_of,
    word_page,
)
from tests.e2e.reliability_page import LOCK as PAGE_LOCK
from tests.warm import Process, WarmCommand

NAME = "measured"
FOLDER = f"outputs/{NAME}"
REQUESTS = 6 + 5
"""One language: six images, five of them with a text."""
MOST_COMMANDS = 5
IN_FLIGHT = 4

MODELS = {"OpenAI": ("openai", "gpt-6-luna"), "Gemini": ("gemini", "gemini-3.8-flash")}


@dataclass(frozen=True)
class Wrong:
    """Faults, as the sandbox reads them, that are in force until the first command has ended. says: what that tells on stderr."""

    words: str
    faults: tuple[str, ...]
    commands: int = 1
    lots_of: int = 6
    options: tuple[str, ...] = ()
    says: str = ""


@dataclass(frozen=True)
class Kill:
    """A connection at which the first command is killed: the one after `after` others of this kind.

    stored: lines that the checkpoint holds at that moment. canary: whether one request goes live before the batches, and so is
    paid again after its answer was charged.
    """

    words: str
    place: str
    after: int = 0
    faults: tuple[str, ...] = ()
    lots_of: int = 50
    stored: int = 0
    canary: bool = False


GONE = "status=403,message=You do not have permission to access the File abc or it may not exist."
SLOWLY = ("queued:seconds=0.7",)
TWO_FAIL = ("line_error:times=2,status=500",)
ALL_FAIL = (f"line_error:times={REQUESTS},status=500",)
HALF_BEGUN = ("stuck:times=1", "queued:seconds=60,after=1")
"""Of two batches one answers all its lines and does not end, one does not begin."""
DELETING = ("--delete-remote-files",)
IMPATIENT = ("--retry-budget-s", "1")

WRONGS: dict[str, tuple[Wrong, ...]] = {
    "OpenAI": (
        Wrong("Both batches expire, half of their lines answered", ("expire:keep=0.5,times=2",)),
        Wrong("One of four batches expires, a third of its lines answered", ("expire:keep=0.34,times=1",), lots_of=3),
        Wrong("Two lines fail with an error of the server (500)", TWO_FAIL, lots_of=4),
        Wrong("Every fifth line fails for good (400)", ("line_error:every=5,status=400",), commands=2, lots_of=50),
        Wrong("Two lines are in neither result file", ("missing:times=2",), says="lines that are"),
        Wrong("Every third line stands twice in the result file", ("doubled:every=3",), lots_of=4, says="doubled"),
        Wrong("Lines that nobody sent, without an id, not JSON", ("unknown_id", "null_id", "garbage_line"), lots_of=4),
        Wrong("All lines fail; there is no output file", ALL_FAIL, lots_of=50),
        Wrong('The same, with file ids that are "" and not null', ("empty_ids", *ALL_FAIL), lots_of=50),
        Wrong(
            "The queue is full (token_limit_exceeded), twice", ("token_limit:times=2",), lots_of=3, says="costs nothing"
        ),
        Wrong("Polling fails three times with 503", ("503@status:times=3",), lots_of=4),
        Wrong("A download is cut in the middle", ("truncate@content:times=1",)),
        Wrong("The uploaded file is not yet visible", ("cannot_find_file:times=1",), says="costs nothing"),
        Wrong("Both batches are cancelled elsewhere, half answered", ("cancelled:keep=0.5,times=2",), commands=2),
        Wrong("The reply to an upload is lost", ("drop_after@upload:times=1",), lots_of=50),
        Wrong(
            "The reply to a creation is lost",
            ("drop_after@create:times=1",),
            lots_of=3,
            says="looking for it by its tag",
        ),
        Wrong("The same, and the list of batches fails three times", ("drop_after@create:times=1", "503@list:times=3")),
        Wrong(
            "The same, and the list fails for longer than the run has patience",
            ("drop_after@create:times=1", "503@list"),
            commands=2,
            lots_of=50,
            options=IMPATIENT,
        ),
        Wrong(
            "The deletion of files is refused", ("error@delete:status=403",), options=DELETING, says="keeps the file"
        ),
    ),
    "Gemini": (
        Wrong("Both batches expire; they have no results and are not charged", ("expire:times=2",)),
        Wrong("Both batches succeed in part, half of their lines answered", ("partial:keep=0.5,times=2",)),
        Wrong("Two lines fail with an error of the server (500)", TWO_FAIL, lots_of=4),
        Wrong("Every fifth line fails for good (400)", ("line_error:every=5,status=400",), commands=2, lots_of=50),
        Wrong("Two lines are not in the result file", ("missing:times=2",), says="lines that are"),
        Wrong("Every third line stands twice in the result file", ("doubled:every=3",), lots_of=4, says="doubled"),
        Wrong("Lines that nobody sent, without a key, not JSON", ("unknown_id", "null_id", "garbage_line"), lots_of=4),
        Wrong("All lines fail", ALL_FAIL, lots_of=50),
        Wrong(
            "The queue is full (429 at the creation), twice", ("token_limit:times=2",), lots_of=3, says="costs nothing"
        ),
        Wrong("Polling fails three times with 503", ("503@gemini_status:times=3",), lots_of=4),
        Wrong("A download is cut in the middle", ("truncate@gemini_content:times=1",)),
        Wrong("The uploaded file is not yet visible (403)", (f"error@gemini_create:times=1,{GONE}",)),
        Wrong("Both batches are cancelled elsewhere, half answered", ("cancelled:keep=0.5,times=2",), commands=2),
        Wrong("The reply to an upload is lost", ("drop_after@gemini_upload:after=1,times=1",), lots_of=50),
        Wrong("The reply to a creation is lost", ("drop_after@gemini_create:times=1",), lots_of=3),
        Wrong(
            "The same, and the list of batches fails three times",
            ("drop_after@gemini_create:times=1", "503@gemini_list:times=3"),
        ),
        Wrong(
            "The same, and the list fails for longer than the run has patience",
            ("drop_after@gemini_create:times=1", "503@gemini_list"),
            commands=2,
            lots_of=50,
            options=IMPATIENT,
        ),
        Wrong("Result files cannot be deleted, as Gemini has it", (), options=DELETING, says="keeps the file"),
        Wrong(
            "The deletion of files is refused",
            ("error@gemini_delete:status=403",),
            options=DELETING,
            says="keeps the file",
        ),
    ),
}
CANCELLED = "Cancelled with `vlures cancel`, one batch answered, one not begun"

KILLS: dict[str, tuple[Kill, ...]] = {
    "OpenAI": (
        Kill("the canary", "chat", canary=True),
        Kill("the upload", "upload"),
        Kill("the creation", "create"),
        Kill("the look-up of a creation in doubt", "list", faults=("drop_after@create:times=1",)),
        Kill("the first poll", "status", faults=SLOWLY),
        Kill("the second poll", "status", after=1, faults=SLOWLY),
        Kill("the third poll", "status", after=2, faults=SLOWLY),
        Kill("the download of the output file", "content", faults=TWO_FAIL),
        Kill("the download of the error file", "content", after=1, faults=TWO_FAIL),
        Kill("the deletion of the input file", "delete", stored=REQUESTS),
        Kill("the deletion of the output file", "delete", after=1, stored=REQUESTS),
    ),
    "Gemini": (
        Kill("the canary", "gemini", canary=True),
        Kill("the beginning of the upload", "gemini_upload"),
        Kill("the bytes of the upload", "gemini_upload", after=1),
        Kill("the creation", "gemini_create"),
        Kill("the look-up of a creation in doubt", "gemini_list", faults=("drop_after@gemini_create:times=1",)),
        Kill("the first poll", "gemini_status", faults=SLOWLY),
        Kill("the second poll", "gemini_status", after=1, faults=SLOWLY),
        Kill("the third poll", "gemini_status", after=2, faults=SLOWLY),
        Kill("the download of the result file", "gemini_content", faults=TWO_FAIL),
        Kill("the deletion of the input file", "gemini_delete", stored=REQUESTS),
        Kill("the deletion of the result file", "gemini_delete", after=1, stored=REQUESTS),
    ),
}
CANCEL_PLACES = {"OpenAI": "cancel", "Gemini": "gemini_cancel"}
CONTENT_PLACES = {"OpenAI": "content", "Gemini": "gemini_content"}
LIVE_PLACES = {"OpenAI": "chat", "Gemini": "gemini"}
MOMENTS = {"before": "hang", "after": "hang_after"}
MOMENTS_LIVE = {
    "before": "before the server answers those in flight",
    "after": "after it has answered and charged them",
}
AT_CANCEL = "the cancellation of a batch (`vlures cancel`)"
HALF_STORED = "between received and stored: one batch of two is stored"
TORN = "between received and stored: in the middle of the last of six lines"


def kill_words(what: str, moment: str) -> str:
    return f"at {what}, {moment} the server acts"


def names_of(table: Table) -> list[str]:
    """The first cells of a table's rows."""
    provider, what = table
    if what == WRONG:
        return [*(wrong.words for wrong in WRONGS[provider]), CANCELLED]
    if what == LIVE:
        return list(MOMENTS_LIVE.values())
    places = [*(kill.words for kill in KILLS[provider]), AT_CANCEL]
    return [*(kill_words(place, moment) for place in places for moment in MOMENTS), HALF_STORED, TORN]


NAMES = {table: names_of(table) for table in TABLES}


@dataclass(frozen=True)
class Measured:
    """What stands in the results and in the provider's ledger when a run is done."""

    commands: int
    answered: int
    paid_again: int = 0
    lost: int = 0
    """Answers that were paid and are not in the results."""

    @property
    def cells(self) -> tuple[object, ...]:
        return self.commands, self.answered, self.paid_again, self.lost


# Commands


@pytest.fixture
def vlures(tmp_path: Path) -> WarmCommand:
    """The command, run in a folder that has a dataset of six samples, five of them with a text, in `data/`."""
    return WarmCommand(make_dataset(tmp_path / "work/data", samples=6, texts=5).parent)


def run_of(
    provider: str, *options: str, mode: str = "batch", tasks: str = "1,7", canary: bool = False
) -> tuple[str, ...]:
    backend, model = MODELS[provider]
    return (
        *("run", "--backend", backend, "--model", model, "--mode", mode, "--canary" if canary else "--no-canary"),
        *("--dataset", "data", "--languages", "En", "--tasks", tasks, "--name", NAME),
        *options,
    )


def batch_run_of(
    provider: str, lots_of: int, *options: str, tasks: str = "1,7", canary: bool = False
) -> tuple[str, ...]:
    patience = ("--batch-size", str(lots_of), "--poll-s", "0.2", "--doubt-patience-s", "1")
    return run_of(provider, *patience, *options, tasks=tasks, canary=canary)


def batches_of(requests: int, lots_of: int) -> int:
    return -(-requests // lots_of)


def finish(vlures: WarmCommand, sandbox: Sandbox, arguments: tuple[str, ...], begun: int) -> Measured:
    """Give the same command until it has nothing more to do. begun: commands that were given already."""
    stored = answers_stored(vlures)
    result = Result(3, "", "")
    while begun < MOST_COMMANDS and result.code:
        result = vlures(*arguments)
        begun += 1
    assert result.code == 0, result
    answers = vlures.answers(NAME)
    assert stored.items() <= answers_stored(vlures).items(), "an answer that was stored is gone or another"
    assert max(Counter(line["key"] for line in vlures.checkpoint_lines(NAME) if line["status"] == "ok").values()) == 1
    paid = Counter(entry["digest"] for entry in sandbox.ledger)
    return Measured(begun, len(answers), paid.total() - len(paid), len(paid) - len(answers))


def answers_stored(vlures: WarmCommand) -> dict[str, str]:
    """Key → answer of every whole line of the checkpoints. A torn line is none."""
    paths = (vlures.folder / "outputs" / NAME).glob("checkpoints_*/checkpoint_*.jsonl")
    if any(path.read_bytes()[-1:] not in (b"\n", b"") for path in paths):
        return {}
    return {line["key"]: line["text"] for line in vlures.checkpoint_lines(NAME) if line["status"] == "ok"}


def fates(vlures: WarmCommand, requests: int) -> str:
    """How the requests stand: answered, failed with a reason, in doubt, or due."""
    last = {line["key"]: line for line in vlures.checkpoint_lines(NAME)}
    failed = [line for line in last.values() if line["status"] == "failed"]
    assert all(line["error"]["message"] for line in failed)
    answered = sum(line["status"] == "ok" for line in last.values())
    doubtful = requests_in_doubt(vlures)
    due = requests - answered - len(failed) - doubtful
    counts = {"answered": answered, "failed": len(failed), "in doubt": doubtful, "due": due}
    return ", ".join(f"{count} {fate}" for fate, count in counts.items() if count)


def requests_in_doubt(vlures: WarmCommand) -> int:
    path = vlures.folder / "outputs" / NAME / "checkpoints_1shot_rationales/jobs.jsonl"
    events = [json.loads(line) for line in path.read_bytes().splitlines()]
    states = {event["job"]: event["state"] for event in events if "job" in event}
    return sum(len(event["requests"]) for event in events if "requests" in event and states[event["job"]] == "creating")


# The tests


@pytest.fixture(scope="module", autouse=True)
def _lock_is_removed() -> Iterator[None]:
    yield
    PAGE_LOCK.unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("provider", "wrong"), [pytest.param(p, w, id=f"{p}: {w.words}") for p in WRONGS for w in WRONGS[p]]
)
def test_whatever_goes_wrong_every_request_is_answered_and_none_paid_twice(
    vlures: WarmCommand, shared_sandbox: Sandbox, provider: str, wrong: Wrong
) -> None:
    vlures.use(shared_sandbox)
    shared_sandbox.show(*wrong.faults)
    arguments = batch_run_of(provider, wrong.lots_of, *wrong.options)
    first = vlures(*arguments)
    assert all(fault["struck"] for fault in shared_sandbox.stats["faults"])
    assert first.code == (0 if wrong.commands == 1 else 3), first
    assert wrong.says in first.err, first
    then = fates(vlures, REQUESTS)
    shared_sandbox.show()
    measured = finish(vlures, shared_sandbox, arguments, 1 if first.code else 0)
    assert measured == Measured(wrong.commands, REQUESTS), first
    batches = batches_of(REQUESTS, wrong.lots_of)
    publish(Row((provider, WRONG), (wrong.words, REQUESTS, batches, then, *measured.cells)), NAMES)


def kill_held(process: Process, sandbox: Sandbox, is_reached: Callable[[], bool]) -> None:
    """Kill the command once the sandbox holds what it should, and let go of the faults."""
    try:
        wait_until(process, is_reached)  # type: ignore[arg-type]
    finally:
        process.kill()
        process.communicate()
        sandbox.show()


def kill_at(
    vlures: WarmCommand, sandbox: Sandbox, arguments: tuple[str, ...], faults: tuple[str, ...], stored: int = 0
) -> None:
    """Kill a command at the connection that the first fault holds, with at least so many lines stored."""
    vlures.use(sandbox)
    sandbox.show(*faults)
    held = sandbox.stats["held"]
    process = vlures.start(*arguments)
    kill_held(process, sandbox, lambda: sandbox.stats["held"] > held and lines_stored(vlures) >= stored)


def lines_stored(vlures: WarmCommand) -> int:
    return len(vlures.checkpoint_lines(NAME))


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize(
    ("provider", "kill"), [pytest.param(p, k, id=f"{p}: {k.words}") for p in KILLS for k in KILLS[p]]
)
def test_kill_at_every_boundary_costs_nothing(
    vlures: WarmCommand, shared_sandbox: Sandbox, provider: str, kill: Kill, moment: str
) -> None:
    hold = f"{MOMENTS[moment]}@{kill.place}:after={kill.after},times=1"
    arguments = batch_run_of(provider, kill.lots_of, *DELETING, canary=kill.canary)
    kill_at(vlures, shared_sandbox, arguments, (hold, *kill.faults), kill.stored)
    measured = finish(vlures, shared_sandbox, arguments, 1)
    assert measured == Measured(2, REQUESTS, paid_again=kill.canary and moment == "after")
    batches = batches_of(REQUESTS, kill.lots_of)
    publish(Row((provider, KILLED), (kill_words(kill.words, moment), REQUESTS, batches, *measured.cells)), NAMES)


@pytest.mark.parametrize("provider", KILLS)
def test_kill_between_two_batches_costs_nothing(vlures: WarmCommand, shared_sandbox: Sandbox, provider: str) -> None:
    hold = f"hang@{CONTENT_PLACES[provider]}:after=1,times=1"
    arguments = batch_run_of(provider, 6)
    kill_at(vlures, shared_sandbox, arguments, (hold,), stored=5)
    measured = finish(vlures, shared_sandbox, arguments, 1)
    assert measured == Measured(2, REQUESTS)
    publish(Row((provider, KILLED), (HALF_STORED, REQUESTS, 2, *measured.cells)), NAMES)


@pytest.mark.parametrize("killed", ["never", *MOMENTS])
@pytest.mark.parametrize("provider", KILLS)
def test_a_cancellation_keeps_what_was_answered_also_when_it_is_killed(
    vlures: WarmCommand, shared_sandbox: Sandbox, provider: str, killed: str
) -> None:
    """The sandbox looks at the cancellation a little later, so that the batch that has begun has answered all its lines."""
    requests = 5 + 5
    vlures.use(shared_sandbox)
    shared_sandbox.show(*HALF_BEGUN)
    arguments = batch_run_of(provider, 5, "--limit", "5")
    sent = vlures(*arguments, "--no-wait")
    assert sent.code == 3, sent
    commands = 1
    cancel = ("cancel", FOLDER, "--poll-s", "0.2")
    place = CANCEL_PLACES[provider]
    later = f"latency@{place}:seconds=0.3"
    if killed != "never":
        kill_at(vlures, shared_sandbox, cancel, (f"{MOMENTS[killed]}@{place}:times=1", later))
        commands += 1
    shared_sandbox.show(later)
    cancelled = vlures(*cancel)
    shared_sandbox.show()
    assert cancelled.code == 0, cancelled
    then = fates(vlures, requests)
    measured = finish(vlures, shared_sandbox, arguments, commands + 1)
    assert measured == Measured(commands + 2, requests)
    if killed == "never":
        publish(Row((provider, WRONG), (CANCELLED, requests, 2, then, *measured.cells)), NAMES)
    else:
        publish(Row((provider, KILLED), (kill_words(AT_CANCEL, killed), requests, 2, *measured.cells)), NAMES)


@pytest.mark.parametrize("provider", KILLS)
def test_kill_in_the_middle_of_a_line_costs_nothing(
    vlures: WarmCommand, shared_sandbox: Sandbox, provider: str
) -> None:
    """The system ends the process when its checkpoint would pass a size; nothing else of that run grows so large."""
    vlures.use(shared_sandbox)
    arguments = batch_run_of(provider, 50, tasks="1")
    assert vlures(*arguments, "--limit", "5").code == 0
    sent = vlures(*arguments, "--no-wait")
    assert sent.code == 3, sent
    checkpoint = vlures.folder / "outputs" / NAME / "checkpoints_1shot_rationales/checkpoint_task1_En.jsonl"
    whole = checkpoint.read_bytes()
    ended = replace(vlures, largest_file=len(whole) + 100)(*arguments)
    assert ended.code < 0, ended
    assert len(checkpoint.read_bytes()) == len(whole) + 100
    measured = finish(vlures, shared_sandbox, arguments, 3)
    assert measured == Measured(4, 6)
    publish(Row((provider, KILLED), (TORN, 6, 2, *measured.cells)), NAMES)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("provider", MODELS)
def test_kill_in_live_mode_costs_what_was_in_flight_at_most(
    vlures: WarmCommand, shared_sandbox: Sandbox, provider: str, moment: str
) -> None:
    stored = 3
    vlures.use(shared_sandbox)
    shared_sandbox.show(f"{MOMENTS[moment]}@{LIVE_PLACES[provider]}:after={stored}")
    arguments = run_of(provider, "--concurrency", str(IN_FLIGHT), mode="live")
    held = shared_sandbox.stats["held"]
    process = vlures.start(*arguments)
    kill_held(
        process,
        shared_sandbox,
        lambda: shared_sandbox.stats["held"] == held + IN_FLIGHT and lines_stored(vlures) == stored,
    )
    measured = finish(vlures, shared_sandbox, arguments, 1)
    assert measured == Measured(2, REQUESTS, paid_again=IN_FLIGHT if moment == "after" else 0)
    publish(Row((provider, LIVE), (MOMENTS_LIVE[moment], REQUESTS, stored, IN_FLIGHT, *measured.cells)), NAMES)


@pytest.mark.skipif(WRITES, reason="the page is being written")
def test_the_page_is_what_these_tests_write() -> None:
    page = PAGE.read_text(encoding="utf-8")
    rows = rows_of(page)
    for table in TABLES:
        assert list(rows[table]) == NAMES[table]
    assert page == word_page(rows, NAMES)
