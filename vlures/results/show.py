"""An image, its article and the answers about them side by side, as HTML for a notebook."""

from __future__ import annotations

import base64
import io
import operator
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from vlures.benchmarks import BenchmarkPackage
from vlures.errors import UsageError, VluresError
from vlures.records import STATUSES, Cell, Image
from vlures.results.load import Answer, Outputs, find_runs, read_answers
from vlures.results.rows import Row
from vlures.results.small_image import open_small
from vlures.safety.control_characters import as_line, as_text

RIGHT_TO_LEFT = frozenset({"ar", "fa", "he", "ur"})
_SCRIPTS = {"ur": re.compile(r"[\u0600-\u06ff]"), "ja": re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")}

THUMBNAIL_PIXELS = 640
"""The longer side of an embedded image; it is shown at half that size, so that it is sharp on a high-density screen."""

FRAME = "border:1px solid rgba(128,128,128,.4);border-radius:6px;padding:.6em .8em"
TEXT = "padding:.1em .3em .4em;white-space:pre-wrap;overflow-wrap:anywhere;max-height:30em;overflow:auto"
NASTALIQ = "font-family:'Noto Nastaliq Urdu','Jameel Noori Nastaleeq',serif;line-height:2.1"
FAINT = "opacity:.7;font-size:85%"


@dataclass(frozen=True, slots=True)
class Page:
    """What `vlures.show` returns. A notebook displays it; elsewhere write `html` to a file in UTF-8."""

    sample_id: int | str
    answers: int
    html: str = field(repr=False)

    def _repr_html_(self) -> str:
        return self.html


@dataclass(frozen=True, slots=True)
class _Panel:
    """An image and an article with the answers about them."""

    image: Image | None
    """None where it is missing or has changed since, as is the article."""
    article: str | None
    answers: tuple[Answer, ...]


def show(
    sample_id: int | str,
    output: Outputs | None = None,
    **selection: Any,
) -> Page:
    """A sample's image, article and answers side by side. A notebook shows it as a cell's last line, or with
    `display(vlures.show(…))`.

    output: as for load; by default the only run under outputs/. selection: only these, as a configuration names them;
    for VLURes, `languages` and `tasks`. Changes nothing on the disk, and escapes every text.

    Raises UsageError for an unknown sample ID, run, language or task, VluresError if there is no such answer.
    """
    number = _read_id(sample_id)
    chosen = find_answers(number, _only_run() if output is None else output, selection)
    return make_page(number, chosen)


def make_page(number: str, answers: Sequence[Answer]) -> Page:
    """The page of these answers about one sample."""
    shown = int(number) if number.isdecimal() else number
    return Page(shown, len(answers), _page(number, _group_by_subject(answers)))


def find_answers(
    number: str, output: Outputs, selection: Mapping[str, Any], statuses: Collection[str] = STATUSES
) -> list[Answer]:
    """The answers about one sample that have one of the statuses, in the order of their cells. Raises as show does."""
    runs = find_runs(output)
    found = list(read_answers(runs, lambda _: None, number))
    chosen = list(choose(found, selection, statuses))
    if not chosen:
        where = ", ".join(map(str, runs))
        titles = ((answer, answer.standing.variant.title(answer.standing.cell)) for answer in found)
        there = sorted({f"{title} ({answer.row['status']})" for answer, title in titles})
        raise VluresError(
            f"{where} has no such answer about sample {number}; there are {', '.join(there)}."
            if there
            else f"{where} has no answer about sample {number}; `vlures export` lists those that have one."
        )
    return sorted(chosen, key=_sort_key)


def _read_id(sample_id: object) -> str:
    if isinstance(sample_id, str) and sample_id:
        return sample_id
    try:
        return str(operator.index(sample_id))  # type: ignore[arg-type]
    except TypeError as error:
        raise UsageError(f"{sample_id!r} is not a sample ID; give a whole number or a text.") from error


def choose(
    answers: Iterable[Answer], selection: Mapping[str, Any], statuses: Collection[str] = STATUSES
) -> Iterator[Answer]:
    """Those of the answers that a selection names (None: not given) and that have one of the statuses.

    Raises UsageError for what their benchmark does not select by.
    """
    given = {name: value for name, value in selection.items() if value is not None}
    rules: dict[BenchmarkPackage, Callable[[Cell], bool]] = {}
    for answer in answers:
        package = answer.standing.package
        if given and package not in rules:
            rules[package] = package.read_selection(given)
        if answer.row["status"] in statuses and (not given or rules[package](answer.standing.cell)):
            yield answer


def _only_run() -> Path:
    runs = find_runs("outputs/*")
    if len(runs) > 1:
        raise UsageError(
            "There are several runs under outputs; name one with output=, or all with output='outputs/*': "
            f"{', '.join(map(str, runs))}."
        )
    return runs[0]


def _group_by_subject(answers: Iterable[Answer]) -> list[_Panel]:
    """A panel per image and article: languages may share one, or each have its own."""
    groups: dict[tuple[str | None, str | None], list[Answer]] = {}
    for answer in answers:
        subject = answer.subject
        about = (subject.image.digest if subject.image else None, subject.text) if subject else (None, None)
        groups.setdefault(about, []).append(answer)
    panels = []
    for group in groups.values():
        subject = group[0].subject
        image, text = (subject.image, subject.text) if subject else (None, None)
        panels.append(_Panel(image, text, tuple(sorted(group, key=_sort_key))))
    return sorted(panels, key=lambda panel: _sort_key(panel.answers[0]))


def _sort_key(answer: Answer) -> tuple[str, str, str]:
    return answer.standing.cell, answer.row["run"], answer.standing.variant.label


# HTML. Styles are inline, so that nothing else in a notebook changes; colours are the notebook's own.


def _page(number: str, panels: Sequence[_Panel]) -> str:
    answers = [answer for panel in panels for answer in panel.answers]
    runs = {answer.row["run"] for answer in answers}
    heads = _Heads(len(runs) > 1, len({answer.standing.variant.label for answer in answers}) > 1)
    body = "".join(_panel(number, panel, heads) for panel in panels)
    # A dollar sign in an answer must not start a formula.
    return f'<div class="tex2jax_ignore mathjax_ignore">{body}</div>'


@dataclass(frozen=True, slots=True)
class _Heads:
    """What is shown above an answer besides its title."""

    run: bool
    variant: bool


def _panel(number: str, panel: _Panel, heads: _Heads) -> str:
    cards = "".join(_card(answer, heads) for answer in panel.answers)
    return (
        '<div style="display:flex;flex-wrap:wrap;gap:1em;align-items:flex-start;margin:.5em 0 1.5em">'
        f'<div style="flex:1 1 {THUMBNAIL_PIXELS // 2}px;max-width:{THUMBNAIL_PIXELS // 2}px">'
        f"{_image(number, panel.image)}{_article(panel.article)}</div>"
        '<div style="flex:3 1 24em;display:grid;gap:1em;grid-template-columns:repeat(auto-fit,minmax(17em,1fr))">'
        f"{cards}</div></div>"
    )


def _image(number: str, image: Image | None) -> str:
    if image is None:
        return f'<p style="{FAINT}">Sample {number}: its image and article are missing or have changed since.</p>'
    name = escape(as_line(image.path.as_posix()))
    caption = f'<div style="{FAINT}">Sample {number}: {name}, {image.width} × {image.height}</div>'
    thumbnail = _thumbnail(image.path)
    if thumbnail is None:
        return f'<p style="{FAINT}">{name} cannot be shown.</p>{caption}'
    return f'<img alt="Sample {number}" style="max-width:100%" src="data:image/jpeg;base64,{thumbnail}">{caption}'


def _article(text: str | None) -> str:
    if text is None:
        return ""
    return f'<div style="{FRAME};margin-top:.6em">{_text(text, tag_of_script(text), "auto")}</div>'


def _card(answer: Answer, heads: _Heads) -> str:
    row, heading = answer.row, answer.standing.heading
    parts = [heading.title, *[answer.standing.variant.label] * heads.variant, *[row["run"]] * heads.run]
    direction = "auto" if heading.language is None else "rtl" if heading.language in RIGHT_TO_LEFT else "ltr"
    said = _text(row["answer"], heading.language, direction) if row["answer"] is not None else ""
    thought = ""
    if row["reasoning"]:
        thought = f"<details><summary>reasoning</summary>{_text(row['reasoning'], None, 'auto')}</details>"
    title = f"<b>{escape(as_line(' · '.join(parts)))}</b>"
    return f'<div style="{FRAME}">{title}{_status(row)}{said}{thought}{_footer(row)}</div>'


def _status(row: Row) -> str:
    """Empty for an `ok` answer; otherwise its status and the reason."""
    if row["status"] == "ok":
        return ""
    why = [row["finish_reason"], row["error_code"], row["error_message"]]
    reason = ": ".join([row["status"], *(part for part in why if part)])
    return f'<div style="color:#c0392b">{escape(as_line(reason))}</div>'


def _footer(row: Row) -> str:
    facts = [row["model_answered"] or row["model"]]
    if row["output_tokens"] is not None:
        facts.append(f"{row['output_tokens']:,} tokens")
    if row["imported"]:
        facts.append("imported")
    return f'<div style="{FAINT}">{escape(as_line(" · ".join(fact for fact in facts if fact)))}</div>'


def _text(text: str, tag: str | None, direction: str) -> str:
    lang = f' lang="{tag}"' if tag else ""
    style = f"{TEXT};{NASTALIQ}" if tag == "ur" else TEXT
    return f'<div dir="{direction}"{lang} style="{style}">{escape(as_text(text))}</div>'


def tag_of_script(text: str) -> str | None:
    """The language of an article, as far as its script tells: it may be any, whatever was asked."""
    letters = sum(map(str.isalpha, text))
    for tag, script in _SCRIPTS.items():
        if 2 * len(script.findall(text)) > letters:
            return tag
    return None


def _thumbnail(path: Path) -> str | None:
    """The image scaled down, upright, as a JPEG in base64; None if it can no longer be read."""
    small = open_small(path, THUMBNAIL_PIXELS)
    if small is None:
        return None
    data = io.BytesIO()
    small.save(data, "JPEG", quality=85)
    return base64.b64encode(data.getvalue()).decode("ascii")
