"""`vlures check` walks every image to its end, tells what a model may see otherwise, and decodes where asked to."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from PIL import Image as Pillow

from tests.conftest import Command, make_dataset

pytestmark = pytest.mark.warm

TURNED = Pillow.Exif()
TURNED[0x0112] = 6
BENCHMARKS = ("folder", "table of texts", "table of questions")


def put(folder: Path, images: dict[str, bytes]) -> None:
    for path in folder.iterdir():
        path.unlink()
    for name, data in images.items():
        (folder / name).write_bytes(data)


def noise(kind: str, mode: str = "RGB", **options: object) -> bytes:
    file = io.BytesIO()
    Pillow.effect_noise((64, 64), 60).convert(mode).save(file, kind, **options)
    return file.getvalue()


def ask(vlures: Command, benchmark: str) -> list[str]:
    """The options that ask about the images in data/ in one of the ways."""
    data = vlures.folder / "data"
    names = sorted(path.name for path in data.iterdir() if path.suffix != ".jsonl")
    if benchmark == "table of questions":
        rows = [{"image": name, "question": "What is it?"} for name in names]
        (vlures.folder / "my.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return ["--benchmark", "table", "--questions", "my.jsonl", "--dataset", "data"]
    if benchmark == "table of texts":
        rows = [{"file_name": name, "text": "an article"} for name in names]
        (data / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return ["--dataset", "data", "--languages", "En", "--tasks", "1"]


def check(vlures: Command, benchmark: str, *options: str) -> tuple[int, str]:
    result = vlures("check", *ask(vlures, benchmark), *options)
    return result.code, result.out + result.err


@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_half_an_image_stops_check_and_run(vlures: Command, benchmark: str) -> None:
    jpeg, png = noise("JPEG"), noise("PNG")
    put(vlures.folder / "data", {"image1.jpg": jpeg, "image2.jpg": jpeg[:-500], "image3.png": png[:-500]})
    code, said = check(vlures, benchmark)
    assert code == 1
    for name in ("image2.jpg", "image3.png"):
        assert any(line.startswith("error") and name in line and "is cut off" in line for line in said.splitlines())
    stopped = vlures("run", *ask(vlures, benchmark), "--sandbox")
    assert stopped.code == 1
    assert "is cut off" in stopped.err
    assert not (vlures.folder / "outputs").exists()


@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_what_a_model_may_see_otherwise_is_a_note(vlures: Command, benchmark: str) -> None:
    file = io.BytesIO()
    Pillow.new("I;16", (9, 9)).save(file, "PNG")
    images = {
        "image1.jpg": noise("JPEG", exif=TURNED),
        "image2.jpg": noise("JPEG", "CMYK"),
        "image3.png": file.getvalue(),
        "image4.webp": noise("WEBP", save_all=True, append_images=[Pillow.new("RGB", (64, 64))]),
    }
    put(vlures.folder / "data", images)
    code, said = check(vlures, benchmark)
    assert code == 0, said
    words = {"image1.jpg": "EXIF", "image2.jpg": "CMYK", "image3.png": "16 bits", "image4.webp": "animation"}
    for name, word in words.items():
        assert any(line.startswith("note") and name in line and word in line for line in said.splitlines()), name


def test_a_thousand_turned_images_are_told_of_in_some_lines(vlures: Command) -> None:
    data = noise("JPEG", exif=TURNED)
    put(vlures.folder / "data", {f"image{number}.jpg": data + b"%d" % number for number in range(50)})
    _, said = check(vlures, "folder")
    assert said.count("is to be turned") == 20
    assert "and 30 more images to be turned by their EXIF data" in said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--model", "gpt-5.6-luna"), "62,500 patches, and gpt-5.6-luna refuses more than 30,000"),
        (("--model", "gpt-6-luna"), "62,500 patches, and OpenAI refuses more than 30,000, unless gpt-6-luna scales"),
        (("--model", "gpt-5.6-luna", "--image-detail", "high"), None),
        (("--backend", "gemini"), None),
    ],
)
def test_an_image_above_a_limit_of_the_provider_is_a_note(
    vlures: Command, options: tuple[str, ...], words: str | None
) -> None:
    file = io.BytesIO()
    Pillow.new("1", (8000, 8000)).save(file, "PNG")
    put(vlures.folder / "data", {"image1.png": file.getvalue()})
    code, said = check(vlures, "folder", *options)
    assert code == 0, said
    assert ("note" in said) == (words is not None)
    assert words is None or words in said


def test_an_image_too_large_for_a_request_is_a_note(vlures: Command) -> None:
    put(vlures.folder / "data", {"image1.jpg": noise("JPEG") + bytes(80_000_000)})
    assert "Gemini takes no request of more than 100,000,000" in check(vlures, "folder", "--backend", "gemini")[1]
    assert "note" not in check(vlures, "folder", "--backend", "openai")[1]


@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_pixels_are_decoded_only_when_asked(vlures: Command, benchmark: str) -> None:
    """Zeros in a WebP leave all its lengths as they were."""
    webp = noise("WEBP", lossless=True)
    broken = webp[:60] + bytes(len(webp) - 60)
    put(vlures.folder / "data", {"image1.webp": webp, "image2.webp": broken})
    assert check(vlures, benchmark)[0] == 0
    code, said = check(vlures, benchmark, "--decode")
    assert code == 1
    assert "image2.webp: the image is damaged: its pixels cannot be decoded" in said
    assert "image1.webp" not in said


def test_sound_images_are_decoded_without_a_word(vlures: Command) -> None:
    make_dataset(vlures.folder / "data", samples=6)
    code, said = check(vlures, "folder", "--decode")
    assert (code, "note" in said) == (0, False)
