"""A configuration as rooms below `runs` see it, until each takes its sections: every option by its name."""

from __future__ import annotations

from typing import Any, Protocol


class RunConfig(Protocol):
    """Any option, and what the options come to."""

    def __getattr__(self, name: str) -> Any: ...
