"""Where sequences are to go more often than chance would take them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.protocol_model.provider import CLEAN, Fate, Trouble


@dataclass(frozen=True)
class Focus:
    """options: of what the user asks (`Question`), from the first process on, or from the second one on (later). usual:
    what becomes of a batch that no rule decides about. live: what the first live calls meet, one after the other.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    later: Mapping[str, Any] = field(default_factory=dict)
    usual: Fate = CLEAN
    live: tuple[Trouble, ...] = ()
