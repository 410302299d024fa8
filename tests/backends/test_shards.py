"""Requests become files of batches: cut within the limits, in order, and read like any file."""

import base64
import hashlib
import io
import tempfile
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlures.backends.batch.shards import Line, Shard, ShardFile, ShardLimits, cut_shards
from vlures.benchmarks.vlures.settings import make_cell
from vlures.errors import VluresError
from vlures.records import Image, Prompt, Request


def make_request(number: int, folder: Path, data: bytes = b"x") -> Request:
    """A request whose image holds these bytes; the same bytes are the same file."""
    digest = hashlib.sha256(data).hexdigest()
    path = folder / f"{digest[:16]}.png"
    if not path.exists():
        path.write_bytes(data)
    image = Image(path, "image/png", len(data), 1, 1, digest)
    return Request(f"key-{number}", make_cell("En", 1), str(number), "m", {}, Prompt("", ()), image, "d")


def write_line(request: Request) -> Line:
    return Line(b'{"id":%s,"picture":"' % request.sample_id.encode(), b'"}\n')


def line_of(request: Request) -> bytes:
    line = write_line(request)
    return line.head + base64.b64encode(request.image.path.read_bytes()) + line.tail


def cut(requests: Iterable[Request], *, lines: int = 1000, size: int = 10**6) -> list[Shard]:
    return list(cut_shards(requests, write_line, ShardLimits(lines, size)))


def open_shard(shard: Shard) -> ShardFile:
    return ShardFile("batch.jsonl", shard)


def read_all(file: ShardFile) -> bytes:
    """As an upload reads it: piece after piece until there is none."""
    return b"".join(iter(lambda: file.read(64 * 1024), b""))


IMAGES = st.lists(st.binary(min_size=1, max_size=40), max_size=25)


# Cutting


@given(images=IMAGES, most_lines=st.integers(1, 8), most_bytes=st.integers(90, 400))
@settings(deadline=None)
def test_no_shard_is_over_a_limit_and_nothing_is_lost_doubled_or_moved(
    images: list[bytes], most_lines: int, most_bytes: int
) -> None:
    with tempfile.TemporaryDirectory() as name:
        requests = [make_request(number, Path(name), data) for number, data in enumerate(images)]
        shards = cut(requests, lines=most_lines, size=most_bytes)
        assert [request for shard in shards for request in shard.requests] == requests
        for shard in shards:
            content = read_all(open_shard(shard))
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

    next(cut_shards(requests(), write_line, ShardLimits(5, 10**6)))
    assert len(taken) <= 6


def test_cutting_reads_no_image(tmp_path: Path) -> None:
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


@given(images=st.lists(st.binary(min_size=1, max_size=700_000), min_size=1, max_size=8))
@settings(deadline=None, max_examples=30)
def test_the_pieces_joined_are_the_lines_as_often_as_it_is_read(images: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as name:
        [shard] = cut((make_request(number, Path(name), image) for number, image in enumerate(images)), size=10**8)
        file = open_shard(shard)
        for _ in range(2):
            assert read_all(file) == content_of(shard)
            assert file.tell() == shard.size_bytes
            assert file.seek(0) == 0


def test_a_piece_is_about_a_megabyte_however_large_the_shard(tmp_path: Path) -> None:
    [shard] = cut((make_request(number, tmp_path, bytes([number]) * 300_000) for number in range(12)), size=10**8)
    file = open_shard(shard)
    pieces = list(iter(lambda: file.read(10), b""))
    assert max(map(len, pieces)) < 1_500_000
    assert min(map(len, pieces[:-1])) >= 1_000_000


@pytest.mark.parametrize("part_bytes", [1_000_000, 1_234_567, 8_388_608])
def test_an_upload_in_parts_gets_exactly_what_it_asks_for_but_at_the_end(tmp_path: Path, part_bytes: int) -> None:
    requests = [make_request(number, tmp_path, bytes([number]) * 700_000) for number in range(10)]
    (shard,) = cut(requests, size=10**9)
    file = open_shard(shard)
    parts = list(iter(lambda: file.read(part_bytes), b""))
    assert [len(part) for part in parts[:-1]] == [part_bytes] * (len(parts) - 1)
    assert b"".join(parts) == b"".join(map(line_of, requests))
    assert file.tell() == shard.size_bytes


def test_lines_that_only_name_their_images_hold_none_and_are_written_anew(tmp_path: Path) -> None:
    requests = [make_request(number, tmp_path) for number in range(3)]
    (shard,) = cut_shards(
        requests, lambda request: Line(b"%s\n" % request.sample_id.encode(), None), ShardLimits(10, 1000)
    )
    assert read_all(open_shard(shard)) == b"0\n1\n2\n"
    (tmp_path / requests[0].image.path.name).unlink()
    longer = shard.rewritten(lambda request: Line(b"number %s\n" % request.sample_id.encode(), None))
    assert read_all(open_shard(longer)) == b"number 0\nnumber 1\nnumber 2\n"
    assert longer.size_bytes == 27


def test_going_back_to_the_start_begins_anew_from_anywhere(tmp_path: Path) -> None:
    [shard] = cut((make_request(number, tmp_path, bytes([number]) * 900_000) for number in range(4)), size=10**8)
    file = open_shard(shard)
    file.read(1)
    file.seek(0)
    assert file.tell() == 0
    assert read_all(file) == content_of(shard)


def test_the_end_tells_the_length_as_an_upload_asks_for_it(shard: Shard) -> None:
    file = open_shard(shard)
    assert file.seek(0, io.SEEK_END) == file.tell() == len(content_of(shard)) == shard.size_bytes
    assert file.read(10) == b""
    assert file.seek(0) == 0
    assert read_all(file) == content_of(shard)


def test_it_does_not_pretend_to_go_anywhere_else(shard: Shard) -> None:
    with pytest.raises(io.UnsupportedOperation):
        open_shard(shard).seek(20)


def test_an_upload_that_was_given_up_reads_no_further(shard: Shard) -> None:
    file = open_shard(shard)
    file.close()
    with pytest.raises(ValueError, match="given up"):
        file.read()


def test_an_image_that_has_changed_is_not_sent(shard: Shard) -> None:
    shard.requests[2].image.path.write_bytes(b"another image")
    with pytest.raises(VluresError, match="has changed since the run began"):
        read_all(open_shard(shard))


def test_an_image_is_read_once_for_its_requests_that_stand_together(tmp_path: Path) -> None:
    [shard] = cut((make_request(number, tmp_path, b"same" * 300_000) for number in range(3)), size=10**8)
    file = open_shard(shard)
    expected = content_of(shard)
    heard = file.read()
    shard.requests[0].image.path.unlink()
    assert heard + read_all(file) == expected
