"""What a run costs when something goes wrong or it is killed, measured and published in docs/reliability.md.

Each test measures one row and compares it with the committed page. VLURES_WRITE_DOCS=1 writes what was measured instead.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import pytest
from filelock import FileLock

from tests.conftest import REPOSITORY, Command, Result, Sandbox, wait_until

PAGE = REPOSITORY / "docs/reliability.md"
WRITES = os.environ.get("VLURES_WRITE_DOCS") == "1"
NAME = "measured"
REQUESTS = 6 + 5
"""One language: six images, five of them with a text."""
MOST_COMMANDS = 5
IN_FLIGHT = 4

Table = tuple[str, str]
"""Whose (OpenAI, Gemini) and of what."""
WRONG, KILLED, LIVE = "what goes wrong", "kill -9 in batch mode", "kill -9 in live mode"
PROVIDERS = {"OpenAI": ("openai", "gpt-6-luna"), "Gemini": ("gemini", "gemini-3.8-flash")}
PLACES = {"OpenAI": "", "Gemini": "gemini_"}
HEADERS = {
    WRONG: "What goes wrong | Requests | After the first command | Commands needed | Answered | Paid again | Lost",
    KILLED: "Killed | Requests | Commands needed | Answered | Paid again | Lost",
    LIVE: "Killed | Requests | Stored | In flight | Commands needed | Answered | Paid again | Lost",
}
TABLES: tuple[Table, ...] = tuple((provider, what) for provider in PROVIDERS for what in HEADERS)


@dataclass(frozen=True)
class Wrong:
    """Faults, as the sandbox reads them, that are in force until the first command has ended."""

    words: str
    faults: tuple[str, ...]
    commands: int = 1
    lots_of: int = 6


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


GONE = "status=403,message=You do not have permission to access the File abc or it may not exist."
SLOWLY = ("queued:seconds=0.5",)
TWO_FAIL = ("line_error:times=2,status=500",)

WRONGS: dict[str, tuple[Wrong, ...]] = {
    "OpenAI": (
        Wrong("Both batches expire, half of their lines answered", ("expire:keep=0.5,times=2",)),
        Wrong("Two lines fail with an error of the server (500)", TWO_FAIL),
        Wrong("Every fifth line fails for good (400)", ("line_error:every=5,status=400",), commands=2),
        Wrong("Two lines are in neither result file", ("missing:times=2",)),
        Wrong("Every third line stands twice in the result file", ("doubled:every=3",)),
        Wrong("Lines that nobody sent, without an id, not JSON", ("unknown_id", "null_id", "garbage_line")),
        Wrong("All lines fail; there is no output file", (f"line_error:times={REQUESTS},status=500",)),
        Wrong(
            'The same, with file ids that are "" and not null',
            ("empty_ids", f"line_error:times={REQUESTS},status=500"),
        ),
        Wrong("The queue is full (token_limit_exceeded), twice", ("token_limit:times=2",)),
        Wrong("Polling fails three times with 503", ("503@status:times=3",)),
        Wrong("A download is cut in the middle", ("truncate@content:times=1",)),
        Wrong("The uploaded file is not yet visible", ("cannot_find_file:times=1",)),
        Wrong("Both batches are cancelled elsewhere, half answered", ("cancelled:keep=0.5,times=2",), commands=2),
        Wrong("The reply to an upload is lost", ("drop_after@upload:times=1",)),
        Wrong("The reply to a creation is lost", ("drop_after@create:times=1",)),
    ),
    "Gemini": (
        Wrong("Both batches expire; they have no results and are not charged", ("expire:times=2",)),
        Wrong("Both batches succeed in part, half of their lines answered", ("partial:keep=0.5,times=2",)),
        Wrong("Two lines fail with an error of the server (500)", TWO_FAIL),
        Wrong("Every fifth line fails for good (400)", ("line_error:every=5,status=400",), commands=2),
        Wrong("Two lines are not in the result file", ("missing:times=2",)),
        Wrong("Every third line stands twice in the result file", ("doubled:every=3",)),
        Wrong("Lines that nobody sent, without a key, not JSON", ("unknown_id", "null_id", "garbage_line")),
        Wrong("All lines fail", (f"line_error:times={REQUESTS},status=500",)),
        Wrong("The queue is full (429 at the creation), twice", ("token_limit:times=2",)),
        Wrong("Polling fails three times with 503", ("503@gemini_status:times=3",)),
        Wrong("A download is cut in the middle", ("truncate@gemini_content:times=1",)),
        Wrong("The uploaded file is not yet visible (403)", (f"error@gemini_create:times=1,{GONE}",)),
        Wrong("Both batches are cancelled elsewhere, half answered", ("cancelled:keep=0.5,times=2",), commands=2),
        Wrong("The reply to an upload is lost", ("drop_after@gemini_upload:after=1,times=1",)),
        Wrong("The reply to a creation is lost", ("drop_after@gemini_create:times=1",)),
    ),
}

KILLS: dict[str, tuple[Kill, ...]] = {
    "OpenAI": (
        Kill("the upload", "upload"),
        Kill("the creation", "create"),
        Kill("the first poll", "status", faults=SLOWLY),
        Kill("the third poll", "status", after=2, faults=SLOWLY),
        Kill("the download of the output file", "content", faults=TWO_FAIL),
        Kill("the download of the error file", "content", after=1, faults=TWO_FAIL),
        Kill("the deletion of the input file", "delete", stored=REQUESTS),
        Kill("the deletion of the output file", "delete", after=1, stored=REQUESTS),
    ),
    "Gemini": (
        Kill("the beginning of the upload", "upload"),
        Kill("the bytes of the upload", "upload", after=1),
        Kill("the creation", "create"),
        Kill("the first poll", "status", faults=SLOWLY),
        Kill("the third poll", "status", after=2, faults=SLOWLY),
        Kill("the download of the result file", "content", faults=TWO_FAIL),
        Kill("the deletion of the input file", "delete", stored=REQUESTS),
    ),
}
MOMENTS = {"before": "hang", "after": "hang_after"}
LIVE_PLACES = {"OpenAI": "chat", "Gemini": "gemini"}
TORN = "between received and stored: in the middle of the last of six lines"


def run_of(provider: str, *options: str, mode: str = "batch", tasks: str = "1,7") -> tuple[str, ...]:
    backend, model = PROVIDERS[provider]
    return (
        *("run", "--backend", backend, "--model", model, "--mode", mode, "--no-canary"),
        *("--dataset", "data", "--languages", "En", "--tasks", tasks, "--name", NAME),
        *options,
    )


def batch_run_of(provider: str, lots_of: int, *options: str, tasks: str = "1,7") -> tuple[str, ...]:
    patience = ("--batch-size", str(lots_of), "--poll-s", "0.2", "--doubt-patience-s", "2")
    return run_of(provider, *patience, *options, tasks=tasks)


@dataclass(frozen=True)
class Measured:
    """What stands in the results and in the provider's ledger when a run is done."""

    commands: int
    answered: int
    paid_again: int
    lost: int
    """Answers that were paid and are not in the results."""

    @property
    def cells(self) -> tuple[object, ...]:
        return self.commands, self.answered, self.paid_again, self.lost


def finish(vlures: Command, sandbox: Sandbox, arguments: tuple[str, ...], begun: int) -> Measured:
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
    paid = sandbox.paid
    return Measured(begun, len(answers), sum(paid.values()) - len(paid), len(paid) - len(answers))


def answers_stored(vlures: Command) -> dict[str, str]:
    """Key → answer of every whole line of the checkpoints. A torn line is none."""
    paths = (vlures.folder / "outputs" / NAME).glob("checkpoints_*/checkpoint_*.jsonl")
    if any(path.read_bytes()[-1:] not in (b"\n", b"") for path in paths):
        return {}
    return {line["key"]: line["text"] for line in vlures.checkpoint_lines(NAME) if line["status"] == "ok"}


def fates(vlures: Command) -> str:
    """How the requests stand: answered, failed with a reason, or due."""
    last = {line["key"]: line for line in vlures.checkpoint_lines(NAME)}
    failed = [line for line in last.values() if line["status"] == "failed"]
    assert all(line["error"]["message"] for line in failed)
    answered = sum(line["status"] == "ok" for line in last.values())
    counts = {"answered": answered, "failed": len(failed), "due": REQUESTS - answered - len(failed)}
    return ", ".join(f"{count} {fate}" for fate, count in counts.items() if count)


# The page


INTRODUCTION = """\
# What a run costs when something goes wrong

Every request ends as answered, as failed with a reason, or as due again, and the same command again asks for what is left. No answer
that was paid and handed over is lost, and in batch mode none is paid twice. In live mode `kill -9` costs at most the answers that were
in flight.
"""

READING = """\
*Paid again* counts answers beyond the first that the provider charged for one request. *Lost* counts answers that were paid and are not
in the results at the end. *Commands needed* counts the same command, the killed one included, until it exits with code 0.
"""

CLOSING = """\
## How this was measured

`tests/e2e/test_reliability.py` gives the real command a dataset of six images, five of them with a text: two tasks, 11 requests, in one
batch or two (for the kill in the middle of a line: six requests, sent by two commands). It speaks HTTP with the sandbox on the same machine. What was paid is read from the sandbox's ledger, which is written
before any reply; what was answered, from the results files. The faults of the first table are lifted after the first command.

For the kills, the sandbox holds one connection: *before* means that it has read the request and does nothing, *after* that it has acted
and the reply is still to come. The test waits for that, kills the process with SIGKILL and gives the same command again. For the kill in the
middle of a line the system itself ends the process, at the byte at which its file may not grow further; half a line is left.

To measure again and compare with this page:

```console
$ pytest tests/e2e/test_reliability.py
```

A row that differs fails. `VLURES_WRITE_DOCS=1` in the environment writes the page anew from what is measured.

## What is not covered

The real providers: the sandbox does what their documents and users report, and they may do otherwise. It charges nothing for a line that is
missing from the results; a provider that did would be paid twice for it, since it can only be asked for again. A power cut: a killed process
leaves its writes to the system, a machine without power does not; `tests/test_protocol_model.py` tries that on a model of the disk.
Two faults at once: the same model mixes them.
"""


@dataclass(frozen=True)
class Row:
    """One line of a table."""

    table: Table
    cells: tuple[object, ...]

    @property
    def line(self) -> str:
        return f"| {' | '.join(map(str, self.cells))} |"


def heading(table: Table) -> str:
    return f"## {table[0]}: {table[1]}"


def rows_of(page: str) -> dict[Table, dict[str, str]]:
    """The lines of the page's tables by their first cells."""
    found: dict[Table, dict[str, str]] = {table: {} for table in TABLES}
    by_heading = {heading(table): table for table in TABLES}
    table = None
    for line in page.splitlines():
        if line.startswith("#"):
            table = by_heading.get(line)
        elif table and line.startswith("| ") and line != f"| {HEADERS[table[1]]} |":
            found[table][line.split(" | ")[0].removeprefix("| ")] = line
    return found


def word_page(rows: dict[Table, dict[str, str]]) -> str:
    """The page with these rows, in the order of the cases."""
    parts = [INTRODUCTION, READING]
    for table in TABLES:
        header = HEADERS[table[1]]
        rule = "|---|" + "---:|" * header.count("|")
        lines = [rows[table][name] for name in names_of(table) if name in rows[table]]
        parts.append("\n".join((heading(table), "", f"| {header} |", rule, *lines)) + "\n")
    return "\n".join((*parts, CLOSING))


def names_of(table: Table) -> list[str]:
    """The first cells of a table's rows."""
    provider, what = table
    if what == WRONG:
        return [wrong.words for wrong in WRONGS[provider]]
    if what == LIVE:
        return [live_words(moment) for moment in MOMENTS]
    kills = [kill_words(kill, moment) for kill in KILLS[provider] for moment in MOMENTS]
    return [*kills, HALF_STORED, TORN]


HALF_STORED = "between received and stored: one batch of two is stored"


def kill_words(kill: Kill, moment: str) -> str:
    return f"at {kill.words}, {moment} the server acts"


def live_words(moment: str) -> str:
    return {"before": "before the server answers those in flight", "after": "after it has answered and charged them"}[
        moment
    ]


def publish(row: Row) -> None:
    """Compare a row with the page, or write it there if that was asked for."""
    if WRITES:
        with FileLock(f"{PAGE}.lock"):
            rows = rows_of(PAGE.read_text(encoding="utf-8")) if PAGE.is_file() else {table: {} for table in TABLES}
            rows[row.table][str(row.cells[0])] = row.line
            PAGE.write_text(word_page(rows), encoding="utf-8")
        return
    committed = rows_of(PAGE.read_text(encoding="utf-8"))[row.table].get(str(row.cells[0]))
    assert row.line == committed, "docs/reliability.md says otherwise; VLURES_WRITE_DOCS=1 writes what was measured"


@pytest.fixture(scope="module", autouse=True)
def _lock_is_removed() -> Iterator[None]:
    yield
    PAGE.with_name(f"{PAGE.name}.lock").unlink(missing_ok=True)


# The tests


@pytest.mark.parametrize(
    ("provider", "wrong"), [pytest.param(p, w, id=f"{p}: {w.words}") for p in WRONGS for w in WRONGS[p]]
)
def test_whatever_goes_wrong_every_request_is_answered_and_none_paid_twice(
    vlures: Command, shared_sandbox: Sandbox, provider: str, wrong: Wrong
) -> None:
    vlures.use(shared_sandbox)
    shared_sandbox.show(*wrong.faults)
    arguments = batch_run_of(provider, wrong.lots_of)
    first = vlures(*arguments)
    assert all(fault["struck"] for fault in shared_sandbox.stats["faults"])
    assert first.code == (0 if wrong.commands == 1 else 3), first
    then = fates(vlures)
    shared_sandbox.show()
    measured = (
        finish(vlures, shared_sandbox, arguments, 1) if first.code else finish(vlures, shared_sandbox, arguments, 0)
    )
    assert measured == Measured(wrong.commands, REQUESTS, 0, 0), first
    publish(Row((provider, WRONG), (wrong.words, REQUESTS, then, *measured.cells)))


def kill_held(process: subprocess.Popen[str], sandbox: Sandbox, is_reached: Callable[[], bool]) -> None:
    """Kill the command once the sandbox holds what it should, and let go of the faults."""
    try:
        wait_until(process, is_reached)
    finally:
        process.kill()
        process.communicate()
        sandbox.show()


def lines_stored(vlures: Command) -> int:
    return len(vlures.checkpoint_lines(NAME))


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize(
    ("provider", "kill"), [pytest.param(p, k, id=f"{p}: {k.words}") for p in KILLS for k in KILLS[p]]
)
def test_kill_at_every_boundary_costs_nothing(
    vlures: Command, shared_sandbox: Sandbox, provider: str, kill: Kill, moment: str
) -> None:
    hold = f"{MOMENTS[moment]}@{PLACES[provider]}{kill.place}:after={kill.after},times=1"
    arguments = batch_run_of(provider, kill.lots_of, "--delete-remote-files")
    measured = measure_kill(vlures, shared_sandbox, arguments, (hold, *kill.faults), kill.stored)
    assert measured == Measured(2, REQUESTS, 0, 0)
    publish(Row((provider, KILLED), (kill_words(kill, moment), REQUESTS, *measured.cells)))


@pytest.mark.parametrize("provider", KILLS)
def test_kill_between_two_batches_costs_nothing(vlures: Command, shared_sandbox: Sandbox, provider: str) -> None:
    hold = f"hang@{PLACES[provider]}content:after=1,times=1"
    measured = measure_kill(vlures, shared_sandbox, batch_run_of(provider, 6), (hold,), stored=5)
    assert measured == Measured(2, REQUESTS, 0, 0)
    publish(Row((provider, KILLED), (HALF_STORED, REQUESTS, *measured.cells)))


def measure_kill(
    vlures: Command, sandbox: Sandbox, arguments: tuple[str, ...], faults: tuple[str, ...], stored: int
) -> Measured:
    """Kill a run at the connection that the first fault holds, with at least so many lines stored, and go on."""
    vlures.use(sandbox)
    sandbox.show(*faults)
    held = sandbox.stats["held"]
    process = vlures.start(*arguments)
    kill_held(process, sandbox, lambda: sandbox.stats["held"] > held and lines_stored(vlures) >= stored)
    return finish(vlures, sandbox, arguments, 1)


@pytest.mark.parametrize("provider", KILLS)
def test_kill_in_the_middle_of_a_line_costs_nothing(vlures: Command, shared_sandbox: Sandbox, provider: str) -> None:
    """The system ends the process when its checkpoint would pass a size; nothing else of that run grows so large."""
    vlures.use(shared_sandbox)
    arguments = batch_run_of(provider, 50, tasks="1")
    assert vlures(*arguments, "--limit", "5").code == 0
    sent = vlures(*arguments, "--no-wait")
    assert sent.code == 3, sent
    checkpoint = vlures.folder / "outputs" / NAME / "checkpoints_1shot_rationales/checkpoint_task1_En.jsonl"
    whole = checkpoint.read_bytes()
    collect_within(vlures, arguments, len(whole) + 100)
    assert len(checkpoint.read_bytes()) == len(whole) + 100
    measured = finish(vlures, shared_sandbox, arguments, 3)
    assert measured == Measured(4, 6, 0, 0)
    publish(Row((provider, KILLED), (TORN, 6, *measured.cells)))


def collect_within(vlures: Command, arguments: tuple[str, ...], size: int) -> None:
    """Run the command; the system ends it, as kill -9 would, when a file of its is to pass `size` bytes."""
    code = "import runpy, signal; signal.signal(signal.SIGXFSZ, signal.SIG_DFL); runpy.run_module('vlures', run_name='__main__')"
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=vlures.folder,
        env={**vlures.environment, "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=partial(resource.setrlimit, resource.RLIMIT_FSIZE, (size, size)),
    )
    assert ended.returncode < 0, ended


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_kill_in_live_mode_costs_what_was_in_flight_at_most(
    vlures: Command, shared_sandbox: Sandbox, provider: str, moment: str
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
    assert measured == Measured(2, REQUESTS, IN_FLIGHT if moment == "after" else 0, 0)
    publish(Row((provider, LIVE), (live_words(moment), REQUESTS, stored, IN_FLIGHT, *measured.cells)))


@pytest.mark.skipif(WRITES, reason="the page is being written")
def test_the_page_is_what_these_tests_write() -> None:
    page = PAGE.read_text(encoding="utf-8")
    rows = rows_of(page)
    for table in TABLES:
        assert list(rows[table]) == names_of(table)
    assert page == word_page(rows)
