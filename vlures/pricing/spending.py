"""A run's money as it goes: may the next request be sent, what did it cost, and do the estimates hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from vlures.config.sections import Mode, Target
from vlures.errors import Retry, UsageError, VluresError
from vlures.files.writing import NotWritable
from vlures.pricing import LIVE, Event, RequestEstimator, charge_of, may_be_charged, may_cost, require_price
from vlures.pricing.calibration import Calibrator
from vlures.pricing.cost_limit import CostLimit, check_reach
from vlures.pricing.costs import Account, Prices
from vlures.pricing.earlier_spending import end_jobs, record_unrecorded, sum_stored, write_off_live_calls
from vlures.pricing.highest_costs import HighestCosts
from vlures.pricing.ledger import SettledBy
from vlures.pricing.spending_file import SpendingFile
from vlures.records import Job, Request, Response, Usage
from vlures.store.checkpoints import CheckpointStore
from vlures.store.clock import now


class Spending:
    """The money of a run in the hands of this process, in billionths of a dollar.

    Without a price nothing is kept. With one, every request has a reservation on the disk before it is sent, with or
    without a limit: a later run with one counts what this one has left. Raises UsageError for a limit without a price.
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
        """max_cost: in USD. estimator: None where the provider has no prices, or nothing will be sent.

        others: opens the stores of the folder's other variants, to read.
        """
        self._target = target
        self._prices = prices
        self._store = store
        self._say = say
        self._estimator = estimator
        self._others = others
        self._calibrator = Calibrator() if estimator is not None else None
        if max_cost is not None:
            require_price(prices.of(target.mode), target.model)
        self._limit = CostLimit(max_cost)
        self._file = SpendingFile(store.folder.parent, say=say)
        self._ledger = self._file.ledger
        self._highest_costs = HighestCosts(target.model, prices, self._ledger, estimator, self._calibrator)
        self._stored = 0
        # Reservations of requests whose batch has no tag yet, by key.
        self._untagged: dict[str, int] = {}
        self._untagged_total = 0
        # The highest cost of each request under way, by key.
        self._highest: dict[str, int] = {}
        # Tags of jobs with reservations on the disk: of earlier processes, of this one.
        self._earlier = set(self._ledger.standing) - {LIVE}
        self._begun: set[str] = set()
        # By job: answers that were charged but are not stored, since another batch had brought one. Written with the
        # job's end: until then a later process reads them again.
        self._doubles: dict[str, list[Event]] = {}
        self._reported_bad_usage = False

    # What was spent before

    def open(self, requests: Callable[[], Iterable[Request]]) -> None:
        """Bring the account up to date: what earlier processes left, in every variant of the folder.

        requests: all of the run.
        Raises UsageError where a stored answer has no price, so that a limit cannot be kept.
        """
        if not self._is_priced:
            return
        stores = self._all_stores()
        write_off_live_calls(self._file, stores, self._say)
        self._earlier = end_jobs(self._file, self._earlier, stores)
        unrecorded = [job for job in self._store.open_jobs() if job.tag not in self._ledger.standing]
        accounts = [Account(store, self._prices, self._ledger) for store in stores]
        record_unrecorded(self._file, unrecorded, stores, requests, self._highest_costs)
        self._earlier |= {job.tag for job in unrecorded}
        self._stored, unknown = sum_stored(accounts, self._target.model)
        if unknown and self._limit.is_set:
            raise UsageError(
                f"{unknown} gave answers in {self._store.folder.parent}, and no price of it is known here, so "
                "--max-cost cannot count them; add price_input and price_output, or give this run another --name."
            )

    def _all_stores(self) -> list[CheckpointStore]:
        """Those of the folder's other variants are only read, and only where something depends on them."""
        if not self._limit.is_set and not self._ledger.standing:
            return [self._store]
        return [self._store, *self._others()]

    # May the next one go

    @property
    def spent(self) -> int:
        """In all variants of the folder."""
        return self._stored + sum(self._ledger.charged.values())

    @property
    def reserved(self) -> int:
        return self._ledger.reserved + self._untagged_total

    @property
    def _is_priced(self) -> bool:
        return self._prices.of(self._target.mode) is not None

    def budget(self, mode: Mode) -> ModeBudget:
        """The driver's view of it."""
        return ModeBudget(self, mode)

    def reserve(self, request: Request, mode: Mode) -> bool:
        """Reserve the request's highest cost, if it fits."""
        if not self._is_priced:
            return True
        if request.key in self._untagged:
            return True
        nano = self._highest_costs.of(request, mode)
        if not self._limit.allows(self.spent + self.reserved + nano):
            return False
        if mode == "batch":
            self._untagged[request.key] = nano
            self._untagged_total += nano
        elif not self._file.write(Event(reserve={request.key: nano})):
            return False
        self._highest[request.key] = nano
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
        """The request does not fit, and no money will come free for it in this run."""
        self._limit.forgo(self._highest_costs.of(request, mode))

    # What it has cost

    def price(self, response: Response) -> Response:
        """The response with its presumed cost, before it is stored."""
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
            excess = self._highest_costs.learn(nano, self._highest.get(response.key), mode)
            if excess is not None:
                self._file.note(excess)
            return nano
        if response.usage is None and not may_be_charged(response):
            return 0
        self._report_bad_usage(response.usage)
        return self._highest_costs.dearest if reservation is None else reservation

    def _report_bad_usage(self, usage: Usage | None) -> None:
        """Once."""
        if self._reported_bad_usage or not self._limit.is_set:
            return
        self._reported_bad_usage = True
        what = "no usage" if usage is None else "an impossible usage"
        self._say(f"An answer states {what}; such answers count as the most that they may have cost.")

    def settle(self, response: Response, *, stored: bool) -> str | None:
        """After a response was stored, or found to be stored already. Returns a sentence, once, when the first answers
        show that the estimates are off."""
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
                self._ledger.apply(Event(settle=key, job=job))  # the end of the job records it on the disk
            elif is_double:
                self._file.note(Event(settle=key, job=job, nano=nano, by="usage"))
            self._highest.pop(key, None)
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
        dearest = self._highest_costs.dearest
        amounts = {key: self._untagged.get(key) or self._highest.get(key) or dearest for key in job.requests}
        if not self._file.write(Event(reserve=amounts, job=job.tag, time=now())):
            assert self._file.failure is not None
            raise self._file.failure
        self._begun.add(job.tag)
        for key in job.requests:
            self._untagged_total -= self._untagged.pop(key, 0)

    def end_job(self, tag: str) -> None:
        """Its answers are stored; requests without one were not charged, or were charged already."""
        if tag in self._earlier or tag in self._begun:
            self._file.note(*self._doubles.pop(tag, ()), Event(end=tag, time=now()))
            self._earlier.discard(tag)
            self._begun.discard(tag)

    def drop_job(self, tag: str, *, lost: bool) -> None:
        """No batch came of it: its requests will go into another. lost: the batch's fate is unknown."""
        held = dict(self._ledger.standing.get(tag, {}))
        if lost:
            for key, nano in held.items():
                self._file.note(Event(settle=key, job=tag, nano=nano, by="lost"))
        elif tag not in self._earlier:
            self._untagged |= held
            self._untagged_total = sum(self._untagged.values())
        self.end_job(tag)

    # The end

    def check_first(self, requests: Iterable[Request]) -> None:
        """Raises UsageError if the limit allows none of the requests, the due ones of a run that has spent nothing."""
        if self._limit.max_cost is None or self.spent or self.reserved:
            return
        assert self._estimator is not None
        check_reach(self._limit.max_cost, self._target, self._prices, self._estimator, requests)

    @property
    def stopped(self) -> bool:
        """Whether a request was not sent for want of money."""
        return self._limit.stopped

    def describe_stop(self) -> str:
        """Why nothing more was sent, and which limit would allow it."""
        return self._limit.describe_stop(self.spent, self.reserved)

    def describe(self) -> str | None:
        """Where the limit stands before a run; None without one."""
        return self._limit.describe(self.spent, self.reserved)

    def sync(self) -> None:
        self._file.sync()

    def try_again(self) -> None:
        """Write and sync once more, if the last time failed."""
        if self._file.failure is not None and self._file.write(Event()):
            self._file.sync()

    def close(self) -> None:
        self._file.close()


@dataclass(frozen=True, slots=True)
class ModeBudget:
    """A run's money in one mode (`vlures.backends.Budget`)."""

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
