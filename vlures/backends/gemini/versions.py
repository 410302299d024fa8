"""Which version of Gemini's API an address asks for, if it says so."""

from __future__ import annotations

import re


def split_version(address: str | None) -> tuple[str | None, str | None]:
    """An address without the version at its end (`/v1`, `/v1beta`), and the version."""
    if address is None:
        return None, None
    match = re.fullmatch(r"(.*?)(?:/(v\d+(?:alpha|beta)?))?/*", address)
    return (match[1], match[2]) if match else (address, None)
