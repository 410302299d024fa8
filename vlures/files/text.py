"""Bytes → text. What is no text, or a text in another encoding, is refused: it would go to the model as it is."""

from __future__ import annotations

import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE, BOM_UTF32_LE, getincrementaldecoder

from vlures.errors import counted
from vlures.files.reading import UnusableFile
from vlures.files.signatures import IS_LFS_POINTER, find_kind, is_lfs_pointer

HEAD_BYTES = 4_096
"""The beginning of a file that tells whether it is UTF-16."""
HOLDS_NUL = "holds NUL characters, so it is no text"
IS_UTF_8 = "is UTF-8 and not Latin-1; leave --text-encoding out"
LOOKS_DOUBLE_ENCODED = (
    "looks like UTF-8 that was once read as Latin-1 and saved so, as in 'cafÃ©' for 'café'; it is sent as it is"
)

_LATE_MARKS = "".join(map(chr, range(0x80, 0xC0))) + bytes(range(0x80, 0xA0)).decode("cp1252", "ignore")
"""What the second and later bytes of a UTF-8 character become in Latin-1 and in Windows-1252."""
_DOUBLE = re.compile(f"[ÂÃÄÅÎÏÐÑ×ØÙÚÛ][{_LATE_MARKS}]|[â-ï][{_LATE_MARKS}]{{2}}|ð[{_LATE_MARKS}]{{3}}")
"""Letters of Europe, of Hebrew and Arabic; punctuation and the scripts of Asia; emoji. Other pairs occur in sound
texts, as ß” does."""
_CERTAIN = re.compile("â€[\x80-\xbf˜™œž¦]|ã[\x81-\x83€]")
"""Quotation marks and dashes; kana. Nobody writes these."""


def decode_text(data: bytes, encoding: str) -> str:
    """A text in UTF-8, with or without a byte order mark, or in Latin-1 (`latin-1`).

    Raises UnusableFile for what is no text, or in another encoding.
    """
    check_head(data[:HEAD_BYTES], encoding)
    if b"\0" in data:
        raise UnusableFile(HOLDS_NUL)
    if encoding != "utf-8" and is_utf_8(data):
        raise UnusableFile(IS_UTF_8)
    try:
        return data.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError as error:
        raise UnusableFile(
            f'is not UTF-8 (byte {error.start}); save it as UTF-8, or set text_encoding = "latin-1" if it is that'
        ) from error


def check_head(head: bytes, encoding: str) -> None:
    """Raises UnusableFile if a file's first bytes tell that it is not a text in this encoding."""
    if is_lfs_pointer(head):
        raise UnusableFile(IS_LFS_POINTER)
    if wide := _find_wide_encoding(head):
        raise UnusableFile(f"is {wide}, not UTF-8; save it as UTF-8")
    if (kind := find_kind(head)) is not None and b"\0" in head:
        raise UnusableFile(f"is really {kind.name}, not a text")
    if encoding != "utf-8" and head.startswith(BOM_UTF8):
        raise UnusableFile(IS_UTF_8)


def _find_wide_encoding(head: bytes) -> str | None:
    """UTF-16 and UTF-32, by their byte order mark; UTF-16 without one by where its zeros are."""
    if head.startswith((BOM_UTF32_LE, BOM_UTF32_BE)):
        return "UTF-32"
    if head.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return "UTF-16"
    even, odd = head[::2].count(0), head[1::2].count(0)
    if max(even, odd) <= 4 * min(even, odd) or (6 * max(even, odd) < len(head) and _may_be_utf_8(head)):
        return None  # none, or here and there in another text
    codec = "utf-16-le" if odd > even else "utf-16-be"
    wide = head[: len(head) // 2 * 2].decode(codec, "ignore")
    return "UTF-16" if wide and all(char.isprintable() or char.isspace() for char in wide) else None


def _may_be_utf_8(head: bytes) -> bool:
    """Whether it is the beginning of a text in UTF-8."""
    try:
        getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def is_utf_8(data: bytes) -> bool:
    """Whether bytes that are not all ASCII are sound UTF-8, which those of a text in Latin-1 hardly ever are."""
    if data.isascii():
        return False
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def is_utf_8_as_latin_1(text: str) -> bool:
    """Whether a text that was decoded as Latin-1 is UTF-8."""
    return not text.isascii() and is_utf_8(text.encode("latin-1", "ignore"))


def looks_double_encoded(text: str) -> bool:
    """Whether most characters beyond ASCII, or some that are certain, are UTF-8 that was read as Latin-1 or
    Windows-1252."""
    if text.isascii():
        return False
    if _CERTAIN.search(text):
        return True
    broken = sum(len(match[0]) for match in _DOUBLE.finditer(text))
    return broken > 0 and 2 * broken >= sum(not char.isascii() for char in text)


def describe_double_encoded(number: int) -> str:
    """A sentence about so many texts."""
    return (
        f"{counted(number, 'text', 'looks', 'look')} like UTF-8 that was once read as Latin-1 and saved so (cafÃ© for "
        "café); nothing is changed before it is sent, and `vlures check` names them."
    )
