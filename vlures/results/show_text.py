"""Answers as text for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from vlures.benchmarks import Subject
from vlures.errors import counted
from vlures.results.load import Answer
from vlures.safety.control_characters import as_line, as_text
from vlures.store.keys import sample_of

BEGINNING = 240
"""Characters of a sample's text that are shown."""


def show_as_text(answers: Iterable[Answer]) -> Iterator[str]:
    """A block for each answer: what was asked about which image, how it ended and what the model said. The image and
    the beginning of the text that belongs to it come before the first of the answers about them."""
    shown: tuple[object, object] | None = None
    for answer in answers:
        subject = answer.subject
        if subject is not None and (about := (subject.image and subject.image.digest, subject.text)) != shown:
            yield ("" if shown is None else "\n") + "\n".join(_describe_subject(subject))
            shown = about
        yield f"\n{as_line(_head(answer))}\n{textwrap.indent(as_text(_said(answer)), '    ')}"


def _describe_subject(subject: Subject) -> Iterator[str]:
    if (image := subject.image) is not None:
        yield f"{as_line(image.path.as_posix())}, {image.width} × {image.height}"
    if subject.text:
        text = as_line(subject.text.strip())
        more = f"… ({counted(len(subject.text), 'character')})" if len(text) > BEGINNING else ""
        yield f"text: {text[:BEGINNING].rstrip()}{more}"


def _head(answer: Answer) -> str:
    row, standing = answer.row, answer.standing
    parts = [standing.heading.title, f"sample {sample_of(row['key'])}", standing.variant.label, row["run"]]
    return " · ".join([*parts, row["status"]])


def _said(answer: Answer) -> str:
    row = answer.row
    why = [row["status"], row["finish_reason"], row["error_code"], row["error_message"]]
    status = "" if row["status"] == "ok" else f"[{': '.join(part for part in why if part)}]"
    return "\n".join(part for part in (status, row["answer"] or "") if part)
