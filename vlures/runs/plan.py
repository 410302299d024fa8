"""What a run would do: which requests are due, what was answered to another question, what it takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from vlures.benchmarks.vlures.benchmark import Benchmark
from vlures.config.run_config import RunConfig, read_environment
from vlures.errors import UsageError, VluresError
from vlures.images import encoded_length
from vlures.pricing import (
    CALIBRATE_AFTER,
    Calibration,
    Estimate,
    TextCounter,
    Totals,
    calibrate,
    estimate_request,
    recalibrate,
)
from vlures.pricing.costs import PRICED, Prices
from vlures.pricing.spending import Spending
from vlures.records import FINAL_STATUSES, Cell, Image, Request, Usage, request_key
from vlures.runs.allowances import is_answer_to, is_only_raised, same_question
from vlures.runs.run_record import what_changed
from vlures.store.checkpoints import CheckpointStore, Entry, now
from vlures.store.due import is_due

LINE_OVERHEAD_BYTES = 300
REDO_FILE = "redo.json"


@dataclass(slots=True)
class CellPlan:
    """Counts of one cell's requests. imported, usable: of those that are answered, the latter by this run. bytes, tokens: what the due ones would send and
    get, by estimate."""

    cell: Cell
    due: int = 0
    answered: int = 0
    imported: int = 0
    usable: int = 0
    in_flight: int = 0
    left_out: int = 0
    bytes: int = 0
    tokens: Totals = field(default_factory=Totals)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would do.

    refused: what is known of images that the model refuses, as sentences; their requests are due and cost nothing. stale: how
    many stored answers are to a question that has changed since. asked_again: answered requests that are due
    all the same, with the reason. changed_in_flight: how many requests in batches are to a question that has changed.
    picture_bytes: what goes up once for all requests, where pictures are uploaded as files; not what is there already.
    saved_bytes: how much less all that is than with pictures inline. calibration: what earlier answers of this run tell of the
    estimates.
    """

    cells: tuple[CellPlan, ...]
    shards: int
    stale: int
    asked_again: tuple[tuple[Cell, int, str], ...]
    changed_in_flight: int
    picture_bytes: int = 0
    saved_bytes: int = 0
    calibration: Calibration | None = None
    refused: tuple[str, ...] = ()

    @property
    def tokens(self) -> Totals:
        """Of everything that is due, by estimate, put right by earlier answers where there are enough of them."""
        totals = Totals()
        for cell in self.cells:
            totals.add_all(cell.tokens)
        return recalibrate(totals, self.calibration) if self.calibration else totals

    @property
    def bytes(self) -> int:
        """What the run would upload, in about."""
        return self.total("bytes") + self.picture_bytes

    def total(self, what: str) -> int:
        return sum(getattr(cell, what) for cell in self.cells)

    @property
    def selected(self) -> int:
        return self.total("due") + self.total("answered") + self.total("in_flight")


def is_stale(entry: Entry | None, digest: str) -> bool:
    """Whether the stored answer is known to be to another question than today's."""
    if entry is None or entry.imported:
        return False
    return entry.status in FINAL_STATUSES and not entry.due and entry.digest != digest


def make_plan(benchmark: Benchmark, store: CheckpointStore) -> Plan:
    """Count what is due, answered, in flight and stale. Reads no picture again and writes nothing."""
    config = benchmark.config
    cells = {cell: CellPlan(cell, left_out=benchmark.left_out(cell)) for cell in config.cells}
    in_flight = _in_flight(store)
    redo_from = store.read_json(REDO_FILE).get("sizes", {})
    allowances = same_question(config, store.read_json("run.json"))
    asked_again = []
    stale = changed_in_flight = shards = lines = size = inline_bytes = 0
    pictures: dict[str, Image] = {}
    refusals = benchmark.refusals()
    refused: Counter[Image] = Counter()
    counter = TextCounter(config.backend, config.run_model) if config.backend in PRICED else None
    answered: list[tuple[Estimate, Usage | None]] = []
    for request in benchmark.requests():
        counts = cells[request.cell]
        entry = store.entry(request.cell, request.sample_id)
        again = None
        changed = is_stale(entry, request.digest)
        if entry and not is_due(entry) and (wish := _redo_wish(config, entry)):
            # A cell that had nothing when the redo began has been asked since.
            size_then = redo_from.get(store.checkpoint_path(request.cell).name, 0) if redo_from else None
            if size_then is None or entry.offset < size_then or changed:
                again = f"redo {wish}"
        if entry and changed and again is None and not _is_whole(config, request, entry, allowances):
            stale += 1
            again = "stale" if config.stale == "redo" else None
        if again:
            asked_again.append((request.cell, request.sample_id, again))
        if request.key in in_flight:
            counts.in_flight += 1
            changed_in_flight += in_flight[request.key] != request.digest
        elif not is_due(entry) and not again:
            counts.answered += 1
            counts.imported += entry is not None and entry.imported
            counts.usable += entry is not None and entry.status == "ok" and not entry.imported
            if counter and entry and not entry.imported and len(answered) < CALIBRATE_AFTER:
                estimate = estimate_request(request, config.backend, config.setting, counter)
                answered.append((estimate, store.usage(request.cell, entry)))
        else:
            counts.due += 1
            request_bytes = about_text_bytes(request)
            if config.image_transport == "inline":
                request_bytes += encoded_length(request.image)
            counts.bytes += request_bytes
            if request.image in refusals:
                refused[request.image] += 1
            elif counter:
                counts.tokens.add(estimate_request(request, config.backend, config.setting, counter))
            pictures.setdefault(request.image.digest, request.image)
            inline_bytes += encoded_length(request.image)
            if shards == 0 or lines == config.batch_size or size + request_bytes > config.batch_bytes:
                shards, lines, size = shards + 1, 0, 0
            lines, size = lines + 1, size + request_bytes
    files = _bytes_to_upload(config, store, pictures.values()) if config.image_transport == "file" else 0
    saved = 0 if config.image_transport == "inline" else inline_bytes - files
    calibration = calibrate(answered) if len(answered) == CALIBRATE_AFTER else None
    return Plan(
        tuple(cells.values()),
        shards,
        stale,
        tuple(asked_again),
        changed_in_flight,
        files,
        saved,
        calibration,
        tuple(_describe_refusals(config, refusals, refused)),
    )


def _describe_refusals(config: RunConfig, refusals: Mapping[Image, str], due: Mapping[Image, int]) -> Iterator[str]:
    """What becomes of the images that the model refuses."""
    if not refusals:
        return
    first = next(iter(refusals))
    more = f" and {len(refusals) - 1:,} more" if len(refusals) > 1 else ""
    if config.skip_problems:
        yield f"Left out: {first.path}{more}. {refusals[first]}"
    elif due:
        yield (
            f"{sum(due.values()):,} due request(s) will fail, without a charge, because {config.run_model} refuses their images "
            f"({first.path}{more}); --skip-problems leaves them out. {refusals[first]}"
        )


def _bytes_to_upload(config: RunConfig, store: CheckpointStore, pictures: Iterable[Image]) -> int:
    """Of the pictures that the provider does not have as files yet. A sandbox of its own keeps none from run to run."""
    if config.sandbox or not store.jobs_path.is_file():
        return sum(image.size_bytes for image in pictures)
    from vlures.backends.openai import find_placed  # loads the SDK, which takes a while

    is_placed = find_placed(config, read_environment(), store)
    return sum(image.size_bytes for image in pictures if not is_placed(image))


def _is_whole(config: RunConfig, request: Request, entry: Entry, allowances: Collection[int]) -> bool:
    """Whether an answer that was not cut is one to the request, under a smaller allowance of tokens."""
    return entry.status != "truncated" and is_answer_to(request, config.backend, entry.digest, allowances)


def _redo_wish(config: RunConfig, entry: Entry) -> str | None:
    """Which of the words of --redo the answer comes under, if it does."""
    if entry.imported and "imported" in config.redo:
        return "imported"
    return entry.status if entry.status in config.redo else None


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
                f"{store.folder} has a batch of {job.provider} in flight; collect it first with --backend {job.provider.lower()} --mode batch, "
                "or give this run another --name."
            )
    if plan.stale and config.stale == "stop":
        why = " and ".join(what_changed(benchmark, store)) or "the model, its parameters, the prompts or the data"
        hint = ""
        if is_only_raised(config, store.read_json("run.json")) and "truncated" not in config.redo:
            hint = "Add --redo truncated to ask only those again that were cut short and keep the others, "
        raise VluresError(
            f"{plan.stale} stored answer(s) in {store.folder} are to another question: {why} changed since. {hint}{'or' if hint else 'Add'} --stale keep "
            "to keep them, --stale redo to ask again (and pay again), or give this run another --name."
        )


def prepare_spending(
    benchmark: Benchmark, store: CheckpointStore, prices: Prices, say: Callable[[str], None] = lambda _: None
) -> Spending:
    """The run's money, with all that earlier runs have spent and what is in flight already.

    Raises UsageError where --max-cost cannot be kept, or leaves no room for even one request.
    """
    spending = Spending(benchmark.config, prices, store, say)
    spending.open(benchmark.requests)
    due = (request for request in benchmark.requests() if is_due(store.entry(request.cell, request.sample_id)))
    spending.check_first(due)
    return spending


def needs_canary(config: RunConfig, store: CheckpointStore, plan: Plan) -> bool:
    """Whether one request goes first, live: batches take hours to tell that a key, a model or a parameter is wrong, and
    no answer that can be used, and nothing that is under way, shows that they are right."""
    bulk = plan.total("due") > 1 and config.run_mode == "batch"
    return config.canary and bulk and not plan.total("usable") and not store.open_jobs()


def check_addresses(benchmark: Benchmark) -> None:
    """With pictures that are named by their addresses: whether each has one of its own.

    Raises UsageError for a template that cannot be filled, or gives one address to two pictures.
    """
    template = benchmark.config.image_url_template
    if template is None:
        return
    from vlures.backends.openai.pictures import fill_template  # loads the SDK, which takes a while

    seen: dict[str, Image] = {}
    for dataset in benchmark.datasets.values():
        for sample in dataset.samples:
            address = fill_template(template, sample.image, sample.id)
            other = seen.setdefault(address, sample.image)
            if other.digest != sample.image.digest:
                raise UsageError(
                    f"image_url_template gives {address} for {other.path} and for {sample.image.path}, which are not the same "
                    "picture; add {folder} or {sha256}, or what else tells them apart."
                )


def drop_unbegun(config: RunConfig, store: CheckpointStore) -> None:
    """A live run takes over what a batch run was going to send: of a job that was only intended, or whose file was only
    uploaded, there is no batch."""
    if config.run_mode != "live":
        return
    for job in store.open_jobs():
        if job.state in ("intended", "uploaded"):
            store.update_job(job.tag, "dropped", note="a live run took its requests over")


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


def find_strangers(benchmark: Benchmark, store: CheckpointStore) -> list[str]:
    """Keys of imported answers about samples that the datasets, where they were read whole, don't have."""
    datasets = {code: dataset for code, dataset in benchmark.datasets.items() if not dataset.selection}
    known = {code: {sample.id for sample in dataset.samples} for code, dataset in datasets.items()}
    return [
        request_key(cell, store.setting, sample_id)
        for cell in store.cells
        if cell.language in known
        for sample_id, entry in store.entries(cell).items()
        if entry.imported and sample_id not in known[cell.language]
    ]


def count_due(benchmark: Benchmark, store: CheckpointStore) -> int:
    """Requests of the selection that still have no answer."""
    return sum(is_due(store.entry(cell, sample.id)) for cell, sample in benchmark.questions())
