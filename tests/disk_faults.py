"""A disk that fails: `os` and `open` as one process sees them, for what lies in some folders.

It stands between the command and the operating system, as a preloaded library would, and needs no compiler. `install`
is called in a process of its own (tests/warm.py), because nothing puts the functions back.
"""

from __future__ import annotations

import builtins
import errno
import io
import json
import os
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Call = Literal["open", "write", "fsync", "rename", "truncate", "unlink", "mkdir"]
CALLS: tuple[Call, ...] = ("open", "write", "fsync", "rename", "truncate", "unlink", "mkdir")
Struck = Call | Literal["any"]
FLAWS: dict[Struck, tuple[str, ...]] = {
    "open": ("EMFILE", "ENOSPC", "EROFS", "EIO", "EACCES"),
    "write": ("ENOSPC", "EIO", "EDQUOT", "short", "half, then ENOSPC"),
    "fsync": ("EIO", "ENOSPC", "EDQUOT"),
    "rename": ("EIO", "ENOSPC", "EROFS"),
    "truncate": ("EIO", "EROFS"),
    "unlink": ("EROFS", "EIO"),
    "mkdir": ("ENOSPC", "EROFS", "EDQUOT"),
    "any": ("ENOSPC", "EIO", "EROFS", "EDQUOT"),
}
"""What may become of a call. short: only half is written, without an error, as the system may do at any time."""


@dataclass(frozen=True)
class DiskFault:
    """The calls of one kind, or of any, fail from the n-th on (from 1; 0: none ever), so many of them (None: all that
    follow)."""

    call: Struck
    number: int
    flaw: str
    times: int | None = 1

    def __str__(self) -> str:
        lasts = "for good" if self.times is None else "once" if self.times == 1 else f"{self.times} times"
        return f"{self.call} {self.number}: {self.flaw}, {lasts}"


@dataclass
class FailingDisk:
    """A disk on which calls fail as `fault` says."""

    roots: tuple[Path, ...]
    """Folders on the disk."""
    fault: DiskFault
    journal: Path
    """A file elsewhere that records each fault that struck and, at the end, the number of calls of each kind."""
    _counts: Counter[Call] = field(default_factory=Counter)
    _lock: Any = None
    _ours: set[tuple[int, int]] = field(default_factory=set)

    def install(self) -> None:
        """Stand in for the system's functions in this process, for good."""
        self._lock = threading.RLock()
        self._note = os.open(self.journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._write, self._fstat = os.write, os.fstat
        opened = os.open

        def open_descriptor(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
            ours = dir_fd is None and self._holds(path)
            if ours:
                self._strike("open", path)
            descriptor = opened(path, flags, mode, dir_fd=dir_fd)
            if ours:
                self._ours.add(self._identity(descriptor))
            return descriptor

        os.open = open_descriptor
        os.write = self._wrap_write(os.write)
        os.fsync = self._wrap_descriptor("fsync", os.fsync)
        os.fdatasync = self._wrap_descriptor("fsync", os.fdatasync)
        os.ftruncate = self._wrap_descriptor("truncate", os.ftruncate)
        os.truncate = self._wrap_path("truncate", os.truncate)
        os.replace = self._wrap_path("rename", os.replace)
        os.rename = self._wrap_path("rename", os.rename)
        os.unlink = self._wrap_path("unlink", os.unlink)
        os.remove = self._wrap_path("unlink", os.remove)
        os.mkdir = self._wrap_path("mkdir", os.mkdir)
        io.open = builtins.open = self._wrap_open(io.open)  # type: ignore[assignment]

    def counts(self) -> Counter[Call]:
        """How many calls of each kind the process had made at its end, if it came to one."""
        lines = self.journal.read_text(encoding="utf-8").splitlines() if self.journal.is_file() else []
        return Counter(json.loads(lines[-1])["calls"]) if lines else Counter()

    def strikes(self) -> list[str]:
        """The calls that failed."""
        lines = self.journal.read_text(encoding="utf-8").splitlines() if self.journal.is_file() else []
        return [news["struck"] for news in map(json.loads, lines) if "struck" in news]

    def say_counts(self) -> None:
        """For the end of the process."""
        self._say({"calls": self._counts})

    def _say(self, news: dict[str, Any]) -> None:
        self._write(self._note, json.dumps(news).encode() + b"\n")

    def _holds(self, path: Any) -> bool:
        if isinstance(path, int):
            return False
        whole = Path(os.path.abspath(os.fsdecode(path)))  # noqa: PTH100 (a link is not followed)
        return any(whole.is_relative_to(root) for root in self.roots)

    def _identity(self, descriptor: int) -> tuple[int, int]:
        facts = self._fstat(descriptor)
        return facts.st_dev, facts.st_ino

    def _next_flaw(self, call: Call, what: object) -> str | None:
        """Count a call. The flaw that strikes it, if one does."""
        with self._lock:
            self._counts[call] += 1
            fault = self.fault
            number = self._counts.total() if fault.call == "any" else self._counts[call]
            past = number - fault.number
            lasts = fault.times is None or past < fault.times + (fault.flaw == "half, then ENOSPC")
            if fault.call not in (call, "any") or not fault.number or past < 0 or not lasts:
                return None
            if fault.flaw == "short" and past % 2:  # a second attempt gets on
                return None
            self._say({"struck": f"{call} {number} of {what}"})
            if fault.flaw == "half, then ENOSPC":
                return "short" if past == 0 else "ENOSPC"
            return fault.flaw

    def _strike(self, call: Call, what: object) -> None:
        flaw = self._next_flaw(call, what)
        if flaw is not None:
            number = getattr(errno, flaw)
            raise OSError(number, os.strerror(number), str(what))

    def _wrap_write(self, act: Callable[..., int]) -> Callable[..., int]:
        def write(descriptor: int, data: Any) -> int:
            if self._identity(descriptor) not in self._ours:
                return act(descriptor, data)
            flaw = self._next_flaw("write", descriptor)
            if flaw is not None and flaw != "short":
                raise OSError(getattr(errno, flaw), os.strerror(getattr(errno, flaw)))
            view = memoryview(data).cast("B")
            return act(descriptor, view[: max(1, len(view) // 2)] if flaw else view)

        return write

    def _wrap_descriptor(self, call: Call, act: Callable[..., None]) -> Callable[..., None]:
        def wrapped(descriptor: Any, *arguments: Any) -> None:
            number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
            if self._identity(number) in self._ours:
                self._strike(call, number)
            return act(descriptor, *arguments)

        return wrapped

    def _wrap_path(self, call: Call, act: Callable[..., None]) -> Callable[..., None]:
        def wrapped(path: Any, *arguments: Any, **options: Any) -> None:
            if options.get("dir_fd") is None and (self._holds(path) or (arguments and self._is_there(arguments[0]))):
                self._strike(call, path)
            return act(path, *arguments, **options)

        return wrapped

    def _is_there(self, target: Any) -> bool:
        return isinstance(target, str | bytes | os.PathLike) and self._holds(target)

    def _wrap_open(self, act: Callable[..., Any]) -> Callable[..., Any]:
        disk = self

        class Raw(io.FileIO):
            def write(self, data: Any) -> int:
                return os.write(self.fileno(), data)

        def open_file(
            file: Any,
            mode: str = "r",
            buffering: int = -1,
            encoding: str | None = None,
            errors: str | None = None,
            newline: str | None = None,
            closefd: bool = True,
            opener: Any = None,
        ) -> Any:
            if not disk._holds(file) or opener is not None:
                return act(file, mode, buffering, encoding, errors, newline, closefd, opener)
            disk._strike("open", file)
            if not set(mode) & set("wax+"):
                return act(file, mode, buffering, encoding, errors, newline, closefd, opener)
            raw = Raw(os.fspath(file), "".join(letter for letter in mode if letter in "rwax+"))
            disk._ours.add(disk._identity(raw.fileno()))
            if "b" in mode and buffering == 0:
                return raw
            binary = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
            if "b" in mode:
                return binary
            text = io.TextIOWrapper(binary, encoding, errors, newline, line_buffering=buffering == 1)
            text.mode = mode
            return text

        return open_file
