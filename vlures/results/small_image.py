"""An image as it is shown: small, upright, on white, whatever its file holds."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from vlures.files.image_header import UnusableImage, plain_header
from vlures.files.reading import UnusableFile, read_file
from vlures.images import LARGEST_IMAGE_BYTES

if TYPE_CHECKING:
    from PIL.Image import Image as Pillow

FULL_DEPTH = 255 / 65_535
"""From 16 bits to 8: Pillow itself would cut off what is above 255."""


def open_small(path: Path, longest_pixels: int) -> Pillow | None:
    """The image (of an animated one its first frame) turned as its EXIF data say and scaled down until its longer side
    fits, in RGB and without metadata; None if it can no longer be read. Transparent parts become white."""
    from PIL import Image as pillow  # noqa: N813

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pillow.DecompressionBombWarning)
            with pillow.open(io.BytesIO(plain_header(read_file(path, LARGEST_IMAGE_BYTES)))) as image:
                image.draft("RGB", (longest_pixels, longest_pixels))
                small = _scale(image, longest_pixels)
    except (OSError, ValueError, SyntaxError, pillow.DecompressionBombError, UnusableFile, UnusableImage):
        return None
    paper = pillow.new("RGB", small.size, "white")
    paper.paste(small, mask=small.getchannel("A"))
    return paper


def _scale(image: Pillow, longest_pixels: int) -> Pillow:
    from PIL import ImageOps

    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):
        upright = upright.convert("F").point(lambda value: value * FULL_DEPTH).convert("L")
    elif upright.mode not in ("RGB", "L"):
        upright = upright.convert("RGBA")
    upright.thumbnail((longest_pixels, longest_pixels))
    return upright.convert("RGBA")
