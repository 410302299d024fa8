"""What the results of an ended batch mean for its requests, and whether they are all there. Pure decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from vlures.backends.batch.client import BatchState
from vlures.backends.outcomes import is_blank
from vlures.records import Response


@dataclass(slots=True)
class Reconciler:
    """Decides line by line what a batch's results mean for the requests that were in it. An answer is handed over at
    once; a failure waits until all lines are read, because an answer may still come. Results may be read several times:
    what was found once stays found, while oddities are those of the last look."""

    expected: Mapping[str, str]
    """Request key → digest."""
    answered: set[str] = field(default_factory=set)
    """Keys of requests with an answer."""
    failed: dict[str, Response] = field(default_factory=dict)
    """By key, without those that are answered."""
    doubled: int = 0
    """Lines about a request with a line of the same kind already."""
    unknown: int = 0
    """Lines about requests that were not in the batch."""
    unreadable: int = 0
    """Lines without a meaning."""
    _answered_now: set[str] = field(default_factory=set)
    _failed_now: set[str] = field(default_factory=set)

    def look_again(self) -> None:
        """Begin to read the same results once more."""
        self.doubled = self.unknown = self.unreadable = 0
        self._answered_now.clear()
        self._failed_now.clear()

    def feed(self, response: Response | None) -> Response | None:
        """Take a line. Returns the answer to store, if the line is one."""
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
    def described(self) -> int:
        """How many have a line that says something about them."""
        return self.found - self.blank

    @property
    def progress(self) -> tuple[int, int]:
        """How many requests are described, and how many answered."""
        return self.described, len(self.answered)

    @property
    def blank(self) -> int:
        """How many have only lines that say nothing about them."""
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
    """What reading a batch's results has found so far."""

    lines: int
    """Requests with a line anywhere."""
    answer_lines: int
    """Requests with a line that says something about them, in a file that holds answers."""
    absent: int = 0
    """Files that are named but do not exist."""
    strange: int = 0
    """Files without a line that says something about the batch."""
    unreadable: int = 0
    """Lines of the last look."""
    blank: int = 0
    """Requests with only lines that say nothing about them."""


def why_incomplete(state: BatchState, asked: int, found: Findings) -> str | None:
    """Why more results of an ended batch must exist than were read; None if all that were made have been read.

    asked: how many requests the batch holds. A result that was made is paid for, so an empty reply alone never causes a
    request to be sent again. Results are complete in these cases:
    - Each request has a line that says something about it, whatever the counts say; where they do not confirm its
      failures, the collector looks again for a while. A file that names the requests and says nothing about them may
      be another one, such as the one that was sent.
    - The provider counts results: at least as many requests have a line, and as many as it calls answered have a
      telling line where answers belong. Requests that it does not count were not done.
    - It counts none (some servers do not count), but the status says that all were worked on: each has a telling line.
    - It counts none, names no result, and does not say that it has begun: none was made.
    - It counts none, but names results: each file exists, is the batch's, and can be read to its end.
    """
    described = found.lines - found.blank
    if described >= asked:
        return None
    if state.done > 0 or state.is_exhaustive:
        made, there = (min(state.done, asked), found.lines) if state.done > 0 else (asked, described)
        if found.answer_lines < min(state.answered, asked) or there < made:
            return f"{described} of {made} results can be read"
        return None
    if state.is_uncounted and not state.result_files and not state.inline_lines:
        return "no result file is named"
    if found.absent or found.strange or found.unreadable:
        return "its result files cannot be read to their end"
    return None
