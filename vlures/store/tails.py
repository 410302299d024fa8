"""What a killed process or a power cut leaves at the end of a file, and its repair."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vlures.files.writing import cut_off, finish_line, move_tail
from vlures.store.lines import UnreadableLine, check_bytes


def is_torn(tail: bytes) -> bool:
    """Whether the bytes behind the last line break are an unfinished line. False for one that lacks only its line
    break; a power cut may leave NUL bytes in place of that.

    Raises UnreadableLine for anything else: what never was a single line may hold answers, and is not moved aside.
    """
    whole = tail.rstrip(b"\0 \t\r")
    text = whole.decode(errors="replace")
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        if b"\r" in tail:
            check_bytes(tail.replace(b"\0", b""))
        return True
    if end < len(text):
        raise UnreadableLine("more follows its object, and no line break ends it")
    return text.encode() != whole  # bytes that are not UTF-8


@dataclass(frozen=True, slots=True)
class TailRepair:
    """Repairs the ends of files, or only reports them."""

    writable: bool
    """False: change nothing."""
    say: Callable[[str], None]
    """Called with a sentence about each repair."""

    def repair(self, path: Path, tail: bytes, *, torn: bool) -> None:
        """Keep half a line aside; complete one that lacks only its line break, without the NULs behind it."""
        if not self.writable:
            what = "is torn" if torn else "has lost its line break"
            self.say(f"The last line of {path} {what}; the next run repairs it.")
        elif torn:
            aside = _free_name(path.with_name(f"{path.name}.torn-{path.stat().st_size - len(tail)}"))
            move_tail(path, tail, aside)
            self.say(f"The last line of {path} was torn ({len(tail)} bytes); it was cut off and kept in {aside.name}.")
        else:
            whole = tail.rstrip(b"\0")
            cut_off(path, len(tail) - len(whole))
            finish_line(path)
            self.say(f"The last line of {path} had lost its line break; it is whole again.")


def _free_name(path: Path) -> Path:
    """The path, or the first of `path-2`, `path-3` … that is not taken."""
    number = 1
    free = path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free
