"""No file of a dataset's folder is passed over in silence, whichever way its images are asked about."""

from __future__ import annotations

import io
import json
import shutil

import pytest
from PIL import Image as Pillow

from tests.conftest import Command

pytestmark = pytest.mark.warm

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)
WAYS = ("folder", "folder of a language", "images and texts", "table of texts", "table of questions")


def picture(kind: str) -> bytes:
    file = io.BytesIO()
    Pillow.new("RGB", (9, 9), (200, 10, 90)).save(file, kind)
    return file.getvalue()


FOREIGN = {
    "image2.heic": (HEIC, "a HEIC file", "magick image2.heic image2.jpg"),
    "image2.HEIF": (HEIC, "a HEIC file", "magick image2.HEIF image2.jpg"),
    "image2.avif": (picture("AVIF"), "an AVIF file", "magick image2.avif image2.jpg"),
    "image2.gif": (picture("GIF"), "a GIF file", "magick image2.gif image2.png"),
    "image2.bmp": (picture("BMP"), "a BMP file", "magick image2.bmp image2.png"),
    "image2.tif": (picture("TIFF"), "a TIFF file", "magick image2.tif image2.png"),
    "image2.tiff": (picture("TIFF"), "a TIFF file", "magick image2.tiff image2.png"),
    "image2.jp2": (picture("JPEG2000"), "a JPEG 2000 file", "magick image2.jp2 image2.jpg"),
    "image2.svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing", "magick image2.svg image2.png"),
    "image2.dng": (b"II*\0" + bytes(50), "a TIFF file", "magick tiff:image2.dng image2.png"),
    "image 2.bin": (HEIC, "a HEIC file", "magick 'heic:image 2.bin' 'image 2.jpg'"),
    "image2": (picture("JPEG"), "a JPEG file, but its name does not end like one", "mv image2 image2.jpg"),
    "image2.jpg_large": (picture("JPEG"), "a JPEG file, but its name", "mv image2.jpg_large image2.jpg_large.jpg"),
    "image2.heif": (picture("PNG"), "a PNG file, but its name", "mv image2.heif image2.png"),
}


def lay_out(vlures: Command, way: str, files: dict[str, bytes]) -> list[str]:
    """Put an image, its text and these files into data/, in one of the ways; returns the options that ask about it."""
    data = vlures.folder / "data"
    shutil.rmtree(data)
    images = data / {"folder of a language": "En", "images and texts": "images"}.get(way, "")
    texts = data / {"folder of a language": "En", "images and texts": "texts"}.get(way, "")
    for folder in (images, texts):
        folder.mkdir(parents=True, exist_ok=True)
    for name, content in {"image1.jpg": picture("JPEG"), **files}.items():
        (images / name).write_bytes(content)
    if way == "table of texts":
        (data / "metadata.jsonl").write_text(json.dumps({"file_name": "image1.jpg", "text": "words"}) + "\n")
    elif way == "table of questions":
        (vlures.folder / "my.jsonl").write_text(json.dumps({"image": "image1.jpg", "question": "What?"}) + "\n")
        return ["--benchmark", "table", "--questions", "my.jsonl", "--dataset", "data"]
    else:
        (texts / "text1.txt").write_text("words")
    return ["--dataset", "data", "--languages", "En"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", FOREIGN)
def test_an_image_that_is_not_taken_is_named_with_its_reason(vlures: Command, way: str, name: str) -> None:
    data, kind, command = FOREIGN[name]
    result = vlures("check", *lay_out(vlures, way, {name: data}))
    (line,) = [line for line in result.out.splitlines() if name in line]
    assert kind in line
    assert f"`{command}`" in line
    errors = way != "table of questions"  # whose rows choose among the images of a folder
    assert (line.startswith("error"), result.code) == (errors, int(errors)), result


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "name", ["README.md", "text2.md", "notes.csv", "Thumbs.db", "LICENSE", ".DS_Store", "story.docx"]
)
def test_another_file_is_named_in_a_note(vlures: Command, way: str, name: str) -> None:
    result = vlures("check", *lay_out(vlures, way, {name: b"PK\3\4 or anything"}))
    (line,) = [line for line in result.out.splitlines() if name in line]
    assert line.startswith("note")
    assert result.code == 0


@pytest.mark.parametrize("way", WAYS)
def test_a_folder_that_is_not_read_is_named(vlures: Command, way: str) -> None:
    options = lay_out(vlures, way, {})
    (vlures.folder / "data/more").mkdir()
    (vlures.folder / "data/more/image2.jpg").write_bytes(picture("JPEG"))
    assert "more: not read: a folder" in vlures("check", *options).out


def test_what_was_converted_is_no_error_any_more(vlures: Command) -> None:
    options = lay_out(vlures, "folder", {"image2.heic": HEIC, "image2.jpg": picture("JPEG")})
    result = vlures("check", *options)
    assert (result.code, "note: data: image2.heic: is really a HEIC file" in result.out) == (0, True), result


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("ending", ["jfif", "jpe", "JFIF"])
def test_a_jpeg_by_another_name_is_asked_about(vlures: Command, way: str, ending: str) -> None:
    options = lay_out(vlures, way, {f"image2.{ending}": picture("JPEG")})
    if way == "table of texts":
        with (vlures.folder / "data/metadata.jsonl").open("a") as table:
            table.write(json.dumps({"file_name": f"image2.{ending}", "text": "more"}) + "\n")
    elif way == "table of questions":
        with (vlures.folder / "my.jsonl").open("a") as table:
            table.write(json.dumps({"image": f"image2.{ending}", "question": "Why?"}) + "\n")
    tasks = () if way == "table of questions" else ("--tasks", "1")
    result = vlures("run", *options, *tasks, "--sandbox", "--mode", "live", "--name", "mine")
    assert (result.code, "2 ok" in result.out) == (0, True), result


@pytest.mark.parametrize("form", ["upper", "lower"])
def test_images_and_texts_side_by_side_are_one_dataset(vlures: Command, form: str) -> None:
    options = lay_out(vlures, "images and texts", {"image2.png": picture("PNG")})
    if form == "upper":
        for name in ("images", "texts"):
            (vlures.folder / "data" / name).rename(vlures.folder / "data" / name.capitalize())
    result = vlures("check", *options)
    assert result.code == 0, result
    assert result.out.splitlines()[2].split()[-5:] == ["En", "2", "1", "1", "0"]
    run = vlures("run", *options, "--tasks", "1,6", "--sandbox", "--mode", "live", "--name", "mine")
    assert set(vlures.answers("sandbox-mine")) == {"En-t1-1", "En-t1-2", "En-t6-1"}, run


def test_what_is_wrong_in_folders_side_by_side_is_named_with_its_folder(vlures: Command) -> None:
    options = lay_out(vlures, "images and texts", {"image2.png": b"no image"})
    (vlures.folder / "data/texts/text3.txt").write_text("no image of it")
    said = vlures("check", *options).out
    assert "images/image2.png: the image cannot be opened as an image" in said
    assert "texts/text3.txt: a text without an image" in said
