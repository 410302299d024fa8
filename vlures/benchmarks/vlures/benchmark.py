"""VLURes as a benchmark: datasets, prompts, and the requests made from them."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from vlures.benchmarks import Question, Skips, digest_content, make_request
from vlures.benchmarks.problems import refuse_data
from vlures.benchmarks.vlures.answer_length import expect_tokens
from vlures.benchmarks.vlures.dataset import Reading, Selection, find_reading, load_reading
from vlures.benchmarks.vlures.dataset.language_names import find_folder_language
from vlures.benchmarks.vlures.languages import LANGUAGES, Language, find_language
from vlures.benchmarks.vlures.options import Options
from vlures.benchmarks.vlures.prompts import CellPrompt, build_cell_prompt, load_pack
from vlures.benchmarks.vlures.samples import Dataset, Sample
from vlures.benchmarks.vlures.settings import Setting, make_cell, parse_cell
from vlures.benchmarks.vlures.tasks import TASKS
from vlures.benchmarks.vlures.text_language import check_text_languages, describe_crossing, remember_text_languages
from vlures.errors import UsageError, VluresError, counted
from vlures.files.text import describe_double_encoded, looks_double_encoded
from vlures.records import AskedModel, Cell, Image, Request
from vlures.store.checkpoints import CheckpointStore


@dataclass(frozen=True)
class VluresBenchmark:
    """The samples of each language and the prompts of each cell, as vlures.benchmarks.Benchmark."""

    options: Options
    asked: AskedModel
    datasets: Mapping[str, Dataset]
    """By the language's code; languages may share one."""
    prompts: Mapping[Cell, CellPrompt]
    skips: Skips | None = None
    """Images that are left out."""
    name: str = field(default="vlures", init=False)

    @property
    def variant(self) -> Setting:
        return self._setting

    def cells(self) -> Sequence[Cell]:
        return [make_cell(code, task) for code in self.options.languages for task in self.options.tasks]

    def questions(self) -> Iterator[Question]:
        for codes in self._languages_by_dataset():
            for sample in self.samples(codes[0]):
                for cell in self._cells_about(sample, codes):
                    yield Question(cell, str(sample.id))

    def requests(self) -> Iterator[Request]:
        """Every question as a request, in order."""
        return map(self.request, self.questions())

    def request(self, question: Question) -> Request:
        language, _ = parse_cell(question.cell)
        sample = self._samples_by_id[language][question.sample_id]
        prompt = self.prompts[question.cell].fill(sample.text)
        return make_request(question, self.variant, self.asked, prompt, sample.image, LANGUAGES[language].tag)

    def images(self) -> Iterator[Image]:
        return (sample.image for codes in self._languages_by_dataset() for sample in self.samples(codes[0]))

    def samples(self, language_code: str) -> tuple[Sample, ...]:
        """The language's samples that the configuration selects."""
        samples = self.datasets[language_code].samples
        if self.options.samples:
            wanted = set(self.options.samples)
            samples = tuple(sample for sample in samples if sample.id in wanted)
        return samples[: self.options.limit]

    def left_out(self, cell: Cell) -> int:
        """Number of samples without the text that the cell's task needs, or with a skipped image."""
        language, task = parse_cell(cell)
        return sum(not self._is_asked(sample, task) for sample in self.samples(language))

    def expected_output_tokens(self, cell: Cell) -> int:
        _, task = parse_cell(cell)
        return expect_tokens(task, self.variant)

    def describe(self) -> Mapping[str, Any]:
        return {
            "text_languages": find_text_languages(self.options, self.datasets),
            "prompt_digests": {cell: digest_content(prompt) for cell, prompt in self.prompts.items()},
            "data_digests": {_part(code, dataset): digest_data(dataset) for code, dataset in self.datasets.items()},
            "data_sources": {code: dataset.fetched for code, dataset in self.datasets.items() if dataset.fetched},
        }

    @property
    def find_fault(self) -> None:
        return None

    def conclude(self, store: CheckpointStore) -> None: ...

    def check_folder(self, store: CheckpointStore) -> None:
        folders = {code: dataset.folder for code, dataset in self.datasets.items()}
        check_text_languages(store, find_text_languages(self.options, self.datasets), folders)

    def mark_folder(self, store: CheckpointStore) -> None:
        remember_text_languages(store, find_text_languages(self.options, self.datasets))

    def notes(self) -> Iterator[str]:
        folders = {code: dataset.folder for code, dataset in self.datasets.items()}
        if crossing := describe_crossing(find_text_languages(self.options, self.datasets), folders):
            yield crossing
        for dataset in {id(dataset): dataset for dataset in self.datasets.values()}.values():
            if count := sum(error.times for error in dataset.errors):
                problems = f"{dataset.folder} has {counted(count, 'problem')}, and those files are left out"
                yield f"{problems}; `{_name_check(dataset)}` names them."
        shown = {sample.text for codes in self._languages_by_dataset() for sample in self.samples(codes[0])}
        if doubtful := sum(looks_double_encoded(text) for text in shown if text is not None):
            yield describe_double_encoded(doubtful)

    def _cells_about(self, sample: Sample, codes: Sequence[str]) -> Iterator[Cell]:
        if self._is_skipped(sample):
            return
        for code in codes:
            for task in self.options.tasks:
                if sample.text is not None or not TASKS[task].needs_text:
                    yield make_cell(code, task)

    def _is_asked(self, sample: Sample, task: int) -> bool:
        return (sample.text is not None or not TASKS[task].needs_text) and not self._is_skipped(sample)

    def _is_skipped(self, sample: Sample) -> bool:
        return self.skips is not None and self.skips(sample.image)

    @cached_property
    def _setting(self) -> Setting:
        """One object shared by a million requests."""
        return self.options.setting

    @cached_property
    def _samples_by_id(self) -> Mapping[str, Mapping[str, Sample]]:
        by_dataset = {
            id(dataset): {str(sample.id): sample for sample in dataset.samples} for dataset in self.datasets.values()
        }
        return {code: by_dataset[id(dataset)] for code, dataset in self.datasets.items()}

    def _languages_by_dataset(self) -> list[list[str]]:
        by_dataset: dict[int, list[str]] = {}
        for code in self.options.languages:
            by_dataset.setdefault(id(self.datasets[code]), []).append(code)
        return list(by_dataset.values())


def load_benchmark(options: Options, asked: AskedModel, skips: Skips | None = None) -> VluresBenchmark:
    """Read the datasets and prompt packs.

    skips: images to leave out, along with the files that `vlures check` finds wrong; None to leave out nothing.
    Raises VluresError for a broken pack and, where nothing is left out, for wrong files.
    """
    datasets = load_datasets(options)
    for dataset in {id(dataset): dataset for dataset in datasets.values()}.values():
        if dataset.errors and skips is None:
            raise refuse_data(dataset.folder, dataset.errors, _name_check(dataset), "files")
    known = {sample.id for dataset in datasets.values() for sample in dataset.samples}
    if unknown := [number for number in options.samples if number not in known]:
        every = load_datasets(replace(options, samples=(), limit=None))
        there = {sample.id for dataset in every.values() for sample in dataset.samples}
        raise VluresError(f"No dataset has a sample with the ID {unknown[0]}; there are {_name_ids(there)}.")
    return VluresBenchmark(options, asked, datasets, load_prompts(options), skips)


def _name_check(dataset: Dataset) -> str:
    return shlex.join(["vlures", "check", "--dataset", str(dataset.folder)])


MOST_NAMED = 8


def _name_ids(numbers: Collection[int]) -> str:
    """Numbers in order, runs of them as `1-6`; the first few of many."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    named = [f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs]
    return ", ".join(named[:MOST_NAMED]) + (", …" if len(named) > MOST_NAMED else "")


def load_datasets(options: Options) -> dict[str, Dataset]:
    """The dataset of each language. Languages that share a folder share its samples, unless it assigns them."""
    selection = Selection(frozenset(options.samples), options.limit)
    readings = {
        language.code: find_language_reading(options, language, selection) for language in options.run_languages
    }
    if options.columns and all(reading.table is None for reading in readings.values()):
        folder = next(iter(readings.values())).folder
        raise UsageError(
            f"--columns is for a table (metadata.parquet, .jsonl or .csv), and {folder} has none; leave it out."
        )
    by_reading: dict[Reading, Dataset] = {}
    for reading in readings.values():
        if reading not in by_reading:
            by_reading[reading] = load_reading(reading)
    return {code: by_reading[reading] for code, reading in readings.items()}


def find_language_reading(options: Options, language: Language, selection: Selection) -> Reading:
    """How to read the dataset of a language."""
    folder = options.dataset_folder(language)
    texts = options.text_language_of(language)
    columns = tuple(options.columns.items())
    return find_reading(folder, options.text_encoding, texts, columns, selection, follow_links=options.follow_links)


def find_text_languages(options: Options, datasets: Mapping[str, Dataset]) -> dict[str, str]:
    """Language code → code of its texts' language, from the configuration, else the dataset, else the folder's name.

    Languages for which none of these says anything are left out.
    """
    found = {}
    for code, dataset in datasets.items():
        named = find_folder_language(dataset.folder.name)
        texts = options.text_language.get(code) or dataset.language or (named.code if named else None)
        if texts is not None:
            found[code] = texts
    return found


def load_prompts(options: Options) -> dict[Cell, CellPrompt]:
    """The prompt of every cell."""
    directory = Path(options.prompts) if options.prompts else None
    prompts = {}
    for language in options.run_languages:
        pack = load_pack(language, directory)
        example_language = find_language(options.example_language or language.code) or language
        example_pack = load_pack(example_language, directory)
        for task in options.tasks:
            prompts[make_cell(language.code, task)] = build_cell_prompt(
                pack, example_pack, TASKS[task], options.setting
            )
    return prompts


def digest_data(dataset: Dataset) -> str:
    """Digest of all images and articles of a dataset, as run.json holds it."""
    return digest_content([(sample.id, sample.image.digest, sample.text) for sample in dataset.samples])


def _part(code: str, dataset: Dataset) -> str:
    """The part of a dataset that a digest covers: only equal parts of a table can be compared."""
    return f"{code} ({dataset.selection})" if dataset.selection else code
