"""Rows of a QA file from facts about a street view."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vlures.benchmarks.urban.prompts import fill
from vlures.benchmarks.urban.subtypes import read_wordings
from vlures.benchmarks.urban.synthesis.facts import ViewFacts
from vlures.benchmarks.urban.synthesis.rules import Made, make_questions
from vlures.benchmarks.urban.synthesis.texts import word_question, word_reasons

Row = dict[str, Any]

REASONING = ("multi_hop.", "negation.", "counterfactual.", "spatial.relation")
"""Begin the subtypes whose qtype is reasoning; the others' is perceptual."""


def make_rows(facts: ViewFacts) -> Iterator[Row]:
    """A row per question in the fixed wording of its subtype, none of a subtype with a constant answer."""
    subtypes = read_wordings().subtypes
    for made in make_questions(facts):
        if isinstance(made, Made) and not subtypes[made.subtype].constant:
            yield _make_row(made, facts.image_id, fill(subtypes[made.subtype].wording, made.slots))


def make_traced_row(made: Made, image_id: str, seed: int, *, cot: bool) -> Row:
    """A row in one of the wordings of its subtype, with what its answer follows from.

    cot: with the target of a model that reasons.
    """
    row = _make_row(made, image_id, word_question(made, image_id, seed))
    if cot:
        row["cot_answer"] = word_reasons(made, image_id, seed)
    rule = read_wordings().subtypes[made.subtype].rule
    return row | {"provenance": {"rule": rule, "from": dict(made.source)}}


def _make_row(made: Made, image_id: str, question: str) -> Row:
    return {
        "image_id": image_id,
        "question": question,
        "answer": made.answer,
        "qtype": "reasoning" if made.subtype.startswith(REASONING) else "perceptual",
        "subtype": made.subtype,
        **made.slots,
    }
