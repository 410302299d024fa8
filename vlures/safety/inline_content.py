"""What a page may run and show that has everything in itself: its own style and script, and nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib


def inline_policy(style: str, script: str) -> str:
    """The content security policy of a page that needs no network: https://www.w3.org/TR/CSP3/.

    style, script: exactly as they stand between their tags.
    """
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src '{_digest(script)}'",
            f"style-src '{_digest(style)}'",
            "img-src data:",
            "font-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _digest(content: str) -> str:
    """https://www.w3.org/TR/CSP3/#grammardef-hash-source"""
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode("ascii")
