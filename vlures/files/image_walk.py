"""Whether an image's file is whole: walked from part to part to its end, without decoding a pixel.

A download or a copy that broke off leaves a file whose header is sound. Its pixels are missing, and a model would be
asked about half a picture.
"""

from __future__ import annotations

import re
import zlib

from vlures.files.image_header import MOST_PARTS, UnusableImage

_NEXT_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
"""In compressed pixels \\xff is followed by \\0, by a restart marker or by itself."""
_JPEG_END, _JPEG_SCAN = 0xD9, 0xDA
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers without a length."""


def check_whole(data: bytes) -> None:
    """Raises UnusableImage for a JPEG, PNG or WebP that ends early or whose checksums do not match.

    JPEG: markers up to EOI (https://www.w3.org/Graphics/JPEG/itu-t81.pdf, annex B). PNG: chunks with their checksums up
    to IEND (https://www.w3.org/TR/png-3/#5Chunk-layout). WebP: the chunks of its RIFF container
    (https://developers.google.com/speed/webp/docs/riff_container). What follows the end is not looked at: cameras put
    previews and videos there.
    """
    if data.startswith(b"\xff\xd8"):
        _walk_jpeg(data)
    elif data.startswith(b"\x89PNG"):
        _walk_png(data)
    elif data.startswith(b"RIFF"):
        _walk_riff(data)


def _walk_jpeg(data: bytes) -> None:
    position, has_pixels = 2, False
    for _ in range(MOST_PARTS):
        match = _NEXT_MARKER.search(data, position)
        if match is None:
            raise _is_cut_off("its end marker is missing")
        marker = data[match.start() + 1]
        position = match.end()
        if marker == _JPEG_END:
            if not has_pixels:
                raise UnusableImage("is damaged: it ends before its pixels; get it again")
            return
        if marker in _JPEG_BARE:
            continue
        has_pixels = has_pixels or marker == _JPEG_SCAN
        position += int.from_bytes(data[position : position + 2], "big")
        if position > len(data):
            raise _is_cut_off("its last segment is not complete")
    raise UnusableImage(f"has more than {MOST_PARTS:,} segments, which no camera writes; save it again")


def _walk_png(data: bytes) -> None:
    position, has_pixels = 8, False
    view = memoryview(data)
    for _ in range(MOST_PARTS):
        size = int.from_bytes(data[position : position + 4], "big")
        kind = data[position + 4 : position + 8]
        end = position + 12 + size
        if end > len(data):
            raise _is_cut_off("its last chunk is not complete" if len(kind) == 4 else "its end chunk is missing")
        if zlib.crc32(view[position + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise UnusableImage(
                f"is damaged: the checksum of its chunk {_name(kind)} at byte {position:,} does not match; get it again"
            )
        has_pixels = has_pixels or kind == b"IDAT"
        if kind == b"IEND":
            if not has_pixels:
                raise UnusableImage("is damaged: it ends before its pixels; get it again")
            return
        position = end
    raise UnusableImage(f"has more than {MOST_PARTS:,} chunks, which no camera writes; save it again")


def _name(kind: bytes) -> str:
    return kind.decode("ascii") if kind.isalpha() else kind.hex()


def _walk_riff(data: bytes) -> None:
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise _is_cut_off(f"{end - len(data):,} bytes of those that it declares are missing")
    position = 12
    for _ in range(MOST_PARTS):
        if position + 8 > end:
            return
        size = int.from_bytes(data[position + 4 : position + 8], "little")
        position += 8 + size
        if position > end:
            raise _is_cut_off("its last chunk is not complete")
        position += size % 2  # chunks begin at even bytes
    raise UnusableImage(f"has more than {MOST_PARTS:,} chunks, which no camera writes; save it again")


def _is_cut_off(where: str) -> UnusableImage:
    return UnusableImage(f"is cut off: {where}; get it again")
