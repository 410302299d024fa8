"""One process at a time per output folder."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from vlures.errors import LockLost, VluresError
from vlures.files.writing import NotWritable, write_whole
from vlures.store.clock import now

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCK_FILE, HOLDER_FILE = ".lock", ".lock-holder"
LOOK_EVERY_S = 0.05
"""Thousands of answers a second share one check of the lock, which takes a third as long as a write."""
NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL})
"""Errors of a drive without locks: network drives without a lock service, some that are mounted in user space."""


class HeldFolder:
    """An output folder that this process holds.

    Two locks guard it: one on the file `.lock`, which other machines see too, and one on the folder itself, which
    survives a deletion of that file but which not every drive has.
    """

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self._folder = folder
        self._say = say
        self._locks = ExitStack()
        self._path = str(folder / LOCK_FILE)
        self._identity = (0, 0)
        self._looked_at = -LOOK_EVERY_S

    def take(self) -> bool:
        """Whether the folder is ours now. Raises OSError if it cannot be written or locked."""
        return self._take_folder() and self._take_file()

    def release(self) -> None:
        self._locks.close()

    def check(self) -> None:
        """Call before anything is sent or written: `.lock` may have been removed or replaced.

        Raises LockLost if the folder is another process's now, NotWritable if it is gone.
        """
        now_s = time.monotonic()
        if now_s - self._looked_at < LOOK_EVERY_S:
            return
        try:
            facts = os.stat(self._path)  # noqa: PTH116
        except FileNotFoundError:
            self._take_again()
            return
        except OSError as error:
            raise NotWritable(self._folder, error) from error
        if (facts.st_dev, facts.st_ino) != self._identity:
            self._take_again()
        self._looked_at = now_s

    def _take_again(self) -> None:
        if not self._folder.is_dir():
            raise NotWritable(self._folder, FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)))
        try:
            ours = self._take_file()
        except OSError as error:
            raise NotWritable(self._folder / LOCK_FILE, error) from error
        if not ours:
            raise LockLost(
                f"{self._folder / LOCK_FILE} was removed or replaced, and {_read_holder(self._folder)} has taken "
                f"{self._folder} since; this run sends nothing more and stores what was in flight. Wait for the other, "
                "and leave .lock where it is."
            )
        self._say(
            f"{self._folder / LOCK_FILE} was removed or replaced; this run has created it again. Leave it where it is."
        )

    def _take_file(self) -> bool:
        from filelock import FileLock, Timeout

        lock = FileLock(
            self._folder / LOCK_FILE, fallback_to_soft=False, on_acquired=self._remember, thread_local=False
        )
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return False
        except NotImplementedError as error:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS)) from error
        self._locks.callback(lock.release)
        write_whole(self._folder / HOLDER_FILE, f"process {os.getpid()} on {socket.gethostname()} since {now()}\n")
        return True

    def _remember(self, descriptor: int) -> None:
        facts = os.fstat(descriptor)
        self._identity = (facts.st_dev, facts.st_ino)

    def _take_folder(self) -> bool:
        """True also where a folder cannot be locked."""
        if fcntl is None:
            return True
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_CLOEXEC)
        self._locks.callback(os.close, descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True


@contextmanager
def hold_folder(
    output_folder: Path,
    advice: str = "wait for it, or give this run another --name",
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[HeldFolder]:
    """Hold an output folder. Raises VluresError if another process does, naming it.

    advice: what the user should do then. say: called when `.lock` had to be created again.
    """
    held = HeldFolder(output_folder, say)
    try:
        try:
            output_folder.mkdir(parents=True, exist_ok=True)
            ours = held.take()
        except OSError as error:
            raise VluresError(_describe_refusal(output_folder, error)) from error
        if not ours:
            raise VluresError(f"{output_folder} is in use by {_read_holder(output_folder)}; {advice}.")
        yield held
    finally:
        with suppress(OSError):
            held.release()


def _read_holder(folder: Path) -> str:
    try:
        return (folder / HOLDER_FILE).read_text(encoding="utf-8").strip() or "another process"
    except (OSError, UnicodeDecodeError):
        return "another process"


def _describe_refusal(folder: Path, error: OSError) -> str:
    if error.errno in NO_LOCKS:
        return (
            f"The drive of {folder} has no locks ({error.strerror}), so it could not keep two runs apart; name a "
            "folder on a local drive with --output, and copy the results afterwards."
        )
    return (
        f"The folder {folder} cannot be written ({error.strerror}); correct its permissions or name another with "
        "--output."
    )
