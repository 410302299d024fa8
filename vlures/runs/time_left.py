"""How long the rest of a run will take, or None: no number is better than a wrong one."""

from __future__ import annotations

from dataclasses import dataclass, field

LEAST_SHARE = 0.02
"""Of all, and LEAST_DONE of them, must be done before a rate is believed."""
LEAST_DONE = 5
LEAST_S = 5.0
MOST_CHANGE = 2.0
"""Where the rate of the last third and the rate of all differ by more, neither says what comes."""
MOST_MARKS = 600


@dataclass(slots=True)
class TimeLeft:
    """Learns from how much was done when. Moments are seconds of one clock."""

    _marks: list[tuple[float, int]] = field(default_factory=list)
    _spacing_s: float = 0.0
    """Between two marks."""

    def note(self, now_s: float, done: int) -> None:
        """done: it may fall, where failed lines are sent again."""
        if self._marks and self._marks[-1][1] == done:
            return
        if len(self._marks) > 1 and now_s - self._marks[-2][0] < self._spacing_s:
            self._marks[-1] = now_s, done
            return
        self._marks.append((now_s, done))
        if len(self._marks) > MOST_MARKS:
            self._spacing_s = 2 * (now_s - self._marks[0][0]) / MOST_MARKS
            self._marks = self._marks[::2]

    def estimate_s(self, now_s: float, total: int) -> float | None:
        """Seconds until `total` are done, if all goes on as before."""
        if len(self._marks) < 2:
            return None
        (first_s, first), (_, last) = self._marks[0], self._marks[-1]
        took_s, done = now_s - first_s, last - first
        if took_s < LEAST_S or done < max(LEAST_DONE, LEAST_SHARE * total):
            return None
        lately_s = took_s / 3
        before = next(count for moment, count in reversed(self._marks) if moment <= now_s - lately_s)
        rate, late_rate = done / took_s, (last - before) / lately_s
        if not rate / MOST_CHANGE <= late_rate <= rate * MOST_CHANGE:
            return None
        return max(0, total - last) / rate
