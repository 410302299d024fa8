"""How a request names its picture: in base64, by a file's id, by an address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vlures.backends.batch.shards import Line, encode_line
from vlures.records import Image

_MARK = "\x00"


@dataclass(frozen=True, slots=True)
class Picture:
    """What stands in a body in a picture's place: an address (http, or data with base64) or the id of a file."""

    address: str = ""
    file_id: str = ""


def inline_picture(image: Image) -> Picture:
    """A data URL in which a mark stands for the base64; `split_body` finds it."""
    return Picture(address=f"data:{image.mime_type};base64,{_MARK}")


def split_body(body: Mapping[str, object]) -> Line:
    """A body as JSON: around its picture, where that is to come in base64, else whole.

    A NUL right before the end of a string marks the picture's place: an article is never last in its string.
    """
    head, mark, tail = encode_line(body).partition(b'base64,\\u0000"')
    return Line(head + b"base64,", b'"' + tail) if mark else Line(head, None)
