"""Output as it is charged: whether thinking is in the provider's count of it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlures.backends.gemini.content import read_answer
from vlures.backends.openai.chat import read_completion
from vlures.backends.openai.responses import read_response
from vlures.backends.usage import count_output
from vlures.records import Usage


@pytest.mark.parametrize(
    ("asked", "answered", "thought", "total", "output"),
    [
        (1000, 150, 2800, 3950, 2950),  # xAI
        (1000, 2950, 2800, 3950, 2950),  # OpenAI
        (1000, 150, 100, 1150, 150),
        (1000, 150, 100, 1250, 250),
        (1000, 150, 100, 1300, 250),  # something else is in the total too
        (1000, 150, 100, 1200, 150),  # a total that fits neither
        (1000, 150, 100, None, 150),
        (1000, 150, 2800, None, 2950),  # more than the whole is no part of it
        (None, 150, 100, 1250, 150),
        (1000, 150, 0, 1150, 150),
        (1000, 150, None, 3950, 150),
        (1000, None, 100, 1250, None),
        (1000, 2**53, 2**53, None, None),
    ],
)
def test_the_total_tells_whether_thinking_is_in_the_output(
    asked: int | None, answered: int | None, thought: int | None, total: int | None, output: int | None
) -> None:
    assert count_output(asked, answered, thought, total) == output
    details = {"reasoning_tokens": thought}
    names = {"prompt_tokens": asked, "completion_tokens": answered, "completion_tokens_details": details}
    usage = read_completion("k", {"usage": names | {"total_tokens": total}}).usage
    assert usage == Usage(asked, output, None, thought)
    names = {"input_tokens": asked, "output_tokens": answered, "output_tokens_details": details}
    usage = read_response("k", {"usage": names | {"total_tokens": total}}).usage
    assert usage == Usage(asked, output, None, thought)


NUMBERS = st.integers(0, 10**6)


@given(asked=NUMBERS, answered=NUMBERS, thought=NUMBERS, within=st.booleans())
def test_output_is_what_the_total_is_beyond_the_input(asked: int, answered: int, thought: int, within: bool) -> None:
    whole = answered + thought
    told = whole if within else answered
    assert count_output(asked, told, thought, asked + whole) == whole


@pytest.mark.parametrize("apart", [True, False])
@given(counts=st.tuples(*[st.none() | NUMBERS] * 4))
def test_output_never_shrinks_and_grows_by_the_thinking_at_most(counts: Any, apart: bool) -> None:
    _, answered, thought, _ = counts
    output = count_output(*counts, apart=apart)
    assert (output is None) == (answered is None)
    assert output is None or answered <= output <= answered + (thought or 0)


@pytest.mark.parametrize("nonsense", [-5, True, 1.5, "many", 2**60, -(2**70), [], {}, float("inf")])
def test_a_count_that_makes_no_sense_is_none(nonsense: Any) -> None:
    body = {"usage": {"prompt_tokens": nonsense, "completion_tokens": nonsense, "total_tokens": 5}}
    assert read_completion("k", body).usage == Usage()
    body = {"usage": {"input_tokens": nonsense, "output_tokens": nonsense}}
    assert read_response("k", body).usage == Usage()
    assert of_gemini({"promptTokenCount": nonsense, "candidatesTokenCount": nonsense}) == Usage()
    assert of_gemini({"promptTokenCount": 5, "candidatesTokenCount": 3, "thoughtsTokenCount": nonsense}) == Usage(5)


def of_gemini(usage: dict[str, Any]) -> Usage | None:
    candidate = {"finishReason": "STOP", "content": {"parts": [{"text": "A dog."}]}}
    return read_answer("k", {"candidates": [candidate], "usageMetadata": usage}).usage


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            {"promptTokenCount": 5, "candidatesTokenCount": 7, "thoughtsTokenCount": 9, "totalTokenCount": 21},
            (5, 16, 9),
        ),
        (
            {"promptTokenCount": 5, "candidatesTokenCount": 16, "thoughtsTokenCount": 9, "totalTokenCount": 21},
            (5, 16, 9),
        ),
        ({"promptTokenCount": 5, "candidatesTokenCount": 7, "thoughtsTokenCount": 9}, (5, 16, 9)),
        ({"promptTokenCount": 5, "totalTokenCount": 21}, (5, 16, None)),
        ({"promptTokenCount": 5, "totalTokenCount": 5}, (5, 0, None)),
        (
            {"promptTokenCount": 5, "candidatesTokenCount": 7, "thoughtsTokenCount": -9, "totalTokenCount": 21},
            (5, 16, None),
        ),
        (
            {"promptTokenCount": 5, "toolUsePromptTokenCount": 4, "candidatesTokenCount": 7, "totalTokenCount": 16},
            (9, 7, None),
        ),
        ({"promptTokenCount": 5}, (5, 0, None)),
        ({}, (None, None, None)),
    ],
)
def test_geminis_thinking_is_apart_unless_its_total_says_otherwise(
    usage: dict[str, Any], expected: tuple[int | None, int | None, int | None]
) -> None:
    asked, output, thinking = expected
    assert of_gemini(usage) == Usage(asked, output, None, thinking)
