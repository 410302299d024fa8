"""What every call to a provider is bound by."""

from __future__ import annotations

import asyncio
import errno
import gc
import ssl
from itertools import count
from pathlib import Path

import pytest

from vlures.backends import replies
from vlures.backends.batch.result_files import LONGEST_LINE_BYTES, read_lines
from vlures.backends.replies import Download, Redirected, TooLarge, is_ours, is_same_origin, while_moving, within
from vlures.errors import InDoubt, NotFound, Retry, UsageError


@pytest.mark.parametrize(
    ("asked", "location", "same"),
    [
        ("https://a.org/v1/x", "/v1/y", True),
        ("https://a.org/v1/x", "y?again", True),
        ("https://a.org/v1/x", "https://a.org:443/v1/y", True),
        ("https://a.org/v1/x", "https://A.org/y", True),
        ("https://a.org/v1/x", "http://a.org/v1/x", False),
        ("https://a.org/v1/x", "https://a.org:8443/v1/x", False),
        ("https://a.org/v1/x", "https://b.a.org/v1/x", False),
        ("https://a.org/v1/x", "//b.org/v1/x", False),
        ("https://a.org/v1/x", "https://a.org@b.org/", False),
        ("https://a.org/v1/x", "https://[::1/", False),
        ("http://127.0.0.1:1/v1", "http://localhost:1/v1", False),
    ],
)
def test_a_redirect_stays_at_its_server_or_does_not(asked: str, location: str, same: bool) -> None:
    assert is_same_origin(asked, location) is same
    assert str(Redirected(asked, location)).endswith("then run again.")


def test_a_redirect_to_https_says_what_to_write() -> None:
    sentence = str(Redirected("http://a.org/v1/chat", "https://a.org/v1/chat?key=secret"))
    assert "https://a.org/…" in sentence
    assert "secret" not in sentence


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (asyncio.CancelledError(), True),
        (Retry("", code=""), True),
        (InDoubt(""), True),
        (NotFound(""), True),
        (UsageError(""), True),
        (OSError(errno.ENOSPC, "full"), True),
        (FileNotFoundError(errno.ENOENT, "gone", "image1.jpg"), True),
        (ConnectionResetError(errno.ECONNRESET, "reset"), False),
        (TimeoutError(), False),
        (ssl.SSLError(1, "bad"), False),
        (ValueError(), False),
        (MemoryError(), False),
    ],
)
def test_what_is_about_the_reply_and_what_is_not(error: BaseException, ours: bool) -> None:
    assert is_ours(error) is ours


async def for_ever(ended: list[bool]) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        ended.append(True)


def test_a_call_without_an_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replies, "LOOK_EVERY_S", 0.001)
    clock, ended = count(0, 10), list[bool]()
    with pytest.raises(TimeoutError, match="no answer within 60 s"):
        asyncio.run(within(60, for_ever(ended), lambda: float(next(clock))))
    assert ended == [True]


def test_a_transfer_goes_on_as_long_as_it_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replies, "LOOK_EVERY_S", 0.001)
    clock, looks, ended = count(0, 100), count(), list[bool]()
    moved = [number * 1_000_000 for number in range(50)]  # then it stands still
    with pytest.raises(TimeoutError, match="almost nothing"):
        asyncio.run(while_moving(lambda: moved[min(next(looks), 49)], for_ever(ended), lambda: float(next(clock))))
    assert next(looks) > 50
    assert ended == [True]


def test_a_drip_is_no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replies, "LOOK_EVERY_S", 0.001)
    clock, bytes_so_far = count(0, 10), count()
    with pytest.raises(TimeoutError):
        asyncio.run(while_moving(lambda: next(bytes_so_far), for_ever([]), lambda: float(next(clock))))


def test_a_call_that_ends_gives_what_it_gives() -> None:
    assert asyncio.run(within(60, asyncio.sleep(0, "it"))) == "it"
    with pytest.raises(KeyError):
        asyncio.run(within(60, fail()))


async def fail() -> None:
    raise KeyError


def test_a_call_that_fails_in_the_moment_of_an_interruption_leaves_no_trace() -> None:
    unseen: list[object] = []

    async def interrupt() -> None:
        async def work() -> None:
            waiting.cancel()
            raise IndexError("no more pages")

        waiting = asyncio.ensure_future(within(60, work()))
        with pytest.raises(asyncio.CancelledError):
            await waiting

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unseen.append(context))
        await interrupt()
        gc.collect()

    asyncio.run(main())
    assert unseen == []


def test_a_download_ends_at_its_most_bytes(tmp_path: Path) -> None:
    with Download(tmp_path / "file", 10) as download:
        download.write(b"12345")
        assert download.tell() == 5
        with pytest.raises(TooLarge):
            download.write(b"123456")
    assert (tmp_path / "file").read_bytes() == b"12345"


def test_a_line_that_is_longer_than_any_answer_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_bytes(b'{"a":1}\n\n' + b"x" * (2 * LONGEST_LINE_BYTES + 5) + b'\n{"b":2}\n{"c":3}')
    lines = list(read_lines(path))
    assert [lines[0], *lines[2:]] == [b'{"a":1}\n', b'{"b":2}\n', b'{"c":3}']
    assert len(lines[1]) == LONGEST_LINE_BYTES
