"""Means with their intervals as SVG: text that can be selected and searched, and no package that draws."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from vlures.report.html import line

WIDTH, LABEL_WIDTH, RIGHT = 760, 250, 20
ROW, GROUP_GAP, TOP, BOTTOM = 14, 5, 26, 30
LONGEST_LABEL = 38
"""Characters; the whole label stands in the title of its mark."""
TICKS = 5
MARKS = 6
"""Series that look different: by shape, and by colour besides."""


@dataclass(frozen=True, slots=True)
class PlotRow:
    """One figure."""

    label: str
    series: str
    value: float
    low: float | None
    high: float | None


def plot_intervals(title: str, rows: Sequence[PlotRow], lowest: float, highest: float) -> str:
    """Figures as marks with a line for their interval, by label, then by series. Rows with the same label follow each
    other. The numbers themselves stand in a table beside it.

    lowest, highest: of the scale.
    """
    series = list(dict.fromkeys(row.series for row in rows))
    groups = [(label, list(found)) for label, found in groupby(rows, key=lambda row: row.label)]
    height = TOP + ROW * len(rows) + GROUP_GAP * len(groups) + BOTTOM
    scale = _Scale(lowest, highest)
    marks = "".join(_draw_groups(groups, series, scale))
    words = f"{title}: {len(rows)} figures with their 95 % intervals; the numbers are in the table."
    return (
        f'<figure class="plot" tabindex="0" aria-label="{line(title)}">'
        f'<svg role="img" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'aria-label="{line(words)}"><title>{line(words)}</title>{_axis(scale, height)}{marks}</svg>'
        f"{_legend(series)}</figure>"
    )


@dataclass(frozen=True, slots=True)
class _Scale:
    lowest: float
    highest: float

    def place(self, value: float) -> float:
        share = (value - self.lowest) / ((self.highest - self.lowest) or 1)
        return round(LABEL_WIDTH + share * (WIDTH - RIGHT - LABEL_WIDTH), 1)


def _axis(scale: _Scale, height: int) -> str:
    bottom = height - BOTTOM + 6
    parts = []
    for tick in range(TICKS):
        value = scale.lowest + (scale.highest - scale.lowest) * tick / (TICKS - 1)
        x = scale.place(value)
        parts.append(f'<line class="grid" x1="{x}" x2="{x}" y1="{TOP - 6}" y2="{bottom}"/>')
        for y in (TOP - 12, bottom + 16):
            parts.append(f'<text x="{x}" y="{y}" text-anchor="middle">{value:g}</text>')
    return "".join(parts)


def _draw_groups(groups: Sequence[tuple[str, list[PlotRow]]], series: Sequence[str], scale: _Scale) -> Iterator[str]:
    y = float(TOP)
    for label, rows in groups:
        shown = label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"
        yield f'<text x="{LABEL_WIDTH - 10}" y="{y + ROW - 3}" text-anchor="end">{line(shown)}</text>'
        for row in rows:
            yield _draw_row(row, series.index(row.series), y + ROW / 2, scale)
            y += ROW
        y += GROUP_GAP


def _draw_row(row: PlotRow, number: int, y: float, scale: _Scale) -> str:
    between = f", 95 % {row.low:.2f} to {row.high:.2f}" if row.low is not None and row.high is not None else ""
    title = f"<title>{line(f'{row.label}, {row.series}: {row.value:.2f}{between}')}</title>"
    whisker = ""
    if row.low is not None and row.high is not None:
        whisker = f'<line class="whisker" x1="{scale.place(row.low)}" x2="{scale.place(row.high)}" y1="{y}" y2="{y}"/>'
    return f'<g class="series-{number % MARKS}">{title}{whisker}{_mark(number, scale.place(row.value), y)}</g>'


def _mark(number: int, x: float, y: float) -> str:
    """Circle, square, diamond, and the same hollow."""
    hollow = ' class="hollow"' if number % MARKS >= MARKS // 2 else ""
    shape = number % (MARKS // 2)
    if shape == 0:
        return f'<circle{hollow} cx="{x}" cy="{y}" r="4"/>'
    if shape == 1:
        return f'<rect{hollow} x="{x - 3.5}" y="{y - 3.5}" width="7" height="7"/>'
    return f'<path{hollow} d="M{x} {y - 5}l5 5l-5 5l-5 -5z"/>'


def _legend(series: Sequence[str]) -> str:
    items = "".join(
        f'<li><svg class="series-{number % MARKS}" aria-hidden="true" width="14" height="14" viewBox="0 0 14 14">'
        f"{_mark(number, 7, 7)}</svg> {line(name)}</li>"
        for number, name in enumerate(series)
    )
    return f'<figcaption><ul class="legend">{items}</ul></figcaption>'
