"""The version of Gemini's API in an address."""

from __future__ import annotations

import re


def split_version(address: str | None) -> tuple[str | None, str | None]:
    """An address without the version at its end (`/v1`, `/v1beta`), and that version, if any."""
    if address is None:
        return None, None
    match = re.fullmatch(r"(.*?)(?:/(v\d+(?:alpha|beta)?))?/*", address)
    return (match[1], match[2]) if match else (address, None)
