"""A fault as it is asked for, and how its text is read: `KIND[@PLACE][:key=value,key=value]`."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from vlures.errors import UsageError
from vlures.sandbox.faults.kinds import (
    COUNTING_OPTIONS,
    HOW_WORDS,
    JUDGE_REPLIES,
    KINDS,
    THINKING_FORMS,
    USAGE_FORMS,
    Level,
)

TEXT_OPTIONS = ("code", "message", "name", "how", "to", "reason", "form", "tell", "kind")
"""Options of the kinds whose values are not numbers."""
_MINIMA = {"every": 1.0, "status": 300.0}
_MAXIMA = {"rate": 1.0, "keep": 1.0, "status": 599.0}


@dataclass(frozen=True)
class Fault:
    """One fault as it was asked for."""

    text: str
    kind: str
    place: str | None = None
    """None: every place of its kind."""
    times: int | None = None
    """How often it strikes at most; None: without end."""
    every: int = 1
    """It strikes every so many occasions."""
    after: int = 0
    """Occasions that it lets pass first."""
    rate: float = 1.0
    """The probability that it strikes."""
    values: tuple[tuple[str, str], ...] = ()
    """The kind's own options, as they were written."""

    @property
    def level(self) -> Level:
        """What the fault is decided for (`FaultKind.level`)."""
        return KINDS[self.kind].level

    def option(self, key: str, default: str) -> str:
        """The value of one of the kind's own options."""
        return dict(self.values).get(key, default)

    def number(self, key: str, default: float) -> float:
        """The value of one of the kind's own options as a number (`parse_fault` has checked it)."""
        return float(self.option(key, str(default)))

    def applies_at(self, place: str) -> bool:
        """Whether the fault can strike at this place."""
        return self.place == place if self.place else place in KINDS[self.kind].places


def parse_fault(text: str) -> Fault:
    """Read `KIND[@PLACE][:key=value,...]`; raises UsageError with one sentence that says what is wrong."""
    head, _, tail = text.strip().partition(":")
    kind, at, place = head.partition("@")
    if kind not in KINDS:
        raise _unusable(text, f"there is no fault {kind!r}", kind, tuple(KINDS))
    fault_kind = KINDS[kind]
    if at and place not in fault_kind.places:
        raise _unusable(text, f"{kind!r} cannot strike at {place!r}", place, fault_kind.places)
    options = _read_options(text, tail)
    for key in options:
        if key not in COUNTING_OPTIONS + fault_kind.options:
            raise _unusable(text, f"{kind!r} has no option {key!r}", key, COUNTING_OPTIONS + fault_kind.options)
    if options.get("form", "think") not in THINKING_FORMS:
        raise _unusable(text, f"there is no form {options['form']!r}", options["form"], tuple(THINKING_FORMS))
    if options.get("tell", "nothing") not in USAGE_FORMS:
        raise _unusable(text, f"there is no usage {options['tell']!r}", options["tell"], USAGE_FORMS)
    if options.get("kind", "nan") not in JUDGE_REPLIES:
        raise _unusable(text, f"there is no reply {options['kind']!r}", options["kind"], JUDGE_REPLIES)
    numbers = {key: _read_number(text, key, value) for key, value in options.items() if key not in TEXT_OPTIONS}
    _check_ranges(text, numbers)
    how = options.get("how", "")
    if how and how not in HOW_WORDS[kind]:
        raise _unusable(text, f"{kind!r} has no how={how!r}", how, HOW_WORDS[kind])
    return Fault(
        text=text.strip(),
        kind=kind,
        place=place or None,
        times=int(numbers["times"]) if "times" in numbers else None,
        every=int(numbers.get("every", 1)),
        after=int(numbers.get("after", 0)),
        rate=numbers.get("rate", 1.0),
        values=tuple((key, value) for key, value in options.items() if key not in COUNTING_OPTIONS),
    )


def _read_options(text: str, tail: str) -> dict[str, str]:
    options: dict[str, str] = {}
    last = ""
    for piece in tail.split(",") if tail else []:
        key, equals, value = piece.partition("=")
        if last == "message" and not (equals and key.strip().isidentifier()):
            options["message"] += "," + piece  # a message may contain commas
        elif equals:
            last = key.strip()
            options[last] = value.strip()
        else:
            sentence = f"The fault {text!r} has an option {piece!r} without a value; write it as key=value."
            raise UsageError(sentence)
    return options


def _read_number(text: str, key: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        sentence = f"The fault {text!r} needs a number for {key!r}, not {value!r}."
        raise UsageError(sentence) from None


def _check_ranges(text: str, numbers: Mapping[str, float]) -> None:
    for key, number in numbers.items():
        low, high = _MINIMA.get(key, 0.0), _MAXIMA.get(key, float("inf"))
        if not low <= number <= high:
            sentence = f"The fault {text!r} has {key}={number:g}, which is outside {low:g} to {high:g}."
            raise UsageError(sentence)


def _unusable(text: str, what: str, word: str, known: tuple[str, ...]) -> UsageError:
    close = get_close_matches(word, known, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}?" if close else "known are: " + ", ".join(known) + "."
    return UsageError(f"The fault {text!r} cannot be used: {what}; {hint}")
