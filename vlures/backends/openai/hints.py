"""What the words of a server that has never answered hint at: a mistake in how it was started or is addressed."""

from __future__ import annotations

import re

_PATH = re.compile(r"\b(endpoint|route|path|url|not found|method)\b", re.IGNORECASE)
_IMAGE = re.compile(r"image|vision|visual|multi-?modal|mmproj|picture", re.IGNORECASE)


def hint_at_setup(reason: str, *, official: bool) -> str:
    """What to check, as a sentence; empty where nothing can be said.

    reason: the server's words. official: the server is OpenAI's own. llama.cpp and LM Studio answer every question
    about an image with an error where the model's vision part is not loaded:
    https://github.com/ggml-org/llama.cpp/issues/15377, https://github.com/lmstudio-ai/lms/issues/362.
    """
    if official:
        return ""
    if _IMAGE.search(reason):
        return (
            "Check that the model takes images and that the server has loaded its vision part (llama.cpp: --mmproj), "
            "or choose another with --model."
        )
    if _PATH.search(reason):
        return "Check --base-url: it usually ends in /v1."
    return "Check --base-url (it usually ends in /v1), --model, and whether the model takes images."
