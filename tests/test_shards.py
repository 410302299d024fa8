"""Requests become files of batches: cut within the limits, in order, and read like any file."""

import base64
import hashlib
import io
import json
import tempfile
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlures.backends.shards import Line, Shard, ShardFile, cut_shards
from vlures.errors import VluresError
from vlures.images import EncodedImages
from vlures.records import Cell, Image, Prompt, Request


def make_request(number: int, folder: Path, data: bytes = b"x") -> Request:
    """A request whose picture holds these bytes; the same bytes are the same file."""
    digest = hashlib.sha256(data).hexdigest()
    path = folder / f"{digest[:16]}.png"
    if not path.exists():
        path.write_bytes(data)
    image = Image(path, "image/png", len(data), 1, 1, digest)
    return Request(f"key-{number}", Cell("En", 1), number, "m", {}, Prompt("", ()), image, "d")


def write_line(request: Request) -> Line:
    return Line(b'{"id":%d,"picture":"' % request.sample_id, b'"}\n')


def line_of(request: Request) -> bytes:
    line = write_line(request)
    return line.head + base64.b64encode(request.image.path.read_bytes()) + line.tail


def cut(requests: Iterable[Request], *, lines: int = 1000, size: int = 10**6) -> list[Shard]:
    return list(cut_shards(requests, write_line, lines, size))


def open_shard(shard: Shard) -> ShardFile:
    return ShardFile(shard, EncodedImages(), "batch.jsonl")


PICTURES = st.lists(st.binary(min_size=1, max_size=40), max_size=25)


# Cutting


@given(pictures=PICTURES, most_lines=st.integers(1, 8), most_bytes=st.integers(90, 400))
@settings(deadline=None)
def test_no_shard_is_over_a_limit_and_nothing_is_lost_doubled_or_moved(
    pictures: list[bytes], most_lines: int, most_bytes: int
) -> None:
    with tempfile.TemporaryDirectory() as name:
        requests = [make_request(number, Path(name), data) for number, data in enumerate(pictures)]
        shards = cut(requests, lines=most_lines, size=most_bytes)
        assert [request for shard in shards for request in shard.requests] == requests
        for shard in shards:
            content = open_shard(shard).read()
            assert content == b"".join(map(line_of, shard.requests))
            assert shard.size_bytes == len(content) <= most_bytes
            assert 1 <= len(shard.requests) <= most_lines
        for shard, following in pairwise(shards):
            with_one_more = shard.size_bytes + len(line_of(following.requests[0]))
            assert len(shard.requests) == most_lines or with_one_more > most_bytes, "cut before it was full"


@pytest.mark.parametrize(("count", "counts"), [(0, []), (1, [1]), (3, [3]), (4, [3, 1]), (6, [3, 3]), (7, [3, 3, 1])])
def test_shards_are_cut_by_count(tmp_path: Path, count: int, counts: list[int]) -> None:
    requests = [make_request(number, tmp_path) for number in range(count)]
    assert [len(shard.requests) for shard in cut(requests, lines=3)] == counts


@pytest.mark.parametrize(("spare", "counts"), [(0, [2, 2]), (-1, [1, 1, 1, 1]), (1, [2, 2])])
def test_a_shard_may_be_exactly_as_large_as_allowed(tmp_path: Path, spare: int, counts: list[int]) -> None:
    requests = [make_request(number, tmp_path, b"x" * 30) for number in range(4)]
    allowed = 2 * len(line_of(requests[0])) + spare
    assert [len(shard.requests) for shard in cut(requests, size=allowed)] == counts


@pytest.mark.parametrize("spare", [0, -1])
def test_a_request_larger_than_a_whole_file_is_named(tmp_path: Path, spare: int) -> None:
    small, large = make_request(0, tmp_path), make_request(1, tmp_path, b"x" * 300)
    allowed = len(line_of(large)) + spare
    if spare == 0:
        assert [len(shard.requests) for shard in cut([small, large], size=allowed)] == [1, 1]
    else:
        with pytest.raises(VluresError, match=rf"key-1 with .*{large.image.path.name} .*--batch-bytes"):
            cut([small, large], size=allowed)


def test_requests_are_taken_only_as_shards_are_asked_for(tmp_path: Path) -> None:
    taken = []

    def requests() -> Iterable[Request]:
        for number in range(100):
            taken.append(number)
            yield make_request(number, tmp_path)

    next(cut_shards(requests(), write_line, 5, 10**6))
    assert len(taken) <= 6


def test_cutting_reads_no_picture(tmp_path: Path) -> None:
    request = make_request(0, tmp_path, b"abc")
    request.image.path.unlink()
    assert len(cut([request])) == 1


# Reading


@pytest.fixture
def shard(tmp_path: Path) -> Shard:
    [shard] = cut(make_request(number, tmp_path, bytes([number]) * (7 * number + 1)) for number in range(6))
    return shard


def content_of(shard: Shard) -> bytes:
    return b"".join(map(line_of, shard.requests))


@given(pictures=st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=8), data=st.data())
@settings(deadline=None)
def test_reading_in_any_pieces_gives_the_joined_lines(pictures: list[bytes], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as name:
        [shard] = cut(make_request(number, Path(name), picture) for number, picture in enumerate(pictures))
        expected = content_of(shard)
        file = open_shard(shard)
        for _ in range(2):
            heard = b""
            while piece := file.read(data.draw(st.integers(1, 120))):
                heard += piece
                assert file.tell() == len(heard)
            assert heard == expected
            assert file.read(5) == b""
            assert file.seek(0) == 0


@given(stop=st.integers(0, 500))
@settings(deadline=None)
def test_going_back_to_the_start_begins_anew_from_anywhere(stop: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        [shard] = cut(make_request(number, Path(name), b"abc" * (number + 1)) for number in range(5))
        file = open_shard(shard)
        file.read(stop)
        file.seek(0)
        assert file.tell() == 0
        assert file.read() == content_of(shard)


def test_the_end_tells_the_length_as_an_upload_asks_for_it(shard: Shard) -> None:
    file = open_shard(shard)
    assert file.seek(0, io.SEEK_END) == file.tell() == len(content_of(shard)) == shard.size_bytes
    assert file.read(10) == b""
    assert file.seek(0) == 0
    assert file.read() == content_of(shard)


def test_staying_where_one_is_loses_nothing(shard: Shard) -> None:
    file = open_shard(shard)
    start = file.read(50)
    assert file.seek(0, io.SEEK_CUR) == 50
    assert file.seek(50) == 50
    assert start + file.read() == content_of(shard)


def test_it_does_not_pretend_to_go_anywhere_else(shard: Shard) -> None:
    file = open_shard(shard)
    file.read(50)
    with pytest.raises(io.UnsupportedOperation):
        file.seek(20)
    assert file.tell() == 50
    assert len(file.read()) == shard.size_bytes - 50


def test_it_is_a_file_to_whoever_buffers_it(shard: Shard) -> None:
    assert open_shard(shard).name == "batch.jsonl"
    lines = io.BufferedReader(open_shard(shard), 16).readlines()
    assert [json.loads(line)["id"] for line in lines] == list(range(6))
    target = bytearray(shard.size_bytes + 5)
    assert open_shard(shard).readinto(memoryview(target)) == shard.size_bytes


def test_a_picture_is_read_once_for_its_requests_that_stand_together(tmp_path: Path) -> None:
    [shard] = cut(make_request(number, tmp_path, b"same") for number in range(3))
    file = open_shard(shard)
    first = len(line_of(shard.requests[0]))
    expected = content_of(shard)
    heard = file.read(first)
    shard.requests[0].image.path.unlink()
    assert heard + file.read() == expected


def test_a_picture_that_changed_since_stops_the_reading(shard: Shard) -> None:
    shard.requests[3].image.path.write_bytes(b"other")
    with pytest.raises(VluresError, match="has changed since the run began"):
        open_shard(shard).read()
