"""What all calls to providers share: how large a reply may be, what a redirect means, how long a call may take, and how
to read an exception that no library explains."""

from __future__ import annotations

import asyncio
import errno
import io
import re
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

from vlures.errors import InDoubt, NotFound, Retry, VluresError

T = TypeVar("T")

MOST_REPLY_BYTES = 16_000_000
"""Of any reply but a result file, after decompression. 65,000 tokens of an answer are less than 1 MB of JSON."""
LONGEST_CALL_S = 60.0
"""Of a call that moves no file: a batch's status, a page of a list, a deletion."""
LONGEST_CREATION_S = 180.0
"""After that, the batch is looked for by its tag."""
PROGRESS_WINDOW_S = 600.0
LEAST_PROGRESS_BYTES = 64_000
"""A file transfer may take hours, but moves this much in every window."""
LOOK_EVERY_S = 1.0

REDIRECTS = frozenset({301, 302, 303, 307, 308})

_LOCAL = frozenset(
    {
        *(errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG),
        *(errno.EMFILE, errno.ENFILE, errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG),
    }
)


_REFUSED_FOR_SIZE = re.compile(
    r"too (large|big|long|many (lines|requests|rows))|\b(byte|size) (cap|limit)\b"
    r"|(exceed|larger than|greater than|more than|maximum|at most)[^.]*\b(bytes?|[kmg]i?b|size|lines|requests|rows)\b",
    re.IGNORECASE,
)
_STORAGE = re.compile(r"\bstorage\b|\bquota\b", re.IGNORECASE)
"""What is full is the account, whatever the size of the file."""
BAD_REQUEST, PAYLOAD_TOO_LARGE = 400, 413


def is_refused_for_size(status: int, message: str) -> bool:
    """Whether an upload's refusal is about the size of the file. Gateways have caps of their own, each in its words."""
    if _STORAGE.search(message):
        return False
    return status == PAYLOAD_TOO_LARGE or (status == BAD_REQUEST and _REFUSED_FOR_SIZE.search(message) is not None)


class TooLarge(Exception):
    """A reply, or a file, with more bytes than any sound one has."""

    def __init__(self, most_bytes: int) -> None:
        super().__init__(f"it has more than {most_bytes / 1e6:,.0f} MB, and the rest was not read")


class Redirected(Exception):
    """A redirect that is not followed. The message is a sentence."""

    def __init__(self, asked: str, location: str) -> None:
        try:
            to, place = urlsplit(urljoin(asked, location)), origin_of(urljoin(asked, location))
        except ValueError:
            to, place = urlsplit(""), "an invalid address"
        came = urlsplit(asked)
        if (came.scheme, to.scheme, came.hostname) == ("http", "https", to.hostname):
            hint = f"Write the base URL with https: https://{to.hostname}/…"
        else:
            hint = "Check --base-url, and whether a proxy or a log-in page stands in between"
        super().__init__(
            f"{origin_of(asked)} redirects to {place}, which is not followed: the key and the questions would go there "
            f"too. {hint}, then run again."
        )


class Download(io.RawIOBase):
    """A file that a download is written into. Raises TooLarge for more bytes than its results can have, and OSError for
    a failure of the disk."""

    def __init__(self, path: Path, most_bytes: int) -> None:
        super().__init__()
        self._file = path.open("wb")
        self._most_bytes = most_bytes

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        if self._file.tell() + len(piece) > self._most_bytes:
            raise TooLarge(self._most_bytes)
        return self._file.write(piece)

    def tell(self) -> int:
        """Bytes written so far."""
        return self._file.tell()

    def close(self) -> None:
        self._file.close()
        super().close()


def origin_of(url: str) -> str:
    """Scheme, host and, where it is not the usual one, port. Raises ValueError for an invalid URL."""
    parts = urlsplit(url)
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port not in (None, usual) else "")


def is_same_origin(asked: str, location: str) -> bool:
    """Whether a redirect's target is on the same server."""
    try:
        return origin_of(asked) == origin_of(urljoin(asked, location))
    except ValueError:
        return False


def is_ours(error: BaseException) -> bool:
    """Whether an exception already tells the driver what to do, or is not about the call: the end of the task, a fault
    of this machine's disk."""
    if not isinstance(error, Exception) or isinstance(error, VluresError | Retry | InDoubt | NotFound):
        return True
    if not isinstance(error, OSError) or isinstance(error, ConnectionError | TimeoutError | ssl.SSLError):
        return False
    if type(error).__module__.startswith(("aiohttp", "requests", "urllib3")):
        return False
    return error.filename is not None or error.errno in _LOCAL


def name_mishap(error: BaseException) -> str:
    """An exception in words: its message, or at least its type."""
    return " ".join(str(error).split())[:400] or type(error).__name__


async def within(longest_s: float, work: Awaitable[T], clock: Callable[[], float] | None = None) -> T:
    """The work's result. Ends the work and raises TimeoutError when it takes longer. clock: by default the loop's."""
    clock = clock or asyncio.get_running_loop().time
    until = clock() + longest_s
    return await _watch(work, lambda: clock() < until, f"no answer within {longest_s:g} s")


async def while_moving(moved: Callable[[], int], work: Awaitable[T], clock: Callable[[], float] | None = None) -> T:
    """The result of work that moves a file. moved: the bytes so far. clock: by default the loop's.

    Ends the work and raises TimeoutError when a window of time passes with almost none.
    """
    now = clock or asyncio.get_running_loop().time
    since, before = now(), moved()

    def goes_on() -> bool:
        nonlocal since, before
        if moved() - before >= LEAST_PROGRESS_BYTES:
            since, before = now(), moved()
        return now() - since < PROGRESS_WINDOW_S

    return await _watch(work, goes_on, f"almost nothing came or went for {PROGRESS_WINDOW_S:.0f} s")


async def _watch(work: Awaitable[T], goes_on: Callable[[], bool], reason: str) -> T:
    task = asyncio.ensure_future(work)
    try:
        while not task.done():
            await asyncio.wait([task], timeout=LOOK_EVERY_S)
            if not task.done() and not goes_on():
                raise TimeoutError(reason)
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # retrieved: the caller may have been cancelled just when the work failed
