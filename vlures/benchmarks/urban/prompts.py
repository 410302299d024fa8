"""What the model is asked: the dataset's own question, or the fixed wording of its subtype."""

from __future__ import annotations

import re
from collections.abc import Mapping

from vlures.benchmarks.urban.rows import UrbanRow
from vlures.benchmarks.urban.subtypes import read_wordings
from vlures.benchmarks.urban.variant import UrbanVariant

_SLOT = re.compile(r"\{(\w+)\}")


def make_prompt(row: UrbanRow, variant: UrbanVariant) -> str:
    """The text of the user's turn. The question is sent as it stands; a template never replaces it unless asked for."""
    wordings = read_wordings()
    answer = wordings.answers[row.subtype.answer]
    if variant.style == "question":
        if not variant.cot:
            return row.question
        return f"{row.question}\n\n{wordings.instructions['cot_of_question']}"
    wording = fill(row.subtype.wording, row.slots)
    if not variant.cot:
        return f"{wording} {wordings.instructions['template'].replace('{answer}', answer)}"
    return f"{wording}\n\n{wordings.instructions['cot'].replace('{answer}', answer)}"


def fill(wording: str, slots: Mapping[str, str]) -> str:
    """A wording with its slots filled. In one pass: a name with braces in it stays as it is."""
    return _SLOT.sub(lambda match: slots[match[1]], wording)
