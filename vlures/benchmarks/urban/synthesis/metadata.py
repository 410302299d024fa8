"""Reads the metadata of street views, a record per image, into facts, and collects its problems by record."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

import msgspec

from vlures.benchmarks.problems import Problem, ProblemList
from vlures.benchmarks.urban.qa_files import Record, read_records
from vlures.benchmarks.urban.rows import stem_of
from vlures.benchmarks.urban.synthesis.facts import DepthKind, SideLabel, ViewFacts
from vlures.benchmarks.urban.synthesis.rules import CLEARLY_NEARER_M
from vlures.errors import VluresError
from vlures.files.named_files import as_on_disk, with_slashes
from vlures.files.reading import open_file
from vlures.files.tables import READ_AHEAD_BYTES

KINDS = {
    "torn": "unreadable records",
    "field": "records with a field that is missing or not in its form",
    "double": "records about an image that an earlier one is about",
    "joined": "lines that were joined",
}
"""Kinds of problems with records, and what many of a kind are called."""

CLEARLY_NEARER_SHARE = 0.05
"""Of the depth range: by how much two depths must differ for a question about them, where no unit is given."""

Name = Annotated[str, msgspec.Meta(pattern=r"^[^\x00]*[^\x00\s][^\x00]*$", max_length=200)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Flag = bool | Literal[0, 1]


class _Depth(msgspec.Struct, frozen=True):
    """How the depths of a record are to be read. Our own addition to the format."""

    kind: DepthKind
    unit: Literal["m"] | None = None


class _DepthStats(msgspec.Struct, frozen=True):
    range: Annotated[float, msgspec.Meta(ge=0)] | None = None
    closest_object: Name | None = None


class _VerticalLayout(msgspec.Struct, frozen=True):
    top_entity: Name | None = None
    top_sky: Flag | None = None
    skyline_clear: Flag | None = None


class _Record(msgspec.Struct, frozen=True):
    """A record, as far as questions are made from it. What is missing or null is not known."""

    image_id: Name
    image_path: str | None = None
    objects: dict[Name, Count] | None = None
    known_objects: list[Name] | None = None
    """All that the detector could have found. Our own addition to the format."""
    view_factors: dict[str, Share] | None = None
    depth: _Depth | None = None
    depth_stats: _DepthStats | None = None
    depth_order: dict[Name, float] | None = None
    depth_per_class: dict[Name, bool | float | None] | None = None
    occlusion_pairs: dict[str, Flag] | list[tuple[Name, Name, Flag]] | None = None
    spatial_distribution: dict[Name, SideLabel | None] | None = None
    vertical_layout: _VerticalLayout | None = None


@dataclass(frozen=True, slots=True)
class Metadata:
    """A metadata file that was read."""

    path: Path
    digest: str
    """SHA-256 of its bytes."""
    facts: tuple[ViewFacts, ...]
    """Those of usable records, in order."""
    image_paths: tuple[str | None, ...]
    """Of the same records, as the file has them."""
    problems: tuple[Problem, ...]

    @property
    def left_out(self) -> int:
        """Records that cannot be used."""
        return sum(problem.times for problem in self.problems if problem.severity == "error")


def read_metadata(path: Path, depth: DepthKind | None) -> Metadata:
    """Read a metadata file: one JSON list, or JSON Lines.

    depth: how the depths of records are read that do not say it themselves. Raises VluresError for a file that cannot
    be read. Problems of single records are in its problems, and those records are left out.
    """
    path = as_on_disk(path)
    found = ProblemList(KINDS)
    records = list(_read_records(path, found))
    seen = frozenset(name for record in records for name in record.objects or ())
    return Metadata(
        path,
        _digest(path),
        tuple(_find_facts(record, seen, depth) for record in records),
        tuple(record.image_path for record in records),
        found.problems(path.name),
    )


def _read_records(path: Path, found: ProblemList) -> Iterator[_Record]:
    first: dict[str, str] = {}

    def at(place: str) -> tuple[str]:
        return (f"{path.name} {place}",)

    def complain(place: str, reason: str) -> None:
        found.add("torn", at(place), reason)

    def note(place: str, reason: str) -> None:
        found.add("joined", at(place), reason, severity="note")

    for place, content in read_records(path, complain, note, what="metadata file"):
        record = _convert(content)
        if isinstance(record, str):
            found.add("field", at(place), record)
            continue
        stem = stem_of(record.image_id)
        if stem in first:
            found.add("double", at(place), f"is about {record.image_id}, as {first[stem]} is; keep one of them")
            continue
        first[stem] = place
        yield record


def _convert(content: Record) -> _Record | str:
    """A record, or what is wrong with it."""
    try:
        record = msgspec.convert(content, _Record)
        pairs = record.occlusion_pairs
        if isinstance(pairs, dict):
            record = msgspec.structs.replace(record, occlusion_pairs=[_split_pair(key, pairs[key]) for key in pairs])
    except msgspec.ValidationError as error:
        return f"not in the form of metadata ({error})"
    return record


def _split_pair(key: str, is_hidden: Flag) -> tuple[str, str, Flag]:
    """Raises msgspec.ValidationError."""
    first, comma, second = (part.strip() for part in key.partition(","))
    if not (first and comma and second):
        raise msgspec.ValidationError(f"Expected `object,object`, got {key!r} - at `$.occlusion_pairs`")
    return first, second, is_hidden


def _find_facts(record: _Record, seen: frozenset[str], depth: DepthKind | None) -> ViewFacts:
    """seen: every object of the file: the detector could have found each in every image."""
    stats, layout = record.depth_stats or _DepthStats(), record.vertical_layout or _VerticalLayout()
    by_class = record.depth_per_class or {}
    building = by_class.get("building")
    facts = ViewFacts(
        image_id=name_image(record.image_id, record.image_path),
        counts=_count(record, seen),
        asked_objects=(),
        factors=record.view_factors or {},
        depth_kind=record.depth.kind if record.depth is not None else depth,
        depth_range=stats.range,
        closest_object=stats.closest_object,
        depth_order=record.depth_order or {},
        clear_difference=CLEARLY_NEARER_SHARE * (stats.range or 0),
        building_depth=None if building is None or isinstance(building, bool) else building,
        foreground=_find_flags(by_class, "_foreground"),
        background=_find_flags(by_class, "_background"),
        occlusions=_find_occlusions(record),
        sides={name: side for name, side in (record.spatial_distribution or {}).items() if side is not None},
        top_entity=layout.top_entity,
        top_is_sky=None if layout.top_sky is None else bool(layout.top_sky),
        skyline_visible=None if layout.skyline_clear is None else bool(layout.skyline_clear),
    )
    if record.depth is not None and record.depth.unit == "m" and record.depth.kind == "distance":
        return replace(facts, clear_difference=CLEARLY_NEARER_M)
    return facts


def _count(record: _Record, seen: frozenset[str]) -> dict[str, int]:
    if record.objects is None:
        return {}
    known = seen if record.known_objects is None else {*record.known_objects, *record.objects}
    return {name: record.objects.get(name, 0) for name in sorted(known)}


def _find_flags(by_class: dict[str, bool | float | None], ending: str) -> dict[str, bool]:
    return {
        name.removesuffix(ending): bool(value)
        for name, value in by_class.items()
        if name.endswith(ending) and name != ending and value is not None
    }


def _find_occlusions(record: _Record) -> dict[tuple[str, str], bool]:
    pairs = record.occlusion_pairs or []
    assert not isinstance(pairs, dict), "split when the record was read"
    return {(first, second): bool(is_hidden) for first, second, is_hidden in pairs}


def name_image(image_id: str, image_path: str | None) -> str:
    """The image's name for a QA file: with the ending that its path has, where it is the same image's."""
    name = PurePosixPath(with_slashes(image_path or "")).name
    return name if name and stem_of(name) == stem_of(image_id) else image_id


def _digest(path: Path) -> str:
    found = hashlib.sha256()
    try:
        with open_file(path) as file:
            while block := file.read(READ_AHEAD_BYTES):
                found.update(block)
    except OSError as error:
        raise VluresError(f"{path} cannot be read ({error.strerror}); name another metadata file.") from error
    return found.hexdigest()
