"""Questions said in other words by a model: which are asked for, how, and which answers can be used."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby

from vlures.benchmarks.urban.prompts import fill
from vlures.benchmarks.urban.rows import make_id
from vlures.benchmarks.urban.subtypes import PARAPHRASE, SLOTS, AnswerKind, read_wordings
from vlures.benchmarks.urban.synthesis.qa_set import QaSet
from vlures.benchmarks.urban.synthesis.rows import Row
from vlures.benchmarks.urban.synthesis.texts import draw, read_texts
from vlures.errors import counted

MOST_PER_IMAGE = 10
LONGEST = 500
"""Characters of a paraphrase."""
NAMING: frozenset[AnswerKind] = frozenset({"complex_simple", "level", "side", "people_or_cars", "absent_thing"})
"""Kinds of answers whose choices a question names."""

_QUOTED = re.compile(r'["“«\'](.*[?.!])["”»\']', re.DOTALL)
"""A whole sentence in quotation marks, which may have others in it."""
_NO_WORD = re.compile(r"\W+")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model answered to the request for a paraphrase."""

    status: str
    text: str | None
    model: str
    """That answered."""


@dataclass(slots=True)
class Paraphrases:
    """The answers that can be used, and why the others cannot."""

    answers: dict[str, Answer] = field(default_factory=dict)
    """By the ID of the request; the text is the paraphrase."""
    refused: Counter[str] = field(default_factory=Counter)
    """Reason → how often."""


def choose_rows(qa_set: QaSet, most: int) -> Iterator[tuple[str, Row]]:
    """At most so many rows of each image, by the seed, each with the ID of its request. A larger number adds to the
    rows of a smaller one."""
    seed = qa_set.choices.seed

    def rank(row: Row) -> int:
        return draw(seed, "paraphrase", row["image_id"], row["subtype"], *slots_of(row).values())

    for _, rows in groupby((row for _, row in qa_set.rows()), key=lambda row: str(row["image_id"])):
        yield from ((id_of(row), row) for row in sorted(rows, key=rank)[:most])


def slots_of(row: Row) -> dict[str, str]:
    return {name: row[name] for name in SLOTS if name in row}


def id_of(row: Row) -> str:
    """The ID of the request for a paraphrase of a row."""
    return make_id(row["image_id"], PARAPHRASE + row["subtype"], row["question"], slots_of(row))


def write_requests(qa_set: QaSet, most: int, find_image: Callable[[str], str]) -> Iterator[str]:
    """The lines of a table that `--benchmark table` asks. find_image: image's ID → its path."""
    texts = read_texts().paraphrase
    for sample_id, row in choose_rows(qa_set, most):
        words = ", ".join(f'"{word}"' for word in find_kept_words(row))
        keep = fill(texts.keep, {"words": words}) if words else ""
        question = fill(texts.request, {"keep": keep, "question": row["question"]})
        line = {"id": sample_id, "image": find_image(row["image_id"]), "question": question, "subtype": row["subtype"]}
        yield json.dumps(line) + "\n"


def find_kept_words(row: Row) -> list[str]:
    """What a paraphrase must name, too: what the question is about, and the choices that it offers."""
    words = list(slots_of(row).values())
    kind = read_wordings().subtypes[row["subtype"]].answer
    if kind in NAMING:
        choices = re.split(r", | or ", read_wordings().answers[kind])
        words += [choice for choice in choices if choice.casefold() in row["question"].casefold()]
    return list(dict.fromkeys(words))


def check_answers(qa_set: QaSet, most: int, answers: Mapping[str, Answer]) -> Paraphrases:
    """Decide which answers are paraphrases. Whether one really asks for the same, only a reader can tell."""
    found = Paraphrases()
    for _, group in groupby(choose_rows(qa_set, most), key=lambda item: str(item[1]["image_id"])):
        chosen = list(group)
        taken = {_normalise(row["question"]) for _, row in chosen}
        for sample_id, row in chosen:
            answer = answers.get(sample_id)
            if answer is None or answer.status != "ok":
                found.refused["not answered" if answer is None else f"the answer is {answer.status}"] += 1
                continue
            said = tidy(answer.text or "")
            if reason := _refuse(said, row, taken):
                found.refused[reason] += 1
                continue
            taken.add(_normalise(said))
            found.answers[sample_id] = Answer(answer.status, said, answer.model)
    return found


def tidy(text: str) -> str:
    """An answer without the quotation marks or the heading that models put around a question."""
    said = text.strip().removeprefix("Question:").strip()
    quoted = _QUOTED.fullmatch(said)
    return quoted[1].strip() if quoted else said


def _refuse(said: str, row: Row, taken: set[str]) -> str | None:
    """Why an answer is no paraphrase of a row; None if it may be one. taken: questions that the image has already."""
    if "\n" in said or len(said) > LONGEST:
        return "it is more than one question"
    if "?" not in said:
        return "it is no question"
    if any(word.casefold() not in said.casefold() for word in find_kept_words(row)):
        return "a word that had to stay is lost"
    if _normalise(said) in taken:
        return "it has the words of another question about the image"
    return None


def _normalise(question: str) -> str:
    return _NO_WORD.sub(" ", question).strip().casefold()


def paraphrase_row(row: Row, answer: Answer) -> Row:
    """The same row in other words: its answer, and what that follows from, stay."""
    return row | {
        "question": answer.text,
        "qtype": "llm",
        "subtype": PARAPHRASE + row["subtype"],
        "origin_subtype": row["subtype"],
        "provenance": row["provenance"] | {"paraphrase_of": row["question"], "model": answer.model},
    }


def describe_refused(found: Paraphrases) -> Iterator[str]:
    """A sentence per reason."""
    for reason, times in found.refused.most_common():
        yield f"{counted(times, 'paraphrase', 'is', 'are')} left out: {reason}."
