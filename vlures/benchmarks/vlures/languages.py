"""The four languages of VLURes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Language:
    code: str
    """As in file names and keys."""
    name: str
    tag: str
    """BCP 47."""


LANGUAGES: dict[str, Language] = {
    language.code: language
    for language in (
        Language("En", "English", "en"),
        Language("Jp", "Japanese", "ja"),
        Language("Sw", "Swahili", "sw"),
        Language("Ur", "Urdu", "ur"),
    )
}


def find_language(word: str) -> Language | None:
    """The language with this code or English name, in any case; None if there is none."""
    for language in LANGUAGES.values():
        if word.lower() in (language.code.lower(), language.name.lower()):
            return language
    return None
