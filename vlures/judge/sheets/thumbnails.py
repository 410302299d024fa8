"""Images as raters see them: upright, small, and with nothing in them but the picture."""

from __future__ import annotations

import io
from dataclasses import dataclass

from vlures.errors import VluresError
from vlures.records import Image
from vlures.results.small_image import open_small

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
    """Raises VluresError where the image is gone or damaged."""
    small = open_small(image.path, LONGEST_SIDE)
    if small is None:
        raise VluresError(f"{image.path} cannot be decoded; get it again.")
    data = io.BytesIO()
    small.save(data, "JPEG", quality=QUALITY)
    return Thumbnail(data.getvalue(), *small.size)
