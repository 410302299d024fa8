"""What a run would do: which requests are due, which stored answers are stale, and what it costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from vlures.backends import find_uploaded
from vlures.benchmarks import Benchmark
from vlures.config.environment import read_environment
from vlures.errors import VluresError, counted
from vlures.pricing import (
    CALIBRATE_AFTER,
    Calibration,
    Estimate,
    Totals,
    calibrate,
    recalibrate,
)
from vlures.records import Cell, Image, Request, Usage
from vlures.runs.allowances import is_only_raised, same_question
from vlures.runs.config import RunConfig
from vlures.runs.prepare import Prepared
from vlures.runs.redo import sizes_when_redo_began
from vlures.runs.refused_images import describe_refusals, find_refusals
from vlures.runs.run_record import what_changed
from vlures.runs.standing_answers import RequestState, Rules
from vlures.runs.upload_estimate import UploadEstimate
from vlures.store.cell_state import Entry
from vlures.store.checkpoints import CheckpointStore
from vlures.store.due import is_due
from vlures.store.keys import parse_key


@dataclass(slots=True)
class CellPlan:
    """Counts of one cell's requests."""

    cell: Cell
    title: str
    due: int = 0
    answered: int = 0
    imported: int = 0
    """Of the answered ones."""
    usable: int = 0
    """Answered `ok` by this run, not imported."""
    in_flight: int = 0
    left_out: int = 0
    bytes: int = 0
    """Approximate upload of the due ones."""
    tokens: Totals = field(default_factory=Totals)
    """Estimated for the due ones."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would do."""

    cells: tuple[CellPlan, ...]
    shards: int
    """Batches that the run would create."""
    stale: int
    """Stored answers to a question that has changed since."""
    asked_again: tuple[tuple[Cell, str, str], ...]
    """Cell, sample ID and reason of answered requests that are due again."""
    changed_in_flight: int
    """Requests in batches whose question has changed since."""
    image_bytes: int = 0
    """Bytes of the images still to be uploaded as files, once for all requests."""
    saved_bytes: int = 0
    """How many bytes fewer this is than with images inline."""
    calibration: Calibration | None = None
    """What earlier answers of this run say about the estimates."""
    refused: tuple[str, ...] = ()
    """Sentences about images that the model is known to refuse; their requests are due and cost nothing."""

    @property
    def tokens(self) -> Totals:
        """Estimated for everything that is due, corrected by earlier answers where there are enough of them."""
        totals = Totals()
        for cell in self.cells:
            totals.add_all(cell.tokens)
        return recalibrate(totals, self.calibration) if self.calibration else totals

    @property
    def bytes(self) -> int:
        """Approximate upload."""
        return self.total("bytes") + self.image_bytes

    def total(self, what: str) -> int:
        return sum(getattr(cell, what) for cell in self.cells)

    @property
    def selected(self) -> int:
        return self.total("due") + self.total("answered") + self.total("in_flight")


def make_plan(prepared: Prepared, store: CheckpointStore) -> Plan:
    """Count what is due, answered, in flight and stale. Does not read images again and writes nothing."""
    config, benchmark = prepared.config, prepared.benchmark
    rules = Rules(
        config.target.asked,
        config.again.redo,
        config.again.stale,
        same_question(config.target, config.again.redo, store.read_json("run.json")),
        sizes_when_redo_began(store),
        _in_flight(store),
    )
    counter = _PlanCounter(prepared, store)
    for question in benchmark.questions():
        request = benchmark.request(question)
        entry = store.entry(request.cell, request.sample_id)
        decided = rules.decide(request, entry, benchmark.variant.checkpoint_file(request.cell))
        counter.add(request, entry, decided)
    return counter.plan()


class _PlanCounter:
    """Adds up what was decided about each request."""

    def __init__(self, prepared: Prepared, store: CheckpointStore) -> None:
        config, benchmark = prepared.config, prepared.benchmark
        self._prepared = prepared
        self._store = store
        self._estimator = prepared.estimator
        title = benchmark.variant.title
        self._cells = {
            cell: CellPlan(cell, title(cell), left_out=benchmark.left_out(cell)) for cell in benchmark.cells()
        }
        self._asked_again: list[tuple[Cell, str, str]] = []
        self._stale = self._changed_in_flight = 0
        self._transport = prepared.provider.image_transport(config.backend_options)
        self._upload = UploadEstimate(
            config.batches.batch_size, config.batches.batch_bytes, self._transport == "inline"
        )
        self._refusals = find_refusals(prepared.provider, config.target, benchmark.images())
        self._refused: Counter[Image] = Counter()
        self._compared: list[tuple[Estimate, Usage | None]] = []

    def add(self, request: Request, entry: Entry | None, decided: RequestState) -> None:
        self._stale += decided.is_stale
        if decided.asked_again:
            self._asked_again.append((request.cell, request.sample_id, decided.asked_again))
        counts = self._cells[request.cell]
        if decided.state == "in flight":
            counts.in_flight += 1
            self._changed_in_flight += decided.changed
        elif decided.state == "answered":
            self._add_answered(counts, request, entry)
        else:
            self._add_due(counts, request)

    def _add_answered(self, counts: CellPlan, request: Request, entry: Entry | None) -> None:
        counts.answered += 1
        if entry is None or entry.imported:
            counts.imported += entry is not None
            return
        counts.usable += entry.status == "ok"
        if self._estimator and len(self._compared) < CALIBRATE_AFTER:
            self._compared.append((self._estimator.estimate(request), self._store.usage(request.cell, entry)))

    def _add_due(self, counts: CellPlan, request: Request) -> None:
        counts.due += 1
        counts.bytes += self._upload.add(request)
        if request.image is not None and request.image in self._refusals:
            self._refused[request.image] += 1
        elif self._estimator:
            counts.tokens.add(self._estimator.estimate(request))

    def plan(self) -> Plan:
        config, transport, upload = self._prepared.config, self._transport, self._upload
        files = _bytes_to_upload(self._prepared, self._store, upload.images.values()) if transport == "file" else 0
        left_out = config.selection.skip_problems
        return Plan(
            cells=tuple(self._cells.values()),
            shards=upload.shards,
            stale=self._stale,
            asked_again=tuple(self._asked_again),
            changed_in_flight=self._changed_in_flight,
            image_bytes=files,
            saved_bytes=0 if transport == "inline" else upload.inline_bytes - files,
            calibration=calibrate(self._compared) if len(self._compared) == CALIBRATE_AFTER else None,
            refused=tuple(describe_refusals(config.target.model, self._refusals, self._refused, left_out=left_out)),
        )


def _bytes_to_upload(prepared: Prepared, store: CheckpointStore, images: Iterable[Image]) -> int:
    """Bytes of the images that the provider does not have as files yet. The run's own sandbox keeps none between
    runs."""
    if prepared.config.rehearsal.sandbox or not store.jobs_path.is_file():
        return sum(image.size_bytes for image in images)
    is_uploaded = find_uploaded(prepared.provider, prepared.config.backend_options, read_environment(), store)
    return sum(image.size_bytes for image in images if not is_uploaded(image))


def _in_flight(store: CheckpointStore) -> dict[str, str]:
    """Key → digest of the requests in batches that were, or may have been, created."""
    jobs = [job for job in store.open_jobs() if job.state in ("creating", "created")]
    return {key: digest for job in jobs for key, digest in job.requests.items()}


def check_plan(config: RunConfig, benchmark: Benchmark, store: CheckpointStore, plan: Plan) -> None:
    """Refuse a run that would mix answers to different questions, or batches of different providers.

    Raises VluresError saying how many, why, and what to do.
    """
    for job in store.open_jobs():
        ours = config.target.mode == "batch" and job.provider.lower() == config.who.backend
        if job.state in ("creating", "created") and not ours:
            raise VluresError(
                f"{store.folder} has a batch of {job.provider} in flight; collect it first with "
                f"--backend {job.provider.lower()} --mode batch, or give this run another --name."
            )
    if plan.stale and config.again.stale == "stop":
        why = (
            " and ".join(what_changed(config, benchmark, store)) or "the model, its parameters, the prompts or the data"
        )
        advice = "Add"
        if is_only_raised(config.target, store.read_json("run.json")) and "truncated" not in config.again.redo:
            advice = "Add --redo truncated to ask only those again that were cut short and keep the others, or"
        raise VluresError(
            f"{counted(plan.stale, 'stored answer')} in {store.folder} answered another question: {why} changed since. "
            f"{advice} --stale keep to keep them, --stale redo to ask again (and pay again), or give this run another "
            "--name."
        )


def needs_canary(config: RunConfig, store: CheckpointStore, plan: Plan) -> bool:
    """Whether one request goes first, live. Batches take hours to show that a key, a model or a parameter is wrong; a
    usable answer, or a batch under way, shows that they are right."""
    bulk = plan.total("due") > 1 and config.target.mode == "batch"
    return config.batches.canary and bulk and not plan.total("usable") and not store.open_jobs()


def count_due(benchmark: Benchmark, store: CheckpointStore) -> int:
    """Requests of the selection that still have no answer."""
    return sum(is_due(store.entry(question.cell, question.sample_id)) for question in benchmark.questions())


def count_unsent(benchmark: Benchmark, store: CheckpointStore) -> int:
    """Those among them that are in no open batch."""
    in_batches = {parse_key(key, store.variant) for job in store.open_jobs() for key in job.requests}
    return sum(
        is_due(store.entry(question.cell, question.sample_id))
        for question in benchmark.questions()
        if (question.cell, question.sample_id) not in in_batches
    )
