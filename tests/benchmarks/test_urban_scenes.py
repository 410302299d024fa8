"""Drawn streets: their labels are true of their pixels, and a seed is all that they depend on."""

from __future__ import annotations

import hashlib
import io
import json
import random
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import REPOSITORY
from tests.warm import WarmCommand
from vlures.benchmarks.urban.parsing import Invalid, parse_label
from vlures.benchmarks.urban.scenes.drawing import CLASSES
from vlures.benchmarks.urban.scenes.facts import Scene, make_scene
from vlures.benchmarks.urban.subtypes import SLOTS, find_subtype
from vlures.benchmarks.urban.synthesis.rows import make_rows


@pytest.fixture
def command(tmp_path: Path) -> WarmCommand:
    command = WarmCommand(tmp_path / "work", {"HOME": str(tmp_path)})
    command.folder.mkdir()
    return command


def draw(command: WarmCommand, out: str, *options: str) -> Path:
    result = command("urban", "scenes", "--n", "6", "--size", "96", "--out", out, *options)
    assert result.code == 0, result
    return command.folder / out


def digests(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_same_seed_gives_the_same_bytes(command: WarmCommand) -> None:
    first = digests(draw(command, "one", "--seed", "3"))
    assert first == digests(draw(command, "two", "--seed", "3"))
    assert {"train.jsonl", "val.jsonl", "test.jsonl", "features.json", "images/image_1.png"} <= set(first)
    other = digests(draw(command, "three", "--seed", "4"))
    assert other["images/image_1.png"] != first["images/image_1.png"]
    command("urban", "scenes", "--out", "one").assert_stopped(1, "one is not empty; name a new folder with --out")


def test_splits_share_no_image_and_every_split_can_be_asked(command: WarmCommand) -> None:
    folder = draw(command, "streets")
    images = {
        split: {json.loads(line)["image_id"] for line in (folder / f"{split}.jsonl").open(encoding="utf-8")}
        for split in ("train", "val", "test")
    }
    assert {split: len(found) for split, found in images.items()} == {"train": 4, "val": 1, "test": 1}
    assert len(set.union(*images.values())) == 6
    for split in images:
        for style in ("question", "template"):
            asked = ("--questions", f"streets/{split}.jsonl", "--dataset", "streets/images", "--prompt-style", style)
            checked = command("check", "--benchmark", "urban", *asked)
            assert checked.code == 0, checked


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [make_scene(f"image_{number}.png", 96, random.Random(f"test {number}")) for number in range(25)]


def test_labels_are_true_of_the_pixels(scenes: list[Scene]) -> None:
    for scene in scenes:
        size = scene.drawn.classes.width
        pixels = scene.drawn.classes.tobytes()
        sky = pixels.count(CLASSES.index("sky"))
        rows = {(row["subtype"], *slots_of(row)): row["answer"] for row in make_rows(scene.facts)}
        assert rows["viewfactor.scalar", ("factor", "sky")] == f"{sky / size**2:.2f}"
        assert rows["viewfactor.dominance", ("factor", "sky")] == ("Yes" if sky > size**2 / 2 else "No")
        seen = {number for number in scene.drawn.things.tobytes() if number}
        assert seen == set(range(1, len(scene.street.things) + 1)), "every thing is seen"
        cars = sum(thing.kind == "car" for thing in scene.street.things)
        assert rows["count", ("object", "car")] == str(cars)
        assert rows["presence.binary", ("object", "car")] == ("Yes" if cars else "No")
        far = scene.street.end_depth_m
        assert (rows[("depth.range",)] == "Complex") == (far > 22)
        nearest = min(scene.street.things, key=lambda thing: thing.depth_m, default=None)
        if nearest is not None:
            assert rows[("depth.closest_object",)] == nearest.kind


def slots_of(row: dict[str, str]) -> list[tuple[str, str]]:
    return [(name, row[name]) for name in SLOTS if name in row]


def test_every_answer_is_one_of_its_subtype(scenes: list[Scene]) -> None:
    for scene in scenes:
        for row in make_rows(scene.facts):
            subtype = find_subtype(row["subtype"])
            assert subtype is not None
            assert not isinstance(parse_label(row["answer"], subtype.answer), Invalid)
            assert "{" not in row["question"]


def test_no_subtype_always_has_the_same_answer(scenes: list[Scene]) -> None:
    answers: dict[str, set[str]] = {}
    for scene in scenes:
        for row in make_rows(scene.facts):
            answers.setdefault(row["subtype"], set()).add(row["answer"])
    assert [subtype for subtype, found in answers.items() if len(found) == 1] == []


def test_the_picture_shows_what_the_classes_say(scenes: list[Scene]) -> None:
    scene = scenes[0]
    picture = Image.open(io.BytesIO(scene.drawn.png()))
    assert picture.size == scene.drawn.classes.size
    sky = {
        picture.getpixel((x, y))
        for x in range(picture.width)
        for y in range(picture.height)
        if scene.drawn.classes.getpixel((x, y)) == CLASSES.index("sky")
    }
    assert sky == {(168, 205, 240)}


def test_the_sample_in_the_repository_is_what_the_script_draws() -> None:
    sample = REPOSITORY / "data/SampleUrban"
    rows = {json.loads(line)["image_id"] for line in (sample / "test.jsonl").open(encoding="utf-8")}
    names = sorted(path.name for path in (sample / "images").iterdir())
    assert len(names) == 40
    for name in sorted(rows)[:2]:
        number = int(name.removeprefix("image_").removesuffix(".png"))
        scene = make_scene(name, 256, random.Random(f"42 {number}"))
        with Image.open(sample / "images" / name) as kept:
            assert kept.convert("RGB").tobytes() == scene.drawn.picture.tobytes()
        lines = [
            line for line in (sample / "test.jsonl").open(encoding="utf-8") if json.loads(line)["image_id"] == name
        ]
        assert [json.loads(line) for line in lines] == list(make_rows(scene.facts))
