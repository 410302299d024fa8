"""How a request holds its image: in base64, by a file's id, by an address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vlures.backends.batch.shards import Line, encode_line
from vlures.records import Image

_MARK = "\x00"


@dataclass(frozen=True, slots=True)
class ImagePart:
    """What stands for an image in a body: an address or a file's id."""

    address: str = ""
    """http, or data with base64."""
    file_id: str = ""


def inline_image(image: Image) -> ImagePart:
    """A data URL in which a mark stands for the base64; `split_body` finds it."""
    return ImagePart(address=f"data:{image.mime_type};base64,{_MARK}")


def split_body(body: Mapping[str, object], image: Image | None) -> Line:
    """A request's body as JSON: split around its image in base64, if it holds one, else whole.

    A NUL right before the end of a string marks the image's place: an article is never last in its string.
    """
    if image is None:
        return Line(encode_line(body), None)
    head, mark, tail = encode_line(body).partition(b'base64,\\u0000"')
    return Line(head + b"base64,", b'"' + tail) if mark else Line(head, None)
