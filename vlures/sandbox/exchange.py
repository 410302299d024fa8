"""What a handler gives back: plain data that the server's edge turns into HTTP (or cuts, or breaks)."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec


@dataclass(frozen=True)
class FileRange:
    """A stretch of a file on disk: `size` bytes from `start`."""

    path: Path
    start: int
    size: int


@dataclass(frozen=True)
class Reply:
    """One HTTP reply; the body is `body`, or the stretch of a file where `part` is set."""

    status: int
    body: bytes = b""
    part: FileRange | None = None
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """One HTTP request as the handlers see it; an upload's body lies in `spooled` instead of `body`."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    path_values: dict[str, str]
    spooled: Path | None = None


class ProviderError(Exception):
    """An error that the provider itself would report, in the provider's own shape."""

    def __init__(self, status: int, document: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.document = document
        self.headers = headers or {}

    def reply(self) -> Reply:
        """The error as an HTTP reply."""
        return json_reply(self.document, self.status, self.headers)


def json_reply(document: object, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    """A JSON reply; texts go out as UTF-8."""
    return Reply(status, msgspec.json.encode(document), headers=headers or {})
