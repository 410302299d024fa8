"""What the results of an ended batch mean for its requests, and whether they are all there. Pure decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from vlures.backends.batch.client import BatchState
from vlures.backends.outcomes import is_blank
from vlures.records import Response


@dataclass(slots=True)
class Reconciler:
    """Decides line by line what a batch's results mean for the requests that were in it. An answer is passed on
    at once; a failure waits until all lines are read, because an answer may still come.

    expected: key → digest. Results may be read several times: what was found once stays found, oddities are those of the last
    look.
    """

    expected: Mapping[str, str]
    answered: set[str] = field(default_factory=set)
    failed: dict[str, Response] = field(default_factory=dict)
    doubled: int = 0
    unknown: int = 0
    unreadable: int = 0
    _answered_now: set[str] = field(default_factory=set)
    _failed_now: set[str] = field(default_factory=set)

    def look_again(self) -> None:
        """The same results are about to be read once more."""
        self.doubled = self.unknown = self.unreadable = 0
        self._answered_now.clear()
        self._failed_now.clear()

    def feed(self, response: Response | None) -> Response | None:
        """The answer to store, if this line is one."""
        if response is None:
            self.unreadable += 1
        elif response.key not in self.expected:
            self.unknown += 1
        elif response.status == "failed":
            self.doubled += response.key in self._answered_now or response.key in self._failed_now
            self._failed_now.add(response.key)
            earlier = self.failed.get(response.key)
            if response.key not in self.answered and (earlier is None or is_blank(earlier)):
                self.failed[response.key] = replace(response, digest=self.expected[response.key])
        else:
            self.doubled += response.key in self._answered_now
            self._answered_now.add(response.key)
            if response.key not in self.answered:
                self.answered.add(response.key)
                self.failed.pop(response.key, None)
                return replace(response, digest=self.expected[response.key])
        return None

    @property
    def found(self) -> int:
        """How many requests have a line."""
        return len(self.answered) + len(self.failed)

    @property
    def told(self) -> int:
        """How many have a line that says something of them."""
        return self.found - self.blank

    @property
    def blank(self) -> int:
        """How many have only lines that say nothing of them."""
        return sum(map(is_blank, self.failed.values()))

    @property
    def missing(self) -> list[str]:
        return [key for key in self.expected if key not in self.answered and key not in self.failed]

    def oddities(self) -> list[str]:
        counts = {
            "missing": len(self.missing),
            "doubled": self.doubled,
            "of an unknown request": self.unknown,
            "unreadable": self.unreadable,
        }
        return [f"{count} {what}" for what, count in counts.items() if count]


@dataclass(frozen=True, slots=True)
class Findings:
    """What reading a batch's results has found so far.

    lines: how many of its requests have a line anywhere. answer_lines: one that says something of them, in a file that holds
    answers. blank: how many have only lines that say nothing of them.
    absent: files that are named and not there. strange: files without one line that says something of the batch. unreadable:
    lines of the last look.
    """

    lines: int
    answer_lines: int
    absent: int = 0
    strange: int = 0
    unreadable: int = 0
    blank: int = 0


def why_incomplete(state: BatchState, asked: int, found: Findings) -> str | None:
    """Why results of an ended batch must still be somewhere; None if all that were made have been read.

    asked: how many requests the batch holds. A result that was made is paid for, so that nothing is sent again on the word of
    an empty reply:
    - Each request has a line that says something of it: all is there, whatever the counts say. What names the requests and says
      nothing of them may be another file, such as the one that was sent.
    - The provider counts results: at least as many requests have a line, and as many as it calls answered have one that says
      something where answers stand. Requests that it does not count were not done.
    - It counts none (some servers do not count), but the status says that all were worked on: each has such a line somewhere.
    - It counts none, names no result, and does not say that it has begun: none was made.
    - It counts none, but names results: each file is there, is the batch's, and can be read to its end.
    """
    told = found.lines - found.blank
    if told >= asked:
        return None
    if state.done > 0 or state.is_exhaustive:
        made, there = (min(state.done, asked), found.lines) if state.done > 0 else (asked, told)
        if found.answer_lines < min(state.answered, asked) or there < made:
            return f"{told} of {made} results can be read"
        return None
    if state.is_uncounted and not state.result_files and not state.inline_lines:
        return "no result file is named"
    if found.absent or found.strange or found.unreadable:
        return "its result files cannot be read to their end"
    return None
