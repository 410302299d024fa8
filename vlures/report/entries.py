"""What a report shows of runs: one entry per question, with the answers of all runs beside each other.

Answers stand side by side only where they are about the same sample in the same cell *and* the same image and text: an
ID alone may mean another picture in another run.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vlures.backends import find_provider
from vlures.benchmarks import BenchmarkPackage, Heading, require_stored_variants
from vlures.errors import counted
from vlures.judge.answers import digest_text, refuse_judge
from vlures.judge.pairs import Preference, read_preferences
from vlures.judge.verdicts import Verdict, about, is_about, read_verdicts
from vlures.pricing.costs import prices_of
from vlures.records import Cell, Image, Response, Status, Variant
from vlures.results.files import summarise
from vlures.results.rehearsal import is_rehearsal
from vlures.results.rows import StandingResponse, read_standing_responses
from vlures.store.checkpoints import CheckpointStore
from vlures.store.keys import key_prefix, sample_of
from vlures.tables.reading import name_runs

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ShownRun:
    """One run in one variant: a column of the report."""

    folder: Path
    name: str
    """Of its folder; its path where two have the same."""
    variant: Variant
    package: BenchmarkPackage
    run: Mapping[str, Any]
    """Its run.json."""
    summary: Mapping[str, Any]
    """Counts by status and costs, as summarise gives them."""
    rehearsal: bool
    """A sandbox gave its answers."""
    answered_by: Counter[str] = field(default_factory=Counter)
    """Answers by the model that gave them."""
    times: list[str] = field(default_factory=list)
    """When its first and last answers were stored, ISO 8601; empty where there are none."""

    @property
    def benchmark(self) -> str:
        return str(self.run.get("benchmark", "vlures"))

    @property
    def label(self) -> str:
        return f"{self.name} · {self.variant.label}"


@dataclass(frozen=True, slots=True)
class ShownAnswer:
    """What one run answered, and what was said of it."""

    status: Status
    text: str | None
    reasoning: str | None
    why: str
    """Why it is not `ok`; empty if it is."""
    model: str | None
    """The one that answered."""
    output_tokens: int | None
    notes: tuple[str, ...]
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One question, and the answers to it by the number of the run that gave them."""

    cell: Cell
    sample_id: str
    heading: Heading
    image: Image | None
    """None where it is gone or has changed, or where none was shown."""
    text: str | None
    """That belongs to the image: an article, or the question itself."""
    text_name: str
    """What the benchmark calls this text."""
    dimensions: Mapping[str, str]
    """By what entries can be filtered, such as language and task."""
    facts: Mapping[str, str]
    """What else is known of the question, such as its reference answer."""
    prefixes: Mapping[int, str]
    """What the keys of its requests begin with, by the number of the run."""
    answers: Mapping[int, ShownAnswer]
    preferences: tuple[Preference, ...] = ()
    """Which of two answers judges have found better."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Everything that a report shows."""

    runs: tuple[ShownRun, ...]
    entries: tuple[Entry, ...]
    """By cell, then by sample."""
    raters: tuple[tuple[str, str], ...]
    """Who said something of the answers: name and kind (judge or person)."""
    verdicts: tuple[Verdict, ...]
    """All that stand, controls included, each with the name of its run."""
    notes: tuple[str, ...]
    """What cannot be shown, and why, each a sentence."""


def read_shown(folders: Iterable[Path], say: Say) -> Shown:
    """Everything that runs have stored. say: called with a sentence about what cannot be shown.

    Raises VluresError for a folder that holds no run, and for a stored line that cannot be read.
    """
    reading = _Reading(say)
    for folder, name in name_runs(folders).items():
        reading.read(folder, name)
    return Shown(
        tuple(reading.runs),
        tuple(sorted(reading.entries(), key=_order)),
        tuple(dict.fromkeys((verdict.rater, verdict.kind) for verdict in reading.verdicts)),
        tuple(reading.verdicts),
        tuple(dict.fromkeys(reading.notes)),
    )


def _order(entry: Entry) -> tuple[str, int, str, str]:
    """As exports order samples."""
    return entry.cell, len(entry.sample_id), entry.sample_id, entry.image.digest if entry.image else ""


_Question = tuple[str, Cell, str, str, str]
"""Benchmark, cell, sample, digest of the image, text: what makes two questions the same."""


_Place = tuple[str, Cell, str]
"""Variant, cell and sample: where an answer stands in its run."""


class _Reading:
    """Collects the runs' answers, question by question."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self.runs: list[ShownRun] = []
        self.verdicts: list[Verdict] = []
        self.notes: list[str] = []
        self._first: dict[_Question, StandingResponse] = {}
        self._answers: dict[_Question, dict[int, ShownAnswer]] = defaultdict(dict)
        self._preferences: dict[_Question, list[Preference]] = defaultdict(list)
        self._prefixes: dict[_Question, dict[int, str]] = defaultdict(dict)
        self._of_runs = {"sample_id"}
        """Columns that filter no entries: they differ between the runs that answered the same question, or always."""

    def read(self, folder: Path, name: str) -> None:
        begin = len(self.runs)
        self.runs += _read_runs(folder, name, self._say)
        numbers = {run.variant.label: number for number, run in enumerate(self.runs) if number >= begin}
        verdicts = self._read_verdicts(folder, name)
        preferences: dict[_Place, list[Preference]] = defaultdict(list)
        for preference in read_preferences(folder):
            preferences[preference.variant, preference.cell, preference.sample_id].append(preference)
        for standing in read_standing_responses(folder, self._note):
            number = numbers[standing.variant.label]
            question = self._add(number, standing, verdicts)
            place = standing.variant.label, standing.cell, sample_of(standing.response.key)
            digest = digest_text(standing.response.text or "")
            self._preferences[question] += (
                each for each in preferences.get(place, ()) if each.answer_digests[0] in ("", digest)
            )
        if left := sum(map(len, verdicts.values())):
            self._note(
                f"{name}: {counted(left, 'verdict is', '', '') if left == 1 else f'{left:,} verdicts are'} not "
                "shown: the answers they are about have changed since, or are gone."
            )

    def _read_verdicts(self, folder: Path, name: str) -> dict[_Place, list[Verdict]]:
        found: dict[_Place, list[Verdict]] = defaultdict(list)
        for verdict in read_verdicts(folder):
            found[about(verdict)[1:]].append(verdict if verdict.run == name else replace(verdict, run=name))
        return found

    def _note(self, sentence: str) -> None:
        self.notes.append(sentence)
        self._say(sentence)

    def _add(
        self,
        number: int,
        standing: StandingResponse,
        verdicts: dict[_Place, list[Verdict]],
    ) -> _Question:
        """Returns the question that it answers."""
        run, row, response, subject = self.runs[number], standing.row, standing.response, standing.subject
        sample_id = sample_of(response.key)
        image = subject.image if subject else None
        question = (
            run.benchmark,
            standing.cell,
            sample_id,
            image.digest if image else "",
            (subject.text or "") if subject else "",
        )
        # Only the question's first answer is kept whole: its row describes the question.
        first = self._first.setdefault(question, standing).row
        self._of_runs |= {name for name in standing.package.columns(standing.run).question if row[name] != first[name]}
        where = run.variant.label, standing.cell, sample_id
        said = verdicts.pop(where, [])
        standing_verdicts = _that_stand(said, response)
        if gone := [verdict for verdict in said if verdict not in standing_verdicts]:
            verdicts[where] = gone
        self.verdicts += standing_verdicts
        self._answers[question][number] = _show(response, standing_verdicts)
        self._prefixes[question][number] = key_prefix(standing.cell, standing.variant)
        if response.text is not None and response.model:
            run.answered_by[response.model] += 1
        if response.time:
            run.times[:] = [min([*run.times, response.time]), max([*run.times, response.time])]
        return question

    def entries(self) -> Iterator[Entry]:
        for question, standing in self._first.items():
            row, subject = standing.row, standing.subject
            columns = standing.package.columns(standing.run)
            known = {name: row.get(name) for name in columns.question if name not in self._of_runs}
            more = {name: subject.columns.get(name) if subject else None for name in columns.subject}
            text = subject.text if subject else None
            beside = {name: value for name, value in more.items() if value != text}
            yield Entry(
                cell=standing.cell,
                sample_id=sample_of(standing.response.key),
                heading=standing.heading,
                image=subject.image if subject else None,
                text=text,
                text_name=next((name for name, value in more.items() if text and value == text), "text"),
                dimensions=_as_texts(known | beside),
                facts=_as_texts(beside),
                prefixes=self._prefixes[question],
                answers=self._answers[question],
                preferences=tuple(self._preferences[question]),
            )


def _as_texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in values.items() if value not in (None, "")}


def _read_runs(folder: Path, name: str, say: Say) -> Iterator[ShownRun]:
    for package, variant in require_stored_variants(folder):
        store = CheckpointStore(folder, variant, writable=False, say=say)
        run = store.read_json("run.json")
        refuse_judge(folder, run)
        summary = summarise(name, store, prices_of(run, find_provider))
        yield ShownRun(folder, name, variant, package, run, summary, is_rehearsal(store))


def _that_stand(verdicts: Iterable[Verdict], response: Response) -> list[Verdict]:
    """Those about the text that stands now; a control may be about another."""
    digest = digest_text(response.text) if response.status == "ok" and response.text is not None else None
    return [verdict for verdict in verdicts if is_about(verdict, digest)]


def _show(response: Response, verdicts: Iterable[Verdict]) -> ShownAnswer:
    error = response.error
    reasons = [response.finish_reason, error.code if error else None, error.message if error else None]
    return ShownAnswer(
        status=response.status,
        text=response.text,
        reasoning=response.reasoning,
        why="" if response.status == "ok" else ": ".join(reason for reason in reasons if reason),
        model=response.model,
        output_tokens=response.usage.output_tokens if response.usage else None,
        notes=tuple(response.notes or ()),
        verdicts=tuple(verdict for verdict in verdicts if verdict.control is None),
    )
