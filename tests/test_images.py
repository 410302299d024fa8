"""Image files: what they are by their bytes, which are refused, and that their bytes arrive untouched."""

import base64
import hashlib
import io
import os
import struct
import tempfile
import zlib
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from vlures.errors import VluresError
from vlures.images import EncodedImages, UnusableImage, encoded_length, read_bytes, read_image
from vlures.records import Image


def image_bytes(kind: str, *, size: tuple[int, int] = (7, 5), frames: int = 1) -> bytes:
    """A small image of this kind, as a file's bytes."""
    first, *others = [Pillow.new("RGB", size, (40 * number, 90, 30)) for number in range(frames)]
    file = io.BytesIO()
    first.save(file, kind, **({"save_all": True, "append_images": others} if others else {}))
    return file.getvalue()


SOUND = {kind: image_bytes(kind) for kind in ("JPEG", "PNG", "WEBP")}
LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 12345\n"


@pytest.mark.parametrize("kind", SOUND)
@pytest.mark.parametrize("name", ["1.jpg", "1.png", "1.webp"])
def test_the_type_comes_from_the_bytes_and_not_from_the_name(tmp_path: Path, kind: str, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(SOUND[kind])
    digest = hashlib.sha256(SOUND[kind]).hexdigest()
    assert read_image(path) == Image(path, f"image/{kind.lower()}", len(SOUND[kind]), 7, 5, digest)


def test_a_turned_photograph_is_neither_turned_nor_written_again(tmp_path: Path) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6  # orientation: a quarter turn
    path = tmp_path / "1.jpg"
    Pillow.new("RGB", (7, 5)).save(path, exif=exif)
    before = path.read_bytes()
    image = read_image(path)
    assert (image.width, image.height) == (7, 5)
    assert read_bytes(image) == before


def test_a_photograph_with_a_preview_inside_is_a_jpeg(tmp_path: Path) -> None:
    """Many phones and cameras write such files, named .jpg; to any decoder that knows JPEG they are one."""
    path = tmp_path / "1.jpg"
    path.write_bytes(image_bytes("MPO", frames=2))
    assert read_image(path).mime_type == "image/jpeg"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b"This is no picture.", "cannot be opened as an image", id="text"),
        pytest.param(SOUND["JPEG"][:20], "cannot be opened as an image", id="jpeg cut in its header"),
        pytest.param(SOUND["PNG"][:20], "cannot be opened as an image", id="png cut in its header"),
        pytest.param(SOUND["WEBP"][:20], "cannot be opened as an image", id="webp cut in its header"),
        pytest.param(image_bytes("GIF"), "is really a GIF file", id="gif"),
        pytest.param(image_bytes("BMP"), "is really a BMP file", id="bmp"),
        pytest.param(image_bytes("TIFF"), "is really a TIFF file", id="tiff"),
        pytest.param(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "is really a HEIC file", id="heic"),
        pytest.param(b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", "is really an AVIF file", id="avif"),
        pytest.param(b"\xff\x0a" + bytes(20), "is really a JPEG XL file", id="jpeg xl"),
        pytest.param(b"<!DOCTYPE html><p>404", "is really a web page, not an image", id="page of an error"),
        pytest.param(b"%PDF-1.7", "is really a PDF document, not an image", id="pdf"),
        pytest.param(LFS_POINTER, "is a Git LFS pointer.*git lfs pull", id="git lfs"),
    ],
)
def test_what_the_providers_do_not_take_is_refused_with_its_reason(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "image1.jpg"
    path.write_bytes(data)
    with pytest.raises(UnusableImage, match=reason):
        read_image(path)


def photograph(kind: str, **options: Any) -> bytes:
    """An image with some thousand bytes of pixels."""
    file = io.BytesIO()
    Pillow.effect_noise((64, 64), 60).convert("RGB").save(file, kind, **options)
    return file.getvalue()


WHOLE = {
    "jpeg": photograph("JPEG"),
    "progressive jpeg": photograph("JPEG", progressive=True),
    "jpeg with restarts": photograph("JPEG", restart_marker_blocks=1),
    "jpeg with a preview": photograph("JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0" + SOUND["JPEG"]),
    "png": photograph("PNG"),
    "webp": photograph("WEBP"),
    "lossless webp": photograph("WEBP", lossless=True),
}


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("tail", [b"", b"\0" * 1000, SOUND["JPEG"]], ids=["", "zeros", "another image"])
def test_a_whole_image_is_taken_whatever_follows_it(tmp_path: Path, kind: str, tail: bytes) -> None:
    path = tmp_path / "1.jpg"
    path.write_bytes(WHOLE[kind] + tail)
    assert read_image(path).traits == ()


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("share", [0.5, 0.8, 0.99])
def test_half_an_image_is_refused_without_decoding_it(tmp_path: Path, kind: str, share: float) -> None:
    path = tmp_path / "1.jpg"
    path.write_bytes(WHOLE[kind][: int(len(WHOLE[kind]) * share)])
    with pytest.raises(UnusableImage, match="is cut off"):
        read_image(path)


@pytest.mark.parametrize("kind", [kind for kind in WHOLE if "webp" not in kind])
def test_half_an_image_that_is_filled_with_zeros_is_refused(tmp_path: Path, kind: str) -> None:
    """As a download leaves it that reserves its space. A WebP has neither checksums nor an end to look for."""
    half = WHOLE[kind][: len(WHOLE[kind]) // 2]
    path = tmp_path / "1.jpg"
    path.write_bytes(half + bytes(len(WHOLE[kind]) - len(half)))
    with pytest.raises(UnusableImage, match=r"is cut off|is damaged"):
        read_image(path)


def test_a_png_with_a_changed_byte_is_damaged(tmp_path: Path) -> None:
    changed = bytearray(WHOLE["png"])
    changed[len(changed) // 2] ^= 1
    path = tmp_path / "1.png"
    path.write_bytes(changed)
    with pytest.raises(UnusableImage, match=r"is damaged: the checksum of its chunk IDAT at byte \d+ does not match"):
        read_image(path)


TURNED = Pillow.Exif()
TURNED[0x0112] = 6
UPRIGHT = Pillow.Exif()
UPRIGHT[0x0112] = 1


@pytest.mark.parametrize(
    ("data", "traits"),
    [
        pytest.param(photograph("JPEG", exif=TURNED), ("turned",), id="turned jpeg"),
        pytest.param(photograph("PNG", exif=TURNED), ("turned",), id="turned png"),
        pytest.param(photograph("WEBP", exif=TURNED), ("turned",), id="turned webp"),
        pytest.param(photograph("JPEG", exif=UPRIGHT), (), id="upright"),
        pytest.param(photograph("JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff"), (), id="broken exif"),
        pytest.param(image_bytes("WEBP", frames=2), ("animated",), id="moving webp"),
        pytest.param(image_bytes("PNG", frames=2), ("animated",), id="moving png"),
        pytest.param(image_bytes("PNG", size=(1, 1)), ("tiny",), id="one pixel"),
        pytest.param(image_bytes("JPEG", size=(1, 9)), ("tiny",), id="a line"),
    ],
)
def test_what_a_model_may_see_otherwise_is_told(tmp_path: Path, data: bytes, traits: tuple[str, ...]) -> None:
    path = tmp_path / "1.jpg"
    path.write_bytes(data)
    image = read_image(path)
    assert image.traits == traits
    assert read_bytes(image) == data


@pytest.mark.parametrize(("mode", "kind", "trait"), [("CMYK", "JPEG", "cmyk"), ("I;16", "PNG", "16 bit")])
def test_colours_of_print_and_deep_colours_are_told(tmp_path: Path, mode: str, kind: str, trait: str) -> None:
    Pillow.new(mode, (9, 9)).save(tmp_path / "1.jpg", kind)
    assert read_image(tmp_path / "1.jpg").traits == (trait,)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_with(*chunks: bytes) -> bytes:
    """The sound PNG with more chunks behind its header."""
    return SOUND["PNG"][:33] + b"".join(chunks) + SOUND["PNG"][33:]


LARGE = zlib.compress(b"\0" * 5_000_000)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(png_with(chunk(b"iCCP", b"profile\0\0" + LARGE)), id="colour profile of 5 MB"),
        pytest.param(png_with(chunk(b"zTXt", b"Comment\0\0" + LARGE)), id="text of 5 MB"),
        pytest.param(png_with(*[chunk(b"iTXt", b"Comment\0\1\0\0\0" + LARGE)] * 20), id="20 texts of 5 MB"),
        pytest.param(png_with(chunk(b"iCCP", b"no profile"), chunk(b"tEXt", b"")), id="profile that is none"),
        pytest.param(SOUND["JPEG"][:2] + b"\xff\xe1\xff\xff" + b"x" * 65533 + SOUND["JPEG"][2:], id="jpeg segment"),
    ],
)
def test_what_is_packed_beside_the_pixels_makes_no_difference(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "1.png"
    path.write_bytes(data)
    image = read_image(path)
    assert (image.width, image.height, image.size_bytes) == (7, 5, len(data))
    assert read_bytes(image) == data


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(png_with(chunk(b"teSt", b"") * 200_000), "more than 100,000 chunks", id="png of chunks"),
        pytest.param(png_with(b"\xff\xff\xff\xfftEXt"), "cannot be opened", id="png chunk past the end"),
        pytest.param(SOUND["JPEG"][:2] + b"\xff\xe1\0\2" * 200_000 + SOUND["JPEG"][2:], "segments", id="jpeg"),
        pytest.param(SOUND["JPEG"][:3] + b"\xff" * 9_000_000 + SOUND["JPEG"][3:], "segments", id="jpeg of padding"),
        pytest.param(
            SOUND["PNG"][:16] + b"\x7f\xff\xff\xff" * 2 + SOUND["PNG"][24:], "cannot be opened as an image", id="crc"
        ),
        pytest.param(
            SOUND["PNG"][:8] + chunk(b"IHDR", b"\x7f\xff\xff\xff" * 2 + SOUND["PNG"][24:29]) + SOUND["PNG"][33:],
            "more pixels than any provider accepts",
            id="png of 4e18 pixels",
        ),
        pytest.param(
            b"RIFF\x16\0\0\0WEBPVP8X\n\0\0\0\2\0\0\0\xfe\x3f\0\xfe\x3f\0", "more pixels", id="webp of 2e8 pixels"
        ),
        pytest.param(
            image_bytes("GIF")[:-1] + b",\0\0\0\0\1\0\1\0\0\2\2D\1\0" * 1_000_000 + b";",
            "GIF",
            id="gif of 1,000,000 frames",
        ),
    ],
)
def test_a_bomb_is_refused_without_being_unpacked(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "image1.jpg"
    path.write_bytes(data)
    with pytest.raises(UnusableImage, match=reason):
        read_image(path)


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    """A pipe without a writer would hold whoever opens it, and a device may never end."""
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    with (tmp_path / "sparse.jpg").open("wb") as file:
        file.truncate(100_000_000_000)
    for name, reason in (
        ("pipe", "is a pipe"),
        ("folder", "is a folder"),
        ("zero", "a device"),
        ("sparse", "has 100,000"),
    ):
        with pytest.raises(UnusableImage, match=reason):
            read_image(tmp_path / f"{name}.jpg")


def test_a_file_that_is_not_there_is_an_unusable_image(tmp_path: Path) -> None:
    with pytest.raises(UnusableImage, match="cannot be read"):
        read_image(tmp_path / "image1.jpg")


@given(kind=st.sampled_from(sorted(SOUND)), data=st.data())
@settings(deadline=None)
def test_any_damage_ends_in_an_image_or_a_reason(kind: str, data: st.DataObject) -> None:
    """Never in another exception: one broken file must not end the check of a whole folder."""
    sound = SOUND[kind]
    damaged = bytearray(sound[: data.draw(st.integers(0, len(sound)))])
    for position in data.draw(st.lists(st.integers(0, max(len(damaged) - 1, 0)), max_size=4)):
        if damaged:
            damaged[position] = data.draw(st.integers(0, 255))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "1.jpg"
        path.write_bytes(damaged)
        with suppress(UnusableImage):
            assert read_image(path).size_bytes == len(damaged)


@pytest.fixture
def image(tmp_path: Path) -> Image:
    path = tmp_path / "image1.png"
    path.write_bytes(SOUND["PNG"])
    return read_image(path)


@pytest.mark.parametrize("changed", [SOUND["PNG"] + b"x", SOUND["PNG"][:-1] + b"x", b""])
def test_an_image_that_changed_since_is_not_sent(image: Image, changed: bytes) -> None:
    image.path.write_bytes(changed)
    with pytest.raises(VluresError, match=r"image1\.png has changed"):
        read_bytes(image)


def test_an_image_that_is_gone_since_is_named(image: Image) -> None:
    image.path.unlink()
    with pytest.raises(VluresError, match=r"image1\.png could be read when the run began but not any more"):
        read_bytes(image)


@given(st.binary(max_size=50))
def test_the_encoded_length_is_known_beforehand(data: bytes) -> None:
    image = Image(Path("1.png"), "image/png", len(data), 1, 1, "")
    assert encoded_length(image) == len(base64.b64encode(data))


def test_an_image_is_read_once_for_all_its_requests(image: Image) -> None:
    images = EncodedImages()
    assert base64.b64decode(images.encode(image)) == SOUND["PNG"]
    image.path.unlink()
    assert base64.b64decode(images.encode(image)) == SOUND["PNG"]


@pytest.mark.parametrize("by", ["bytes", "count"])
def test_images_are_held_within_a_budget_and_the_one_used_longest_ago_goes_first(tmp_path: Path, by: str) -> None:
    images = []
    for number in range(3):
        path = tmp_path / f"{number}.png"
        path.write_bytes(image_bytes("PNG", size=(9 + number, 4)))
        images.append(read_image(path))
    first, second, third = images
    budget = encoded_length(first) + encoded_length(third)
    encoded = EncodedImages(budget_bytes=budget) if by == "bytes" else EncodedImages(most=2)
    for image in (first, second, first, third):
        encoded.encode(image)
    for image in images:
        image.path.unlink()
    encoded.encode(first)
    encoded.encode(third)
    with pytest.raises(VluresError):
        encoded.encode(second)


def test_images_with_the_same_bytes_are_one_and_others_are_not(image: Image, tmp_path: Path) -> None:
    other_path = tmp_path / "2.png"
    other_path.write_bytes(image_bytes("PNG", size=(2, 2)))
    other = read_image(other_path)
    images = EncodedImages()
    assert images.encode(image) != images.encode(other)
    assert images.encode(replace(image, path=tmp_path / "gone.png")) == images.encode(image)
