"""A run's money as it goes: may the next request be sent, what did it cost, and do the estimates hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

from vlures.config.sections import Mode, Target
from vlures.errors import NotWritable, Retry, UsageError, VluresError
from vlures.pricing import (
    CALIBRATE_AFTER,
    LIVE,
    NANO,
    Calibration,
    Estimate,
    Event,
    RequestEstimator,
    calibrate,
    cap_to_nano,
    charge_of,
    describe_calibration,
    format_usd,
    highest_cost,
    may_be_charged,
    may_cost,
    require_price,
    to_nano,
)
from vlures.pricing.costs import Account, Prices
from vlures.pricing.ledger import SettledBy
from vlures.pricing.spending_file import SpendingFile
from vlures.records import FINAL_STATUSES, BatchSnapshot, Job, JobState, Request, Response, Usage
from vlures.store.checkpoints import CheckpointStore
from vlures.store.clock import now
from vlures.store.keys import cell_group, parse_key


class Spending:
    """The money of a run in the hands of this process, in billionths of a dollar.

    Without a price nothing is kept. With one, every request has a reservation on the disk before it is sent, whether or not there
    is a limit: a later run with one counts what this one has left. Raises UsageError where a limit cannot be kept: no price.
    """

    def __init__(
        self,
        target: Target,
        max_cost: float | None,
        prices: Prices,
        store: CheckpointStore,
        estimator: RequestEstimator | None,
        others: Callable[[], Iterable[CheckpointStore]] = tuple,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """estimator: None where the provider has no prices, or nothing is to be sent. others: opens the stores of the folder's other variants, to read."""
        self._target = target
        self._max_cost = max_cost
        self._prices = prices
        self._store = store
        self._say = say
        self._estimator = estimator
        self._others = others
        self._calibrator = Calibrator() if estimator is not None else None
        if max_cost is not None:
            require_price(prices.of(target.mode), target.model)
        self._cap = None if max_cost is None else cap_to_nano(max_cost)
        self._file = SpendingFile(store.folder.parent, say=say)
        self._ledger = self._file.ledger
        self._stored = 0
        # Of requests that go into a batch, until it has a tag; of all under way, what they were thought to cost at the most.
        self._loose: dict[str, int] = {}
        self._loose_total = 0
        self._thought: dict[str, int] = {}
        # Tags of jobs with reservations on the disk: of earlier processes, of this one.
        self._earlier = set(self._ledger.standing) - {LIVE}
        self._begun: set[str] = set()
        # By job: answers that were charged and are stored nowhere, since another batch had brought one. Written with the job's
        # end: until then a later process reads them again.
        self._doubles: dict[str, list[Event]] = {}
        self._forgone = 0
        self._least_forgone = 0
        self._told_nonsense = False
        self._dearest = 0

    # What was spent before

    def open(self, requests: Callable[[], Iterable[Request]]) -> None:
        """Bring the account up to date: what earlier processes left, in every variant of the folder.

        requests: all of the run.
        Raises VluresError where a stored answer has no price, so that a limit cannot be kept.
        """
        if not self._is_priced:
            return
        stores = self._all_stores()
        self._write_off(stores)
        self._end_jobs(stores)
        unknown = self._expect(requests, stores)
        if unknown and self._cap is not None:
            raise UsageError(
                f"No price of {unknown} is known here, which gave answers in {self._store.folder.parent}, so --max-cost cannot count "
                "them; add price_input and price_output, or give this run another --name."
            )

    def _all_stores(self) -> list[CheckpointStore]:
        """Those of the folder's other variants are only read, and only where something depends on them."""
        if self._cap is None and not self._ledger.standing:
            return [self._store]
        return [self._store, *self._others()]

    def _write_off(self, stores: list[CheckpointStore]) -> None:
        """Live calls that were in flight when a process was killed: nobody knows whether they were charged."""
        settled = []
        for key, nano in self._ledger.standing.get(LIVE, {}).items():
            stored = any(_is_answered(store, key) for store in stores)
            settled.append(
                Event(settle=key, by="stored" if stored else "killed", nano=0 if stored else nano, time=now())
            )
        self._file.write(*settled)
        lost = [event.nano for event in settled if event.nano]
        if lost:
            self._say(
                f"{len(lost)} live call(s) were in flight when an earlier run was killed; up to {format_usd(sum(lost) / NANO)} counts "
                "as spent for them."
            )

    def _end_jobs(self, stores: list[CheckpointStore]) -> None:
        """Reservations of batches that never came to be, or whose answers are stored."""
        if self._cap is None and self._earlier and len(stores) == 1:
            stores = self._all_stores()
        known = {job.tag for store in stores for job in store.open_jobs()}
        self._file.write(*(Event(end=tag, time=now()) for tag in self._earlier - known))
        self._earlier &= known

    def _expect(self, requests: Callable[[], Iterable[Request]], stores: list[CheckpointStore]) -> str | None:
        """Count what an earlier version, or a run without a price, has left without a word of its cost. Returns the model of an
        answer whose price is not known."""
        lacking = [job for job in self._store.open_jobs() if job.tag not in self._ledger.standing]
        accounts = [Account(store, self._prices, self._ledger) for store in stores]
        untold = {group: count for store in stores for group, count in _untold(store) if count}
        new = {group: count for group, count in untold.items() if count > self._ledger.untold.get(group, 0)}
        if lacking or new:
            thought = {request.key: self._highest(request, "batch") for request in requests()}
            most = max(thought.values(), default=0)
            dearest = max((self._highest(request, "live") for request in requests()), default=0) if new else 0
            for job in lacking:
                self._file.write(
                    Event(reserve={key: thought.get(key, most) for key in job.requests}, job=job.tag, time=now())
                )
                self._earlier.add(job.tag)
            charged = {group: (count - self._ledger.untold.get(group, 0)) * dearest for group, count in new.items()}
            if dearest:
                self._file.write(Event(untold=untold, charged=charged, time=now()))
        self._stored = 0
        for account in accounts:
            for cell in account.store.cells:
                nano = account.nano_on(cell)
                if nano is None:
                    models = [model for _, model in account.store.money(cell).unpriced]
                    return next((model for model in models if model), self._target.model)
                self._stored += nano - self._ledger.charged.get(account.group(cell), 0)
        return None

    # May the next one go

    @property
    def spent(self) -> int:
        """In all variants of the folder."""
        return self._stored + sum(self._ledger.charged.values())

    @property
    def reserved(self) -> int:
        return self._ledger.reserved + self._loose_total

    @property
    def _is_priced(self) -> bool:
        return self._prices.of(self._target.mode) is not None

    def fits(self, request: Request, mode: Mode) -> bool:
        """Whether the request could be sent now."""
        return self._cap is None or self.spent + self.reserved + self._highest(request, mode) <= self._cap

    def budget(self, mode: Mode) -> ModeBudget:
        """The driver's view of it."""
        return ModeBudget(self, mode)

    def reserve(self, request: Request, mode: Mode) -> bool:
        """Reserve the request's highest cost, if it fits."""
        if not self._is_priced:
            return True
        if request.key in self._loose:
            return True
        nano = self._highest(request, mode)
        if self._cap is not None and self.spent + self.reserved + nano > self._cap:
            return False
        if mode == "batch":
            self._loose[request.key] = nano
            self._loose_total += nano
        elif not self._file.write(Event(reserve={request.key: nano})):
            return False
        self._thought[request.key] = nano
        return True

    @property
    def awaits_money(self) -> bool:
        """Whether answers to live calls may yet leave room."""
        return bool(self._ledger.standing.get(LIVE))

    @property
    def failure(self) -> NotWritable | None:
        """Why the ledger cannot be written, so that nothing more can be sent."""
        return self._file.failure

    def forgo(self, request: Request, mode: Mode) -> None:
        """The request does not fit, and nothing will come free for it in this run."""
        need = self._highest(request, mode)
        self._least_forgone = min(need, self._least_forgone) if self._forgone else need
        self._forgone += 1

    # What it has cost

    def price(self, response: Response) -> Response:
        """The response with what it is taken to have cost, before it is stored."""
        if not self._is_priced or response.imported is not None:
            return response
        mode: Mode = "batch" if response.job else "live"
        reservation = self._ledger.reservation(response.key, response.job or LIVE)
        if reservation is None and response.status == "failed":  # settled before, when it was not handed on
            return replace(response, nano_usd=0)
        return replace(response, nano_usd=self._charge(response, mode, reservation))

    def _charge(self, response: Response, mode: Mode, reservation: int | None) -> int:
        price = self._prices.of_answer(response.model, mode)
        nano = None if price is None else charge_of(response.usage, price, reservation)
        if nano is not None:
            self._learn(response.key, nano, mode)
            return nano
        if response.usage is None and not may_be_charged(response):
            return 0
        self._say_of_nonsense(response.usage)
        return self._dearest if reservation is None else reservation

    def _say_of_nonsense(self, usage: Usage | None) -> None:
        if self._told_nonsense or self._cap is None:
            return
        self._told_nonsense = True
        what = "says nothing of its usage" if usage is None else "tells a usage that cannot be"
        self._say(f"An answer {what}; such answers count as the most that they may have cost.")

    def _learn(self, key: str, nano: int, mode: Mode) -> None:
        """An answer that cost more than it should have been able to: later ones may as well."""
        thought = self._thought.get(key)
        if not thought or nano <= thought:
            return
        over = self._over(mode) * nano / thought
        self._file.note(Event(seen=over, model=self._over_name(mode)))

    def settle(self, response: Response, *, stored: bool) -> str | None:
        """After a response was stored, or found to be stored already. A sentence, once, when the first answers show that the
        estimates are off."""
        key, job = response.key, response.job or LIVE
        if self._is_priced and response.imported is None:
            nano = response.nano_usd or 0
            reservation = self._ledger.reservation(key, job)
            if stored:
                self._stored += nano
            is_double = not stored and nano > 0 and not self._store.holds(response)
            if reservation is not None and job == LIVE:
                self._file.note(Event(settle=key, nano=nano if is_double else 0, by="usage" if is_double else "stored"))
            elif reservation is not None and is_double:  # stays reserved until the end of the job
                self._doubles.setdefault(job, []).append(Event(settle=key, job=job, nano=nano, by="usage"))
            elif reservation is not None:
                self._ledger.apply(Event(settle=key, job=job))  # the end of the job tells it on the disk
            elif is_double:
                self._file.note(Event(settle=key, job=job, nano=nano, by="usage"))
            self._thought.pop(key, None)
        return self._calibrator.take(response) if self._calibrator else None

    def release(self, key: str) -> None:
        """A live call was not made after all."""
        self._file.note(Event(settle=key, by="free"))

    def lose(self, request: Request, failure: Exception | None) -> None:
        """A live call has brought nothing to store."""
        reservation = self._ledger.reservation(request.key)
        if reservation is None:
            return
        nano = reservation
        heard = failure.heard if isinstance(failure, Retry) else None
        if heard is not None:
            nano = self._charge(heard, "live", reservation)
        elif isinstance(failure, Retry):
            nano = reservation if failure.reached and may_cost(failure.code) else 0
        elif isinstance(failure, VluresError):
            nano = 0
        by: SettledBy = "usage" if heard is not None and nano else "reservation" if nano else "free"
        self._file.note(Event(settle=request.key, nano=nano, by=by, time=now() if nano else None))

    def fail(self, response: Response) -> None:
        """A line of a batch failed, and its request goes out again."""
        job = response.job or LIVE
        reservation = self._ledger.reservation(response.key, job)
        if reservation is None:
            return
        nano = self._charge(response, "batch", reservation)
        if nano:
            self._file.note(
                Event(settle=response.key, job=job, nano=nano, by="usage" if response.usage else "reservation")
            )
        else:
            self._ledger.apply(Event(settle=response.key, job=job))

    # Batches

    def begin_job(self, job: Job) -> None:
        """Before a batch's intent is journaled. Raises NotWritable where its reservations cannot be written."""
        if not self._is_priced:
            return
        amounts = {key: self._loose.get(key) or self._thought.get(key) or self._dearest for key in job.requests}
        if not self._file.write(Event(reserve=amounts, job=job.tag, time=now())):
            assert self._file.failure is not None
            raise self._file.failure
        self._begun.add(job.tag)
        for key in job.requests:
            self._loose_total -= self._loose.pop(key, 0)

    def end_job(self, tag: str) -> None:
        """Its answers are stored; what has none was not charged, or was charged already."""
        if tag in self._earlier or tag in self._begun:
            self._file.note(*self._doubles.pop(tag, ()), Event(end=tag, time=now()))
            self._earlier.discard(tag)
            self._begun.discard(tag)

    def drop_job(self, tag: str, *, lost: bool) -> None:
        """No batch came of it: its requests are to go into another. lost: it is not known what became of the batch."""
        held = dict(self._ledger.standing.get(tag, {}))
        if lost:
            for key, nano in held.items():
                self._file.note(Event(settle=key, job=tag, nano=nano, by="lost"))
        elif tag not in self._earlier:
            self._loose |= held
            self._loose_total = sum(self._loose.values())
        self.end_job(tag)

    # The end

    def check_first(self, requests: Iterable[Request]) -> None:
        """Raises UsageError if the limit leaves no room for any of the requests, the due ones of a run that has spent nothing."""
        if self._max_cost is None or self.spent or self.reserved:
            return
        assert self._estimator is not None
        check_reach(self._max_cost, self._target, self._prices, self._estimator, requests)

    @property
    def stopped(self) -> bool:
        """Whether a request was not sent for want of money."""
        return self._forgone > 0

    def describe_stop(self) -> str:
        """Why nothing more was sent, and what would let it go."""
        reserved = (
            f", up to {format_usd(self.reserved / NANO)} is reserved for what is under way" if self.reserved else ""
        )
        later = " once that has been answered, or" if reserved else ""
        return (
            f"--max-cost {self._max_cost:g} lets nothing more go: {format_usd(self.spent / NANO)} is spent{reserved}, and the "
            f"next request may cost {format_usd(self._least_forgone / NANO)}. Run again{later} with --max-cost "
            f"{_enough(self.spent + self.reserved + self._least_forgone)} or more to go on."
        )

    def describe(self) -> str | None:
        """Where the limit stands before a run."""
        if self._cap is None:
            return None
        reserved = f", up to {format_usd(self.reserved / NANO)} reserved" if self.reserved else ""
        return f"Of --max-cost {self._max_cost:g}, {format_usd(self.spent / NANO)} is spent{reserved}."

    def sync(self) -> None:
        self._file.sync()

    def try_again(self) -> None:
        """Write and sync once more, if the last time failed."""
        if self._file.failure is not None and self._file.write(Event()):
            self._file.sync()

    def close(self) -> None:
        self._file.close()

    # What one may cost

    def _highest(self, request: Request, mode: Mode) -> int:
        price = self._prices.of(mode)
        assert price is not None
        estimate = self._estimate(request)
        nano = ceil(to_nano(highest_cost(estimate, price)) * self._over(mode))
        self._dearest = max(self._dearest, nano)
        return nano

    def _estimate(self, request: Request) -> Estimate:
        assert self._estimator is not None
        estimate = self._estimator.estimate(request)
        if self._calibrator is not None:
            self._calibrator.expect(request.key, estimate)
        return estimate

    def _over(self, mode: Mode) -> float:
        return self._ledger.overs.get(self._over_name(mode), 1.0)

    def _over_name(self, mode: Mode) -> str:
        return f"{self._target.model} {mode}"


def check_reach(
    max_cost: float, target: Target, prices: Prices, estimator: RequestEstimator, requests: Iterable[Request]
) -> None:
    """Raises UsageError if a limit leaves no room for any of the requests, where nothing has been spent. max_cost: in USD."""
    cap, price = cap_to_nano(max_cost), require_price(prices.of(target.mode), target.model)
    least = None
    for request in requests:
        need = to_nano(highest_cost(estimator.estimate(request), price))
        if need <= cap:
            return
        least = need if least is None else min(least, need)
    if least is not None:
        raise UsageError(
            f"--max-cost {max_cost:g} does not reach for one request, which may cost {format_usd(least / NANO)} by the high end of "
            f"its estimate; raise it to {_enough(least)} or more, or lower max_output_tokens."
        )


@dataclass(frozen=True, slots=True)
class ModeBudget:
    """A run's money in one mode, as `vlures.backends.Budget` has it."""

    spending: Spending
    mode: Mode

    def reserve(self, request: Request) -> bool:
        return self.spending.reserve(request, self.mode)

    @property
    def awaits_money(self) -> bool:
        return self.spending.awaits_money

    def forgo(self, request: Request) -> None:
        self.spending.forgo(request, self.mode)

    def release(self, request: Request) -> None:
        self.spending.release(request.key)

    def lose(self, request: Request, failure: Exception | None) -> None:
        self.spending.lose(request, failure)

    def fail(self, response: Response) -> None:
        self.spending.fail(response)


class Calibrator:
    """Compares the first answers with what was thought of them."""

    def __init__(self) -> None:
        self._expected: dict[str, Estimate] = {}
        self._compared: list[tuple[Estimate, Usage | None]] = []
        self._done = False

    def expect(self, key: str, estimate: Estimate) -> None:
        """A request is about to be sent."""
        if not self._done:
            self._expected[key] = estimate

    def take(self, response: Response) -> str | None:
        """A sentence, once, if the estimates are off."""
        estimate = self._expected.pop(response.key, None)
        if self._done or estimate is None or response.usage is None:
            return None
        self._compared.append((estimate, response.usage))
        if len(self._compared) < CALIBRATE_AFTER:
            return None
        self._done = True
        calibration: Calibration | None = calibrate(self._compared)
        self._compared.clear()
        self._expected.clear()
        return describe_calibration(calibration) if calibration else None


@dataclass(frozen=True, slots=True)
class LedgerJournal:
    """A store as a backend sees it, with the money of its jobs kept beside it."""

    store: CheckpointStore
    spending: Spending

    @property
    def jobs(self) -> tuple[Job, ...]:
        return self.store.jobs

    def open_jobs(self) -> tuple[Job, ...]:
        return self.store.open_jobs()

    def left_by_batches(self) -> frozenset[str]:
        return self.store.left_by_batches()

    def begin_job(self, job: Job) -> None:
        self.spending.begin_job(job)
        self.store.begin_job(job)

    def update_job(self, tag: str, state: JobState, **facts: str | None) -> None:
        self.store.update_job(tag, state, **facts)
        if state == "collected":
            self.spending.end_job(tag)
        elif state == "dropped":
            self.spending.drop_job(tag, lost=(facts.get("note") or "").startswith(LOST))

    def see_job(self, tag: str, snapshot: BatchSnapshot) -> None:
        self.store.see_job(tag, snapshot)

    def recall(self, name: str) -> Mapping[str, Any]:
        return self.store.recall(name)

    def remember(self, name: str, facts: Mapping[str, Any]) -> None:
        self.store.remember(name, facts)


LOST = "lost at the provider"
"""So begins the note of a job that was dropped although its batch may have been charged."""


def _is_answered(store: CheckpointStore, key: str) -> bool:
    """Whether the request, which was sent because it was due, has its answer now."""
    try:
        cell, sample_id = parse_key(key, store.variant)
    except ValueError:
        return False
    entry = store.entry(cell, sample_id)
    return entry is not None and entry.status in FINAL_STATUSES and not entry.due


def _untold(store: CheckpointStore) -> Iterator[tuple[str, int]]:
    for cell in store.cells:
        yield cell_group(cell, store.variant), store.money(cell).untold


def _enough(nano: int) -> str:
    """A limit in USD that does, in as few digits as tell it from one that does not."""
    step = 10 ** max(0, len(str(nano)) - 4)
    return f"{-(-nano // step) * step / NANO:.9f}".rstrip("0").rstrip(".")
