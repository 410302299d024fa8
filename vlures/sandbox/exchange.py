"""One HTTP request and its reply as the handlers see them: plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec


@dataclass(frozen=True)
class FileRange:
    """`size` bytes of a file on disk, from byte `start`."""

    path: Path
    start: int
    size: int


@dataclass(frozen=True)
class Reply:
    """One HTTP reply."""

    status: int
    body: bytes = b""
    file: FileRange | None = None
    """Sent in the place of `body`."""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Form:
    """The parts of a form (`multipart/form-data`) that arrived complete."""

    fields: Mapping[str, str]
    """Every part but `file`, as text by its name."""
    filename: str | None
    """The name that the part `file` gives; None if there is no such part, or it gives none."""


@dataclass(frozen=True)
class Call:
    """One HTTP request."""

    query: Mapping[str, str]
    headers: Mapping[str, str]
    """By name in lower case."""
    path_values: Mapping[str, str]
    """The variable segments of the path: `file`, `batch`, `model`, `version`."""
    body: bytes = b""
    """Empty for an upload."""
    form: Form | None = None
    """An uploaded form, if the body is one."""
    upload: Path | None = None
    """Where the uploaded bytes are: of the form's part `file`, or the whole body where it is no form."""


class ProviderError(Exception):
    """An error that the provider itself would report, in the provider's own format."""

    def __init__(self, status: int, document: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.document = document
        self.headers = headers or {}

    def reply(self) -> Reply:
        """The error as an HTTP reply."""
        return json_reply(self.document, self.status, self.headers)


def json_reply(document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """A reply with a JSON body in UTF-8."""
    return Reply(status, msgspec.json.encode(document), headers=headers or {})
