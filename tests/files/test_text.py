"""Bytes that are no text, or a text in another encoding, never become part of a question unsaid."""

from __future__ import annotations

import pytest

from vlures.files.reading import UnusableFile
from vlures.files.text import decode_text, looks_double_encoded

TEXTS = {
    "English": "A “quoted” word — and a café.",
    "Japanese": "パン屋の写真です。",
    "Urdu": "یہ تصویر کیا ہے؟",
    "Swahili": "Picha ya soko, bei 5 €.",
    "German": "Über die „Straße“ …",
    "emoji": "A face 😀 here",
}


def read_as(text: str, codec: str) -> str:
    """UTF-8 read in another encoding; Windows-1252 leaves some bytes as they are, as browsers do."""
    if codec == "latin-1":
        return text.encode().decode("latin-1")
    return "".join(bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in text.encode())


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("codec", ["latin-1", "cp1252"])
def test_text_that_was_read_in_another_encoding_is_recognised(text: str, codec: str) -> None:
    assert looks_double_encoded(read_as(text, codec))
    assert not looks_double_encoded(text)


@pytest.mark.parametrize(
    "text", ["„Spaß“", "LIBERTÉ»", "CAFÉ” and “x”", "25 °C ± 3", "Ångström, naïve", "à »", "İzmir"]
)
def test_letters_that_meet_a_mark_are_no_sign_of_it(text: str) -> None:
    assert not looks_double_encoded(text)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_utf_16_is_recognised_with_and_without_its_mark(text: str, codec: str, encoding: str) -> None:
    with pytest.raises(UnusableFile, match=f"is {codec[:6].upper()}, not UTF-8; save it as UTF-8"):
        decode_text(f"{text}\n".encode(codec), encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"a text with one\0 zero", "holds NUL characters"),
        (b"x" * 10_000 + b"\0", "holds NUL characters"),
        ("パン\0".encode(), "holds NUL characters"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n", "git lfs pull"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "is really a PNG file, not a text"),
    ],
)
def test_what_is_no_text_is_refused(data: bytes, words: str, encoding: str) -> None:
    with pytest.raises(UnusableFile, match=words):
        decode_text(data, encoding)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_utf_8_is_not_read_as_latin_1(text: str) -> None:
    for data in (text.encode(), text.encode("utf-8-sig")):
        with pytest.raises(UnusableFile, match="is UTF-8 and not Latin-1; leave --text-encoding out"):
            decode_text(data, "latin-1")
        assert decode_text(data, "utf-8") == text


def test_latin_1_and_ascii_are_read_as_they_are() -> None:
    assert decode_text("Café à côté, £5".encode("latin-1"), "latin-1") == "Café à côté, £5"
    assert decode_text(b"plain words", "latin-1") == "plain words"
