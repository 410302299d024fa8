"""plan(): which requests are due. run(): due requests → backend → store."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import aclosing, suppress
from dataclasses import asdict, dataclass, replace
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
    """What a run would do. stale: requests whose stored answer is to another question, with their digests now."""

    cells: tuple[CellPlan, ...]
    shards: int
    stale: tuple[Request, ...]

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
    """Count what is due, answered, in flight and stale. Reads no picture again."""
    config = benchmark.config
    cells = {cell: CellPlan(cell, left_out=benchmark.left_out(cell)) for cell in config.cells}
    in_flight = _in_flight(store)
    stale = []
    shards = lines = size = 0
    for request in benchmark.requests():
        counts = cells[request.cell]
        entry = store.entry(request.cell, request.sample_id)
        if is_stale(entry, request.digest) or in_flight.get(request.key, request.digest) != request.digest:
            stale.append(request)
        if request.key in in_flight:
            counts.in_flight += 1
        elif not is_due(entry):
            counts.answered += 1
        else:
            counts.due += 1
            request_bytes = about_bytes(request)
            counts.bytes += request_bytes
            if shards == 0 or lines == config.batch_size or size + request_bytes > config.batch_bytes:
                shards, lines, size = shards + 1, 0, 0
            lines, size = lines + 1, size + request_bytes
    return Plan(tuple(cells.values()), shards, tuple(stale))


def _in_flight(store: CheckpointStore) -> dict[str, str]:
    """key → digest of what a batch holds that was created, or may have been."""
    jobs = [job for job in store.open_jobs() if job.state in ("creating", "created")]
    return {key: digest for job in jobs for key, digest in job.requests.items()}


def about_bytes(request: Request) -> int:
    """What the request takes on the wire, in about: its texts in UTF-8, its picture in base64, some JSON around them."""
    text = len(request.prompt.system.encode()) + sum(len(piece.encode()) for piece in request.prompt.pieces)
    return text + encoded_length(request.image) + LINE_OVERHEAD_BYTES


def prepare(benchmark: Benchmark, store: CheckpointStore) -> Plan:
    """Settle what stored answers mean for this run, and plan it.

    Raises VluresError if some are to another question and nobody said what to do with them.
    """
    plan = make_plan(benchmark, store)
    asked_again = _settle_stale(benchmark, store, plan) + _settle_redo(benchmark, store)
    return make_plan(benchmark, store) if asked_again else plan


def _settle_stale(benchmark: Benchmark, store: CheckpointStore, plan: Plan) -> int:
    """Stop, keep or redo the answers whose question has changed, as the configuration says. How many are redone.

    Raises VluresError for `stop`, with how many and why.
    """
    config = benchmark.config
    if not plan.stale or config.stale == "keep":
        return 0
    if config.stale == "redo":
        answered = [r for r in plan.stale if is_stale(store.entry(r.cell, r.sample_id), r.digest)]
        for request in answered:
            store.ask_again(request.cell, request.sample_id, "stale")
        return len(answered)
    why = " and ".join(_what_changed(benchmark, store)) or "the model, its parameters, the prompts or the data"
    raise VluresError(
        f"{len(plan.stale)} stored answer(s) in {store.folder} are to another question: {why} changed since. Add --stale keep to "
        "keep them, --stale redo to ask again (and pay again), or give this run another --name."
    )


def _settle_redo(benchmark: Benchmark, store: CheckpointStore) -> int:
    """Make truncated or refused answers due where the configuration says so. A redo that was interrupted goes on
    where it stopped: what it has already asked again is not asked a third time. How many are asked again."""
    wanted = [
        (cell, sample.id, entry)
        for cell, sample in (benchmark.questions() if benchmark.config.redo else ())
        if (entry := store.entry(cell, sample.id)) and entry.status in benchmark.config.redo
    ]
    if any(entry.due for _, _, entry in wanted):
        return 0
    for cell, sample_id, entry in wanted:
        store.ask_again(cell, sample_id, f"redo {entry.status}")
    return len(wanted)


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
        "vlures": vlures.__version__,
        "provider": config.backend,
        "mode": config.run_mode,
        "model": config.run_model,
        "parameters": config.parameters,
        "config": asdict(config),
        "prompt_digests": {
            f"{cell.language}-t{cell.task}": _digest(prompt) for cell, prompt in benchmark.prompts.items()
        },
        "data_digests": {
            code: _digest([(sample.id, sample.image.digest, sample.text) for sample in dataset.samples])
            for code, dataset in benchmark.datasets.items()
        },
        "planned": planned,
    }


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

    statuses: Counter[str]
    failures: Counter[str]
    last_failure: str = ""
    hopeless: bool = True

    def add(self, response: Response) -> None:
        self.statuses[response.status] += 1
        if response.error is not None and response.status == "failed":
            self.failures[response.error.code] += 1
            self.last_failure = f"{response.error.code}: {response.error.message}"
            self.hopeless = self.hopeless and not response.error.transient

    def is_hopeless(self, at_least: int) -> bool:
        """Whether every single request failed for one and the same lasting reason."""
        failed = self.statuses["failed"]
        alone = failed == self.statuses.total() and len(self.failures) == 1
        return self.hopeless and alone and failed >= at_least


async def run(
    benchmark: Benchmark,
    store: CheckpointStore,
    backend: Backend,
    observer: RunObserver,
    keep_going: Callable[[], bool] = lambda: True,
) -> Tally:
    """Ask the backend for all that is due and store every response as it comes.

    keep_going: asked before each request is sent; once it is False, what is in flight is still waited for.
    Raises Incomplete when the disk has no room left, VluresError when nothing can ever come of it.
    """
    ever_answered = any(
        entry.status in FINAL_STATUSES for cell in store.cells for entry in store.entries(cell).values()
    )
    tally = Tally(Counter(), Counter())
    room = _Room(store)
    requests = _due_requests(benchmark, store, lambda: keep_going() and room.is_left())
    syncing = asyncio.create_task(_keep_syncing(store))
    try:
        async with aclosing(backend.generate(requests, store)) as responses:
            async for response in responses:
                if store.append(response):
                    tally.add(response)
                    observer.answered(response)
                if not ever_answered and tally.is_hopeless(HOPELESS_AFTER):
                    raise _hopeless(tally)
    finally:
        syncing.cancel()
        with suppress(asyncio.CancelledError):
            await syncing
        store.sync()
    if room.ran_out:
        raise Incomplete(
            f"The disk of {store.folder} is nearly full, so nothing more was sent; make room and run again."
        )
    if not ever_answered and tally.is_hopeless(1):
        raise _hopeless(tally)
    return tally


@dataclass(slots=True)
class _Room:
    store: CheckpointStore
    ran_out: bool = False

    def is_left(self) -> bool:
        self.ran_out = self.ran_out or self.store.is_short_of_room()
        return not self.ran_out


def _due_requests(benchmark: Benchmark, store: CheckpointStore, keep_going: Callable[[], bool]) -> Iterator[Request]:
    """Due requests, looked at one by one when the backend has room for them. A stale one that is in flight and to
    be kept takes the digest of the question that was really sent."""
    kept = {}
    if benchmark.config.stale == "keep":
        kept = _in_flight(store)
    for cell, sample in benchmark.questions():
        if not keep_going():
            return
        if is_due(store.entry(cell, sample.id)):
            request = benchmark.request(cell, sample)
            yield replace(request, digest=kept.get(request.key, request.digest)) if kept else request


def _hopeless(tally: Tally) -> VluresError:
    return VluresError(
        f"All {tally.statuses.total()} requests so far failed in the same way and nothing is stored as an answer: "
        f"{tally.last_failure} Mend what it names and run again."
    )


async def _keep_syncing(store: CheckpointStore) -> None:
    while True:
        await asyncio.sleep(1)
        await asyncio.to_thread(store.sync)


def count_due(benchmark: Benchmark, store: CheckpointStore) -> int:
    """Requests of the selection that still have no answer."""
    return sum(is_due(store.entry(cell, sample.id)) for cell, sample in benchmark.questions())


def failures_by_reason(responses: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """How often each reason stands among failed responses."""
    return Counter(
        f"{response['error']['code']}: {response['error']['message']}"
        for response in responses
        if response.get("status") == "failed" and response.get("error")
    )
