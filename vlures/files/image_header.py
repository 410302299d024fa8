"""An image's header made safe to open: parts that may be huge, and are not needed, are left out or refused.

Looks only at where parts are and how long they are; Pillow interprets them.
"""

from __future__ import annotations

from vlures.errors import VluresError

MOST_PARTS = 100_000
"""Chunks of a PNG, segments, padding and stray bytes of a JPEG before its pixels. Cameras write some dozens; a decoder
in Python takes a second for a million."""

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_BULKY = frozenset({b"iCCP", b"tEXt", b"zTXt", b"iTXt"})
"""Texts and colour profiles. Pillow unpacks them on opening and refuses the file if one has more than a megabyte
(https://pillow.readthedocs.io/en/stable/handbook/security.html); they hold neither size nor kind of the image."""
_JPEG_SIGNATURE = b"\xff\xd8\xff"
_JPEG_SCAN = 0xDA
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xDA)})
"""Markers without a length."""


class UnusableImage(VluresError):
    """The file is empty, unreadable or not an image that the providers accept. The text continues a sentence that
    begins with its name."""


def plain_header(data: bytes) -> bytes:
    """The image without its texts and colour profile if those are compressed; any other unchanged.

    Raises UnusableImage for one with so many parts that reading its header would take long.
    """
    if data.startswith(_PNG_SIGNATURE):
        return _without_texts(data)
    if data.startswith(_JPEG_SIGNATURE):
        _check_segments(data)
    return data


def _without_texts(data: bytes) -> bytes:
    """Chunk by chunk: https://www.w3.org/TR/png-3/#5Chunk-layout. Unchanged from the first one with pixels."""
    kept = [_PNG_SIGNATURE]
    position = len(_PNG_SIGNATURE)
    for _ in range(MOST_PARTS):
        kind = data[position + 4 : position + 8]
        end = position + 12 + int.from_bytes(data[position : position + 4], "big")
        if kind == b"IDAT" or end > len(data):
            return b"".join([*kept, data[position:]])
        if kind not in _PNG_BULKY:
            kept.append(data[position:end])
        position = end
    raise _has_too_many("chunks")


def _check_segments(data: bytes) -> None:
    """Segment by segment up to the pixels: https://www.w3.org/Graphics/JPEG/itu-t81.pdf, annex B."""
    position = 2
    for _ in range(MOST_PARTS):
        if position + 4 > len(data):
            return
        marker = data[position + 1]
        if data[position] != 0xFF or marker in (0x00, 0xFF):
            position += 1
        elif marker == _JPEG_SCAN:
            return
        else:
            position += 2 if marker in _JPEG_BARE else 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    raise _has_too_many("segments")


def _has_too_many(parts: str) -> UnusableImage:
    return UnusableImage(
        f"has more than {MOST_PARTS:,} {parts} before its pixels, which no camera writes; save it again"
    )
