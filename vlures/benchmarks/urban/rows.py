"""Reads a QA file into questions with their images, and collects its problems by line."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from vlures.benchmarks.problems import Problem, ProblemList, name_check
from vlures.benchmarks.urban.options import Options
from vlures.benchmarks.urban.parsing import Invalid, Value, parse_label
from vlures.benchmarks.urban.qa_files import Record, read_records
from vlures.benchmarks.urban.subtypes import SLOTS, Subtype, find_subtype, read_wordings
from vlures.benchmarks.urban.variant import PromptStyle
from vlures.errors import UsageError, VluresError
from vlures.files.bounds import Bounds
from vlures.files.named_files import NamedFiles, as_on_disk, with_slashes
from vlures.files.names import as_read
from vlures.files.text import HOLDS_NUL, LOOKS_DOUBLE_ENCODED, looks_double_encoded
from vlures.images import IMAGE_SUFFIXES, UnusableImage, read_image
from vlures.records import Image

KINDS = {
    "torn": "unreadable rows",
    "field": "rows with a field that is missing or no text",
    "subtype": "rows with an unknown subtype",
    "answer": "rows whose answer cannot be one of their subtype",
    "slot": "rows that lack what the wording of their subtype needs",
    "double": "questions that occur in several rows",
    "image": "images that are missing or cannot be used",
    "joined": "lines that were joined",
    "encoding": "texts that look like UTF-8 read as Latin-1",
}
"""Kinds of problems with rows, and what many of a kind are called."""

LONGEST_TEXT = 100_000
"""Characters of a question."""
ID_DIGITS = 12
"""Length of the digest in an ID. Among a million questions about one image two collide with a chance of 0.2 %, which
is then reported."""
LONGEST_STEM = 150
"""Characters of an image's name in an ID."""
NUMBERS = (int, float, bool)
"""A JSON file may have an answer as one of these instead of a text."""


@dataclass(frozen=True, slots=True)
class UrbanRow:
    """One question about one image, with its reference answer."""

    id: str
    image_id: str
    """As the QA file has it."""
    image: Image | None
    """None where images were not read."""
    subtype: Subtype
    written_subtype: str
    """As the QA file has it: `paraphrase.from_…` too."""
    qtype: str | None
    question: str
    answer: str
    """The reference answer, as the QA file has it."""
    label: Value
    """The reference answer, read."""
    slots: Mapping[str, str]
    """Object, factor, object1 and object2, as far as the row has them."""

    @property
    def cluster(self) -> str:
        """The image, under one name however the row writes it: answers about one image go together."""
        return stem_of(self.image_id)


@dataclass(frozen=True)
class QaFile:
    """A QA file that was read."""

    path: Path
    folder: Path
    """Of the images."""
    rows: tuple[UrbanRow, ...]
    problems: tuple[Problem, ...]
    paths: frozenset[Path]
    """Of the images that its rows name, usable or not."""

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity == "error")

    @property
    def left_out(self) -> int:
        """Rows that cannot be asked."""
        return sum(error.times for error in self.errors)

    @cached_property
    def labels(self) -> frozenset[str]:
        """Names of objects that are reference answers: an answer may give them."""
        return frozenset(str(row.label) for row in self.rows if row.subtype.answer == "thing")


def name_qa_check(qa_file: QaFile, style: PromptStyle) -> str:
    """The command that names everything wrong with a QA file. A template needs fields that the question does not."""
    more = ("--prompt-style", style) if style == "template" else ()
    return name_check("urban", qa_file.path, qa_file.folder, *more)


def stem_of(image_id: str) -> str:
    """An image's name without the ending of an image file: QA files have it with or without."""
    name = os.path.normpath(with_slashes(as_read(image_id.strip())))
    suffix = Path(name).suffix
    return name.removesuffix(suffix) if suffix.lower() in IMAGE_SUFFIXES else name


def make_id(image_id: str, subtype: str, question: str, slots: Mapping[str, str]) -> str:
    """A question's ID, made of what it asks: never of its place, which changes when rows come and go, nor of its
    reference answer, which may be corrected."""
    stem = stem_of(image_id)
    asked = json.dumps([stem, subtype, question, sorted(slots.items())])
    digest = hashlib.sha256(asked.encode("utf-8", "surrogatepass")).hexdigest()[:ID_DIGITS]
    return f"{stem[:LONGEST_STEM]}_{digest}"


def read_qa_file(options: Options, *, with_images: bool = True) -> QaFile:
    """Read a QA file and the images that it names.

    with_images: without, images are not looked for, and no row is left out for its image. Raises UsageError for a
    folder that is not there, VluresError for a file that cannot be read. Problems of single rows are in its problems,
    and those rows are left out.
    """
    assert options.questions is not None
    path = as_on_disk(Path(options.questions))
    if with_images and options.dataset is not None and not as_on_disk(Path(options.dataset)).is_dir():
        raise UsageError(f"--dataset {options.dataset}: there is no such folder; name the one that holds the images.")
    reader = _Reader(path, options, with_images=with_images)
    rows = tuple(reader.rows())
    return QaFile(path, reader.folder, rows, reader.found.problems(path.name), frozenset(reader.images.paths))


class _Reader:
    """Reads the rows one by one and notes their problems."""

    def __init__(self, path: Path, options: Options, *, with_images: bool) -> None:
        self.found = ProblemList(KINDS)
        self.folder = as_on_disk(Path(options.dataset)) if options.dataset else path.parent
        self.images = Images(self.folder, options.follow_links)
        self._path = path
        self._options = options
        self._with_images = with_images
        self._seen: dict[str, str] = {}
        """ID → place of the row that has it."""

    def rows(self) -> Iterator[UrbanRow]:
        """The limit counts rows before their images are looked for, so that it takes the same ones without."""
        wanted, left = set(self._options.samples), self._options.limit
        for place, record in read_records(self._path, self._complain, self._note):
            if left == 0:
                return
            row = self._read(place, record)
            if row is None or (wanted and row.id not in wanted):
                continue
            left = left - 1 if left is not None else None
            if self._with_images:
                row = self._with_image(place, row)
            if row is not None:
                yield row
        if missing := wanted - self._seen.keys():
            raise VluresError(f"{self._path} has no question with the ID {min(missing)!r}.")

    def _read(self, place: str, record: Record) -> UrbanRow | None:
        texts = {name: self._text(place, record, name) for name in ("image_id", "question", "subtype", "answer")}
        if any(text is None for text in texts.values()):
            return None
        given = {name: text for name, text in texts.items() if text is not None}
        subtype = self._find_subtype(place, given["subtype"], record.get("origin_subtype"))
        slots = self._read_slots(place, record)
        if subtype is None or slots is None or not self._is_selected(subtype, given["subtype"]):
            return None
        label = self._read_label(place, given["answer"], subtype)
        if label is None or not self._has_slots(place, subtype, slots):
            return None
        sample_id = self._find_id(place, given, slots)
        if sample_id is None:
            return None
        qtype = record.get("qtype")
        return UrbanRow(
            sample_id,
            given["image_id"].strip(),
            None,
            subtype,
            given["subtype"].strip(),
            qtype if isinstance(qtype, str) else None,
            given["question"],
            given["answer"].strip(),
            label,
            slots,
        )

    def _text(self, place: str, record: Record, name: str) -> str | None:
        value = record.get(name)
        if name == "answer" and isinstance(value, NUMBERS):
            value = ("Yes" if value else "No") if isinstance(value, bool) else str(value)
        if value is None or value == "":
            self._add("field", place, f"without `{name}`")
        elif not isinstance(value, str):
            self._add("field", place, f"its `{name}` is {_shorten(value)}, which is not a text")
        elif not value.strip():
            self._add("field", place, f"without `{name}`")
        elif len(value) > LONGEST_TEXT:
            self._add("field", place, f"its `{name}` has more than {LONGEST_TEXT:,} characters")
        elif "\0" in value:
            self._add("field", place, f"its `{name}` {HOLDS_NUL}")
        else:
            if name == "question" and looks_double_encoded(value):
                self.found.add("encoding", (self._at(place),), f"its `{name}` {LOOKS_DOUBLE_ENCODED}", severity="note")
            return value
        return None

    def _find_subtype(self, place: str, name: str, origin: Any) -> Subtype | None:
        subtype = find_subtype(name.strip(), origin.strip() if isinstance(origin, str) else None)
        if subtype is None:
            known = len(read_wordings().subtypes)
            self._add("subtype", place, f"its subtype {_shorten(name)} is none of the {known} known ones")
        return subtype

    def _read_slots(self, place: str, record: Record) -> dict[str, str] | None:
        slots = {}
        for name in SLOTS:
            value = record.get(name)
            if value is None or value == "":
                continue
            if not isinstance(value, str) or "\0" in value or len(value) > LONGEST_TEXT:
                self._add("field", place, f"its `{name}` is {_shorten(value)}, which is not a text")
                return None
            slots[name] = value.strip()
        return slots

    def _is_selected(self, subtype: Subtype, written: str) -> bool:
        groups = self._options.groups
        return not groups or not {subtype.group, subtype.name, written.strip()}.isdisjoint(groups)

    def _read_label(self, place: str, answer: str, subtype: Subtype) -> Value | None:
        label = parse_label(answer, subtype.answer)
        if isinstance(label, Invalid):
            expected = read_wordings().answers[subtype.answer]
            self._add(
                "answer",
                place,
                f"its answer {_shorten(answer)} is not {expected}, as {subtype.name} needs ({label.reason})",
            )
            return None
        return label

    def _has_slots(self, place: str, subtype: Subtype, slots: Mapping[str, str]) -> bool:
        if self._options.prompt_style != "template":
            return True
        if missing := [name for name in subtype.slots if name not in slots]:
            named = " and ".join(f"`{name}`" for name in missing)
            self._add("slot", place, f"without {named}, which the wording of {subtype.name} needs")
        return not missing

    def _find_id(self, place: str, given: Mapping[str, str], slots: Mapping[str, str]) -> str | None:
        sample_id = make_id(given["image_id"], given["subtype"].strip(), given["question"], slots)
        if first := self._seen.get(sample_id):
            self._add("double", place, f"asks the same about the same image as {self._at(first)}; keep one of them")
            return None
        self._seen[sample_id] = place
        return sample_id

    def _with_image(self, place: str, row: UrbanRow) -> UrbanRow | None:
        image = self.images.find(row.image_id)
        if isinstance(image, str):
            self._add("image", place, image)
            return None
        return replace(row, image=image)

    def _complain(self, place: str, reason: str) -> None:
        self._add("torn", place, reason)

    def _note(self, place: str, reason: str) -> None:
        self.found.add("joined", (self._at(place),), reason, severity="note")

    def _add(self, kind: str, place: str, reason: str) -> None:
        self.found.add(kind, (self._at(place),), reason)

    def _at(self, place: str) -> str:
        return f"{self._path.name} {place}"


class Images:
    """Finds the images that rows name, with or without an ending, and reads each once."""

    def __init__(self, folder: Path, follow_links: bool) -> None:
        self.paths: set[Path] = set()
        """Of the images that were found, usable or not."""
        self._folder = folder
        self._bounds = Bounds(folder, follow_links)
        self._files = NamedFiles()
        self._read: dict[str, Image | str] = {}

    def find(self, image_id: str) -> Image | str:
        """The image, or why there is none."""
        if image_id not in self._read:
            found = self._find(image_id)
            self._read[image_id] = found
            return found
        found = self._read[image_id]
        return f"{_shorten(image_id)}: as in an earlier row" if isinstance(found, str) else found

    def _find(self, image_id: str) -> Image | str:
        try:
            path = self.find_path(image_id)
            if path is None:
                endings = "" if _has_ending(image_id) else ", with any ending of an image"
                return f"there is no image {self._folder / image_id}{endings}"
            self._bounds.check(path)
            self.paths.add(path)
            return read_image(path)
        except UnusableImage as error:
            return f"{image_id} {error}"
        except VluresError as error:
            return f"{image_id} is {error}"
        except (OSError, ValueError) as error:  # a name that no file can have
            return f"{_shorten(image_id)} cannot be an image's name ({error})"

    def find_path(self, image_id: str) -> Path | None:
        """The image's file, whatever is in it; None if there is none. Raises VluresError for a name that several files
        have, OSError or ValueError for one that no file can have."""
        path = self._files.find(self._folder, image_id)
        if path is not None or _has_ending(image_id):
            return path
        endings = sorted({*IMAGE_SUFFIXES, *map(str.upper, IMAGE_SUFFIXES)})
        found = [path for ending in endings if (path := self._files.find(self._folder, image_id + ending)) is not None]
        distinct = list({path.resolve(): path for path in found}.values())
        if len(distinct) > 1:
            names = " and ".join(path.name for path in distinct[:2])
            raise VluresError(f"ambiguous: there are {names}; write the name with its ending")
        return distinct[0] if distinct else None


def _has_ending(image_id: str) -> bool:
    return Path(image_id).suffix.lower() in IMAGE_SUFFIXES


def _shorten(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:60]}…"
