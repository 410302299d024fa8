"""Pieces of HTML. Every text goes through `text` or `line`, which escape it and make visible what a screen obeys."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from vlures.report.languages import direction_of
from vlures.safety.control_characters import as_line, as_text


def line(value: object) -> str:
    """A text of one line."""
    return escape(as_line(value))


def text(value: object, language: str | None = None) -> str:
    """A text of several lines as it stands, in its own direction."""
    lang = f' lang="{escape(language)}"' if language else ""
    return f'<pre class="text" dir="{direction_of(language)}"{lang}>{escape(as_text(value))}</pre>'


def table(
    caption: str,
    headers: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    numbers: bool = False,
    under_heading: bool = False,
) -> str:
    """A table whose first column names its rows. numbers: the other columns hold numbers.
    under_heading: a heading above says what its caption says, which is there for screen readers only."""
    head = "".join(f'<th scope="col">{line(header)}</th>' for header in headers)
    body = "".join(
        f'<tr><th scope="row">{line(first)}</th>{"".join(f"<td>{line(value)}</td>" for value in rest)}</tr>'
        for first, *rest in rows
    )
    kind, named = ' class="numbers"' if numbers else "", line(caption)
    unseen = ' class="unseen"' if under_heading else ""
    return (
        f'<div class="wide" tabindex="0" role="group" aria-label="{named}"><table{kind}>'
        f"<caption{unseen}>{named}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def folded(summary: str, content: str) -> str:
    """Content below a line that opens it; printing opens it too."""
    return f"<details><summary>{line(summary)}</summary>{content}</details>"
