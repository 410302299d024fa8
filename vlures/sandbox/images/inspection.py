"""What the sandbox sees in an image: size, colours, brightness. Each distinct image is decoded once.

Decoding is the most expensive thing that the sandbox does. So JPEGs are decoded at an eighth of their size, which still
reads every byte and finds a broken file, and the result is cached by the digest of the base64 text.
"""

import binascii
import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from PIL import Image

from vlures.files.image_header import UnusableImage, plain_header

Flaw = Literal["", "base64", "format", "broken", "animated"]

MIME_OF_FORMAT = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif"}

SHADES: tuple[tuple[str, tuple[int, int, int]], ...] = (
    ("black", (12, 12, 12)),
    ("black", (38, 36, 36)),
    ("grey", (85, 85, 85)),
    ("grey", (128, 128, 128)),
    ("grey", (172, 172, 172)),
    ("white", (222, 222, 222)),
    ("white", (250, 250, 250)),
    ("red", (200, 30, 35)),
    ("red", (130, 20, 25)),
    ("red", (225, 85, 75)),
    ("orange", (235, 130, 35)),
    ("orange", (200, 100, 40)),
    ("yellow", (240, 215, 60)),
    ("yellow", (200, 175, 40)),
    ("green", (45, 130, 55)),
    ("green", (25, 70, 35)),
    ("green", (120, 165, 80)),
    ("green", (90, 105, 60)),
    ("turquoise", (50, 170, 165)),
    ("turquoise", (25, 95, 100)),
    ("blue", (40, 80, 190)),
    ("blue", (20, 35, 90)),
    ("blue", (110, 160, 220)),
    ("blue", (90, 115, 150)),
    ("purple", (120, 50, 150)),
    ("purple", (70, 35, 85)),
    ("purple", (165, 125, 190)),
    ("pink", (235, 130, 170)),
    ("pink", (240, 190, 200)),
    ("brown", (110, 70, 40)),
    ("brown", (70, 45, 30)),
    ("brown", (150, 110, 75)),
    ("beige", (215, 195, 160)),
    ("beige", (185, 165, 130)),
)
"""Colour names with their shades (red, green, blue); a pixel has the name of the nearest shade."""


@dataclass(frozen=True)
class InspectedImage:
    """One image as the sandbox sees it."""

    digest: str
    """SHA-256 of its bytes in hexadecimal; empty if they cannot be decoded from base64."""
    flaw: Flaw = ""
    """Why it is unusable; then no later field but `mime` means anything."""
    mime: str = ""
    width: int = 0
    """Pixels."""
    height: int = 0
    """Pixels."""
    colours: tuple[str, ...] = ()
    """Up to three names, the most common first."""
    lightest: int | None = None
    """Cell of a 3 x 3 grid, 0 to 8 from the top left; None if the brightness is even."""
    darkest: int | None = None
    """As `lightest`."""


class ImageCache:
    """The images inspected so far, by the digest of their base64 text or another key; at most `capacity` of them."""

    def __init__(self, capacity: int = 50_000) -> None:
        self._seen: dict[bytes, InspectedImage] = {}
        self._capacity = capacity
        self.decoded = 0

    def inspect_base64(self, base64_text: str, *, url_safe: bool = False) -> InspectedImage:
        """The image in a base64 text. url_safe: accept - and _ too, as Google does."""
        try:
            encoded = base64_text.encode("ascii")
        except UnicodeEncodeError:
            return InspectedImage("", "base64")
        key = hashlib.sha256(encoded).digest() + (b"u" if url_safe else b"")
        return self._inspect_once(key, lambda: _decode(encoded, url_safe=url_safe))

    def inspect_named(self, name: str, read: Callable[[], bytes]) -> InspectedImage:
        """The image in the bytes that `read` returns; called only the first time that the name comes."""
        return self._inspect_once(b"named " + name.encode(), lambda: inspect_image(read()))

    def inspect_bytes(self, data: bytes) -> InspectedImage:
        """The image in these bytes."""
        return self._inspect_once(hashlib.sha256(data).digest() + b"b", lambda: inspect_image(data))

    def _inspect_once(self, key: bytes, decode: Callable[[], InspectedImage]) -> InspectedImage:
        image = self._seen.get(key)
        if image is None:
            self.decoded += 1
            image = self._seen[key] = decode()
            if len(self._seen) > self._capacity:
                self._seen.pop(next(iter(self._seen)), None)
        return image


_URL_SAFE = bytes.maketrans(b"-_", b"+/")


def _decode(encoded: bytes, *, url_safe: bool) -> InspectedImage:
    if url_safe and (b"-" in encoded or b"_" in encoded):
        encoded = encoded.translate(_URL_SAFE)
    try:
        data = binascii.a2b_base64(encoded, strict_mode=True)
    except binascii.Error:
        return InspectedImage("", "base64")
    return inspect_image(data)


def mime_of(data: bytes) -> str:
    """The MIME type that the first bytes say, or an empty text."""
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return ""


def inspect_image(data: bytes) -> InspectedImage:
    """Decode an image far enough to know that it is complete, and describe it."""
    digest = hashlib.sha256(data).hexdigest()
    mime = mime_of(data)
    if not mime:
        return InspectedImage(digest, "format")
    try:
        return _describe(data, digest, mime)
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError, Image.DecompressionBombError, UnusableImage):
        return InspectedImage(digest, "broken", mime)


def _describe(data: bytes, digest: str, mime: str) -> InspectedImage:
    with Image.open(io.BytesIO(plain_header(data)), formats=tuple(MIME_OF_FORMAT)) as opened:
        width, height = opened.size
        if mime == "image/gif" and getattr(opened, "is_animated", False):
            return InspectedImage(digest, "animated", mime, width, height)
        opened.draft("RGB", (64, 64))  # takes effect for JPEG only
        small = opened.convert("RGB").resize((48, 48), Image.Resampling.BOX, reducing_gap=1.5)
    grid = list(small.convert("L").resize((3, 3), Image.Resampling.BOX).tobytes())
    even = max(grid) - min(grid) < EVEN_BELOW
    return InspectedImage(
        digest,
        "",
        mime,
        width,
        height,
        _dominant_colours(small),
        None if even else grid.index(max(grid)),
        None if even else grid.index(min(grid)),
    )


EVEN_BELOW = 4
"""The difference in brightness (0 to 255) below which all cells count as equal."""

_LEAST_SHARE = 0.03


def _shade_palette() -> Image.Image:
    palette = Image.new("P", (1, 1))
    flat = [channel for _, shade in SHADES for channel in shade]
    last = list(SHADES[-1][1])
    palette.putpalette(flat + last * (256 - len(SHADES)))
    return palette


_PALETTE = _shade_palette()


def _dominant_colours(small: Image.Image) -> tuple[str, ...]:
    """Up to three colour names, the most common first; one that covers almost nothing is left out."""
    counts = small.quantize(palette=_PALETTE, dither=Image.Dither.NONE).histogram()
    shares: dict[str, int] = {}
    for index, count in enumerate(counts[:256]):
        name = SHADES[min(index, len(SHADES) - 1)][0]
        shares[name] = shares.get(name, 0) + count
    total = small.width * small.height
    ranked = sorted(shares.items(), key=lambda item: -item[1])
    return tuple(name for name, count in ranked[:3] if count >= total * _LEAST_SHARE)
