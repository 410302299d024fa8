"""What all answers have in common: their characters, the marks around them, and where the final answer stands."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Invalid:
    """An answer without a value."""

    reason: str
    """For a report: `names several: left, right`."""


EDGES = " \t\r\n.,;:!?\"'()[]{}"
"""What may stand around an answer."""

_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_SIGNS = str.maketrans(
    {
        **{"\u3000": " ", "\u00a0": " ", "\u202f": " ", "\u2009": " "},
        **{"’": "'", "‘": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "´": "'"},
        **{"−": "-", "‐": "-", "‑": "-", "–": "-", "—": " - ", "〜": "~", "…": "..."},
        **{"٫": ".", "٬": ",", "٪": "%", "۔": ".", "。": ".", "،": ",", "、": ",", "؟": "?"},
        **dict.fromkeys("*`#\u200b\u200e\u200f\ufeff", ""),
        "_": " ",
    }
)
_TOKENS = re.compile(
    r"<\|[^|<>\n]{1,40}\|>|</?(?:s|pad|eos|bos|unk|image|end of turn|start of turn|end of utterance"
    r"|b|i|u|em|strong|code|p|br ?/?)>"
)
"""Special tokens that a decoder has left in, and tags of HTML."""
_ESCAPED_BREAK = re.compile(r"\\n(?![a-z])")
_TILDE = re.compile(r"(?<=\d)\s*~+\s*(?=\d)")
"""`2~3` is a range; elsewhere a tilde means about."""
_FONT = re.compile(
    r"\\(?:text|textbf|textit|texttt|mathrm|mathbf|mathit|mathsf|mathtt|emph|bm|boldsymbol)\s*\{([^{}]*)\}"
)
_BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{([^{}]*)\}|<answer>([^<>]*)</answer>")
_LIST_NUMBER = re.compile(r"^([ \t]*)(\d{1,2})[.)](?=[ \t]+\S)", re.MULTILINE)


def normalise(text: str) -> str:
    """The text in small letters, with the digits of every script and full-width signs as ASCII's, and without the
    marks of Markdown, of LaTeX and of decoders. Superscripts and fractions stay what they are: ² is not 2.

    What stands in a box, in `<answer>` or in the field `answer` of a JSON object follows an `answer:` then.
    """
    plain = _spell_out_json(text).translate(_FULL_WIDTH).translate(_SIGNS)
    if not plain.isascii():
        plain = "".join(char if (digit := unicodedata.decimal(char, None)) is None else str(digit) for char in plain)
    plain = _TOKENS.sub(" ", plain.casefold()).replace("\\%", "%")
    plain = _ESCAPED_BREAK.sub("\n", plain)
    plain = _TILDE.sub("-", plain).replace("~", " ")
    plain = _FONT.sub(r"\1", _FONT.sub(r"\1", plain))
    return _without_list_numbers(_BOXED.sub(_as_marked, plain))


def _as_marked(match: re.Match[str]) -> str:
    said = match[1] or match[2] or ""
    return f"\nanswer: {said}\n" if said.strip() else " "


_OBJECT = re.compile(r"\{[^{}]{1,20000}\}")
_ANSWER_FIELDS = ("answer", "final_answer", "final answer", "finalanswer")


def _spell_out_json(text: str) -> str:
    """The field `answer` of the last flat JSON object in a text, in the object's place."""
    found = list(_OBJECT.finditer(text)) if '"' in text else []
    if not found:
        return text
    try:
        data = json.loads(found[-1][0])
    except (ValueError, RecursionError):
        return text
    fields = {name.casefold(): value for name, value in data.items()}
    values = [fields[name] for name in _ANSWER_FIELDS if name in fields]
    if not values or isinstance(values[0], list):
        return text
    value = values[0]
    said = value if isinstance(value, str) else "" if value is None else json.dumps(value)
    return f"{text[: found[-1].start()]}\nAnswer: {said}\n{text[found[-1].end() :]}"


def _without_list_numbers(text: str) -> str:
    """`1. A car` and `2. A bus`, line by line, are items, not numbers that are said."""
    numbers = [int(match[2]) for match in _LIST_NUMBER.finditer(text)]
    if len(numbers) < 2 or numbers != list(range(1, len(numbers) + 1)):
        return text
    return _LIST_NUMBER.sub(r"\1-", text)


# Where the answer stands

_THINKING = r"<{0}(?:think|thinking|thoughts?|reasoning|analysis)>|◁{0}think▷|\[{0}think\]"
_THOUGHT = re.compile(_THINKING.format("/"))
_THINKS = re.compile(_THINKING.format(""))

_ASKS = re.compile(r"(?<![\w-])(?:human|user)\s*:|^[^\w\n]{0,9}(?:question|q)\s*:", re.MULTILINE)
_SAYS = re.compile(r"(?<![\w-])assistant\s*:")
"""Marks of turns, which a model without a chat format repeats or goes on with."""

_ANSWER = re.compile(
    r"(?<![\w-])answer(?: is| would be)?(?:\s*\([^()\n]{0,60}\))?[\"']?\s*[:=](?![\"'\s]*followed by\b)"
    r"|^[^\w\n]{0,9}(?:(?:so|thus|the|my|final|correct),? ){0,3}answer[ \t]*(?:-+[ \t]|$)",
    re.MULTILINE,
)
"""Not where the instruction is repeated: `end with "Answer:" followed by a number`."""
_NO_ANSWER = re.compile(r"(?:\bnot|n't|\bcannot|\bunable to)\s+(?:\w+\s+){0,3}$")
_BACK_CHARS = 60


def find_final(text: str, *, required: bool, asked: Iterable[str] = ()) -> tuple[str, bool] | Invalid:
    """What a normalised text gives as its answer: what follows the last `answer:`, and True; the whole text and False
    where there is none. The model's reasoning between tags, the question before the answer and the turns that the model
    made up after it are no part of it.

    required: Invalid where there is no `answer:`. asked: the questions that may be repeated, normalised.
    """
    thought = _leave_thinking(text)
    own = _without_question(_own_turn(thought, required), asked)
    marks = [match for match in _ANSWER.finditer(own) if not _is_unanswered(own, match)]
    if not marks and required and own.strip():
        return Invalid("no `Answer:` after the reasoning")
    said = (own[marks[-1].end() :] if marks else own).strip()
    if said:
        return said, bool(marks)
    if marks:
        return Invalid("nothing after the last `Answer:`")
    return Invalid("nothing but the question or reasoning" if text.strip() else "empty")


def _leave_thinking(text: str) -> str:
    ends = list(_THOUGHT.finditer(text))
    rest = text[ends[-1].end() :] if ends else text
    begins = _THINKS.search(rest)
    return rest[: begins.start()] if begins else rest


def _own_turn(text: str, required: bool) -> str:
    """The first turn of the model: what follows the question's turn, where it has repeated that, and ends before the
    next question, which it made up."""
    asks = _ASKS.search(text)
    before = text[: asks.start()] if asks else text
    if asks and not before.strip(EDGES):
        rest = _after_name(text[asks.end() :])
        again = _ASKS.search(rest)
        return rest[: again.start()] if again else rest
    is_answered = not required or any(before[match.end() :].strip() for match in _ANSWER.finditer(before))
    return _after_name(before if is_answered else text)


def _after_name(text: str) -> str:
    says = _SAYS.search(text)
    return text[says.end() :] if says else text


def _without_question(text: str, asked: Iterable[str]) -> str:
    said = text.lstrip()
    for question in asked:
        if question and said.startswith(question):
            return said[len(question) :]
    return text


def _is_unanswered(text: str, match: re.Match[str]) -> bool:
    return _NO_ANSWER.search(text[max(0, match.start() - _BACK_CHARS) : match.start()]) is not None
