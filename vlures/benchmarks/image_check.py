"""What `vlures check` says of images that can be sent: what may make a model see them otherwise, and what decoding
them shows."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from vlures.benchmarks.problems import Problem, ProblemList
from vlures.files.names import path_as_text
from vlures.images import UnusableImage, decode_image
from vlures.records import Image, ImageTrait

TRAITS: dict[ImageTrait, tuple[str, str]] = {
    "turned": (
        "is to be turned or mirrored by its EXIF data; it is sent as it is, and a model may see it unturned",
        "images to be turned by their EXIF data",
    ),
    "cmyk": ("is in CMYK, the colours of print; a model may see other colours", "images in CMYK"),
    "16 bit": ("has 16 bits per colour; a model sees 8 of them", "images with 16 bits per colour"),
    "animated": ("is an animation; a model sees its first picture at most, or refuses it", "animations"),
    "tiny": ("has a side of one pixel", "images with a side of one pixel"),
}
"""What is said of one image, and what many are called."""

KINDS: dict[str, str] = {
    "limit": "images above a limit of the provider",
    "decode": "images that cannot be decoded",
} | {trait: plural for trait, (_, plural) in TRAITS.items()}


@dataclass(frozen=True, slots=True)
class ImageCheck:
    """How images are checked."""

    describe_limit: Callable[[Image], str | None]
    """A sentence if an image is above a limit of the provider."""
    decode: bool = False
    """Every pixel is decoded, which takes some 20 ms per megapixel."""

    def find_problems(self, images: Iterable[Image], folder: Path) -> tuple[Problem, ...]:
        """Notes and errors about these images. folder: their names are relative to it."""
        found = ProblemList(KINDS)
        for image in {image.path: image for image in images}.values():
            files = (path_as_text(Path(os.path.relpath(image.path, folder))),)
            for trait in image.traits:
                found.add(trait, files, TRAITS[trait][0], severity="note")
            if limit := self.describe_limit(image):
                found.add("limit", files, limit.rstrip("."), severity="note")
            if self.decode:
                try:
                    decode_image(image.path)
                except UnusableImage as error:
                    found.add("decode", files, f"the image {error}")
        return found.problems("images")
