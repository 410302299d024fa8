"""Where sequences are to go more often than chance would take them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.protocol_model.provider import CLEAN, Fate, Trouble


@dataclass(frozen=True)
class Focus:
    """Where a fault is looked for."""

    options: Mapping[str, Any] = field(default_factory=dict)
    """What the user asks (`Question`), from the first process on."""
    later: Mapping[str, Any] = field(default_factory=dict)
    """The same, from the second process on."""
    usual: Fate = CLEAN
    """The fate of a batch that no rule decides about."""
    live: tuple[Trouble, ...] = ()
    """What the first live calls meet, one after the other."""
