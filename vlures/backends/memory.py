"""What is remembered by a name: in the run's folder, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Memory(Protocol):
    """The part of a Journal that holds facts."""

    def recall(self, name: str) -> Mapping[str, Any]: ...

    def remember(self, name: str, facts: Mapping[str, Any]) -> None: ...


class Forgetful:
    """Remembers nothing."""

    def recall(self, name: str) -> Mapping[str, Any]:  # noqa: ARG002
        return {}

    def remember(self, name: str, facts: Mapping[str, Any]) -> None: ...
