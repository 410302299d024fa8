"""Addresses: whether one is OpenAI's own, and those of images that it fetches itself."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

from vlures.errors import UsageError
from vlures.records import Image


def is_official(address: str | None) -> bool:
    """Whether an address is OpenAI's own."""
    return address is None or re.match(r"https?://([\w-]+\.)*openai\.com([:/]|$)", address) is not None


def fill_template(template: str, image: Image, sample_id: str) -> str:
    """The address of a sample's image from `image_url_template`, with each value quoted for a URL.

    Raises UsageError for an unknown placeholder.
    """
    path = Path(image.path)
    names = {"name": path.name, "stem": path.stem, "folder": path.absolute().parent.name}
    number = int(sample_id) if sample_id.isdecimal() else sample_id  # so that a format may ask for leading zeros
    words = {"id": number, "sha256": image.digest, **{word: quote(name, safe="") for word, name in names.items()}}
    try:
        return template.format_map(words)
    except (KeyError, IndexError, ValueError, AttributeError, TypeError) as error:
        known = ", ".join(f"{{{word}}}" for word in words)
        raise UsageError(
            f"image_url_template {template!r} cannot be filled ({error!r}); it may hold {known}."
        ) from error
