"""Writes drawn streets: images, QA files split by image, and the metadata they come from."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlures.benchmarks.urban.scenes.facts import Scene, make_scene
from vlures.benchmarks.urban.synthesis.rows import make_rows
from vlures.benchmarks.urban.synthesis.splits import choose_splits
from vlures.errors import VluresError
from vlures.files.writing import NotWritable, write_whole

SPLITS = (("train", 0.7), ("val", 0.1), ("test", 0.2))
"""Shares of the images."""
IMAGE_FOLDER = "images"


@dataclass(frozen=True, slots=True)
class Written:
    """What was written."""

    images: dict[str, int]
    """Split → how many images."""
    questions: dict[str, int]
    """Split → how many questions."""


def write_scenes(folder: Path, count: int, size: int, seed: int) -> Written:
    """Draw so many streets of size × size pixels. The same seed gives the same bytes, with the same version of Pillow.

    Raises VluresError if the folder has files already, or cannot be written.
    """
    if folder.is_dir() and any(folder.iterdir()):
        raise VluresError(f"{folder} is not empty; name a new folder with --out.")
    splits = choose_splits(count, random.Random(f"{seed} splits"), SPLITS)  # noqa: S311 (a drawing's seed)
    rows: dict[str, list[str]] = {name: [] for name, _ in SPLITS}
    features = []
    try:
        (folder / IMAGE_FOLDER).mkdir(parents=True, exist_ok=True)
        for number, split in enumerate(splits, 1):
            image_id = f"image_{number:0{len(str(count))}}.png"
            # Each by a seed of its own: the first hundred are the same however many follow.
            scene = make_scene(image_id, size, random.Random(f"{seed} {number}"))  # noqa: S311
            (folder / IMAGE_FOLDER / image_id).write_bytes(scene.drawn.png())
            rows[split] += [json.dumps(row) + "\n" for row in make_rows(scene.facts)]
            features.append(describe_features(scene))
    except OSError as error:
        raise NotWritable(folder, error) from error
    for split, lines in rows.items():
        write_whole(folder / f"{split}.jsonl", "".join(lines))
    write_whole(folder / "features.json", "[\n" + ",\n".join(map(json.dumps, features)) + "\n]\n")
    return Written({name: splits.count(name) for name, _ in SPLITS}, {name: len(lines) for name, lines in rows.items()})


def describe_features(scene: Scene) -> dict[str, Any]:
    """The metadata of an image, in the format that the benchmark's questions are made from."""
    facts, street = scene.facts, scene.street
    return {
        "image_id": facts.image_id.removesuffix(".png"),
        "image_path": f"{IMAGE_FOLDER}/{facts.image_id}",
        "objects": {name: count for name, count in facts.counts.items() if count},
        "known_objects": list(facts.counts),
        # With nine digits no share is rounded over the edge of a label with two.
        "view_factors": {name: round(share, 9) for name, share in facts.factors.items()},
        "depth": {"kind": facts.depth_kind, "unit": "m"},
        "depth_stats": {"range": round(facts.depth_range or 0, 2), "closest_object": facts.closest_object},
        "spatial_distribution": dict(facts.sides),
        "vertical_layout": {"top_entity": facts.top_entity, "skyline_clear": facts.skyline_visible},
        "depth_order": {name: round(depth, 2) for name, depth in facts.depth_order.items()},
        "raw_objects": [
            {"label": thing.kind, "x_m": round(thing.x_m, 2), "depth_m": round(thing.depth_m, 2)}
            for thing in street.things
        ],
    }
