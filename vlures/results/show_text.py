"""The answers about one sample as text for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from vlures.results.load import Answer
from vlures.safety.control_characters import as_line, as_text
from vlures.store.keys import sample_of


def show_as_text(answers: Sequence[Answer]) -> Iterator[str]:
    """A block for each answer: what was asked about which image, and what the model said."""
    shown = None
    for answer in answers:
        subject = answer.subject
        image = subject.image if subject else None
        if image is not None and image.path != shown:
            shown = image.path
            yield f"{as_line(shown.as_posix())}, {image.width} × {image.height}"
        yield f"\n{as_line(_head(answer))}\n{textwrap.indent(as_text(_said(answer)), '    ')}"


def _head(answer: Answer) -> str:
    row, standing = answer.row, answer.standing
    parts = [standing.heading.title, f"sample {sample_of(row['key'])}", standing.variant.label, row["run"]]
    return " · ".join(parts)


def _said(answer: Answer) -> str:
    row = answer.row
    why = [row["status"], row["finish_reason"], row["error_code"], row["error_message"]]
    status = "" if row["status"] == "ok" else f"[{': '.join(part for part in why if part)}]"
    return "\n".join(part for part in (status, row["answer"] or "") if part)
