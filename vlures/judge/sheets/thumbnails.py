"""Images as raters see them: upright, small, and with nothing in them but the picture."""

from __future__ import annotations

import io
from dataclasses import dataclass

from vlures.images import read_upright
from vlures.records import Image

LONGEST_SIDE = 320
QUALITY = 82


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A JPEG without metadata."""

    data: bytes
    width: int
    """In pixels."""
    height: int
    """In pixels."""


def make_thumbnail(image: Image) -> Thumbnail:
    """Raises VluresError where the image is gone, changed or damaged."""
    small = read_upright(image, LONGEST_SIDE)
    data = io.BytesIO()
    small.save(data, "JPEG", quality=QUALITY)
    return Thumbnail(data.getvalue(), *small.size)
