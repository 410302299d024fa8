"""What a run costs when something goes wrong or it is killed, measured and published in docs/reliability.md.

Each test measures one row and compares it with the committed page. VLURES_WRITE_DOCS=1 writes what was measured
instead.
"""

from __future__ import annotations

import json
import resource
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.conftest import Result, Sandbox, make_dataset, wait_until
from tests.disk_faults import DiskFault, FailingDisk
from tests.e2e.account import charged_usd
from tests.e2e.reliability_page import (
    JUDGE_KILLED,
    JUDGE_WRONG,
    KILLED,
    LIVE,
    LIVE_WRONG,
    MONEY,
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
    """Faults of the sandbox, in force until the first command has ended."""

    words: str
    faults: tuple[str, ...]
    """As the sandbox parses them."""
    commands: int = 1
    lots_of: int = 6
    options: tuple[str, ...] = ()
    says: str = ""
    """What the first command prints on stderr."""
    paid_again: int = 0
    """Payments that cannot be avoided."""


@dataclass(frozen=True)
class Kill:
    """A connection at which the first command is killed: the one after `after` others of this kind."""

    words: str
    place: str
    after: int = 0
    faults: tuple[str, ...] = ()
    lots_of: int = 50
    stored: int = 0
    """Lines that the checkpoint holds at that moment."""
    canary: bool = False
    """Whether one request goes live before the batches, and so is paid again after its answer was charged."""


GONE = "status=403,message=You do not have permission to access the File abc or it may not exist."
SLOWLY = ("queued:seconds=0.7",)
TWO_FAIL = ("line_error:times=2,status=500",)
ALL_FAIL = (f"line_error:times={REQUESTS},status=500",)
HALF_BEGUN = ("stuck:times=1", "queued:seconds=60,after=1")
"""Of two batches one answers all its lines and does not end, one does not begin."""
DELETING = ("--delete-remote-files",)
IMPATIENT = ("--retry-budget-s", "1")

SHORT = ("--result-patience-s", "2")
PREFIX = {"OpenAI": "", "Gemini": "gemini_"}
MALFORMED = ("two_lengths", "long_header", "not_gzip", "no_http")


def results_that_are_not_there_yet(provider: str) -> tuple[Wrong, ...]:
    """What is counted and cannot be read is looked for again, and never paid again."""
    p = PREFIX[provider]
    expired = "expire:keep=0.5,times=2" if provider == "OpenAI" else "partial:keep=0.5,times=2"
    return (
        Wrong("For one look the ended batches name no results", ("results_late:times=2",)),
        Wrong("The same, for longer than the run has "
              "patience", ("results_late:looks=8,times=2",), 2, options=SHORT, says=OPEN),
        Wrong("Half answered at their end, and for one look they name no results", (expired, "results_late:times=2")),
        Wrong(
            "Cancelled elsewhere, half answered, and for one look they name no results",
            ("cancelled:keep=0.5,times=2", "results_late:times=2"),
            commands=2,
        ),
        Wrong(
            "For two looks the ended batches count half of what they answered, and half of it comes at first",
            ("counts_late:looks=2,times=2", f"half_lines@{p}content:times=2"),
        ),
        Wrong("A download brings the page of a network's portal", (f"portal@{p}content:times=1",)),
        Wrong("Three downloads in a row bring nothing", (f"empty_body@{p}content:times=3",)),
        Wrong("Three downloads in a row bring half of the lines", (f"half_lines@{p}content:times=3",)),
        Wrong("Three downloads in a row name the requests and say nothing of "
              "them", (f"names_only@{p}content:times=3",)),
        Wrong(
            "Downloads bring a portal's page for longer than the run has patience",
            (f"portal@{p}content",),
            commands=2,
            options=SHORT,
            says=OPEN,
        ),
        Wrong(
            "Downloads bring half of the lines for longer than the run has patience",
            (f"half_lines@{p}content",),
            commands=2,
            options=SHORT,
            says=OPEN,
        ),
        Wrong("The batches are for a while in a state that no client "
              "knows", ("new_state:seconds=1",), says="does not know"),
        Wrong("The batches do not say how many of their requests are done", ("uncounted",)),
        Wrong(
            "The reply to a creation is lost, and the list shows the batch a little later",
            (f"drop_after@{p}create:times=1", "list_late:seconds=0.6,times=1"),
            lots_of=50,
        ),
        Wrong(
            "The same, later than the run has patience: two batches of one tag",
            (f"drop_after@{p}create:times=1", "list_late:seconds=4,times=1"),
            lots_of=50,
            paid_again=REQUESTS,
        ),
        Wrong(
            "Replies to an upload, a creation, a poll and a download are no HTTP",
            tuple(
                f"malformed@{p}{place}:how={how},times=1"
                for place, how in zip(("upload", "create", "status", "content"), MALFORMED, strict=True)
            ),
            lots_of=50,
        ),
    )  # fmt: skip


OPEN = "stays open"
WRONGS: dict[str, tuple[Wrong, ...]] = {
    "OpenAI": (
        Wrong("Both batches expire, half of their lines answered", ("expire:keep=0.5,times=2",)),
        Wrong("One of four batches expires, a third of its lines answered", ("expire:keep=0.34,times=1",), lots_of=3),
        Wrong("Two lines fail with an error of the server (500)", TWO_FAIL, lots_of=4),
        Wrong("Every fifth line fails for good (400)", ("line_error:every=5,status=400",), commands=2, lots_of=50),
        Wrong("Two lines are in neither result file", ("missing:times=2",), says="lines that are"),
        Wrong("Every third line stands twice in the result file", ("doubled:every=3",), lots_of=4, says="doubled"),
        Wrong("Lines with unknown ids, without ids, not JSON", ("unknown_id", "null_id", "garbage_line"), lots_of=4),
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
        *results_that_are_not_there_yet("OpenAI"),
    ),
    "Gemini": (
        Wrong("Both batches expire; they have no results and are not charged", ("expire:times=2",)),
        Wrong("Both batches succeed in part, half of their lines answered", ("partial:keep=0.5,times=2",)),
        Wrong("Two lines fail with an error of the server (500)", TWO_FAIL, lots_of=4),
        Wrong("Every fifth line fails for good (400)", ("line_error:every=5,status=400",), commands=2, lots_of=50),
        Wrong("Two lines are not in the result file", ("missing:times=2",), says="lines that are"),
        Wrong("Every third line stands twice in the result file", ("doubled:every=3",), lots_of=4, says="doubled"),
        Wrong("Lines with unknown keys, without keys, not JSON", ("unknown_id", "null_id", "garbage_line"), lots_of=4),
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
        *results_that_are_not_there_yet("Gemini"),
        Wrong("The answers stand in the batches themselves", ("inline",)),
    ),
}
CANCELLED = "Cancelled with `vlures cancel`, one batch answered, one not begun"
OTHER_KEY = "Killed while the creation was under way; the next run has another account's key, the third the first's"

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
FEW_FILES = {64: 60, 256: 250}
"""How many files may be open at once → calls at a time."""
DISK_BACK = "The disk is full for the fifth and the sixth write"
DISK_GONE = "The disk is full from the fifth write on, until the run is interrupted"
ASLEEP = "Stopped (SIGSTOP) for twice the time-out while calls are in flight"
HUNG_UP = "Its terminal is closed (SIGHUP) while calls are in flight"
UNLOCKED = "Its .lock is deleted, and the same command given again beside it"
LIVE_FAULTS = {
    "Three replies in a row are no HTTP, after they were charged": ("malformed@{l}:how=two_lengths,times=3", 3),
    "A header of 9 KB, a wrong gzip header, no HTTP at all": (
        "malformed@{l}:how=long_header,times=1 malformed@{l}:how=not_gzip,times=1 malformed@{l}:how=no_http,times=1",
        3,
    ),
    "A reply never ends: it drips": ("endless@{l}:how=drip,times=1", 1),
    "A reply never ends: it is huge": ("endless@{l}:how=huge,times=1", 1),
    "A reply is unpacked to more than a machine holds": ("endless@{l}:how=bomb,times=1", 1),
    "Two calls are led to another address": ("redirect@{l}:to=http://127.0.0.1:9/,times=2", 0),
}
"""What goes wrong → the faults, and how many answers they take that were charged."""
LIMITS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "Batches whose answers tell no usage": ("batch", (), ("usage@line:tell=nothing",)),
    "Batches whose answers tell a negative usage": ("batch", (), ("usage@line:tell=negative",)),
    "A canary before the batches": ("batch", ("--canary",), ()),
    "Half of a batch fails and is finished live": (
        "batch", ("--finish-live", "100%"), ("line_error:every=2,status=500",),
    ),
    "Live calls whose answers tell no usage": ("live", (), ("usage@{l}:tell=nothing",)),
    "Live calls whose replies are lost after they were charged": ("live", (), ("drop_after@{l}:every=2,times=1",)),
    "Killed three times in live mode": ("live", (), ("latency@{l}:seconds=0.3",)),
    "Another setting in the same folder": ("live", (), ()),
}  # fmt: skip
"""What is against a limit of cost → mode, options and faults."""
LIMIT_SHARE = 0.3
"""Of what all requests are thought to cost."""
AT_CANCEL = "the cancellation of a batch (`vlures cancel`)"
HALF_STORED = "between received and stored: one batch of two is stored"
TORN = "between received and stored: in the middle of the last of six lines"


def kill_words(what: str, moment: str) -> str:
    return f"at {what}, {moment} the server acts"


def names_of(table: Table) -> list[str]:
    """The first cells of a table's rows."""
    provider, what = table
    if what == JUDGE_WRONG:
        return [wrong.words for wrong in judge_wrongs(provider)]
    if what == JUDGE_KILLED:
        batch = [kill_words(kill.words, moment) for kill in judge_kills(provider) for moment in MOMENTS]
        return [*batch, *(f"live, {words}" for words in MOMENTS_LIVE.values())]
    if what == WRONG:
        return [*(wrong.words for wrong in WRONGS[provider]), OTHER_KEY, CANCELLED]
    if what == LIVE:
        return list(MOMENTS_LIVE.values())
    if what == MONEY:
        return list(LIMITS)
    if what == LIVE_WRONG:
        files = [few_files_words(most) for most in FEW_FILES]
        return [*files, DISK_BACK, DISK_GONE, ASLEEP, HUNG_UP, UNLOCKED, *LIVE_FAULTS]
    places = [*(kill.words for kill in KILLS[provider]), AT_CANCEL]
    return [*(kill_words(place, moment) for place in places for moment in MOMENTS), HALF_STORED, TORN]


@dataclass(frozen=True)
class JudgeWrong:
    """Faults under which answers are judged, in force until the first command has ended."""

    words: str
    faults: tuple[str, ...]
    mode: str = "batch"
    commands: int = 1
    paid_again: int = 0


def judge_wrongs(provider: str) -> tuple[JudgeWrong, ...]:
    """What goes wrong with a judge: the same as with any run, and replies that are no verdict."""
    p, live = PREFIX[provider], LIVE_PLACES[provider]
    half = "expire:keep=0.5,times=2" if provider == "OpenAI" else "partial:keep=0.5,times=2"
    none = ("nan", "two", "cut")
    return (
        JudgeWrong("Half of each batch is answered", (half,)),
        JudgeWrong("Two lines are missing from the results", ("missing:times=2",)),
        JudgeWrong("Every third line stands twice in the results", ("doubled:every=3",)),
        JudgeWrong("The reply to a creation is lost", (f"drop_after@{p}create:times=1",)),
        JudgeWrong(
            "Three replies in a batch are no verdict",
            tuple(f"malformed_judge@line:kind={kind},times=1" for kind in none),
            paid_again=3,
        ),
        JudgeWrong(
            "Three live replies are no verdict",
            tuple(f"malformed_judge@{live}:kind={kind},times=1" for kind in none),
            "live",
            paid_again=3,
        ),
        JudgeWrong("A live reply is lost after it was charged", (f"drop_after@{live}:times=1",), "live", paid_again=1),
    )


def judge_kills(provider: str) -> tuple[Kill, ...]:
    """Where a judge is killed: as any run, without the later polls."""
    return tuple(kill for kill in KILLS[provider] if kill.words not in ("the second poll", "the third poll"))


def few_files_words(most: int) -> str:
    return f"No more than {most} files may be open (`ulimit -n {most}`), with --concurrency {FEW_FILES[most]}"


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
    command = WarmCommand(make_dataset(tmp_path / "work/data", samples=6, texts=5).parent)
    (tmp_path / "tmp").mkdir()
    command.environment |= {"TMPDIR": str(tmp_path / "tmp"), "HOME": str(tmp_path / "tmp")}
    return command


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
    patient = (*arguments, "--result-patience-s", "60") if wrong.options == SHORT else arguments
    measured = finish(vlures, shared_sandbox, patient, 1 if first.code else 0)
    assert measured == Measured(wrong.commands, REQUESTS, wrong.paid_again), first
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


@pytest.mark.parametrize("provider", KILLS)
def test_another_account_never_takes_a_batch_in_doubt_for_one_that_is_not_there(
    vlures: WarmCommand, shared_sandbox: Sandbox, provider: str
) -> None:
    """The sandbox has one account, so it hides the batch from its list until that account's run is over."""
    arguments = batch_run_of(provider, 50)
    hidden = ("list_late:seconds=12,times=1",)
    kill_at(vlures, shared_sandbox, arguments, (f"hang_after@{PREFIX[provider]}create:times=1", *hidden))
    vlures.use(shared_sandbox, key="another-key")
    other = vlures(*arguments)
    assert other.code == 3, other
    assert "can tell" in other.err, other
    then = fates(vlures, REQUESTS)
    vlures.use(shared_sandbox)
    measured = finish(vlures, shared_sandbox, (*arguments, "--doubt-patience-s", "60"), 2)
    assert measured == Measured(3, REQUESTS)
    publish(Row((provider, WRONG), (OTHER_KEY, REQUESTS, 1, then, *measured.cells)), NAMES)


@pytest.mark.parametrize("killed", ["never", *MOMENTS])
@pytest.mark.parametrize("provider", KILLS)
def test_a_cancellation_keeps_what_was_answered_also_when_it_is_killed(
    vlures: WarmCommand, shared_sandbox: Sandbox, provider: str, killed: str
) -> None:
    """The sandbox looks at the cancellation a little later, so that the batch that has begun has answered all its
    lines."""
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


# Live mode: what is in flight is paid, so it is waited for and has a place to go


def live_run_of(provider: str, *options: str) -> tuple[str, ...]:
    return run_of(provider, "--concurrency", str(IN_FLIGHT), *options, mode="live")


def publish_live(
    provider: str, words: str, in_flight: int, then: str, measured: Measured, requests: int = REQUESTS
) -> None:
    publish(Row((provider, LIVE_WRONG), (words, requests, in_flight, then, *measured.cells)), NAMES)


@pytest.mark.parametrize("most", FEW_FILES)
@pytest.mark.parametrize("provider", MODELS)
def test_a_run_that_may_open_few_files_completes(
    vlures: WarmCommand, shared_sandbox: Sandbox, provider: str, most: int
) -> None:
    vlures.use(shared_sandbox)
    few = replace(vlures, limits={resource.RLIMIT_NOFILE: most})
    every = ("--languages", "En,Jp,Sw,Ur", "--tasks", "1,2,3,4,5,6,7,8")
    arguments = (*run_of(provider, "--concurrency", str(FEW_FILES[most]), mode="live"), *every)
    first = few(*arguments)
    requests = len(vlures.answers(NAME))
    then = fates(vlures, requests)
    measured = finish(few, shared_sandbox, arguments, 1 if first.code else 0)
    assert measured == Measured(1, requests), first
    publish_live(provider, few_files_words(most), FEW_FILES[most], then, measured, requests)


@pytest.mark.parametrize(("words", "times"), [(DISK_BACK, 2), (DISK_GONE, None)])
@pytest.mark.parametrize("provider", MODELS)
def test_answers_that_the_disk_does_not_take_wait_for_it(
    vlures: WarmCommand, shared_sandbox: Sandbox, provider: str, words: str, times: int | None
) -> None:
    vlures.use(shared_sandbox)
    arguments = live_run_of(provider)
    checkpoints = vlures.folder / FOLDER / "checkpoints_1shot_rationales"
    disk = FailingDisk((checkpoints,), DiskFault("write", 5, "ENOSPC", times), vlures.folder / "calls")
    process = replace(vlures, disk=disk).start(*arguments)
    if times is None:
        said = process.err
        wait_until(process, lambda: "cannot be written" in said.read_text(encoding="utf-8"))  # type: ignore[arg-type]
        process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert disk.strikes(), (out, err)
    then = fates(vlures, REQUESTS)
    measured = finish(vlures, shared_sandbox, arguments, 1 if process.returncode else 0)
    assert measured == Measured(1 if times else 2, REQUESTS), (out, err)
    publish_live(provider, words, IN_FLIGHT, then if times else "interrupted", measured)


@pytest.mark.parametrize(("words", "number"), [(ASLEEP, signal.SIGSTOP), (HUNG_UP, signal.SIGHUP)])
@pytest.mark.parametrize("provider", MODELS)
def test_a_signal_costs_nothing_that_is_in_flight(
    vlures: WarmCommand, shared_sandbox: Sandbox, provider: str, words: str, number: signal.Signals
) -> None:
    place, timeout_s = LIVE_PLACES[provider], 2.0
    vlures.use(shared_sandbox)
    shared_sandbox.show(f"latency@{place}:seconds=0.5")
    arguments = live_run_of(provider, "--timeout-s", str(timeout_s))
    asked = requests_of(shared_sandbox, place)
    process = vlures.start(*arguments)
    wait_until(process, lambda: requests_of(shared_sandbox, place) >= asked + IN_FLIGHT)  # type: ignore[arg-type]
    process.send_signal(number)
    if number == signal.SIGSTOP:
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=2 * timeout_s)
        process.send_signal(signal.SIGCONT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == (0 if number == signal.SIGSTOP else 130), (out, err)
    shared_sandbox.show()
    measured = finish(vlures, shared_sandbox, arguments, 1 if process.returncode else 0)
    assert measured == Measured(1 if number == signal.SIGSTOP else 2, REQUESTS), (out, err)
    publish_live(provider, words, IN_FLIGHT, "all answered" if measured.commands == 1 else "interrupted", measured)


def requests_of(sandbox: Sandbox, place: str) -> int:
    """How many calls of a live place have come in so far."""
    found: int = sandbox.stats["requests"].get("chat" if place == "chat" else "generateContent", 0)
    return found


@pytest.mark.parametrize("provider", MODELS)
def test_two_runs_in_one_folder_notice_each_other_without_a_lock_too(
    vlures: WarmCommand, shared_sandbox: Sandbox, provider: str
) -> None:
    place = LIVE_PLACES[provider]
    vlures.use(shared_sandbox)
    shared_sandbox.show(f"latency@{place}:seconds=0.4")
    arguments = live_run_of(provider)
    asked = requests_of(shared_sandbox, place)
    first = vlures.start(*arguments)
    wait_until(first, lambda: requests_of(shared_sandbox, place) >= asked + IN_FLIGHT)  # type: ignore[arg-type]
    (vlures.folder / FOLDER / ".lock").unlink()
    second = vlures.start(*arguments)
    ends = sorted(process.communicate(timeout=60) and process.returncode for process in (first, second))
    shared_sandbox.show()
    measured = finish(vlures, shared_sandbox, arguments, 2)
    assert measured.answered == REQUESTS
    assert measured.paid_again <= IN_FLIGHT
    assert ends[-1] == 1, ends
    cells = (
        UNLOCKED,
        REQUESTS,
        IN_FLIGHT,
        "one of the two stops",
        measured.commands,
        REQUESTS,
        f"≤ {2 * IN_FLIGHT}",
        0,
    )
    publish(Row((provider, LIVE_WRONG), cells), NAMES)


@pytest.mark.parametrize("words", LIVE_FAULTS)
@pytest.mark.parametrize("provider", MODELS)
def test_a_reply_that_is_none_costs_its_own_call_and_nothing_else(
    vlures: WarmCommand, shared_sandbox: Sandbox, provider: str, words: str
) -> None:
    faults, taken = LIVE_FAULTS[words]
    vlures.use(shared_sandbox)
    shared_sandbox.show(*faults.format(l=LIVE_PLACES[provider]).split())
    arguments = live_run_of(provider, "--timeout-s", "3")
    first = vlures(*arguments)
    assert all(fault["struck"] for fault in shared_sandbox.stats["faults"])
    then = "stopped" if first.code else fates(vlures, REQUESTS)
    shared_sandbox.show()
    measured = finish(vlures, shared_sandbox, arguments, 1 if first.code else 0)
    assert measured.answered == REQUESTS
    assert measured.paid_again <= taken, first
    publish_live(provider, words, IN_FLIGHT, then, measured)


# A limit of cost


@pytest.mark.parametrize("words", LIMITS)
@pytest.mark.parametrize("provider", MODELS)
def test_a_limit_of_cost_is_never_passed(
    vlures: WarmCommand, shared_sandbox: Sandbox, provider: str, words: str
) -> None:
    mode, options, faults = LIMITS[words]
    vlures.use(shared_sandbox)
    shared_sandbox.show(*(fault.format(l=LIVE_PLACES[provider]) for fault in faults))
    sized = ("--batch-size", "2", "--poll-s", "0.2") if mode == "batch" else ("--concurrency", str(IN_FLIGHT))
    more = (*sized, "--max-output-tokens", "300", *options)
    arguments = run_of(provider, *more, mode=mode, canary="--canary" in options)
    limit = LIMIT_SHARE * price_of_all(vlures, arguments)
    limited = (*arguments, "--max-cost", f"{limit:.6f}")
    may_repeat = 0
    if words.startswith("Killed"):
        for kills in range(1, 4):
            process = vlures.start(*limited)
            with suppress(AssertionError, pytest.fail.Exception):  # it may come to its end before
                wait_until(process, lambda least=2 * kills: len(shared_sandbox.ledger) >= least)  # type: ignore[misc, arg-type]
            process.kill()
            process.communicate()
            may_repeat += IN_FLIGHT
            assert charged_usd(shared_sandbox.ledger) <= limit
    elif words.startswith("Another"):
        other = vlures(*limited, "--shots", "0")
        assert other.code in (0, 3), other
    last = vlures(*limited)
    assert last.code == 3, last
    assert "--max-cost" in last.err, last
    assert charged_usd(shared_sandbox.ledger) <= limit, last
    may_repeat += sum(fault["struck"] for fault in shared_sandbox.stats["faults"] if "drop_after" in fault["fault"])
    shared_sandbox.show()
    other_setting = sum(answers_of_setting(vlures, "0shot_rationales").values())
    measured = finish(vlures, shared_sandbox, (*arguments, "--max-cost", "5"), 1)
    assert measured.answered == REQUESTS
    assert measured.lost == other_setting
    assert measured.paid_again <= may_repeat
    cells = (
        words,
        REQUESTS,
        "$0",
        measured.answered,
        f"≤ {may_repeat}" if "Killed" in words else measured.paid_again,
        0,
    )
    publish(Row((provider, MONEY), cells), NAMES)


def answers_of_setting(vlures: WarmCommand, setting: str) -> Counter[str]:
    """How many answers each checkpoint file of another setting has."""
    paths = (vlures.folder / FOLDER).glob(f"checkpoints_{setting}/checkpoint_*.jsonl")
    return Counter({path.name: path.read_bytes().count(b'"status":"ok"') for path in paths})


def price_of_all(vlures: WarmCommand, arguments: tuple[str, ...]) -> float:
    """What `plan` thinks that the run costs in its mode."""
    planned = vlures("plan", *arguments[1:])
    assert planned.code == 0, planned
    row = next(line for line in planned.out.splitlines() if line.startswith("total ")).split()
    batch, live = (float(word.lstrip("≤$")) for word in row[-3:-1])
    return live if "live" in arguments else batch


@pytest.mark.skipif(WRITES, reason="the page is being written")
def test_the_page_is_what_these_tests_write() -> None:
    page = PAGE.read_text(encoding="utf-8")
    rows = rows_of(page)
    for table in TABLES:
        assert list(rows[table]) == NAMES[table]
    assert page == word_page(rows, NAMES)
