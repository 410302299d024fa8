"""Files that grow line by line, on a disk that fails at any moment."""

from __future__ import annotations

import errno
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import vlures.files.writing
from vlures.files.writing import CANCELLED, AppendOnlyFile, NotWritable, write_whole


@dataclass
class FailingOs:
    """Stands where the `os` of vlures.files.writing stands. faults: name of a call → the calls of it, from 0, that
    fail, and how. short: writes, from 0, of which only so many bytes are taken. only: the folder whose files fail."""

    faults: dict[str, dict[int, int]] = field(default_factory=dict)
    short: dict[int, int] = field(default_factory=dict)
    only: Path | None = None
    calls: Counter[str] = field(default_factory=Counter)
    opened: dict[int, Path] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        return self._failing(name, real) if callable(real) else real

    def _failing(self, name: str, real: Any) -> Any:
        def call(*arguments: Any) -> Any:
            path = self.opened.get(arguments[0]) if isinstance(arguments[0], int) else Path(arguments[0])
            if self.only is not None and (path is None or self.only not in (path, path.parent)):
                return self._real(name, real, arguments)
            number = self.calls[name]
            self.calls[name] += 1
            if name == "write" and number in self.short:
                arguments = (arguments[0], arguments[1][: self.short[number]])
            elif (code := self.faults.get(name, {}).get(number)) is not None:
                raise OSError(code, os.strerror(code))
            return self._real(name, real, arguments)

        return call

    def _real(self, name: str, real: Any, arguments: tuple[Any, ...]) -> Any:
        result = real(*arguments)
        if name == "open":
            self.opened[result] = Path(arguments[0])
        return result


def put(monkeypatch: pytest.MonkeyPatch, system: FailingOs) -> FailingOs:
    monkeypatch.setattr(vlures.files.writing, "os", system)
    return system


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS, errno.EFBIG])
def test_half_a_line_is_taken_back_and_the_next_append_begins_where_it_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    put(monkeypatch, FailingOs({"write": {2: code}}, short={1: 4}))
    file = AppendOnlyFile(tmp_path / "x.jsonl")
    assert file.append(b'{"a": 1}\n') == 0
    with pytest.raises(NotWritable, match=os.strerror(code)):
        file.append(b'{"b": 2}\n')
    assert file.path.read_bytes() == b'{"a": 1}\n'
    assert file.append(b'{"c": 3}\n') == 9
    assert file.path.read_bytes() == b'{"a": 1}\n{"c": 3}\n'


def test_half_a_line_that_cannot_be_taken_back_swallows_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = dict.fromkeys(range(10), errno.EPERM)
    put(monkeypatch, FailingOs({"write": {1: errno.ENOSPC}, "ftruncate": refused}, short={0: 4}))
    file = AppendOnlyFile(tmp_path / "x.jsonl")
    with pytest.raises(NotWritable):
        file.append(b'{"b": 2}\n')
    offset = file.append(b'{"c": 3}\n')
    content = file.path.read_bytes()
    assert content == b'{"b"' + CANCELLED + b'{"c": 3}\n'
    assert content[offset:] == b'{"c": 3}\n'


def test_half_a_line_is_left_where_another_process_has_written_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(monkeypatch, FailingOs({"write": {1: errno.ENOSPC}, "ftruncate": {0: errno.EIO}}, short={0: 4}))
    file = AppendOnlyFile(tmp_path / "x.jsonl")
    with pytest.raises(NotWritable):
        file.append(b'{"b": 2}\n')
    with file.path.open("ab") as other:
        other.write(b'{"d": 4}\n')
    file.append(b'{"c": 3}\n')
    assert file.path.read_bytes() == b'{"b"{"d": 4}\n' + CANCELLED + b'{"c": 3}\n'


def test_what_a_failed_sync_may_have_dropped_is_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, FailingOs({"fsync": {0: errno.EIO}}))
    file = AppendOnlyFile(tmp_path / "x.jsonl")
    file.append(b'{"a": 1}\n')
    with pytest.raises(NotWritable, match=os.strerror(errno.EIO)):
        file.sync()
    file.path.write_bytes(b"\0" * 9)  # what a disk may make of it
    file.append(b'{"b": 2}\n')
    file.sync()
    assert file.path.read_bytes() == b'{"a": 1}\n{"b": 2}\n'


@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace"])
def test_a_file_that_cannot_be_replaced_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = tmp_path / "x.json"
    write_whole(path, "old")
    put(monkeypatch, FailingOs({call: {0: errno.ENOSPC}}))
    with pytest.raises(NotWritable, match=r"x\.json cannot be written \(No space left on device\). Make room"):
        write_whole(path, "new")
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"x.json": "old"}
