"""In which language and direction a text is shown: by what is known of it, else by its script."""

from __future__ import annotations

from vlures.results.show import RIGHT_TO_LEFT, tag_of_script

Direction = str
"""`ltr`, `rtl`, or `auto` where only the text itself can tell."""


def language_of(text: str | None, known: str | None = None) -> str | None:
    """The text's language as a BCP 47 tag. known: the one it was asked for in."""
    return known or (tag_of_script(text) if text else None)


def direction_of(language: str | None) -> Direction:
    if language is None:
        return "auto"
    return "rtl" if language in RIGHT_TO_LEFT else "ltr"
