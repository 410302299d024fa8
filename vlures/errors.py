"""The exceptions of the project. The message of a VluresError is a sentence: what, where, what to do."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from vlures.records import Response


class VluresError(Exception):
    """The run cannot go on: exit code 1, the message on stderr."""


class UsageError(VluresError):
    """An option, a configuration key or a combination of them is wrong: exit code 2."""


class Incomplete(VluresError):
    """The run stops early but can be continued by the same command: exit code 3."""


class NotWritable(VluresError):
    """A file cannot be written. reason: what the system said. remedy: what helps against it. comfort: a sentence that goes
    before the remedy."""

    def __init__(self, path: Path, cause: OSError, comfort: str = "") -> None:
        self.path = path
        self.cause = cause
        self.reason = cause.strerror or str(cause)
        self.remedy = _REMEDIES.get(cause.errno or 0, "Check the disk")
        super().__init__(f"{path} cannot be written ({self.reason}). {comfort}{self.remedy}, then run again.")


class LockLost(VluresError):
    """Another process has the output folder now."""


_REMEDIES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "Make room"),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "Give yourself the right to write there"),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "Raise the limit of open files (`ulimit -n`)"),
    **dict.fromkeys((errno.ENOTDIR, errno.EISDIR), "Move aside what stands in its place"),
    errno.ENOENT: "Put its folder back",
    errno.EFBIG: "Raise the limit of file sizes (`ulimit -f`)",
}


class Retry(Exception):
    """A provider's call failed in a way that it calls transient.

    reason: one line for people. code: short and stable, for counts.
    after_s: the provider's own wish, in seconds, or None.
    signal: what it says of the provider as a whole: too many requests for a limit of its (`rate`), or too much for it to
    bear (`overload`); None for a mishap of this call alone.
    reached: the provider's server answered; False for a call that never got there.
    limit: how often this reason may be retried for one request; None means within the budget of time.
    heard: the reply, where one came that may have been charged and is no answer.
    """

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
        self.code = code
        self.after_s = after_s
        self.signal = signal
        self.reached = reached
        self.limit = limit
        self.heard = heard


class InDoubt(Exception):
    """The reply to a call that may cost money was lost: nobody knows whether the provider has acted.

    after_s: how long the provider asked to wait, in seconds, if it said so.
    """

    def __init__(self, reason: str, after_s: float | None = None) -> None:
        super().__init__(reason)
        self.after_s = after_s


class NotFound(Exception):
    """The provider does not know the file or the batch that was asked for."""
