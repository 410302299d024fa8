"""Everything a run may ask: datasets, prompts, and the requests that they make."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from vlures.benchmarks.vlures.dataset import Reading, Selection, find_reading, load_reading
from vlures.benchmarks.vlures.dataset.languages import find_folder_language
from vlures.benchmarks.vlures.prompts import CellPrompt, build_cell_prompt, load_pack
from vlures.config.run_config import RunConfig
from vlures.errors import UsageError, VluresError
from vlures.pricing import describe_refusal
from vlures.records import (
    TASKS,
    Cell,
    Dataset,
    Image,
    Language,
    Parameters,
    Request,
    Sample,
    digest_request,
    find_language,
    request_key,
)


@dataclass(frozen=True)
class Benchmark:
    """Everything a run may ask: the samples of each language and the prompts of each cell."""

    config: RunConfig
    datasets: Mapping[str, Dataset]
    prompts: Mapping[Cell, CellPrompt]

    def samples(self, language_code: str) -> tuple[Sample, ...]:
        """The language's samples that the configuration selects."""
        samples = self.datasets[language_code].samples
        if self.config.samples:
            wanted = set(self.config.samples)
            samples = tuple(sample for sample in samples if sample.id in wanted)
        return samples[: self.config.limit]

    def left_out(self, cell: Cell) -> int:
        """Samples without the text that the cell's task needs, or with an image that is refused and skipped."""
        return sum(not self._is_asked(sample, cell.task) for sample in self.samples(cell.language))

    def refusals(self) -> dict[Image, str]:
        """Images that the model is known to refuse, without a charge, each with a sentence on why."""
        samples = (sample for codes in self._languages_by_dataset() for sample in self.samples(codes[0]))
        said = {sample.image: self._why_refused(sample.image) for sample in samples}
        return {image: why for image, why in said.items() if why is not None}

    def _why_refused(self, image: Image) -> str | None:
        config = self.config
        return describe_refusal(config.backend, config.run_model, image.width, image.height, self._parameters)

    def _is_asked(self, sample: Sample, task: int) -> bool:
        if sample.text is None and TASKS[task].needs_text:
            return False
        return not (self.config.skip_problems and self._why_refused(sample.image))

    def questions(self) -> Iterator[tuple[Cell, Sample]]:
        """What may be asked, sample by sample and mixed over cells, so that a picture's requests stand together."""
        for codes in self._languages_by_dataset():
            for sample in self.samples(codes[0]):
                for code in codes:
                    for task in self.config.tasks:
                        if self._is_asked(sample, task):
                            yield Cell(code, task), sample

    def requests(self) -> Iterator[Request]:
        """Every question as a request, in their order."""
        return (self.request(cell, sample) for cell, sample in self.questions())

    def request(self, cell: Cell, sample: Sample) -> Request:
        config = self.config
        prompt = self.prompts[cell].fill(sample.text)
        return Request(
            key=request_key(cell, config.setting, sample.id),
            cell=cell,
            sample_id=sample.id,
            model=config.run_model,
            parameters=self._parameters,
            prompt=prompt,
            image=sample.image,
            digest=digest_request(config.backend, config.run_model, self._parameters, prompt, sample.image),
        )

    @cached_property
    def _parameters(self) -> Parameters:
        """The same for a million requests."""
        return self.config.parameters

    def _languages_by_dataset(self) -> list[list[str]]:
        by_dataset: dict[int, list[str]] = {}
        for code in self.config.languages:
            by_dataset.setdefault(id(self.datasets[code]), []).append(code)
        return list(by_dataset.values())


def load_benchmark(config: RunConfig) -> Benchmark:
    """Read the datasets and prompt packs of a configuration.

    Raises VluresError for a broken pack, and for files that `vlures check` finds wrong unless they are to be skipped.
    """
    datasets = load_datasets(config)
    for dataset in {id(dataset): dataset for dataset in datasets.values()}.values():
        if dataset.errors and not config.skip_problems:
            first = dataset.errors[0]
            raise VluresError(
                f"{dataset.folder} has {sum(error.times for error in dataset.errors):,} problem(s), the first: {', '.join(first.files)}: {first.reason}. "
                "See them all with `vlures check`; mend them, or leave those files out with --skip-problems."
            )
    known = {sample.id for dataset in datasets.values() for sample in dataset.samples}
    if unknown := [number for number in config.samples if number not in known]:
        raise VluresError(f"No dataset has a sample with the ID {unknown[0]}; see the IDs with `vlures check`.")
    return Benchmark(config, datasets, load_prompts(config))


def load_datasets(config: RunConfig) -> dict[str, Dataset]:
    """The dataset of each language. Languages that share a folder share its samples, unless it says which have which."""
    selection = Selection(frozenset(config.samples), config.limit)
    readings = {language.code: find_language_reading(config, language, selection) for language in config.run_languages}
    if config.columns and all(reading.table is None for reading in readings.values()):
        folder = next(iter(readings.values())).folder
        raise UsageError(
            f"--columns is for a table (metadata.parquet, .jsonl or .csv), and {folder} has none; leave it out."
        )
    by_reading: dict[Reading, Dataset] = {}
    for reading in readings.values():
        if reading not in by_reading:
            by_reading[reading] = load_reading(reading)
    return {code: by_reading[reading] for code, reading in readings.items()}


def find_language_reading(config: RunConfig, language: Language, selection: Selection) -> Reading:
    """How the dataset of a language is to be read."""
    folder = config.dataset_folder(language)
    texts = config.text_language_of(language)
    columns = tuple(config.columns.items())
    return find_reading(folder, config.text_encoding, texts, columns, selection, follow_links=config.follow_links)


def find_text_languages(config: RunConfig, datasets: Mapping[str, Dataset]) -> dict[str, str]:
    """Language code → code of its texts' language: what the configuration says, else the dataset, else the folder's name.

    A language whose texts nobody says anything of is left out.
    """
    found = {}
    for code, dataset in datasets.items():
        named = find_folder_language(dataset.folder.name)
        texts = config.text_language.get(code) or dataset.language or (named.code if named else None)
        if texts is not None:
            found[code] = texts
    return found


def load_prompts(config: RunConfig) -> dict[Cell, CellPrompt]:
    """The prompt of every cell."""
    directory = Path(config.prompts) if config.prompts else None
    prompts = {}
    for language in config.run_languages:
        pack = load_pack(language, directory)
        example_language = find_language(config.example_language or language.code) or language
        example_pack = load_pack(example_language, directory)
        for task in config.tasks:
            prompts[Cell(language.code, task)] = build_cell_prompt(pack, example_pack, TASKS[task], config.setting)
    return prompts


def digest_data(dataset: Dataset) -> str:
    """Digest of all images and articles of a dataset, as run.json holds it."""
    return digest([(sample.id, sample.image.digest, sample.text) for sample in dataset.samples])


def digest(content: object) -> str:
    return hashlib.sha256(repr(content).encode()).hexdigest()[:32]
