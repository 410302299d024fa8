"""Answers as data for the page: an index of all entries, and chunks that the page unpacks when it shows them.

A chunk is JSON in UTF-8, compressed with gzip and written in base64: browsers unpack it by themselves
(https://developer.mozilla.org/docs/Web/API/DecompressionStream), and no character of an answer stands in the HTML.
`page.js` and its neighbours read what this file writes.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vlures.judge.pairs import Preference
from vlures.judge.verdicts import Verdict
from vlures.records import STATUSES, Cell
from vlures.report.entries import Entry, Shown, ShownAnswer
from vlures.report.languages import direction_of, language_of

ENTRIES_PER_CHUNK = 250
"""A cell's entries are cut into chunks of at most so many: one is unpacked in a few milliseconds."""
TEXTS_PER_CHUNK = 64
MOST_VALUES = 40
"""A dimension with more values than that is no filter."""
LONGEST_VALUE = 40
"""Characters of a value that still can be chosen from a list."""
NO_ANSWER = -1


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts that belong to images, each once, and which of them each entry has."""

    every: tuple[str, ...]
    of_entry: tuple[int, ...]
    """-1 where it has none."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of the data under the name by which the page finds it."""

    name: str
    packed: str
    """In base64."""


def pack(name: str, content: object) -> Chunk:
    data = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace")
    return Chunk(name, base64.b64encode(gzip.compress(data, 6, mtime=0)).decode("ascii"))


def collect_texts(entries: Sequence[Entry]) -> Texts:
    numbers: dict[str, int] = {}
    of_entry = [NO_ANSWER if not entry.text else numbers.setdefault(entry.text, len(numbers)) for entry in entries]
    return Texts(tuple(numbers), tuple(of_entry))


def pack_texts(texts: Texts) -> Iterator[Chunk]:
    """Articles and questions, each with its language and direction."""
    for number, start in enumerate(range(0, len(texts.every), TEXTS_PER_CHUNK)):
        part = texts.every[start : start + TEXTS_PER_CHUNK]
        yield pack(f"texts-{number}", [[text, *_language(text, None)] for text in part])


def pack_answers(shown: Shown, entries: Sequence[Entry]) -> Iterator[Chunk]:
    """The answers of all runs, with what was said of them, chunk by chunk in the order of the entries."""
    numbers = {rater: number for number, rater in enumerate(shown.raters)}
    for number, part in enumerate(_cut(entries)):
        yield pack(f"answers-{number}", [_describe(entry, len(shown.runs), numbers) for entry in part])


def pack_reasoning(shown: Shown, entries: Sequence[Entry]) -> Iterator[Chunk]:
    """What models gave of their reasoning, in chunks like those of the answers. A chunk without any is left out."""
    for number, part in enumerate(_cut(entries)):
        content = [[_reasoning(entry.answers.get(run)) for run in range(len(shown.runs))] for entry in part]
        if any(map(any, content)):
            yield pack(f"reasoning-{number}", content)


def _reasoning(answer: ShownAnswer | None) -> str:
    return (answer.reasoning or "") if answer else ""


def _cut(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    start = 0
    for end in range(1, len(entries) + 1):
        if end == len(entries) or entries[end].cell != entries[start].cell or end - start == ENTRIES_PER_CHUNK:
            yield entries[start:end]
            start = end


def _describe(entry: Entry, runs: int, raters: Mapping[tuple[str, str], int]) -> dict[str, Any]:
    answers = [entry.answers.get(run) for run in range(runs)]
    preferences = [_describe_preference(preference) for preference in entry.preferences]
    return {
        "facts": entry.facts,
        "answers": [answer and _describe_answer(answer, entry.heading.language, raters) for answer in answers],
        **({"preferences": preferences} if preferences else {}),
    }


def _describe_preference(preference: Preference) -> dict[str, Any]:
    return {
        "judge": preference.judge,
        "runs": preference.runs,
        "decision": preference.decision,
        "choices": dict(preference.choices),
        "reasons": dict(preference.reasons),
    }


def _describe_answer(
    answer: ShownAnswer, language: str | None, raters: Mapping[tuple[str, str], int]
) -> dict[str, Any]:
    """Without what is empty: 32,000 answers have few notes."""
    described = {
        "status": STATUSES.index(answer.status) or None,
        "text": answer.text,
        "language": _language(answer.text or "", language),
        "why": answer.why,
        "model": answer.model,
        "tokens": answer.output_tokens,
        "notes": answer.notes,
        "verdicts": [_describe_verdict(verdict, raters) for verdict in answer.verdicts],
    }
    return {name: value for name, value in described.items() if value not in (None, "", [], ())}


def _describe_verdict(verdict: Verdict, raters: Mapping[tuple[str, str], int]) -> dict[str, Any]:
    described = {
        "rater": raters[verdict.rater, verdict.kind],
        "overall": verdict.overall,
        "criteria": dict(verdict.criteria),
        "reasons": verdict.reasons,
        "missing": verdict.missing,
    }
    return {name: value for name, value in described.items() if value not in (None, "", {})}


def _language(text: str, known: str | None) -> list[str | None]:
    """Language and direction, for the attributes of the element that shows the text."""
    language = language_of(text, known)
    return [language, direction_of(language)]


def describe_index(
    shown: Shown,
    entries: Sequence[Entry],
    images: Sequence[int],
    texts: Texts,
    described_images: Sequence[Sequence[Any]] = (),
) -> tuple[dict[str, Any], Chunk]:
    """What the page needs to list and to filter: a small part in plain JSON, and a column of values per property of
    the entries.

    images: the number of each entry's image, -1 where it has none. described_images: name, width, height and, where it
    is linked, the address of each.
    """
    dimensions = find_dimensions(entries)
    runs, raters = range(len(shown.runs)), shown.raters
    manifest = {
        "runs": [{"label": run.label, "model": str(run.run.get("model") or "")} for run in shown.runs],
        "raters": [{"name": name, "kind": kind} for name, kind in raters],
        "dimensions": [{"name": dimension.name, "values": dimension.labels} for dimension in dimensions],
        "cells": _describe_cells(entries),
        "chunks": [len(part) for part in _cut(entries)],
        "textsPerChunk": TEXTS_PER_CHUNK,
        "statuses": STATUSES,
    }
    columns = {
        "sample": [entry.sample_id for entry in entries],
        "image": images,
        "pictures": described_images,
        "text": texts.of_entry,
        "textName": _as_codes([entry.text_name for entry in entries]),
        "dimensions": [dimension.codes for dimension in dimensions],
        "status": [[_status_code(entry.answers.get(run)) for entry in entries] for run in runs],
        "scores": [[[_score(entry.answers.get(run), rater) for entry in entries] for run in runs] for rater in raters],
        "differs": [int(differs(entry)) for entry in entries],
    }
    return manifest, pack("index", columns)


def _describe_cells(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    cells: dict[Cell, dict[str, Any]] = {}
    for entry in entries:
        found = cells.setdefault(
            entry.cell, {"title": entry.heading.title, "name": entry.cell, "entries": 0, "prefixes": set()}
        )
        found["entries"] += 1
        found["prefixes"] |= set(entry.prefixes.values())
    return [cell | {"prefixes": sorted(cell["prefixes"])} for cell in cells.values()]


def _status_code(answer: ShownAnswer | None) -> int:
    return STATUSES.index(answer.status) if answer else NO_ANSWER


def _score(answer: ShownAnswer | None, rater: tuple[str, str]) -> int | None:
    """What a rater gave an answer; the last word where it was asked more than once."""
    scores = [
        verdict.overall for verdict in (answer.verdicts if answer else ()) if (verdict.rater, verdict.kind) == rater
    ]
    return scores[-1] if scores else None


def differs(entry: Entry) -> bool:
    """Whether runs answered the question differently."""
    said = {(answer.status, " ".join((answer.text or "").split())) for answer in entry.answers.values()}
    return len(said) > 1


@dataclass(frozen=True, slots=True)
class Dimension:
    """A property of entries by which they can be filtered."""

    name: str
    labels: Sequence[str]
    codes: Sequence[int]
    """The number of each entry's label; -1 where it has none."""


def find_dimensions(entries: Sequence[Entry]) -> list[Dimension]:
    """The benchmark's own, as far as they have a handful of short values. Two that always go together, as a language's
    code and its name, are one."""
    found: list[Dimension] = []
    for name in dict.fromkeys(name for entry in entries for name in entry.dimensions):
        values = [entry.dimensions.get(name) for entry in entries]
        if not _is_filter(values):
            continue
        twin = next((number for number, other in enumerate(found) if _go_together(other, values)), None)
        if twin is None:
            labels, codes = _as_codes(values)
            found.append(Dimension(name, labels, codes))
        else:
            found[twin] = _join(found[twin], values)
    return found


def _is_filter(values: Iterable[str | None]) -> bool:
    distinct = {value for value in values if value is not None}
    return 1 < len(distinct) <= MOST_VALUES and max(map(len, distinct)) <= LONGEST_VALUE


def _as_codes(values: Sequence[str | None]) -> tuple[list[str], list[int]]:
    numbers: dict[str, int] = {value: number for number, value in enumerate(_sorted(set(values) - {None}))}
    return list(numbers), [NO_ANSWER if value is None else numbers[value] for value in values]


def _sorted(values: Iterable[str | None]) -> list[str]:
    """Numbers by their size, then words."""
    return sorted(
        (value for value in values if value is not None),
        key=lambda value: (not value.isdecimal(), int(value) if value.isdecimal() else 0, value),
    )


def _go_together(dimension: Dimension, values: Sequence[str | None]) -> bool:
    pairs = set(zip(dimension.codes, values, strict=True))
    return len(pairs) == len({code for code, _ in pairs}) == len({value for _, value in pairs})


def _join(dimension: Dimension, values: Sequence[str | None]) -> Dimension:
    beside = dict(zip(dimension.codes, values, strict=True))
    labels = [f"{label} {beside[code]}" if beside.get(code) else label for code, label in enumerate(dimension.labels)]
    return Dimension(dimension.name, labels, dimension.codes)
