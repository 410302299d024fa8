"""The active faults, and whether one strikes: decided by counting, so that a rehearsal is reproducible."""

import hashlib
import threading
from collections import deque
from dataclasses import dataclass, field

from vlures.sandbox.faults.fault import Fault
from vlures.sandbox.faults.kinds import Level
from vlures.sandbox.faults.rate_limits import Allowance, allow, counts_refused


@dataclass
class _Count:
    fault: Fault
    seen: int = 0
    struck: int = 0
    admitted: deque[float] = field(default_factory=deque)


class ActiveFaults:
    """The active faults with a count for each; used by the event loop and by the batch workers."""

    def __init__(self, faults: tuple[Fault, ...], seed: int) -> None:
        self._counts = [_Count(fault) for fault in faults]
        self._seed = seed
        self._lock = threading.Lock()

    def add(self, faults: list[Fault]) -> None:
        """Activate more faults, after the present ones."""
        with self._lock:
            self._counts.extend(_Count(fault) for fault in faults)

    def clear(self) -> None:
        """Remove every fault; batches that were created under one keep it."""
        with self._lock:
            self._counts.clear()

    def listing(self) -> list[dict[str, object]]:
        """Each active fault with how many occasions it saw and how often it struck."""
        with self._lock:
            return [{"fault": c.fault.text, "seen": c.seen, "struck": c.struck} for c in self._counts]

    def strikes(self, level: Level, place: str) -> list[Fault]:
        """The faults that strike this occasion, in the order in which they were given; counts the occasion.

        A whole batch takes every fault that strikes it. Otherwise the first strike hides the occasion from the later
        faults, so that `429:times=1` and `500:times=1` together strike one after the other.
        """
        if not self._counts:
            return []
        with self._lock:
            occasion = [c for c in self._counts if c.fault.level == level and c.fault.applies_at(place)]
            struck = []
            for count in occasion:
                if self._strikes(count):
                    struck.append(count.fault)
                    if level != "batch" and count.fault.kind != "latency":
                        break
            return struck

    def admit(self, place: str, now: float) -> Allowance | None:
        """Whether the rate limits at this place admit a request; None if there is no limit.

        now: seconds of a monotonic clock. A request that one limit refuses counts only for the strict ones.
        """
        if not self._counts:
            return None
        with self._lock:
            limits = [c for c in self._counts if c.fault.level == "limit" and c.fault.applies_at(place)]
            allowances = [(count, allow(count.fault, count.admitted, now)) for count in limits]
            refused = [(count, allowance) for count, allowance in allowances if not allowance.admitted]
            for count in limits:
                count.seen += 1
            for count, _ in refused:
                count.struck += 1
                if counts_refused(count.fault):
                    count.admitted.append(now)
            if not refused:
                for count in limits:
                    count.admitted.append(now)
            tightest = max(refused, key=lambda one: one[1].wait_s) if refused else None
            tightest = tightest or min(allowances, key=lambda one: one[1].remaining, default=None)
            return tightest[1] if tightest else None

    def _strikes(self, count: _Count) -> bool:
        fault = count.fault
        count.seen += 1
        turn = count.seen - fault.after
        strike = (
            turn > 0
            and turn % fault.every == 0
            and (fault.times is None or count.struck < fault.times)
            and (fault.rate >= 1.0 or self._chance(fault, count.seen) < fault.rate)
        )
        count.struck += strike
        return strike

    def _chance(self, fault: Fault, seen: int) -> float:
        """A number from 0 to 1 that follows from the seed, the fault and the occasion alone."""
        drawn = hashlib.sha256(f"{self._seed}|{fault.text}|{seen}".encode()).digest()
        return int.from_bytes(drawn[:8], "big") / 2**64
