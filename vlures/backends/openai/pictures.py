"""How a request names its picture: in base64, by a file's id, by an address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from vlures.backends.batch.shards import Line, encode_line
from vlures.errors import UsageError
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


def fill_template(template: str, image: Image, sample_id: str) -> str:
    """The address of a sample's picture from `image_url_template`; what stands for a word is quoted as addresses need it.

    Raises UsageError for a placeholder that there is not.
    """
    path = Path(image.path)
    names = {"name": path.name, "stem": path.stem, "folder": path.absolute().parent.name}
    number = int(sample_id) if sample_id.isdecimal() else sample_id  # so that a format may ask for leading zeros
    words = {"id": number, "sha256": image.digest, **{word: quote(name, safe="") for word, name in names.items()}}
    try:
        return template.format_map(words)
    except (KeyError, IndexError, ValueError, AttributeError, TypeError) as error:
        known = ", ".join(f"{{{word}}}" for word in words)
        raise UsageError(
            f"image_url_template {template!r} cannot be filled ({error!r}); it may hold {known}."
        ) from error
