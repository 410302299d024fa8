"""Approximate upload of the due requests, in bytes and batches. Nothing is encoded for it."""

from __future__ import annotations

from dataclasses import dataclass, field

from vlures.images import encoded_length
from vlures.records import Image, Request, write_schema

LINE_OVERHEAD_BYTES = 300
"""JSON around the texts of one request."""


@dataclass(slots=True)
class UploadEstimate:
    """Counts requests one by one."""

    batch_size: int
    """Maximum requests of one batch."""
    batch_bytes: int
    """Maximum bytes of one batch's file."""
    inline: bool
    """Whether images are sent inside the requests."""
    shards: int = 0
    """Batches so far."""
    inline_bytes: int = 0
    """Bytes that all images would take inside the requests."""
    images: dict[str, Image] = field(default_factory=dict)
    """By digest, each once."""
    _lines: int = 0
    _size_bytes: int = 0

    def add(self, request: Request) -> int:
        """Returns the approximate bytes of the request."""
        size = approximate_text_bytes(request)
        if request.image is not None:
            encoded = encoded_length(request.image)
            if self.inline:
                size += encoded
            self.inline_bytes += encoded
            self.images.setdefault(request.image.digest, request.image)
        is_full = self._lines == self.batch_size or self._size_bytes + size > self.batch_bytes
        if self.shards == 0 or is_full:
            self.shards, self._lines, self._size_bytes = self.shards + 1, 0, 0
        self._lines += 1
        self._size_bytes += size
        return size


def approximate_text_bytes(request: Request) -> int:
    """Approximate bytes of a request without its image: its texts in UTF-8, its schema, and the JSON around them."""
    text = len(request.prompt.system.encode()) + sum(len(piece.encode()) for piece in request.prompt.pieces)
    schema = 0 if request.schema is None else len(write_schema(request.schema).encode())
    return text + schema + LINE_OVERHEAD_BYTES
