"""Requests → the files of batches: cut by count and by bytes, put together only while they are read."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import msgspec

from vlures.errors import VluresError
from vlures.images import EncodedImages, encoded_length
from vlures.records import Image, Request

CHUNK_BYTES = 1_000_000
IMAGES_HELD_BYTES = 4_000_000
"""The lines about one image stand together in a shard, so an upload needs only the image it is at."""


@dataclass(frozen=True, slots=True)
class Line:
    """A request as bytes, for a batch's file or a live call: head, the image in base64, tail."""

    head: bytes
    tail: bytes | None
    """None: the request only names its image, or has none."""

    def size_bytes(self, image: Image | None) -> int:
        if self.tail is None or image is None:
            return len(self.head)
        return len(self.head) + encoded_length(image) + len(self.tail)

    def write(self, encode: Callable[[Image], bytes], image: Image | None) -> Iterator[bytes]:
        """The bytes, piece by piece. encode: returns an image in base64."""
        yield self.head
        if self.tail is not None and image is not None:
            yield encode(image)
            yield self.tail


ENDS_FOR_SOME = {b"\xc2\x85": b"\\u0085", b"\xe2\x80\xa8": b"\\u2028", b"\xe2\x80\xa9": b"\\u2029"}
"""Characters that JSON leaves unescaped in strings, and that some readers of a file (Python's `splitlines`, Node's
`readline`) take for the end of a line. Articles hold them. Seen: https://github.com/volcengine/OpenViking/issues/3984"""


def encode_line(content: object) -> bytes:
    """JSON that is one line for every reader."""
    data = msgspec.json.encode(content)
    for plain, escaped in ENDS_FOR_SOME.items():
        data = data.replace(plain, escaped)
    return data


@dataclass(frozen=True, slots=True)
class Shard:
    """The requests of one batch, with their lines."""

    requests: tuple[Request, ...]
    lines: tuple[Line, ...]
    size_bytes: int

    def rewritten(self, write_line: Callable[[Request], Line]) -> Shard:
        """The same requests, written again."""
        lines = tuple(map(write_line, self.requests))
        size = sum(line.size_bytes(request.image) for request, line in zip(self.requests, lines, strict=True))
        return Shard(self.requests, lines, size)


@dataclass(slots=True)
class ShardLimits:
    """How large a shard may be. They fall during a run where the provider refuses a file."""

    most_lines: int
    most_bytes: int
    """Of a file. No line may be longer."""
    likely_bytes: int | None = None
    """What the provider seems to take, learned from a refusal. A longer line goes alone."""

    def are_reached(self, lines: int, size_bytes: int, next_bytes: int) -> bool:
        """Whether a shard of so many lines and bytes has no room for the next line."""
        most = min(self.most_bytes, self.likely_bytes or self.most_bytes)
        return lines >= self.most_lines or size_bytes + next_bytes > most


def cut_shards(
    requests: Iterable[Request], write_line: Callable[[Request], Line], limits: ShardLimits
) -> Iterator[Shard]:
    """Cut requests into shards by count and by bytes, in their order.

    Raises VluresError for a single request that is larger than a whole file may be.
    """
    held: list[Request] = []
    lines: list[Line] = []
    size = 0
    for request in requests:
        line = write_line(request)
        line_bytes = line.size_bytes(request.image)
        if line_bytes > limits.most_bytes:
            holder = f" with {request.image.path}" if request.image is not None else ""
            raise VluresError(
                f"The request {request.key}{holder} is {line_bytes:,} bytes, more than a whole batch file may be "
                f"({limits.most_bytes:,}); make {'the image smaller' if holder else 'it shorter'}, or raise "
                "--batch-bytes."
            )
        if held and limits.are_reached(len(held), size, line_bytes):
            yield Shard(tuple(held), tuple(lines), size)
            held, lines, size = [], [], 0
        held.append(request)
        lines.append(line)
        size += line_bytes
    if held:
        yield Shard(tuple(held), tuple(lines), size)


class ShardFile(io.IOBase):
    """A shard as a file to read from. Its lines are put together as they are read, so that neither memory nor disk
    holds a whole shard."""

    def __init__(self, name: str, shard: Shard) -> None:
        super().__init__()
        self.name = name
        self._shard = shard
        self._images = EncodedImages(IMAGES_HELD_BYTES)
        self._position = 0
        self.bytes_read = 0
        """In total, including what was read again after a seek."""
        self._left = b""
        self._pieces = self._write()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """To the start or to the end; an upload needs no more."""
        target = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._shard.size_bytes}[whence]
        if target == 0:
            self._left, self._pieces = b"", self._write()
        elif target == self._shard.size_bytes:
            self._left, self._pieces = b"", iter(())
        elif target != self._position:
            raise io.UnsupportedOperation("a shard can be read from its start only")
        self._position = target
        return target

    def read(self, size: int = -1) -> bytes:
        """About a megabyte where less is asked for: an HTTP package asks for 64 KB at a time and sends what it gets,
        and a piece costs about the same whatever its size (smaller pieces took a third of the time of 3 GB on
        loopback). Exactly the requested size where that is more, as an upload in parts needs it."""
        if self.closed:
            raise ValueError("the upload was given up")
        held, length = [self._left], len(self._left)
        enough = max(size, CHUNK_BYTES)
        while length < enough and (piece := next(self._pieces, None)) is not None:
            held.append(piece)
            length += len(piece)
        data = b"".join(held)
        if size >= CHUNK_BYTES:
            data, self._left = data[:size], data[size:]
        else:
            self._left = b""
        self._position += len(data)
        self.bytes_read += len(data)
        return data

    def _write(self) -> Iterator[bytes]:
        for request, line in zip(self._shard.requests, self._shard.lines, strict=True):
            yield from line.write(self._images.encode, request.image)
