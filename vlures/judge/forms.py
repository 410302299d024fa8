"""What a judge must reply, and how a reply is read: a JSON object of known keys, or no verdict at all.

Reading is total: whatever a model says is either a verdict or a reason why there is none. Nothing is guessed, rounded,
clamped or read out of prose. A verdict that is not there is missing; it never becomes a number.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from vlures.judge.packs import CRITERIA, Criterion

LOWEST_LEVEL, HIGHEST_LEVEL = 0, 5
"""Of a criterion."""
CHOICES = ("first", "second", "neither")
MOST_BRACES = 1_000
"""Places where an object might begin in a reply; no judge writes so many."""


@dataclass(frozen=True, slots=True)
class Form:
    """The keys of a reply, in their order, and what may stand at each."""

    criteria: tuple[Criterion, ...]
    overall: str | None
    """The key of the score of the whole; None where there is a choice instead."""
    lowest: int
    highest: int
    """Of that score."""
    has_reasons: bool = True

    @property
    def keys(self) -> tuple[str, ...]:
        reasons = ("reasons",) if self.has_reasons else ()
        return (*reasons, *self.criteria, self.overall or "choice")

    def schema(self) -> dict[str, Any]:
        """As a JSON Schema in the subset that all providers honour. Ranges are checked by read_reply: providers ignore
        numeric bounds. Properties are generated in the order of `required`, so reasons come before scores."""
        kinds: dict[str, Any] = {name: {"type": "integer"} for name in self.keys}
        if self.has_reasons:
            kinds["reasons"] = {"type": "string"}
        if self.overall is None:
            kinds["choice"] = {"type": "string", "enum": list(CHOICES)}
        return {"type": "object", "properties": kinds, "required": list(self.keys)}

    def sketch(self) -> str:
        """The object as a line, for models that no schema holds to it."""
        kinds = {
            "reasons": '"…"',
            "choice": '"first", "second" or "neither"',
            self.overall: f"{self.lowest}–{self.highest}",
        }
        levels = f"{LOWEST_LEVEL}–{HIGHEST_LEVEL}"
        return "{" + ", ".join(f'"{key}": {kinds.get(key, levels)}' for key in self.keys) + "}"


ANSWER_FORM = Form(CRITERIA[:-1], "overall", 1, 100)
"""For an answer by itself."""
WHOLE_FORM = Form(CRITERIA, "overall", 1, 100)
"""For an answer with its rationale."""
UPSTREAM_FORM = Form((), "score", 0, 100, has_reasons=False)
"""As the original judge was asked."""
PAIRWISE_FORM = Form((), None, 0, 0)
"""For two answers that are compared."""


def form_of(variant: str) -> Form:
    """What a judge must reply. variant: its label, as vlures.judge.options names it."""
    forms = {"judge_pairwise": PAIRWISE_FORM, "judge_upstream": UPSTREAM_FORM, "judge_whole": WHOLE_FORM}
    return next((form for beginning, form in forms.items() if variant.startswith(beginning)), ANSWER_FORM)


def find_scale(rubric_name: str) -> tuple[int, int]:
    """The lowest and the highest overall score by a wording, as Verdict.rubric_name names it: a person's has none."""
    form = form_of(f"judge_{rubric_name}")
    return form.lowest, form.highest


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reply says."""

    reasons: str
    criteria: Mapping[str, int]
    overall: int | None
    """None where there is a choice."""
    choice: str | None
    unwrapped: bool
    """The object stood in a fence, or had text around it."""


@dataclass(frozen=True, slots=True)
class Invalid:
    """Why a reply is no verdict."""

    reason: str


def find_fault(form: Form) -> Callable[[str], str | None]:
    """Finds out why a reply is no verdict, as vlures.benchmarks.Benchmark.find_fault."""

    def find(text: str) -> str | None:
        reading = read_reply(text, form)
        return reading.reason if isinstance(reading, Invalid) else None

    return find


def read_reply(text: str, form: Form) -> Reading | Invalid:
    """Read a reply. Never raises."""
    try:
        content, unwrapped = _find_object(text)
        return _check(content, form, unwrapped)
    except _Fault as fault:
        return Invalid(str(fault))


class _Fault(Exception):
    """Why a reply is no verdict."""


def _refuse_constant(name: str) -> NoReturn:
    raise _Fault(f"{name} is no number")


def _refuse_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _Fault(f"the key {_shorten(key)} occurs twice")
        found[key] = value
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_refuse_doubles, parse_constant=_refuse_constant)


def _find_object(text: str) -> tuple[Any, bool]:
    """The JSON in a reply, and whether there was anything around it."""
    bare = text.removeprefix("\ufeff").strip()
    if not bare:
        raise _Fault("the reply is empty")
    try:
        return _DECODER.decode(bare), False
    except RecursionError as error:
        raise _Fault("it is nested too deeply") from error
    except ValueError:
        return _find_within(bare), True


def _find_within(text: str) -> Any:
    """The one object in a text. Every brace must belong to it."""
    if text.count("{") > MOST_BRACES:
        raise _Fault("it has too many braces")
    begin = text.find("{")
    if begin < 0:
        raise _Fault("there is no JSON object")
    try:
        content, end = _DECODER.raw_decode(text, begin)
    except RecursionError as error:
        raise _Fault("it is nested too deeply") from error
    except ValueError as error:
        raise _Fault("the JSON is cut off or broken") from error
    before, after = text[:begin], text[end:]
    if "{" in after:
        raise _Fault("there is more than one JSON object")
    if "}" in before or "}" in after:
        raise _Fault("the JSON is broken")
    if before.rstrip().endswith(("[", '":')) or after.lstrip().startswith(("]", ",")):
        raise _Fault("the JSON object is a part of something else")
    return content


def _check(content: Any, form: Form, unwrapped: bool) -> Reading:
    if not isinstance(content, dict):
        raise _Fault(f"it is {_KINDS.get(type(content), 'no object')}, not an object")
    if lacking := [key for key in form.keys if key not in content]:
        raise _Fault(f"the key {lacking[0]!r} is missing")
    if unknown := [key for key in content if key not in form.keys]:
        raise _Fault(f"the key {_shorten(unknown[0])} is unknown")
    reasons = _check_reasons(content["reasons"]) if form.has_reasons else ""
    criteria: dict[str, int] = {
        name: _check_whole(content, name, LOWEST_LEVEL, HIGHEST_LEVEL) for name in form.criteria
    }
    if form.overall is None:
        choice = content["choice"]
        if choice not in CHOICES:
            raise _Fault(f"`choice` is {_shorten(choice)}, not one of {', '.join(CHOICES)}")
        return Reading(reasons, criteria, None, choice, unwrapped)
    overall = _check_whole(content, form.overall, form.lowest, form.highest)
    return Reading(reasons, criteria, overall, None, unwrapped)


_KINDS = {list: "a list", str: "a text", int: "a number", float: "a number", bool: "a truth value", type(None): "null"}


def _check_reasons(value: Any) -> str:
    if not isinstance(value, str):
        raise _Fault(f"`reasons` is {_shorten(value)}, not a text")
    reasons = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # a lone surrogate cannot be stored
    if not any(character.isalpha() for character in reasons):
        raise _Fault("`reasons` says nothing")
    return reasons


def _check_whole(content: Mapping[str, Any], key: str, lowest: int, highest: int) -> int:
    value = content[key]
    if type(value) is not int:  # a bool is an int to Python
        raise _Fault(f"`{key}` is {_shorten(value)}, not a whole number")
    if not lowest <= value <= highest:
        raise _Fault(f"`{key}` is {_shorten(value)}, not from {lowest} to {highest}")
    return value


def _shorten(value: Any) -> str:
    try:
        shown = json.dumps(value)
    except (ValueError, RecursionError):  # a number of thousands of digits
        return "too large"
    return shown if len(shown) <= 40 else f"{shown[:40]}…"
