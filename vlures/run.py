"""plan(): which requests are due. run(): due requests → backend → store."""

from __future__ import annotations

import asyncio
import hashlib
import platform
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import vlures
from vlures.backends import Backend, Observer
from vlures.config import RunConfig
from vlures.dataset import load_dataset
from vlures.errors import Incomplete, VluresError
from vlures.images import encoded_length
from vlures.prompts import CellPrompt, build_cell_prompt, load_pack
from vlures.records import (
    FINAL_STATUSES,
    TASKS,
    Cell,
    Dataset,
    Request,
    Response,
    Sample,
    digest_request,
    find_language,
    request_key,
)
from vlures.store import CheckpointStore, Entry, now

LINE_OVERHEAD_BYTES = 300
REDO_FILE = "redo.json"
HOPELESS_AFTER = 20
"""So many failures of one kind, and no answer ever, mean that the next thousand would fail as well."""


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
        """Samples without the text that the cell's task needs."""
        return sum(sample.text is None for sample in self.samples(cell.language)) if TASKS[cell.task].needs_text else 0

    def questions(self) -> Iterator[tuple[Cell, Sample]]:
        """What may be asked, sample by sample and mixed over cells, so that a picture's requests stand together."""
        for codes in self._languages_by_folder():
            for sample in self.samples(codes[0]):
                for code in codes:
                    for task in self.config.tasks:
                        if sample.text is not None or not TASKS[task].needs_text:
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
            parameters=config.parameters,
            prompt=prompt,
            image=sample.image,
            digest=digest_request(config.backend, config.run_model, config.parameters, prompt, sample.image),
        )

    def _languages_by_folder(self) -> list[list[str]]:
        by_folder: dict[Path, list[str]] = {}
        for code in self.config.languages:
            by_folder.setdefault(self.datasets[code].folder, []).append(code)
        return list(by_folder.values())


def load_benchmark(config: RunConfig) -> Benchmark:
    """Read the datasets and prompt packs of a configuration.

    Raises VluresError for a broken pack, and for files that `vlures check` finds wrong unless they are to be skipped.
    """
    datasets = load_datasets(config)
    for dataset in {dataset.folder: dataset for dataset in datasets.values()}.values():
        if dataset.errors and not config.skip_problems:
            first = dataset.errors[0]
            raise VluresError(
                f"{dataset.folder} has {len(dataset.errors)} problem(s), the first: {', '.join(first.files)}: {first.reason}. "
                "See them all with `vlures check`; mend them, or leave those files out with --skip-problems."
            )
    known = {sample.id for dataset in datasets.values() for sample in dataset.samples}
    if unknown := [number for number in config.samples if number not in known]:
        raise VluresError(f"No dataset has a sample with the ID {unknown[0]}; see the IDs with `vlures check`.")
    return Benchmark(config, datasets, load_prompts(config))


def load_datasets(config: RunConfig) -> dict[str, Dataset]:
    """The dataset of each language; languages that share a folder share its samples."""
    by_folder: dict[Path, Dataset] = {}
    datasets = {}
    for language in config.run_languages:
        folder = config.dataset_folder(language)
        if folder not in by_folder:
            by_folder[folder] = load_dataset(folder, config.text_encoding)
        datasets[language.code] = by_folder[folder]
    return datasets


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


# What is due


@dataclass(slots=True)
class CellPlan:
    """Counts of one cell's requests. bytes: what the due ones would send, in about the provider's form."""

    cell: Cell
    due: int = 0
    answered: int = 0
    in_flight: int = 0
    left_out: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would do.

    stale: how many stored answers are to a question that has changed since. asked_again: answered requests that are due
    all the same, with the reason. changed_in_flight: how many requests in batches are to a question that has changed.
    """

    cells: tuple[CellPlan, ...]
    shards: int
    stale: int
    asked_again: tuple[tuple[Cell, int, str], ...]
    changed_in_flight: int
    picture_bytes: int = 0
    saved_bytes: int = 0

    @property
    def bytes(self) -> int:
        """What the run would upload, in about."""
        return self.total("bytes") + self.picture_bytes

    def total(self, what: str) -> int:
        return sum(getattr(cell, what) for cell in self.cells)

    @property
    def selected(self) -> int:
        return self.total("due") + self.total("answered") + self.total("in_flight")


def is_due(entry: Entry | None) -> bool:
    """Whether a request with this standing response is to be asked."""
    return entry is None or entry.due or entry.status not in FINAL_STATUSES


def is_stale(entry: Entry | None, digest: str) -> bool:
    """Whether the stored answer is to another question than today's."""
    return entry is not None and entry.status in FINAL_STATUSES and not entry.due and entry.digest != digest


def make_plan(benchmark: Benchmark, store: CheckpointStore) -> Plan:
    """Count what is due, answered, in flight and stale. Reads no picture again and writes nothing."""
    config = benchmark.config
    cells = {cell: CellPlan(cell, left_out=benchmark.left_out(cell)) for cell in config.cells}
    in_flight = _in_flight(store)
    redo_from = store.read_json(REDO_FILE).get("sizes", {})
    asked_again = []
    stale = changed_in_flight = shards = lines = size = inline_bytes = 0
    pictures: dict[str, int] = {}
    for request in benchmark.requests():
        counts = cells[request.cell]
        entry = store.entry(request.cell, request.sample_id)
        again = None
        if entry and is_stale(entry, request.digest):
            stale += 1
            again = "stale" if config.stale == "redo" else None
        if entry and entry.status in config.redo and not is_due(entry):
            size_then = redo_from.get(store.checkpoint_path(request.cell).name) if redo_from else None
            if size_then is None or entry.offset < size_then:
                again = f"redo {entry.status}"
        if again:
            asked_again.append((request.cell, request.sample_id, again))
        if request.key in in_flight:
            counts.in_flight += 1
            changed_in_flight += in_flight[request.key] != request.digest
        elif not is_due(entry) and not again:
            counts.answered += 1
        else:
            counts.due += 1
            request_bytes = about_text_bytes(request)
            if config.image_transport == "inline":
                request_bytes += encoded_length(request.image)
            counts.bytes += request_bytes
            pictures.setdefault(request.image.digest, request.image.size_bytes)
            inline_bytes += encoded_length(request.image)
            if shards == 0 or lines == config.batch_size or size + request_bytes > config.batch_bytes:
                shards, lines, size = shards + 1, 0, 0
            lines, size = lines + 1, size + request_bytes
    files = sum(pictures.values()) if config.image_transport == "file" else 0
    saved = 0 if config.image_transport == "inline" else inline_bytes - files
    return Plan(tuple(cells.values()), shards, stale, tuple(asked_again), changed_in_flight, files, saved)


def _in_flight(store: CheckpointStore) -> dict[str, str]:
    """key → digest of what a batch holds that was created, or may have been."""
    jobs = [job for job in store.open_jobs() if job.state in ("creating", "created")]
    return {key: digest for job in jobs for key, digest in job.requests.items()}


def about_text_bytes(request: Request) -> int:
    """What the request takes on the wire without its picture, in about: its texts in UTF-8, some JSON around them."""
    text = len(request.prompt.system.encode()) + sum(len(piece.encode()) for piece in request.prompt.pieces)
    return text + LINE_OVERHEAD_BYTES


def check_plan(benchmark: Benchmark, store: CheckpointStore, plan: Plan) -> None:
    """Refuse a run that would mix answers to different questions, or of different providers' batches.

    Raises VluresError saying how many, why, and what to do.
    """
    config = benchmark.config
    for job in store.open_jobs():
        ours = config.run_mode == "batch" and job.provider.lower() == config.backend
        if job.state in ("creating", "created") and not ours:
            raise VluresError(
                f"{store.folder} has a batch of {job.provider} in flight; collect it first with --backend {job.provider.lower()}, "
                "or give this run another --name."
            )
    if plan.stale and config.stale == "stop":
        why = " and ".join(_what_changed(benchmark, store)) or "the model, its parameters, the prompts or the data"
        raise VluresError(
            f"{plan.stale} stored answer(s) in {store.folder} are to another question: {why} changed since. Add --stale keep to "
            "keep them, --stale redo to ask again (and pay again), or give this run another --name."
        )


def mark_asked_again(store: CheckpointStore, plan: Plan) -> None:
    """Make due what was answered and is to be asked again. How long the checkpoints were then is remembered until the
    run is complete, so that a redo that was interrupted goes on and asks nothing a third time."""
    if not plan.asked_again:
        return
    if not store.read_json(REDO_FILE):
        paths = [store.checkpoint_path(cell) for cell in store.cells]
        store.write_json(REDO_FILE, {"time": now(), "sizes": {path.name: path.stat().st_size for path in paths}})
    for cell, sample_id, why in plan.asked_again:
        store.ask_again(cell, sample_id, why)


def end_redo(store: CheckpointStore) -> None:
    """A run is complete, so the next --redo is a new one."""
    (store.folder / REDO_FILE).unlink(missing_ok=True)


def describe_run(benchmark: Benchmark) -> dict[str, Any]:
    """What run.json holds: resolved configuration, versions, digests, and how much there is to ask."""
    config = benchmark.config
    planned = {}
    for cell in config.cells:
        left_out = benchmark.left_out(cell)
        samples = len(benchmark.samples(cell.language)) - left_out
        planned[f"{cell.language}-t{cell.task}"] = {"requests": samples, "left_out": left_out}
    return {
        "time": now(),
        "versions": {"vlures": vlures.__version__, **_versions("openai", "google-genai", "pillow")},
        "provider": config.backend,
        "mode": config.run_mode,
        "model": config.run_model,
        "parameters": config.parameters,
        "config": asdict(config),
        "prompt_digests": {
            f"{cell.language}-t{cell.task}": _digest(prompt) for cell, prompt in benchmark.prompts.items()
        },
        "data_digests": {code: digest_data(dataset) for code, dataset in benchmark.datasets.items()},
        "planned": planned,
    }


def digest_data(dataset: Dataset) -> str:
    """Digest of all images and articles of a dataset, as run.json holds it."""
    return _digest([(sample.id, sample.image.digest, sample.text) for sample in dataset.samples])


def _versions(*packages: str) -> dict[str, str]:
    return {"python": platform.python_version(), **{package: version(package) for package in packages}}


def _digest(content: object) -> str:
    return hashlib.sha256(repr(content).encode()).hexdigest()[:32]


def _what_changed(benchmark: Benchmark, store: CheckpointStore) -> list[str]:
    """What differs between the last run of this folder and this one, in words."""
    before, today = store.read_json("run.json"), describe_run(benchmark)
    changed = []
    for key in ("provider", "model", "parameters"):
        if before.get(key) != today[key]:
            changed.append(f"the {key} ({before.get(key)} → {today[key]})")
    for key, words in (("prompt_digests", "the prompts of"), ("data_digests", "the images or texts of")):
        old = before.get(key) or {}
        names = [name for name, digest in today[key].items() if old.get(name, digest) != digest]
        if names:
            changed.append(f"{words} {', '.join(names[:4])}{' …' if len(names) > 4 else ''}")
    return changed


# Running


class RunObserver(Observer, Protocol):
    """An observer that also wants every response."""

    def answered(self, response: Response) -> None: ...


@dataclass(slots=True)
class Tally:
    """What one run has received."""

    statuses: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    codes: set[str] = field(default_factory=set)
    hopeless: bool = True

    def add(self, response: Response) -> None:
        self.statuses[response.status] += 1
        if response.error is not None and response.status == "failed":
            self.failures[f"{response.error.code}: {response.error.message}"] += 1
            self.codes.add(response.error.code)
            self.hopeless = self.hopeless and not response.error.transient

    def is_hopeless(self, at_least: int) -> bool:
        """Whether every single request failed for one and the same lasting reason."""
        failed = self.statuses["failed"]
        alone = failed == self.statuses.total() and len(self.codes) == 1
        return self.hopeless and alone and failed >= at_least


async def run(
    benchmark: Benchmark,
    store: CheckpointStore,
    backend: Backend,
    observer: RunObserver,
    tally: Tally,
    keep_going: Callable[[], bool] = lambda: True,
) -> None:
    """Ask the backend for all that is due, store every response as it comes and count it in the tally.

    keep_going: asked before each request is sent; once it is False, what is in flight is still waited for.
    Raises Incomplete when the disk has no room left, VluresError when nothing can ever come of it.
    """
    ever_answered = any(
        entry.status in FINAL_STATUSES for cell in store.cells for entry in store.entries(cell).values()
    )
    room = _Room(store)
    others: set[str] = set()
    requests = _due_requests(benchmark, store, lambda: keep_going() and room.is_left())
    syncing = asyncio.create_task(_keep_syncing(store))
    try:
        async with aclosing(backend.generate(requests, store)) as responses:
            async for response in responses:
                if store.append(response):
                    _say_once_of_another_model(benchmark.config.run_model, response.model, others, observer)
                    tally.add(response)
                    observer.answered(response)
                if not ever_answered and tally.is_hopeless(HOPELESS_AFTER):
                    raise _hopeless(tally)
    finally:
        syncing.cancel()
        await asyncio.wait([syncing])
        store.sync()
    if room.ran_out:
        raise Incomplete(
            f"The disk of {store.folder} is nearly full, so nothing more was sent; make room and run again."
        )
    if not ever_answered and tally.is_hopeless(1):
        raise _hopeless(tally)


def _say_once_of_another_model(asked: str, answered: str | None, others: set[str], observer: Observer) -> None:
    """A dated snapshot of the model (`gpt-6-luna-2026-09-01`) and a server's own path to it are the same model."""
    if answered is None or answered in others:
        return
    name = answered.rpartition("/")[2]
    if name == asked.rpartition("/")[2] or re.fullmatch(rf"{re.escape(asked)}[-@.:]?[\d.-]+", name):
        return
    others.add(answered)
    observer.say(f"Answers come from the model {answered}, not from {asked}; each says so under `model`.")


@dataclass(slots=True)
class _Room:
    store: CheckpointStore
    ran_out: bool = False

    def is_left(self) -> bool:
        self.ran_out = self.ran_out or self.store.is_short_of_room()
        return not self.ran_out


def _due_requests(benchmark: Benchmark, store: CheckpointStore, keep_going: Callable[[], bool]) -> Iterator[Request]:
    """Due requests, looked at one by one when the backend has room for them."""
    for cell, sample in benchmark.questions():
        if not keep_going():
            return
        if is_due(store.entry(cell, sample.id)):
            yield benchmark.request(cell, sample)


def _hopeless(tally: Tally) -> VluresError:
    return VluresError(
        f"All {tally.statuses.total()} requests so far failed in the same way and nothing is stored as an answer: "
        f"{next(iter(tally.failures))} Mend what it names and run again."
    )


async def _keep_syncing(store: CheckpointStore) -> None:
    while True:
        await asyncio.sleep(1)
        await asyncio.to_thread(store.sync)


def count_due(benchmark: Benchmark, store: CheckpointStore) -> int:
    """Requests of the selection that still have no answer."""
    return sum(is_due(store.entry(cell, sample.id)) for cell, sample in benchmark.questions())
