"""Image file → bytes, MIME type from the bytes, size, digest. Nothing here touches a pixel."""

from __future__ import annotations

import base64
import hashlib
import io
import struct
import warnings
import zlib
from collections import OrderedDict
from pathlib import Path

from vlures.errors import VluresError
from vlures.files.image_header import UnusableImage, plain_header
from vlures.files.reading import UnusableFile, read_file
from vlures.records import Image

__all__ = [
    "IMAGE_SUFFIXES",
    "EncodedImages",
    "UnusableImage",
    "encoded_length",
    "read_bytes",
    "read_image",
]

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
MIME_TYPES = {"JPEG": "image/jpeg", "MPO": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
"""What both providers accept (facts of 2026-11: OpenAI's vision guide, Gemini's image understanding page). An MPO is a
JPEG with a preview or a gain map behind its image, as many cameras and phones write it."""

KNOWN_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "ICO", "PPM", "JPEG2000", "TGA", "PSD")
"""Formats that a file is recognised as. Pillow knows dozens more, which no image of a dataset has."""
LARGEST_IMAGE_BYTES = 100_000_000
"""Gemini's limit on a whole request (changelog of 2026-01-08)."""

_DAMAGES: tuple[type[Exception], ...] = (
    *(OSError, ValueError, SyntaxError, LookupError, ArithmeticError, TypeError, AttributeError, AssertionError),
    *(EOFError, MemoryError, RecursionError, NotImplementedError, struct.error, zlib.error),
)
"""What Pillow's readers raise for damaged files."""

ENCODED_BUDGET_BYTES = 32_000_000
IMAGES_HELD = 4
"""Requests are sent sample by sample, so those of one image are together; a body in flight has its own copy."""


def read_image(path: Path) -> Image:
    """Read a file once: decode its header, compute its digest.

    Raises UnusableImage with the reason.
    """
    try:
        data = read_file(path, LARGEST_IMAGE_BYTES)
    except UnusableFile as error:
        raise UnusableImage(str(error)) from error
    if not data:
        raise UnusableImage("is empty (0 bytes)")
    kind, (width, height), animated = _read_header(data)
    if kind not in MIME_TYPES:
        raise UnusableImage(f"is really a {kind} file, which the providers do not accept; convert it to PNG or JPEG")
    if animated:
        raise UnusableImage("is an animation; the providers accept still images only")
    return Image(path, MIME_TYPES[kind], len(data), width, height, hashlib.sha256(data).hexdigest())


def _read_header(data: bytes) -> tuple[str, tuple[int, int], bool]:
    """Kind, width and height, and whether it is animated. Raises UnusableImage."""
    # Loaded on use: Pillow takes a while, and `vlures --help` needs no images.
    from PIL import Image as pillow  # noqa: N813

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pillow.DecompressionBombWarning)
            with pillow.open(io.BytesIO(plain_header(data)), formats=KNOWN_FORMATS) as opened:
                kind = opened.format or "unknown"
                is_still = kind == "MPO" or kind not in MIME_TYPES  # for others only the kind matters
                return kind, opened.size, not is_still and bool(getattr(opened, "is_animated", False))
    except pillow.DecompressionBombError as error:
        raise UnusableImage("declares more pixels than any provider accepts; scale it down") from error
    except _DAMAGES as error:
        raise UnusableImage("is not an image that can be opened") from error


def read_bytes(image: Image) -> bytes:
    """The file's own bytes.

    Raises VluresError if they have changed since the start of the run.
    """
    try:
        data = image.path.read_bytes()
    except OSError as error:
        raise VluresError(
            f"{image.path} could be read when the run began but not any more ({error.strerror}); put it back and run "
            "again."
        ) from error
    if len(data) != image.size_bytes or hashlib.sha256(data).hexdigest() != image.digest:
        raise VluresError(f"{image.path} has changed since the run began; nothing of it was sent. Run again.")
    return data


class EncodedImages:
    """Base64 of the images used last, within a budget of memory and up to a number, so that an image is read and
    encoded once for requests that are sent one after another."""

    def __init__(self, budget_bytes: int = ENCODED_BUDGET_BYTES, most: int = 1_000_000) -> None:
        self._budget_bytes = budget_bytes
        self._most = most
        self._held_bytes = 0
        self._held: OrderedDict[str, bytes] = OrderedDict()

    def encode(self, image: Image) -> bytes:
        held = self._held.get(image.digest)
        if held is not None:
            self._held.move_to_end(image.digest)
            return held
        encoded = base64.b64encode(read_bytes(image))
        self._held[image.digest] = encoded
        self._held_bytes += len(encoded)
        while len(self._held) > self._most or (self._held_bytes > self._budget_bytes and len(self._held) > 1):
            _, oldest = self._held.popitem(last=False)
            self._held_bytes -= len(oldest)
        return encoded


def encoded_length(image: Image) -> int:
    """Bytes of the image in base64."""
    return 4 * ((image.size_bytes + 2) // 3)
