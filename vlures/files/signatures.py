"""What a file really is, told by its first bytes, and how to turn it into an image that can be sent."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

LFS_POINTER = b"version https://git-lfs.github.com/spec/"
"""https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md"""
IS_LFS_POINTER = "is a Git LFS pointer, not the file itself; fetch the file with `git lfs pull`"

LONGEST_HEAD = 1_024
"""The first bytes of a file that are looked at."""


@dataclass(frozen=True, slots=True)
class FileKind:
    """A kind of file."""

    name: str
    """With its article, as in a sentence: `a GIF file`."""
    endings: tuple[str, ...] = ()
    """Of its files' names; the first is ImageMagick's name of the format."""
    is_image: bool = True
    is_sent: bool = False
    """The providers accept it: OpenAI's vision guide, Gemini's image understanding page (facts of 2026-11)."""
    becomes: str = ".png"
    """The ending of what it is best converted to."""


JPEG = FileKind("a JPEG file", (".jpg", ".jpeg", ".jpe", ".jfif"), is_sent=True)
PNG = FileKind("a PNG file", (".png",), is_sent=True)
WEBP = FileKind("a WEBP file", (".webp",), is_sent=True)
HEIC = FileKind("a HEIC file", (".heic", ".heif", ".hif"), becomes=".jpg")
AVIF = FileKind("an AVIF file", (".avif", ".avifs"), becomes=".jpg")
GIF = FileKind("a GIF file", (".gif",))
BMP = FileKind("a BMP file", (".bmp", ".dib"))
TIFF = FileKind("a TIFF file", (".tiff", ".tif"))
JPEG_XL = FileKind("a JPEG XL file", (".jxl",), becomes=".jpg")
JPEG_2000 = FileKind("a JPEG 2000 file", (".jp2", ".j2k", ".jpx", ".jpf"), becomes=".jpg")
PSD = FileKind("a Photoshop file", (".psd",))
ICO = FileKind("an ICO file", (".ico",))
SVG = FileKind("an SVG drawing", (".svg",))
RAW = FileKind("a camera's raw file", (".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2"), becomes=".jpg")
OTHERS = FileKind("an image of another kind", (".ppm", ".pgm", ".pbm", ".tga", ".exr", ".hdr", ".qoi", ".jpm", ".eps"))
PDF = FileKind("a PDF document", (".pdf",), is_image=False)
ZIP = FileKind("a ZIP archive", (".zip",), is_image=False)
GZIP = FileKind("a gzip archive", (".gz",), is_image=False)
VIDEO = FileKind("a video", (".mp4", ".mov", ".webm"), is_image=False)
WEB_PAGE = FileKind("a web page", (".html", ".htm"), is_image=False)

IMAGE_KINDS = (JPEG, PNG, WEBP, HEIC, AVIF, GIF, BMP, TIFF, JPEG_XL, JPEG_2000, PSD, ICO, SVG, RAW, OTHERS)

_PREFIXES = (
    (b"\xff\xd8\xff", JPEG),
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"GIF87a", GIF),
    (b"GIF89a", GIF),
    (b"II*\0", TIFF),
    (b"MM\0*", TIFF),
    (b"\xff\x0a", JPEG_XL),
    (b"\0\0\0\x0cJXL ", JPEG_XL),
    (b"\0\0\0\x0cjP  ", JPEG_2000),
    (b"\xff\x4f\xff\x51", JPEG_2000),
    (b"8BPS", PSD),
    (b"\0\0\1\0", ICO),
    (b"FUJIFILMCCD-RAW", RAW),
    (b"%PDF-", PDF),
    (b"PK\3\4", ZIP),
    (b"\x1f\x8b\x08", GZIP),
    (b"\x1a\x45\xdf\xa3", VIDEO),
)
_PATTERNS = (
    (re.compile(rb"RIFF....WEBP", re.DOTALL), WEBP),
    (re.compile(rb"BM....\0\0\0\0", re.DOTALL), BMP),
)
_TAGS = ((b"<html", WEB_PAGE), (b"<!doctype html", WEB_PAGE), (b"<svg", SVG))
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"})
"""Brands of ISO base media files: https://nokiatech.github.io/heif/technical.html"""


def is_lfs_pointer(data: bytes) -> bool:
    return data.startswith(LFS_POINTER)


def find_kind(head: bytes) -> FileKind | None:
    """The kind that a file's first bytes tell; None for a text and for all that is not known."""
    head = head[:LONGEST_HEAD]
    for prefix, kind in _PREFIXES:
        if head.startswith(prefix):
            return kind
    if head[4:8] == b"ftyp":
        return _find_media_kind(head)
    tags = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if tags.startswith(b"<"):
        return next((kind for tag, kind in _TAGS if tag in tags), None)
    return next((kind for pattern, kind in _PATTERNS if pattern.match(head)), None)


def _find_media_kind(head: bytes) -> FileKind:
    """The kind of an ISO base media file, by its main and its compatible brands."""
    end = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))}
    if head[8:12] == b"crx ":
        return RAW
    if brands & {b"avif", b"avis"}:
        return AVIF
    return HEIC if brands & _HEIC_BRANDS else VIDEO


def find_kind_by_name(path: Path) -> FileKind | None:
    """The kind of image that the ending of a file's name tells."""
    ending = path.suffix.lower()
    return next((kind for kind in IMAGE_KINDS if ending in kind.endings), None)


def describe_foreign(kind: FileKind, path: Path) -> str:
    """Why a file of this kind is not sent, and what to do; continues its name."""
    if not kind.is_image:
        return f"is really {kind.name}, not an image; get the image itself"
    source = path.name if path.suffix.lower() in kind.endings else f"{kind.endings[0][1:]}:{path.name}"
    command = f"magick {shlex.quote(source)} {shlex.quote(path.stem + kind.becomes)}"
    return (
        f"is really {kind.name}, which the providers do not accept; convert it to PNG or JPEG, for example with "
        f"ImageMagick (`{command}`)"
    )
