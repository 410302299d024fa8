"""The images and articles that a run's stored answers are about, as far as they still exist unchanged."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any

import msgspec

from vlures.benchmarks import Assignment, Question, Subject, digest_content
from vlures.benchmarks.columns import Columns
from vlures.benchmarks.vlures.benchmark import VluresBenchmark, digest_data, find_language_reading, load_prompts
from vlures.benchmarks.vlures.dataset import Reading, Selection, load_reading
from vlures.benchmarks.vlures.languages import LANGUAGES
from vlures.benchmarks.vlures.options import Options
from vlures.benchmarks.vlures.prompts import build_cell_prompt, load_pack
from vlures.benchmarks.vlures.samples import Dataset, Sample
from vlures.benchmarks.vlures.settings import Setting, parse_cell
from vlures.benchmarks.vlures.tasks import TASKS
from vlures.config.resolve import stored_section, stored_target
from vlures.errors import VluresError
from vlures.files.names import path_as_text
from vlures.records import AskedModel, Cell, Response, Variant
from vlures.store.checkpoints import CheckpointStore

COLUMNS = Columns(
    question={
        "setting": str,
        "shots": int,
        "rationales": bool,
        "language": str,
        "language_name": str,
        "task": int,
        "task_code": str,
        "sample_id": int,
    },
    subject={"article": str},
    local={"article_path": str},
)
DATASETS_HELD = 8


def describe_question(variant: Variant, question: Question) -> Mapping[str, Any]:
    assert isinstance(variant, Setting)
    code, number = parse_cell(question.cell)
    language, task = LANGUAGES.get(code), TASKS.get(number)
    return {
        "setting": variant.label,
        "shots": variant.shots,
        "rationales": variant.rationales,
        "language": code,
        "language_name": language.name if language else None,
        "task": number,
        "task_code": task.code if task else None,
        "sample_id": int(question.sample_id),
    }


@dataclass(frozen=True, slots=True)
class _Language:
    """A language's samples today."""

    folder: Path
    samples: Mapping[str, Sample]
    then: VluresBenchmark | None
    """Today's questions, to compare digests with; None if no sample has changed since the last run."""
    ask: Callable[[], VluresBenchmark]
    """Returns today's questions."""
    prompt_digests: Mapping[str, str]
    """Of the prompts that the last run asked with, by cell."""


@dataclass(slots=True)
class VluresSubjects:
    """As vlures.benchmarks.Subjects."""

    languages: dict[str, _Language] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    withheld: int = 0
    _wordings: dict[Cell, tuple[str, str]] = field(default_factory=dict)
    """All instructions of a cell, and its task alone."""

    def find(self, question: Question, response: Response, *, wanted: bool) -> Subject | None:
        sample = self._find_sample(question, response, wanted=wanted)
        if sample is None:
            return None
        path = path_as_text(sample.text_path) if sample.text_path else None
        return Subject(sample.image, sample.text, {"article": sample.text, "article_path": path})

    def is_asked_today(self, question: Question, digest: str) -> bool:
        code, _ = parse_cell(question.cell)
        language = self.languages.get(code)
        known = language is not None and question.sample_id in language.samples
        return known and language is not None and _is_same(language.ask(), question, digest)

    def find_assignment(self, question: Question, response: Response) -> Assignment | None:
        code, number = parse_cell(question.cell)
        language = self.languages.get(code)
        sample = language.samples.get(question.sample_id) if language else None
        if language is None or sample is None or not _has_prompt(language, question, response):
            return None
        if question.cell not in self._wordings:
            options = language.ask().options
            directory = Path(options.prompts) if options.prompts else None
            self._wordings[question.cell] = _word_task(code, number, directory, options.setting)
        wording, task = self._wordings[question.cell]
        article = sample.text if TASKS[number].needs_text else None
        return Assignment(wording, article, str(number), LANGUAGES[code].tag, task)

    def _find_sample(self, question: Question, response: Response, *, wanted: bool) -> Sample | None:
        code, _ = parse_cell(question.cell)
        language = self.languages.get(code)
        if language is None:
            return None
        sample = language.samples.get(question.sample_id)
        if response.status == "failed" or response.imported:  # the question is unknown
            return sample
        if sample is not None and (language.then is None or _is_same(language.then, question, response.digest)):
            return sample
        if wanted and sample is None:
            raise VluresError(
                f"{language.folder} has no usable image with the ID {question.sample_id} any more, which "
                f"{response.key} is about; put it back (`vlures check` may say more), or export without --with-images."
            )
        if wanted and sample is not None:
            raise VluresError(
                f"{sample.image.path} is not what {response.key} is about: it, its article or the prompt has changed "
                "since. Put the old one back, ask again (`vlures run --stale redo`), or export without --with-images."
            )
        self.withheld += 1
        return None


def find_subjects(run: Mapping[str, Any], store: CheckpointStore) -> VluresSubjects:
    """run: the run.json of the store."""
    subjects = VluresSubjects()
    stored = _read_stored(run)
    if stored is None:
        subjects.missing.append(f"{store.folder / 'run.json'} does not say which dataset was asked about")
        return subjects
    options, asked = stored
    absent: dict[Path, list[str]] = {}
    for code in sorted({parse_cell(cell)[0] for cell in store.cells} & LANGUAGES.keys()):
        if isinstance(options.dataset, dict) and code not in options.dataset:
            subjects.missing.append(f"{store.folder / 'run.json'} names no dataset folder for {LANGUAGES[code].name}")
            continue
        folder = options.dataset_folder(LANGUAGES[code])
        try:
            dataset = _load_once(find_language_reading(options, LANGUAGES[code], _answered(store, code)))
        except VluresError:
            absent.setdefault(folder, []).append(LANGUAGES[code].name)
            continue
        samples = {str(sample.id): sample for sample in dataset.samples}
        unchanged = run.get("data_digests", {}).get(code) == digest_data(dataset)
        ask = cache(partial(_questions, options, asked, code, dataset))
        subjects.languages[code] = _Language(
            folder, samples, None if unchanged else ask(), ask, run.get("prompt_digests") or {}
        )
    for folder, names in absent.items():
        subjects.missing.append(
            f"Seen from here, the dataset folder {folder} ({', '.join(names)}) is not there or has no images"
        )
    return subjects


def _answered(store: CheckpointStore, code: str) -> Selection:
    """Only those samples of a table that have a response."""
    cells = (cell for cell in store.cells if parse_cell(cell)[0] == code)
    return Selection(frozenset(int(sample_id) for cell in cells for sample_id in store.entries(cell)))


def _read_stored(run: Mapping[str, Any]) -> tuple[Options, AskedModel] | None:
    """What the last run asked, and which model; None if that is missing or unreadable."""
    if "config" not in run:
        return None
    try:
        options, target = stored_section(Options, run["config"]), stored_target(run)
    except msgspec.ValidationError:
        return None
    return (options, target.asked) if target is not None else None


def _questions(options: Options, asked: AskedModel, code: str, dataset: Dataset) -> VluresBenchmark:
    """All questions in a language from today's images, articles and prompts."""
    asked_tasks = options.tasks
    options = replace(options, languages=(code,), tasks=tuple(TASKS), samples=(), limit=None)
    for tasks in (tuple(TASKS), asked_tasks):
        with suppress(VluresError):  # a pack is gone or broken, or lacks tasks that were never asked
            return VluresBenchmark(options, asked, {code: dataset}, load_prompts(replace(options, tasks=tasks)))
    return VluresBenchmark(options, asked, {code: dataset}, {})  # no question can be compared


def _is_same(then: VluresBenchmark, question: Question, digest: str) -> bool:
    return question.cell in then.prompts and then.request(question).digest == digest


def _has_prompt(language: _Language, question: Question, response: Response) -> bool:
    """Whether today's packs ask the question as it was asked. Of an imported answer, the question is unknown."""
    today = language.ask()
    prompt = today.prompts.get(question.cell)
    if prompt is None:
        return False
    same = language.prompt_digests.get(question.cell) == digest_content(prompt)
    return same or response.imported is not None or _is_same(today, question, response.digest)


ARTICLE_ELSEWHERE = "[…]"
"""Stands for the article in a task's wording."""


def _word_task(code: str, number: int, directory: Path | None, setting: Setting) -> tuple[str, str]:
    """All instructions of a task, and the task alone. The setting without worked examples gives them, where the pack
    has it."""
    pack, task = load_pack(LANGUAGES[code], directory), TASKS[number]
    plain = Setting(0, setting.rationales)
    if plain.label not in pack.has.settings:
        return f"{pack.system.strip()}\n\n{pack.tasks[number].strip()}", pack.tasks[number].strip()
    prompt = build_cell_prompt(pack, pack, task, plain)
    filled = prompt.fill(ARTICLE_ELSEWHERE if prompt.after is not None else None)
    return f"{pack.system.strip()}\n\n{filled.user.strip()}", pack.tasks[number].strip()


def _load_once(reading: Reading) -> Dataset:
    """A dataset, read again only when one of its files has changed: thousands of images take seconds to read."""
    return _load_marked(reading.folder.absolute(), reading, _mark(reading.folder))


@lru_cache(DATASETS_HELD)
def _load_marked(place: Path, reading: Reading, mark: tuple[object, ...]) -> Dataset:  # noqa: ARG001
    return load_reading(reading)


def _mark(folder: Path) -> tuple[object, ...]:
    """Names, sizes and times of the folder's files: changes when one of them does."""
    marks = []
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                state = (Path(root) / name).stat()
            except OSError:
                continue
            marks.append((root, name, state.st_size, state.st_mtime_ns))
    return tuple(sorted(marks))
