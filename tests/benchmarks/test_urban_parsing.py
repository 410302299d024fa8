"""Answers to street-view questions: text → value, or the reason why there is none."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlures.benchmarks.urban import legacy_parsing as legacy
from vlures.benchmarks.urban.parsing import Invalid, Value, parse_answer, parse_label
from vlures.benchmarks.urban.parsing.names import is_head, same_thing
from vlures.benchmarks.urban.subtypes import ANSWER_KINDS, AnswerKind, Place, Subtype, read_wordings

SUBTYPES = read_wordings().subtypes


def read_answers_file() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Sections of urban_answers.txt: the head and, of each line, the value and the text."""
    content = Path(__file__).with_name("urban_answers.txt").read_text(encoding="utf-8")
    for section in content.split("\n[")[1:]:
        head, _, rest = section.partition("]\n")
        lines = (line.partition("\t") for line in rest.splitlines() if line)
        yield head, [(value, json.loads(text)) for value, _, text in lines]


@pytest.mark.parametrize(("head", "cases"), list(read_answers_file()))
def test_answers_as_models_write_them(head: str, cases: list[tuple[str, str]]) -> None:
    name, *rest = head.split(", ")
    about = next((part.removeprefix("about ") for part in rest if part != "cot"), "")
    wrong = []
    for wanted, text in cases:
        value = parse_answer(text, SUBTYPES[name], cot="cot" in rest, about=about)
        shown = "-" if isinstance(value, Invalid) else f"{value:.4g}" if isinstance(value, float) else str(value)
        if shown != wanted:
            wrong.append((text, wanted, value))
    assert wrong == []


def test_a_question_that_is_repeated_before_the_answer_is_no_part_of_it() -> None:
    question = "Is it true that no bus is visible, yes or no?"
    subtype = SUBTYPES["negation.absence"]
    for text, value in ((f"{question} No", "no"), (f"{question.upper()}\n\nYes.", "yes")):
        assert parse_answer(text, subtype, cot=False, asked=(question,)) == value
    alone = parse_answer(question, subtype, cot=False, asked=("Another?", question))
    assert alone == Invalid("nothing but the question or reasoning")
    near = "What is the closest object to the car?"
    assert parse_answer(f"{near} A bus", SUBTYPES["depth.closest_object"], cot=False, asked=(near,)) == "bus"
    assert isinstance(parse_answer(near, SUBTYPES["depth.closest_object"], cot=False, asked=(near,)), Invalid)


def read(text: str, subtype: str, *, cot: bool = False, about: str = "") -> Value | None:
    """The value; None if the text has none."""
    value = parse_answer(text, SUBTYPES[subtype], cot=cot, about=about)
    return None if isinstance(value, Invalid) else value


def why(text: str, subtype: str, *, cot: bool = False) -> str:
    value = parse_answer(text, SUBTYPES[subtype], cot=cot)
    assert isinstance(value, Invalid), value
    return value.reason


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("Yes", "yes"), ("no.", "no"), ("**Yes**", "yes"), ("YES!", "yes"), ("Ｙｅｓ", "yes"), ("'No'", "no")),
        *(("Yes, there is no doubt about it.", "yes"), ("No, there isn't.", "no"), ("No it is not", "no")),
        ("Answer: Yes", "yes"),
        ("The answer is: no", "no"),
        ("Yes.\n\nThe image shows two cars and no people are near them.", "yes"),
        ("I would say yes", "yes"),
        ("I can't say yes", None),
        *(("true", "yes"), ("False.", "no"), ("y", "yes"), ("Nope", "no"), ("\\boxed{Yes}", "yes")),
        *(("Yes and no", None), ("yes or no", None), ("Yes/No", None), ("No, or yes?", None), ("Yes. Wait, no.", None)),
        *(("I cannot tell.", None), ("", None), ("   \n", None), ("maybe", None), ("1", None), ("Yesterday", None)),
        *(("知らない", None), ("٣", None), ("no-one", None), ("The answer:", None)),
        ("It is impossible to answer yes or no.", None),
    ],
)
@pytest.mark.parametrize("subtype", ["presence.binary", "negation.absence", "viewfactor.dominance"])
def test_yes_or_no(text: str, value: str | None, subtype: str) -> None:
    assert read(text, subtype) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("not visible", "no"), ("Visible", "yes"), ("There is a car in the image.", "yes"), ("absent", "no")),
        *(("There are no cars.", "no"), ("No cars are visible.", "no"), ("The car is not visible.", "no")),
        *(("A bus is visible in the image", "yes"), ("A bus is visible", "yes"), ("There are 2 cars here", "yes")),
        *(("The bench isn't present", "no"), ("there isn't any tree", "no"), ("There are not any cars", "no")),
        ("It is not clear whether a car is visible.", None),
        ("There is no way to tell.", None),
        ("There is no sign that a car is not visible.", None),
        *(("No cars.", "no"), ("No visible cars in the street", "no"), ("no idea", None), ("No way to know.", None)),
        ("There may be a car.", None),
        ("A car is visible but it may be a van.", None),
        ("Not only a car is visible", None),
    ],
)
def test_a_statement_answers_only_what_asks_for_presence(text: str, value: str | None) -> None:
    about = next((name for name in ("bus", "bench", "tree") if f" {name}" in f" {text}"), "car")
    assert read(text, "presence.binary", about=about) == value
    assert read(text, "negation.absence", about=about) is None
    if value is not None and about in text:
        assert read(text, "presence.binary", about="boat") is None, "another object"
        assert read(text, "presence.binary") is None


@pytest.mark.parametrize(
    ("text", "subtype", "value"),
    [
        *(("Complex", "depth.range", "complex"), ("It is simple.", "depth.range", "simple")),
        *(("Complex, not simple", "depth.range", "complex"), ("not complex", "depth.range", None)),
        *(("Simple or complex", "depth.range", None), ("complexity", "depth.range", None)),
        *(("low but varied", "depth.range.label", "low"), ("Medium", "depth.range.label", "moderate")),
        *(("Low, moderate or high", "depth.range.label", None), ("flat", "depth.range.label", None)),
        *(("High-rise buildings, so moderate", "depth.range.label", "moderate"), ("none", "depth.range.label", None)),
        ("High. It goes from low to high.", "depth.range.label", "high"),
        ("moderate rather than high", "depth.range.label", "moderate"),
        *(
            ("left", "spatial.distribution.label", "left side"),
            ("Right side.", "spatial.distribution.label", "right side"),
        ),
        ("evenly spread left and right", "spatial.distribution.label", "even"),
        ("Even", "spatial.distribution.label", "even"),
        ("On both the left and right", "spatial.distribution.label", "even"),
        ("even though there are some on the left", "spatial.distribution.label", "left side"),
        ("left and right", "spatial.distribution.label", None),
        ("not evenly: mostly on the right-hand side", "spatial.distribution.label", "right side"),
        ("middle", "spatial.distribution.label", None),
        *(("More people than cars", "multi_hop.which_is_more", "people"), ("cars", "multi_hop.which_is_more", "cars")),
        *(("People and cars", "multi_hop.which_is_more", None), ("carts", "multi_hop.which_is_more", None)),
        *(("There is no bench.", "negation.exclusion_choice", "bench"), ("Tree", "negation.exclusion_choice", "tree")),
        ("tree, car or bench", "negation.exclusion_choice", None),
    ],
)
def test_choices(text: str, subtype: str, value: str | None) -> None:
    assert read(text, subtype) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("3", 3), ("three", 3), ("Three cars.", 3), ("There are 12 cars.", 12), ("some 12 cars", 12), ("2.0", 2)),
        *(("twenty-one", 21), ("a dozen", 12), ("1,200", 1200), ("about 5", 5), ("٣", 3), ("３台", None), ("۴", 4)),
        *(("zero", 0), ("None", 0), ("There are no cars.", 0), ("No cars are visible in the image.", 0)),
        *(("zone", None), ("phones", None), ("several", None), ("a few cars", None), ("No", None), ("many", None)),
        *(("2 or 3", None), ("2-3", None), ("between 2 and 3", None), ("at least 4", None), ("10+", None)),
        *(
            ("more than 3", None),
            ("2.5", None),
            ("-3", None),
            ("50%", None),
            ("no one", None),
            ("one-way street", None),
        ),
        *(("There are 3 cars, 2 of which are parked", 3), ("three cars, two of them red", 3)),
        *(("3 (two parked, one moving)", 3), ("3 cars, one of which is red", 3), ("3 cars and 2 buses", None)),
        *(("There is no way to know how many.", None), ("There are no clear signs of how many.", None)),
        *(("I see only one", 1), ("each one", None), ("2026-11-30", None), ("1/2", None), ("²", None), ("1.2.3", None)),
        *(("9" * 5000, None), ("", None), ("half", None)),
    ],
)
def test_counts(text: str, value: int | None) -> None:
    assert read(text, "count") == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("0.31", 0.31), (".31", 0.31), ("35%", 0.35), ("35 %", 0.35), ("about 35 percent", 0.35), ("0", 0.0)),
        *(("1.0", 1.0), ("0.35 (35%)", 0.35), ("0.3 out of 1", 0.3), ("On a scale of 0 to 1: 0.4", 0.4), ("٠٫٥", 0.5)),
        *(("３５％", 0.35), ("0.31.", 0.31), ("۳۵٪", 0.35), ("0.3/1", 0.3)),
        *(("35", None), ("1.2", None), ("135%", None), ("-0.2", None), ("30-40%", None), ("1e-2", 0.01)),
        *(("0.5 or 0.6", None), ("half", 0.5), ("1/3", 1 / 3), ("nan", None), ("inf", None), ("none", None)),
        ("at least 0.5", None),
    ],
)
def test_shares(text: str, value: float | None) -> None:
    assert read(text, "viewfactor.scalar") == (None if value is None else pytest.approx(value))


@pytest.mark.parametrize(
    ("text", "value"), [("24.5", 24.5), ("12.5m", 12.5), ("-3", -3.0), ("50%", None), ("far", None)]
)
def test_numbers(text: str, value: float | None) -> None:
    assert read(text, "depth.average_per_object") == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(
            ("car", "car"),
            ("A traffic light.", "traffic light"),
            ("the closest object is a traffic light", "traffic light"),
        ),
        *(("The object closest to the camera is a car, parked beside a building.", "car"), ("kiosk", "kiosk")),
        *(("The car is closest, then the bus.", "car"), ("a car, not a bus", "car"), ("Trees", "trees")),
        *(
            ("unknown", None),
            ("I cannot tell", None),
            ("a car and a bus", None),
            ("There is no car", None),
            ("7", None),
        ),
        ("A man's reflection in some strange window pane thing", None),
    ],
)
def test_objects(text: str, value: str | None) -> None:
    assert read(text, "depth.closest_object") == value


def test_what_means_the_same_is_the_same() -> None:
    assert same_thing("trees") == same_thing("Vegetation".lower()) == same_thing("a tree")
    assert same_thing("pedestrians") == same_thing("people") == same_thing("person")
    assert same_thing("benches") == same_thing("bench")
    assert len({same_thing(name) for name in ("car", "bus", "truck", "bicycle", "sky", "glass")}) == 6


def test_a_statement_may_name_the_thing_in_another_word() -> None:
    assert read("There are two pedestrians.", "presence.binary", about="person") == "yes"
    assert read("No traffic lights are visible.", "presence.binary", about="traffic light") == "no"
    assert not is_head("carpet", "car")
    assert not is_head("car", "")


def test_reasoning_is_no_answer() -> None:
    reasoned = "The rule says greater than 0.5, and I see 0.4 here.\nAnswer: 0.31\n\nSo it is below 0.5."
    assert read(reasoned, "viewfactor.scalar", cot=True) == 0.31
    assert read("There are 3 cars.\n**Answer:** 2", "count", cot=True) == 2
    assert read("Answer: yes. But wait.\nFinal answer: No", "presence.binary", cot=True) == "no"
    assert read("答え：\nAnswer：４", "count", cot=True) == 4
    assert why("There are 3 cars.", "count", cot=True) == "no `Answer:` after the reasoning"
    assert why("There are 3 cars. Answer:", "count", cot=True) == "nothing after the last `Answer:`"


def test_reasons_say_what_is_wrong() -> None:
    assert why("maybe", "presence.binary") == "says neither yes nor no"
    assert why("I cannot tell", "presence.binary") == "declines to answer"
    assert why("yes and no", "presence.binary") == "says both yes and no"
    assert why("35", "viewfactor.scalar") == "35 is not between 0 and 1 and has no percent sign"
    assert why("2 or 3", "count") == "names several numbers: 2, 3"
    assert why("at least 4", "count") == "a bound, not a number"
    assert why("several", "count") == "no number, only a vague amount"
    assert why("left and right", "spatial.distribution.label") == "names several: left side, right side"
    assert why("flat", "depth.range.label") == "names none of high, moderate, low"
    assert why("", "count") == "empty"


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        *(("Yes", "yes_no", "yes"), ("Complex", "complex_simple", "complex"), ("left side", "side", "left side")),
        *(("3", "count", 3), ("0.31", "proportion", 0.31), ("traffic light", "thing", "traffic light")),
        *(("Yes", "side", None), ("many", "count", None), ("tree", "absent_thing", "tree"), (" ", "thing", None)),
    ],
)
def test_labels(text: str, kind: AnswerKind, value: Value | None) -> None:
    label = parse_label(text, kind)
    assert (None if isinstance(label, Invalid) else label) == value


SAID = (
    "yes no not visible there is are a the car cars people left right even both high low moderate complex simple one "
    "two none zero 3 0.5 35% at least answer: Answer: , . - / ( ) % ½ ² ３ ٣ ۴ \n or and cannot isn't \\boxed{"
)
WORDS = st.sampled_from(SAID.split(" "))
TEXTS = st.one_of(st.text(), st.lists(WORDS).map(" ".join), st.lists(WORDS).map("".join))


@pytest.mark.parametrize("kind", ANSWER_KINDS)
@given(
    text=TEXTS,
    cot=st.booleans(),
    place=st.sampled_from([None, *get_args(Place)]),
    about=st.sampled_from(["", "car"]),
)
def test_no_text_breaks_a_parser(kind: AnswerKind, text: str, cot: bool, place: Place | None, about: str) -> None:
    subtype = Subtype(name="any", group="any", answer=kind, rule="?", wording="?", presence=place)
    value = parse_answer(text, subtype, cot=cot, about=about)
    if isinstance(value, Invalid):
        assert value.reason
    elif kind == "count":
        assert isinstance(value, int)
        assert value >= 0
    elif kind in ("proportion", "number"):
        assert isinstance(value, float)
        assert math.isfinite(value)
        assert kind == "number" or 0 <= value <= 1
    else:
        assert isinstance(value, str)
        assert value.strip() == value != ""
    if not any(char.isalnum() for char in text):
        assert isinstance(value, Invalid)


@given(text=TEXTS)
def test_no_text_breaks_the_original_rules(text: str) -> None:
    assert legacy.read_binary(text) in (0.0, 1.0)
    assert abs(legacy.read_scalar(text)) <= legacy.LARGEST
    assert abs(legacy.read_count(text)) <= legacy.LARGEST
    assert legacy.read_category(text) in ("high", "moderate", "low", "unknown")
    assert legacy.read_layout(text) in ("left", "right", "even", "other")
    assert isinstance(legacy.read_object(text), str)


def test_the_original_rules_give_what_was_measured_of_them() -> None:
    assert legacy.read_binary("I cannot tell") == 0.0
    assert legacy.read_binary("not visible") == 1.0
    assert legacy.read_binary("Complex") == legacy.read_binary("Simple") == 0.0
    assert legacy.read_binary("no, wait: yes") == 1.0
    assert legacy.read_scalar("35%") == 35.0
    assert legacy.read_scalar("greater than 0.5 … Answer: 0.31") == 0.5
    assert legacy.read_scalar("5000") == 0.0
    assert [legacy.read_count(text) for text in ("zone", "phones", "some 12 cars", "no idea")] == [1.0, 1.0, 4.0, 0.0]
    assert legacy.read_category("low but varied") == "high"
    assert legacy.read_layout("evenly spread left and right") == "left"
    assert legacy.read_object("traffic light") == "traffic"
    assert legacy.read_object("the bus is closest") == "vehicle"
    assert legacy.clean("### Human: Is it a car?\n### Assistant: **No**") == "no"
