"""docs/reliability.md: its words, and its tables from the rows that the tests measure."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from filelock import FileLock

from tests.conftest import REPOSITORY

PAGE = REPOSITORY / "docs/reliability.md"
LOCK = PAGE.with_name(f"{PAGE.name}.lock")
WRITES = os.environ.get("VLURES_WRITE_DOCS") == "1"

PROVIDERS = ("OpenAI", "Gemini")
WRONG, KILLED, LIVE = "what goes wrong", "kill -9 in batch mode", "kill -9 in live mode"
LIVE_WRONG, MONEY = "what goes wrong in live mode", "a limit of cost (`--max-cost`)"
JUDGE_WRONG, JUDGE_KILLED = "what goes wrong with `vlures judge`", "kill -9 of `vlures judge`"
HEADERS = {
    WRONG: (
        "What goes wrong | Requests | Batches | After the first command | Commands needed | Answered | Paid again "
        "| Lost"
    ),
    KILLED: "Killed | Requests | Batches | Commands needed | Answered | Paid again | Lost",
    LIVE_WRONG: (
        "What goes wrong | Requests | In flight | After the first command | Commands needed | Answered | Paid "
        "again | Lost"
    ),
    LIVE: "Killed | Requests | Stored | In flight | Commands needed | Answered | Paid again | Lost",
    MONEY: "What is against it | Requests | Passed by | Then, with a higher limit: answered | Paid again | Lost",
    JUDGE_WRONG: "What goes wrong | Judgements | Commands needed | Answered | Paid again | Lost",
    JUDGE_KILLED: "Killed | Judgements | Commands needed | Answered | Paid again | Lost",
}

Table = tuple[str, str]
"""Whose (OpenAI, Gemini) and of what."""
TABLES: tuple[Table, ...] = tuple((provider, what) for provider in PROVIDERS for what in HEADERS)
Rows = dict[Table, dict[str, str]]
"""The lines of the tables by their first cells."""

INTRODUCTION = """\
# Reliability: what a run costs when something goes wrong

You want to know whether a fault at the provider, on your network or on your machine loses answers, or makes you pay
twice. Every request ends as answered, as failed with a reason, or as due again, and the same command again asks for
what is left. No answer that was paid and handed over is lost, and no line of a batch is paid twice, with one exception:
the reply to a creation is lost, and the provider's list hides the batch for longer than `--doubt-patience-s` (300 s). A
live call cannot be looked up later: `kill -9` costs at most those that were in flight. In batch mode that is the
canary, which `--no-canary` goes without, and what `--finish-live` asks at the end.
"""

READING = """\
*Paid again* counts answers beyond the first that the provider charged for one request. *Lost* counts answers that were
paid and are not in the results at the end. *Commands needed* counts the same command, the killed one included, until it
exits with code 0. Where `vlures cancel` is tried, the run that had sent the batches, and the one that asks what they
left, count as well. *In doubt* is a batch that may or may not have been created.
"""

CLOSING = """\
A *limit of cost* is compared with what the sandbox charged, at the listed prices, after each command. Killed live
calls, and replies that a fault takes after they were charged, are paid again; those are the only numbers other than 0
in the tables of live mode, and there are never more of them than calls in flight, or replies taken.

A *judgement* is answered once there is a verdict. A reply that is none (NaN, two objects, cut JSON) has been paid, is
missing, and is asked for again; live calls and the canary may be, as above.

## How this was measured

`tests/e2e/test_reliability.py` gives the real command a dataset of six images, five of them with a text: two tasks, 11
requests (10 where one image is left out; six, sent by two commands, for the kill in the middle of a line). It speaks
HTTP with the sandbox on the same machine. What was paid is read from the sandbox's ledger, which is written before any
reply; what was answered, from the results files. The faults of the first table are lifted after the first command.

`tests/e2e/test_judge_reliability.py` has the six answers of one task judged, with the controls that test a judge: 17
judgements, some of them without an image. What was answered is read from `verdicts.jsonl`.

For the kills, the sandbox holds one connection: *before* means that it has read the request and does nothing, *after*
that it has acted and the reply is still to come. The test waits for that, kills the process with SIGKILL and gives the
same command again. For the kill in the middle of a line the system itself ends the process, at the byte at which its
file may not grow further; half a line is left.

`make contract` also lets the disk fail at any of its calls under runs of both providers in both modes
(`tests/e2e/test_disk_faults.py`: 480 faults), kills runs with random options and faults at random moments
(`tests/e2e/test_campaign.py`: 300 kills, and as many other signals as come with them), and tries 2,000 sequences of a
model of the protocol, which is shown to find faults that are planted in the code
(`tests/protocol_model/test_planted_faults.py`). It prints their seeds and counts.

To measure again and compare with this page:

```console no-test
$ make contract
```

A row that differs fails. `VLURES_WRITE_DOCS=1` in the environment writes the page anew from what is measured.

## What is not covered

- The real providers: the sandbox does what their documents and users report, and they may do otherwise. It charges
  nothing for a line that is missing from the results; a provider that did would be paid twice for it, since it can only
  be asked for again.
- A power cut: a killed process leaves its writes to the system, a machine without power does not.
  `tests/protocol_model/test_protocol.py` tries that on a model of the disk.
- Two faults at once: the same model mixes them.
"""


@dataclass(frozen=True)
class Row:
    """One line of a table."""

    table: Table
    cells: tuple[object, ...]

    @property
    def line(self) -> str:
        return f"| {' | '.join(map(str, self.cells))} |"


def publish(row: Row, names: Mapping[Table, Iterable[str]]) -> None:
    """Compare a row with the page, or write it there if that was asked for. names: the rows' first cells, in their
    order."""
    if WRITES:
        with FileLock(LOCK):
            rows = rows_of(PAGE.read_text(encoding="utf-8")) if PAGE.is_file() else {table: {} for table in TABLES}
            rows[row.table][str(row.cells[0])] = row.line
            PAGE.write_text(word_page(rows, names), encoding="utf-8")
        return
    committed = rows_of(PAGE.read_text(encoding="utf-8"))[row.table].get(str(row.cells[0]))
    assert row.line == committed, "docs/reliability.md says otherwise; VLURES_WRITE_DOCS=1 writes what was measured"


def rows_of(page: str) -> Rows:
    found: Rows = {table: {} for table in TABLES}
    by_heading = {_heading(table): table for table in TABLES}
    table = None
    for line in page.splitlines():
        if line.startswith("#"):
            table = by_heading.get(line)
        elif table and line.startswith("| ") and line != f"| {HEADERS[table[1]]} |":
            found[table][line.split(" | ")[0].removeprefix("| ")] = line
    return found


def word_page(rows: Rows, names: Mapping[Table, Iterable[str]]) -> str:
    """The page with these rows, in the order of the names."""
    parts = [INTRODUCTION, READING]
    for table in TABLES:
        header = HEADERS[table[1]]
        rule = "|---|" + "---:|" * header.count("|")
        lines = [rows[table][name] for name in names[table] if name in rows[table]]
        parts.append("\n".join((_heading(table), "", f"| {header} |", rule, *lines)) + "\n")
    return "\n".join((*parts, CLOSING))


def _heading(table: Table) -> str:
    return f"## {table[0]}: {table[1]}"
