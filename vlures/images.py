"""Image file → bytes, MIME type from the bytes, size, digest. Pixels are decoded by decode_image only."""

from __future__ import annotations

import base64
import hashlib
import io
import struct
import warnings
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vlures.errors import VluresError
from vlures.files.image_header import UnusableImage, plain_header
from vlures.files.image_walk import check_whole
from vlures.files.reading import UnusableFile, read_file
from vlures.files.signatures import IS_LFS_POINTER, describe_foreign, find_kind, is_lfs_pointer
from vlures.records import Image, ImageTrait

if TYPE_CHECKING:
    from PIL.Image import Image as Pillow
    from PIL.ImageFile import ImageFile

__all__ = [
    "IMAGE_SUFFIXES",
    "EncodedImages",
    "UnusableImage",
    "decode_image",
    "encoded_length",
    "read_bytes",
    "read_image",
    "read_picture",
]

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp"})
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


EXIF_ORIENTATION = 0x0112
TURNED = range(2, 9)
"""1 is upright: https://www.cipa.jp/std/documents/e/DC-008-2012_E.pdf, 4.6.4."""
PNG_BIT_DEPTH_AT = 24
DEEP_BITS = 16


def read_image(path: Path) -> Image:
    """Read a file once: decode its header, walk it to its end, compute its digest. No pixel is decoded.

    Raises UnusableImage with the reason.
    """
    data = _read_data(path)
    if not data:
        raise UnusableImage("is empty (0 bytes)")
    if is_lfs_pointer(data):
        raise UnusableImage(IS_LFS_POINTER)
    kind = find_kind(data)
    if kind is not None and not kind.is_sent:
        raise UnusableImage(describe_foreign(kind, path))
    header = _read_header(data)
    if header.format not in MIME_TYPES:
        raise UnusableImage(
            f"is really a {header.format} file, which the providers do not accept; convert it to PNG or JPEG"
        )
    check_whole(data)
    digest = hashlib.sha256(data).hexdigest()
    return Image(path, MIME_TYPES[header.format], len(data), header.width, header.height, digest, header.traits)


def decode_image(path: Path) -> None:
    """Decode every pixel of an image. Raises UnusableImage if that fails."""
    try:
        with _opened(_read_data(path)) as opened:
            opened.load()
    except _DAMAGES as error:
        raise UnusableImage(f"is damaged: its pixels cannot be decoded ({error}); get it again") from error


def _read_data(path: Path) -> bytes:
    try:
        return read_file(path, LARGEST_IMAGE_BYTES)
    except UnusableFile as error:
        raise UnusableImage(str(error)) from error


@dataclass(frozen=True, slots=True)
class _Header:
    """What an image says of itself."""

    format: str
    """As Pillow names it."""
    width: int
    height: int
    traits: tuple[ImageTrait, ...]


def _read_header(data: bytes) -> _Header:
    """Raises UnusableImage."""
    try:
        with _opened(data) as opened:
            width, height = opened.size
            return _Header(opened.format or "unknown", width, height, tuple(_find_traits(opened, data)))
    except _DAMAGES as error:
        raise UnusableImage(f"cannot be opened as an image{_describe_cut(data)}") from error


@contextmanager
def _opened(data: bytes) -> Iterator[ImageFile]:
    """An image as Pillow opens it, without its warnings.

    Raises UnusableImage for one with more pixels than Pillow takes, and what Pillow raises for others.
    """
    # Loaded on use: Pillow takes a while, and `vlures --help` needs no images.
    from PIL import Image as pillow  # noqa: N813

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pillow.open(io.BytesIO(plain_header(data)), formats=KNOWN_FORMATS) as opened:
                yield opened
    except pillow.DecompressionBombError as error:
        raise UnusableImage("declares more pixels than any provider accepts; scale it down") from error


def _describe_cut(data: bytes) -> str:
    """Where a file that cannot be opened is cut off, if that is why."""
    try:
        check_whole(data)
    except UnusableImage as reason:
        return f": it {reason}"
    return ""


def _find_traits(opened: ImageFile, data: bytes) -> Iterator[ImageTrait]:
    """What may make a model see an image otherwise than its owner does."""
    if opened.format not in MIME_TYPES:
        return  # a GIF of a million frames takes long to count
    if _read_orientation(opened) in TURNED:
        yield "turned"
    if opened.mode == "CMYK":
        yield "cmyk"
    if opened.format == "PNG" and data[PNG_BIT_DEPTH_AT] == DEEP_BITS:
        yield "16 bit"
    if opened.format != "MPO" and getattr(opened, "is_animated", False):
        yield "animated"
    if min(opened.size) == 1:
        yield "tiny"


def _read_orientation(opened: ImageFile) -> object:
    """The orientation that the EXIF data before the pixels declare; None if there are none, or none that are sound."""
    from PIL.Image import Exif

    with suppress(*_DAMAGES):
        if packed := opened.info.get("exif"):
            exif = Exif()
            exif.load(packed)
            return exif.get(EXIF_ORIENTATION)
    return None


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


def read_picture(image: Image) -> Pillow:
    """The image's pixels in RGB, neither turned nor scaled.

    Raises UnusableImage if they cannot be decoded, VluresError if the file has changed since the start of the run.
    """
    try:
        with _opened(read_bytes(image)) as opened:
            return opened.convert("RGB")
    except _DAMAGES as error:
        raise UnusableImage(f"is damaged: its pixels cannot be decoded ({error}); get it again") from error


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
