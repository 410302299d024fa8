"""`vlures urban features`: images → a line for each in features.jsonl → features.json. Continues where it stopped."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlures.benchmarks.urban.features import models
from vlures.benchmarks.urban.features.depth_maps import FOLDER, DepthMaps
from vlures.benchmarks.urban.features.measures import DepthMap, describe_view
from vlures.benchmarks.urban.features.models import Dtype, FoundModel, Task
from vlures.benchmarks.urban.features.pictures import Listed, list_images, read_picture
from vlures.benchmarks.urban.features.stored import (
    RECORD_FILE,
    Line,
    Reason,
    Stored,
    append,
    append_written,
    describe_due,
    find_reason,
    read_stored,
)
from vlures.benchmarks.urban.synthesis.facts import DepthKind
from vlures.errors import VluresError, counted
from vlures.files.names import path_as_text
from vlures.files.writing import AppendOnlyFile, write_whole
from vlures.images import UnusableImage, read_image
from vlures.records import Image
from vlures.store.clock import now
from vlures.store.lock import hold_folder
from vlures.store.tails import TailRepair

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FEATURES_FILE = "features.json"
RULES = "1"
"""Of measures.py: another number makes every line stale."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Choice:
    """What makes the features."""

    models: Mapping[Task, str]
    """Folders, or IDs on the hub."""
    device: str = "auto"
    dtype: Dtype = "float32"
    depth_kind: DepthKind | None = None
    """None: as is known of the model."""
    depth_maps: bool = False
    """Whether they are kept."""


@dataclass(frozen=True, slots=True)
class Made:
    """What came of it."""

    path: Path
    """Of features.json."""
    images: int
    measured: int
    """Images in it."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What images are measured with."""

    choice: Choice
    found: Mapping[Task, FoundModel]
    depth_kind: DepthKind
    made_with: Mapping[str, str]
    """What decides a record, beside its image."""
    maps: DepthMaps


def make_features(images: Path, out: Path, choice: Choice, say: Say) -> Made:
    """Measure what of a folder's images is not measured yet, and write features.json.

    say: called with sentences for the user. Raises VluresError where it cannot go on.
    """
    models.check_packages()
    listed, rest = list_images(images)
    if rest:
        say(f"Left out of {images}: {rest}.")
    if not (out / RECORD_FILE).exists():
        _refuse_foreign(out / FEATURES_FILE, Stored())
    models.quieten()
    plan = _make_plan(choice, out)
    with _held(out, say):
        stored = read_stored(out, TailRepair(writable=True, say=say))
        _refuse_foreign(out / FEATURES_FILE, stored)
        usable = dict(_read_images(listed, say))
        due = _find_due(listed, usable, stored, plan)
        say(describe_due(due.get(each.name) for each in listed if each.name in usable))
        with closing(AppendOnlyFile(out / RECORD_FILE)) as file:
            if pending := [each for each in listed if each.name in due]:
                _measure_all(pending, usable, plan, file, stored, say)
            records = list(_compose(listed, usable, stored, plan, out))
            _write(out / FEATURES_FILE, records, stored, file)
        _tell_gone(listed, stored, say)
    return Made(out / FEATURES_FILE, len(listed), len(records))


@contextmanager
def _held(out: Path, say: Say) -> Iterator[None]:
    """One process at a time per folder."""
    with ExitStack() as stack:
        try:
            stack.enter_context(hold_folder(out, "wait for it, or name another folder with --out", say))
        except VluresError as error:
            raise VluresError(str(error).replace("--output", "--out")) from error
        yield


def _refuse_foreign(path: Path, stored: Stored) -> None:
    """Raises VluresError if a features.json is there that these lines did not make."""
    if not path.exists() and not path.is_symlink():
        return
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise VluresError(f"{path} cannot be read ({error.strerror}); name another folder with --out.") from error
    if digest not in stored.written:
        why = "has changed since this command wrote it" if stored.written else "is there already and of another origin"
        raise VluresError(f"{path} {why}, and is not overwritten; move it away, or name another folder with --out.")


def _read_images(listed: Sequence[Listed], say: Say) -> Iterator[tuple[str, Image]]:
    """The images by their files' names, without those that cannot be used, which are named."""
    usable = 0
    for each in listed:
        try:
            image = read_image(each.path)
        except UnusableImage as error:
            say(f"{each.path} is left out: it {error}.")
            continue
        usable += 1
        yield each.name, image
    if not usable:
        raise VluresError("No image can be used, for the reasons above; name a folder of sound images with --images.")


def _make_plan(choice: Choice, out: Path) -> _Plan:
    found = {task: models.find_model(task, choice.models[task]) for task in models.TASKS}
    depth_kind = models.find_depth_kind(found["depth"], choice.depth_kind)
    identities: dict[str, str] = {task: each.identity for task, each in found.items()}
    made_with = identities | {"depth_kind": depth_kind, "dtype": choice.dtype, "rules": RULES}
    return _Plan(choice, found, depth_kind, made_with, DepthMaps(out / FOLDER))


def _find_due(listed: Sequence[Listed], usable: Mapping[str, Image], stored: Stored, plan: _Plan) -> dict[str, Reason]:
    """The names of the images to measure, each with why."""
    due: dict[str, Reason] = {}
    for each in listed:
        if each.name in usable:
            line = stored.lines.get(each.name)
            reason = find_reason(line, usable[each.name].digest, plan.made_with, needs_map=plan.choice.depth_maps)
            if reason is not None:
                due[each.name] = reason
    return due


def _measure_all(
    pending: Sequence[Listed],
    usable: Mapping[str, Image],
    plan: _Plan,
    file: AppendOnlyFile,
    stored: Stored,
    say: Say,
) -> None:
    """Adds a line for each image, in the file and to what is stored. One that gives none is named."""
    from tqdm import tqdm

    device = models.choose_device(plan.choice.device)
    pipelines = {task: models.load_pipeline(each, device, plan.choice.dtype) for task, each in plan.found.items()}
    say(f"On {device}, in {plan.choice.dtype}: {', '.join(each.name for each in plan.found.values())}.")
    with tqdm(pending, unit="image", disable=None, leave=False) as bar:
        for each in bar:
            image = usable[each.name]
            try:
                facts, depth_map = _measure(each, image, plan, pipelines)
            except (UnusableImage, ValueError, RuntimeError) as error:
                reason = str(error).strip().split("\n")[0].rstrip(".")
                bar.clear()
                say(f"{each.path} is left out: {'it ' if isinstance(error, UnusableImage) else ''}{reason}.")
                continue
            line = Line(each.name, image.digest, dict(plan.made_with), facts, now(), depth_map)
            append(file, line)
            stored.lines[each.name] = line


def _measure(
    each: Listed, image: Image, plan: _Plan, pipelines: Mapping[Task, Any]
) -> tuple[dict[str, Any], str | None]:
    """An image's facts, and the name of its depth map if there is one."""
    picture = read_picture(image)
    name = plan.maps.name(each.image_id, image.digest, plan.made_with)
    values: NDArray[np.float32] | None = plan.maps.load(name, (picture.height, picture.width))
    is_kept = values is not None
    if values is None:
        values = models.estimate_depth(pipelines["depth"], picture)
    segmentation = models.segment(pipelines["segmentation"], picture)
    found = models.detect_objects(pipelines["detection"], picture)
    facts = describe_view(DepthMap(values, plan.depth_kind), segmentation, found)
    if plan.choice.depth_maps and not is_kept:
        plan.maps.save(name, values)
        is_kept = True
    return facts, name if is_kept else None


def _compose(
    listed: Sequence[Listed], usable: Mapping[str, Image], stored: Stored, plan: _Plan, out: Path
) -> Iterator[dict[str, Any]]:
    """The records in the order of the images. One whose line no longer holds has none."""
    for each in listed:
        line = stored.lines.get(each.name)
        if line is None or each.name not in usable:
            continue
        if find_reason(line, usable[each.name].digest, plan.made_with, needs_map=False) is not None:
            continue
        record = {"image_id": each.image_id, "image_path": _from(out, each.path)}
        if line.depth_map is not None:
            record["depth_path"] = f"{FOLDER}/{line.depth_map}"
        yield {**record, **line.facts}


def _from(folder: Path, path: Path) -> str:
    """A path as seen from a folder; as it is where they are on two drives."""
    try:
        return path_as_text(Path(os.path.relpath(path, folder)))
    except ValueError:
        return path_as_text(path.absolute())


def _write(path: Path, records: Sequence[Mapping[str, Any]], stored: Stored, file: AppendOnlyFile) -> None:
    """features.json, if it has anything to say and does not say it already."""
    if not records:
        raise VluresError("No image could be measured, for the reasons above; correct that and run again.")
    content = "[\n" + ",\n".join(map(json.dumps, records)) + "\n]\n"
    digest = hashlib.sha256(content.encode()).hexdigest()
    if digest not in stored.written:
        append_written(file, digest)
    if not path.exists() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
        write_whole(path, content)


def _tell_gone(listed: Sequence[Listed], stored: Stored, say: Say) -> None:
    if gone := len(stored.lines.keys() - {each.name for each in listed}):
        say(f"{counted(gone, 'image', 'is', 'are')} not in the folder any more, and not in {FEATURES_FILE}.")
