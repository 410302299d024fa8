"""What is made of depths, classes and objects: of drawn streets, whose true ones are known, the streets' own features.

The models that see them in other images are tested in tests/local.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL.Image import Image as Picture

from tests.conftest import Command, make_dataset
from tests.warm import WarmCommand
from vlures.benchmarks.urban.features.measures import (
    DepthMap,
    Detection,
    Segmentation,
    clip,
    describe_view,
    missing_factors,
)
from vlures.benchmarks.urban.features.models import USUAL_MODELS
from vlures.benchmarks.urban.scenes.drawing import CLASSES
from vlures.benchmarks.urban.scenes.facts import Scene, make_scene
from vlures.benchmarks.urban.scenes.writing import describe_features
from vlures.cli.urban import features

SIZE = 96
NAMES = tuple("traffic light" if name == "light" else name for name in CLASSES)


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [make_scene(f"image_{number}.png", SIZE, random.Random(f"features {number}")) for number in range(40)]


def array(picture: Picture) -> NDArray[Any]:
    return np.asarray(picture)


def true_depth(scene: Scene) -> DepthMap:
    return DepthMap(array(scene.drawn.depths), "distance")


def inverse_depth(scene: Scene) -> DepthMap:
    """As a model of inverse depths would give it, in a unit of its own; 0 for the sky, which is endlessly far."""
    metres = array(scene.drawn.depths)
    return DepthMap(np.where(metres > 0, 300 / np.maximum(metres, 1), 0).astype(np.float32), "inverse")


def true_classes(scene: Scene) -> Segmentation:
    return Segmentation(array(scene.drawn.classes), NAMES)


def true_objects(scene: Scene, *, masks: bool) -> list[Detection]:
    """The things with the boxes around what is seen of them, and perhaps with their own pixels."""
    found = []
    for number, thing in enumerate(scene.street.things, 1):
        mask = array(scene.drawn.things) == number
        rows, columns = mask.any(axis=1).nonzero()[0], mask.any(axis=0).nonzero()[0]
        box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
        found.append(Detection(thing.kind, 0.9, box, mask if masks else None))
    return found


@pytest.mark.parametrize("masks", [True, False], ids=["own pixels", "boxes"])
def test_true_depths_and_classes_give_the_streets_own_features(scenes: list[Scene], masks: bool) -> None:
    for scene in scenes:
        own = describe_features(scene)
        made = describe_view(true_depth(scene), true_classes(scene), true_objects(scene, masks=masks))
        assert made["objects"] == own["objects"]
        assert made["view_factors"] == own["view_factors"]
        assert made["depth_stats"]["range"] == pytest.approx(own["depth_stats"]["range"], abs=0.011)
        assert made["depth_stats"]["closest_object"] == own["depth_stats"]["closest_object"]
        for name, side in own["spatial_distribution"].items():
            assert made["spatial_distribution"].get(name, side) == side
        assert set(own["spatial_distribution"]) - set(made["spatial_distribution"]) <= few_pixels(scene)
        assert made["vertical_layout"]["top_entity"] == own["vertical_layout"]["top_entity"]
        assert made["vertical_layout"]["skyline_clear"] == scene.facts.skyline_visible
        if masks:
            assert made["depth_order"] == pytest.approx(own["depth_order"], abs=0.011)
        assert set(own) - set(made) == {"image_id", "image_path", "known_objects"}


def few_pixels(scene: Scene) -> set[str]:
    counts = scene.drawn.classes.histogram()
    return {name for number, name in enumerate(CLASSES) if counts[number] < 12}


def test_inverse_depths_give_the_same_order_and_zones(scenes: list[Scene]) -> None:
    for scene in scenes:
        classes, found = true_classes(scene), true_objects(scene, masks=True)
        metric = describe_view(true_depth(scene), classes, found)
        inverse = describe_view(inverse_depth(scene), classes, found)
        assert (metric["depth"], inverse["depth"]) == ({"kind": "distance", "unit": "m"}, {"kind": "inverse"})
        assert inverse["depth_stats"]["closest_object"] == metric["depth_stats"]["closest_object"]
        by_metres = sorted(metric["depth_order"], key=lambda name: metric["depth_order"][name])
        by_nearness = sorted(inverse["depth_order"], key=lambda name: -inverse["depth_order"][name])
        assert by_nearness == by_metres
        for zone in ("car_foreground", "car_background", "building_foreground", "building_background"):
            assert inverse["depth_per_class"][zone] == metric["depth_per_class"][zone]
        for same in ("objects", "view_factors", "spatial_distribution", "vertical_layout"):
            assert inverse[same] == metric[same]


def test_questions_made_of_either_depth_have_the_same_answers(scenes: list[Scene], vlures: Command) -> None:
    """`urban qa` reads the direction of depth as `urban features` writes it."""
    found: dict[str, dict[str, str]] = {}
    for kind, depth in (("distance", true_depth), ("inverse", inverse_depth)):
        records = [
            {"image_id": scene.facts.image_id}
            | describe_view(depth(scene), true_classes(scene), true_objects(scene, masks=True))
            for scene in scenes
        ]
        (vlures.folder / f"{kind}.json").write_text(json.dumps(records), encoding="utf-8")
        result = vlures("urban", "qa", "--metadata", f"{kind}.json", "--out", kind, "--constant-labels")
        assert result.code == 0, result
        rows = [
            json.loads(line)
            for path in (vlures.folder / kind).glob("*.jsonl")
            for line in path.read_text(encoding="utf-8").splitlines()
        ]
        found[kind] = {
            f"{row['image_id']} {row['subtype']} {row.get('object1')} {row.get('object2')}": row["answer"]
            for row in rows
            if row["subtype"] in ("depth.closest_object", "spatial.relation", "negation.spatial_refute")
        }
    both = found["distance"].keys() & found["inverse"].keys()
    assert len(both) > 20
    assert {name: found["distance"][name] for name in both} == {name: found["inverse"][name] for name in both}


def test_zones_and_mean_depths_are_those_of_the_pixels() -> None:
    depth = np.repeat(np.array([40.0] * 10 + [20.0] * 10 + [5.0] * 10, dtype=np.float32)[:, None], 30, axis=1)
    names = ("road", "sky", "car", "building")
    indices = np.zeros((30, 30), dtype=np.int16)
    indices[0:8, 5:25] = 3  # a far building
    indices[22:28, 3:9] = 2  # a near car
    made = describe_view(DepthMap(depth, "distance"), Segmentation(indices, names), [])
    assert made["depth_per_class"] == {
        "road": pytest.approx(depth[indices == 0].mean(), abs=0.006),
        "car": 5.0,
        "building": 40.0,
        "car_foreground": True,
        "car_background": False,
        "building_foreground": False,
        "building_background": True,
    }
    assert made["spatial_distribution"] == {"building": "even", "car": "left side"}
    assert made["depth_stats"] == {"range": 35.0, "closest_object": None}
    assert made["depth_order"] == {}


def two_cars() -> tuple[DepthMap, Segmentation]:
    """A near car on the left, and a far one on the right."""
    depth = np.full((40, 60), 1.0, dtype=np.float32)
    indices = np.zeros((40, 60), dtype=np.int16)
    depth[20:30, 5:15], indices[20:30, 5:15] = 9.0, 1
    depth[20:30, 40:50], indices[20:30, 40:50] = 3.0, 1
    return DepthMap(depth, "inverse"), Segmentation(indices, ("road", "car", "person", "sky"))


def test_every_object_has_its_own_depth() -> None:
    """Not that of the last box with its label."""
    depth, classes = two_cars()
    depth.values[20:30, 25:30] = 6.0
    classes.indices[20:30, 25:30] = 2
    near, far, person = (5, 20, 15, 30), (40, 20, 50, 30), (25, 20, 30, 30)
    for order in ((near, far), (far, near)):
        found = [Detection("car", 0.9, box) for box in order]
        made = describe_view(depth, classes, [*found, Detection("person", 0.6, person)])
        assert made["depth_stats"]["closest_object"] == "car"
        assert made["depth_order"] == {"car": 9.0, "person": 6.0}
        assert {each["depth"] for each in made["raw_objects"]} == {9.0, 3.0, 6.0}
        assert made["objects"] == {"car": 2, "person": 1}


def test_an_object_is_measured_in_its_own_pixels() -> None:
    """What fills most of its box, behind it or before it, does not count; nor does a mask that hardly has any."""
    depth, classes = two_cars()
    wide = Detection("car", 0.9, (0, 0, 22, 40))
    assert describe_view(depth, classes, [wide])["raw_objects"][0]["depth"] == 9.0
    bench = Detection("bench", 0.9, (5, 20, 15, 30))
    assert describe_view(depth, classes, [bench])["raw_objects"][0]["depth"] == 9.0
    elsewhere = Detection("person", 0.9, (30, 0, 40, 10), np.zeros((40, 60), dtype=np.bool_))
    assert describe_view(depth, classes, [elsewhere])["raw_objects"][0]["depth"] == 1.0


def test_boxes_beyond_the_image_are_clipped() -> None:
    assert clip((-4, -2, 10, 9), (20, 30)) == (0, 0, 10, 9)
    assert clip((25, 15, 44, 33), (20, 30)) == (25, 15, 30, 20)
    assert clip((31, 21, 35, 25), (20, 30)) == (29, 19, 30, 20)
    assert clip((-9, -9, -3, -3), (20, 30)) == (0, 0, 1, 1)
    depth, classes = two_cars()
    found = [Detection("car", 0.9, (-5, 18, 16, 31)), Detection("N/A", 0.8, (0, 0, 5, 5))]
    made = describe_view(depth, classes, found)
    assert made["raw_objects"] == [{"box": [0, 18, 16, 31], "label": "car", "score": 0.9, "depth": 9.0}]


def test_depths_that_are_no_numbers_are_refused() -> None:
    depth, classes = two_cars()
    reasons = {np.nan: "no numbers; try --dtype float32", np.inf: "no numbers", 0.0: "no depth above 0"}
    for value, words in reasons.items():
        values = np.full_like(depth.values, value)
        with pytest.raises(ValueError, match=words):
            describe_view(DepthMap(values, "inverse"), classes, [])


def test_a_model_must_know_what_the_view_factors_count() -> None:
    assert missing_factors(NAMES) == []
    assert missing_factors({"wall", "floor", "building", "tree"}) == ["sky"]


def test_the_models_by_default_are_those_of_the_authors() -> None:
    defaults = {parameter.name: parameter.default for parameter in features.params}
    assert {task: defaults[f"{task}_model"] for task in USUAL_MODELS} == USUAL_MODELS


def test_without_torch_the_command_says_what_to_install(tmp_path: Path) -> None:
    command = WarmCommand(tmp_path / "work", {"HOME": str(tmp_path)})
    make_dataset(command.folder / "images", samples=1, texts=0)
    result = command("urban", "features", "--images", "images", "--out", "out")
    result.assert_stopped(1, "torch and transformers", "are not installed", "pip install 'vlures[local]'")
    assert result.err.count("\n") == 1
    assert not (command.folder / "out").exists()


def test_the_command_line_loads_none_of_it() -> None:
    script = (
        "import sys; from vlures.cli import call; call(['--help']); call(['urban', 'features', '--help']); "
        "assert not {'torch', 'transformers', 'numpy', 'PIL'} & set(sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
