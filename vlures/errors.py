"""The exceptions of the project. The message of a VluresError is a sentence: what, where, what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from vlures.records import Response


def counted(number: int, noun: str, one: str = "", many: str = "") -> str:
    """A number with its noun, and a verb if the sentence goes on with one: `1 batch`, `1,200 batches are`.

    noun, one, many: the noun and the verb of one; the verb of many.
    """
    if number == 1:
        return f"1 {noun} {one}".rstrip()
    plural = f"{noun[:-1]}ies" if noun.endswith("ry") else f"{noun}es" if noun.endswith("ch") else f"{noun}s"
    return f"{number:,} {plural} {many}".rstrip()


class VluresError(Exception):
    """The run cannot go on: exit code 1, the message on stderr."""


class UsageError(VluresError):
    """An option, a configuration key or a combination of them is wrong: exit code 2."""


class Incomplete(VluresError):
    """The run stops early but can be continued by the same command: exit code 3."""


class LockLost(VluresError):
    """Another process holds the output folder now."""


class Retry(Exception):
    """A provider's call failed in a way that the provider calls transient."""

    def __init__(
        self,
        reason: str,
        *,
        code: str,
        after_s: float | None = None,
        signal: Literal["rate", "overload"] | None = None,
        reached: bool = True,
        limit: int | None = None,
        heard: Response | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        """One line for people."""
        self.code = code
        """Short and stable, for counts."""
        self.after_s = after_s
        """How long the provider asks to wait, in seconds; None if it does not say."""
        self.signal = signal
        """rate: requests exceed the provider's limit. overload: the provider has too much load. None: a fault of this
        call alone."""
        self.reached = reached
        """False for a call that never reached the provider's server."""
        self.limit = limit
        """How often this reason may be retried for one request; None: within the budget of time."""
        self.heard = heard
        """A reply that may have been charged but is not an answer."""


class FileTooLarge(VluresError):
    """The provider refuses a batch's file for its size."""


class InDoubt(Exception):
    """The reply to a call that may cost money was lost: it is unknown whether the provider has acted."""

    def __init__(self, reason: str, after_s: float | None = None) -> None:
        """after_s: how long the provider asks to wait, in seconds; None if it does not say."""
        super().__init__(reason)
        self.after_s = after_s


class NotFound(Exception):
    """The provider does not know the requested file or batch."""
