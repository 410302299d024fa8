"""The images of a report, small, each once: WebP in base64, upright, without the metadata of its file."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from vlures.records import Image
from vlures.report.entries import Entry
from vlures.results.small_image import open_small

SIDES = (480, 320, 240, 160)
"""Pixels of the longer side, best first. Measured on photographs at this quality: 11, 6, 4 and 2 KB."""
QUALITY = 60
TRIED = 12
"""Images by which the size of all is estimated."""
IMAGES_PER_CHUNK = 50
THREADS = 2


@dataclass(frozen=True, slots=True)
class Pictures:
    """The images that a report holds."""

    images: tuple[Image, ...]
    """Each once, whether it is in the report or not."""
    small: tuple[str, ...]
    """In base64, for the first of them; empty for one that cannot be read."""
    side_pixels: int
    """The longer side of the largest; 0: none was wanted."""
    gone: int
    """How many could not be read."""
    left_out: int
    """How many are left out so that the report keeps to its size."""


def number_images(entries: Sequence[Entry]) -> tuple[tuple[Image, ...], list[int]]:
    """The images of all entries, each once by its content, and the number of each entry's, -1 where it has none."""
    numbers: dict[str, int] = {}
    images: list[Image] = []
    of_entry = []
    for entry in entries:
        if entry.image is None:
            of_entry.append(-1)
            continue
        if entry.image.digest not in numbers:
            numbers[entry.image.digest] = len(images)
            images.append(entry.image)
        of_entry.append(numbers[entry.image.digest])
    return tuple(images), of_entry


def make_pictures(images: Sequence[Image], room_bytes: int) -> Pictures:
    """As large as fits into the room; the last ones are left out where even the smallest do not."""
    side = _choose_side(images, room_bytes)
    small: list[str] = []
    used = 0
    with ThreadPoolExecutor(THREADS) as pool:  # Pillow frees the interpreter while it decodes and encodes
        for start in range(0, len(images), IMAGES_PER_CHUNK):
            part = images[start : start + IMAGES_PER_CHUNK]
            made = list(pool.map(lambda image: make_small(image, side), part))
            for text in made:
                used += len(text)
                if used > room_bytes:
                    return Pictures(tuple(images), tuple(small), side, small.count(""), len(images) - len(small))
                small.append(text)
    return Pictures(tuple(images), tuple(small), side, small.count(""), 0)


def make_small(image: Image, side_pixels: int) -> str:
    """In base64; empty if the file can no longer be read."""
    small = open_small(image.path, side_pixels)
    if small is None:
        return ""
    data = io.BytesIO()
    small.save(data, "WEBP", quality=QUALITY, method=4)
    return base64.b64encode(data.getvalue()).decode("ascii")


def _choose_side(images: Sequence[Image], room_bytes: int) -> int:
    """The largest with which all should fit, by some of them."""
    tried = images[:: max(1, len(images) // TRIED)][:TRIED]
    for side in SIDES:
        bytes_each: Mapping[str, int] = {image.digest: len(make_small(image, side)) for image in tried}
        if tried and sum(bytes_each.values()) / len(tried) * len(images) <= 0.97 * room_bytes:
            return side
    return SIDES[-1]
