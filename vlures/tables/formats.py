"""Tables as Markdown, CSV, LaTeX and JSON. Every text in them comes from outside: names of folders, judges, raters."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

from vlures.results.formats import as_cell
from vlures.safety.control_characters import as_line
from vlures.tables.table import Column, Table, Value

Format = Literal["md", "csv", "latex", "json"]
FORMATS: tuple[Format, ...] = get_args(Format)
NONE = "–"


def write_tables(tables: Sequence[Table], form: Format, command: Sequence[str], *, decimals: int = 2) -> str:
    """The tables as one text, each followed by the command that makes it again.

    command: that makes all of them. decimals: of scores and shares in per cent, at least 2; CSV and JSON have all
    digits.
    """
    if form == "json":
        return json.dumps([_as_json(table, command) for table in tables], ensure_ascii=False, indent=2) + "\n"
    write: Callable[[Table, str, int], str] = {"md": _as_markdown, "csv": _as_csv, "latex": _as_latex}[form]
    return "\n".join(write(table, _command_of(table, command), decimals) for table in tables)


def _command_of(table: Table, command: Sequence[str]) -> str:
    rater = [] if table.rater is None else ["--rater", table.rater]
    return shlex.join([*command, "--table", table.name, *rater])


def _as_markdown(table: Table, command: str, decimals: int) -> str:
    from tabulate import tabulate

    sides = ["left" if column.kind == "text" else "right" for column in table.columns]
    rows = [
        [_in_markdown(show_value(value, column, decimals)) for value, column in _pair(table, row)] for row in table.rows
    ]
    shown = tabulate(
        rows,
        [_in_markdown(column.name) for column in table.columns],
        tablefmt="pipe",
        disable_numparse=True,
        colalign=sides if rows else None,
    )
    notes = "".join(f"- {as_line(note)}\n" for note in table.notes)
    return f"## {_in_markdown(table.title)}\n\n{shown}\n\n{notes}- again: `{as_line(command)}`\n"


def _in_markdown(text: str) -> str:
    """HTML and marks of Markdown in a folder's name stay what they are."""
    return re.sub(r"([|<>`*\[\]\\])", r"\\\1", as_line(text)) if text != NONE else text


def _as_csv(table: Table, command: str, decimals: int) -> str:  # noqa: ARG001 (CSV has all digits)
    """RFC 4180, with comments in lines that begin with #; an interval is two columns."""
    text = io.StringIO()
    text.write(f"# {as_line(table.title)}\r\n")
    lines: list[list[str | int | float | None]] = [[name for column in table.columns for name in _names(column)]]
    lines += ([part for value, column in _pair(table, row) for part in _parts(value, column)] for row in table.rows)
    for row in lines:
        # Unquoted, a # within a name would end the line for whoever takes it for a comment's.
        has_sign = any("#" in part for part in row if isinstance(part, str))
        writer = csv.writer(text, quoting=csv.QUOTE_ALL if has_sign else csv.QUOTE_MINIMAL)
        writer.writerow([_in_csv(part) for part in row])
    for note in table.notes:
        text.write(f"# {as_line(note)}\r\n")
    text.write(f"# again: {as_line(command)}\r\n")
    return text.getvalue()


def _in_csv(value: str | int | float | None) -> str | int | float | None:
    """No spreadsheet runs it, no reader takes it for a comment."""
    if not isinstance(value, str):
        return value
    text = str(as_cell(as_line(value)))
    return f"'{text}" if text.startswith("#") else text


def _as_latex(table: Table, command: str, decimals: int) -> str:
    sides = "".join("l" if column.kind == "text" else "r" for column in table.columns)
    lines = [
        [_in_latex(column.name) for column in table.columns],
        *(
            [_in_latex(show_value(value, column, decimals)) for value, column in _pair(table, row)]
            for row in table.rows
        ),
    ]
    body = [" & ".join(line) + r" \\" for line in lines]
    notes = [rf"\par {_in_latex(note)}" for note in table.notes]
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{_in_latex(table.title)}}}",
            rf"\begin{{tabular}}{{{sides}}}",
            r"\hline",
            body[0],
            r"\hline",
            *body[1:],
            r"\hline",
            r"\end{tabular}",
            *notes,
            rf"\par again: \texttt{{{_in_latex(command)}}}",
            r"\end{table}",
            "",
        ]
    )


_LATEX = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", "–": "--", "−": "$-$", "×": r"$\times$", "±": r"$\pm$"},
}


def _in_latex(text: str) -> str:
    return "".join(_LATEX.get(sign, sign) for sign in as_line(text))


def _as_json(table: Table, command: Sequence[str]) -> dict[str, Any]:
    names = [name for column in table.columns for name in _names(column)]
    rows = [[part for value, column in _pair(table, row) for part in _parts(value, column)] for row in table.rows]
    return {
        "table": table.name,
        "title": table.title,
        "rows": [dict(zip(names, row, strict=True)) for row in rows],
        "notes": list(table.notes),
        "command": _command_of(table, command),
    }


def _names(column: Column) -> list[str]:
    if column.kind != "interval":
        return [column.name]
    name = column.name.removeprefix("95 % ")
    return [f"{name} low", f"{name} high"]


def _parts(value: Value, column: Column) -> Sequence[str | int | float | None]:
    if column.kind == "interval":
        return value if isinstance(value, tuple) else (None, None)
    assert not isinstance(value, tuple)
    return (value,)


def _pair(table: Table, row: Sequence[Value]) -> list[tuple[Value, Column]]:
    return list(zip(row, table.columns, strict=True))


def show_value(value: Value, column: Column, decimals: int) -> str:
    """A value for people."""
    if value is None:
        return NONE
    if isinstance(value, tuple):
        return f"{_number(value[0], decimals)} to {_number(value[1], decimals)}"
    if isinstance(value, str):
        return value
    if column.kind == "count":
        return f"{value:,}"
    if column.kind == "share":
        return f"{100 * value:.{decimals}f} %"
    if column.kind == "chance":
        return "<0.0001" if value < 0.0001 else f"{value:.4f}"
    return _number(value, decimals)


def _number(value: float, decimals: int) -> str:
    shown = f"{value:.{decimals}f}"
    return shown.lstrip("-") if float(shown) == 0 else shown
