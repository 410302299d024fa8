"""The tables of `vlures tables`, with their means drawn. No number is computed here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from vlures.judge.verdicts import HIGHEST
from vlures.report.html import folded, line, table
from vlures.report.plots import PlotRow, plot_intervals

if TYPE_CHECKING:
    from vlures.tables.table import Table, Value

FIGURES = ("mean", "macro mean")
INTERVAL = "95 % interval"
UNPLACED = frozenset({"run", "variant", "scale"})
"""Columns of words that do not say which part of the benchmark a row is about."""
LONGEST_OPEN = 16
"""Rows of a table that is shown unfolded."""


def describe_numbers(folders: Sequence[Path], say: Callable[[str], None]) -> Iterator[str]:
    """Every table of the runs as HTML, those of means with a plot above. Raises VluresError as make_tables does."""
    if find_spec("numpy") is None:
        yield "<p>The tables need the package numpy, which was not installed: pip install ‘vlures[stats]’.</p>"
        return
    from vlures.tables.all_tables import make_tables

    for made in make_tables(folders, say):
        yield _show_table(made)


def _show_table(made: Table) -> str:
    from vlures.tables.formats import show_value

    rows = [
        [show_value(value, column, 2) for value, column in zip(row, made.columns, strict=True)] for row in made.rows
    ]
    shown = table(made.title, [column.name for column in made.columns], rows, numbers=True, under_heading=True)
    notes = "".join(f"<li>{line(note)}</li>" for note in made.notes)
    below = shown + (f'<ul class="notes">{notes}</ul>' if notes else "")
    if len(rows) > LONGEST_OPEN:
        below = folded(f"Table of {len(rows)} rows", below)
    return f"<h3>{line(made.title)}</h3>{_plot(made)}{below}"


def _plot(made: Table) -> str:
    """Empty for a table without means."""
    names = [column.name for column in made.columns]
    figure = next((name for name in FIGURES if name in names), None)
    if figure is None:
        return ""
    rows = [_plot_row(dict(zip(names, row, strict=True)), made, figure) for row in made.rows]
    drawn = sorted((row for row in rows if row is not None), key=lambda row: _order(row, rows))
    return plot_intervals(made.title, drawn, 0, HIGHEST) if drawn else ""


def _plot_row(row: dict[str, Value], made: Table, figure: str) -> PlotRow | None:
    value, interval = row[figure], row.get(INTERVAL)
    if not isinstance(value, int | float):
        return None
    words = [column.name for column in made.columns if column.kind == "text" and column.name not in UNPLACED]
    label = " · ".join(_name_part(name, str(row[name])) for name in words if row[name] is not None) or "all"
    series = " · ".join(str(row[name]) for name in ("run", "variant") if row.get(name) is not None)
    low, high = interval if isinstance(interval, tuple) else (None, None)
    return PlotRow(label, series, value, low, high)


def _name_part(dimension: str, value: str) -> str:
    """A number alone says little: `task 3`."""
    return f"{dimension} {value}" if value.isdecimal() else value


def _order(row: PlotRow, rows: Sequence[PlotRow | None]) -> int:
    """Rows of one label together, where the label first stands."""
    return next(place for place, other in enumerate(rows) if other is not None and other.label == row.label)
