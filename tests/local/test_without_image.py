"""Questions without an image: a chat model is asked the text alone, the others say why they cannot be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.local.conftest import draw
from tests.local.test_traps import NEW_TOKENS, open_model
from tests.local.tiny_models import KINDS
from vlures.backends.local.families import find_family
from vlures.backends.local.generation import Generator, read_group
from vlures.backends.local.grouping import group
from vlures.images import read_image
from vlures.records import Cell, Image, Prompt, Request, Response

PARAMETERS = {"max_output_tokens": NEW_TOKENS}


def request(number: int, image: Image | None, question: str) -> Request:
    prompt = Prompt("", (question,))
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    return Request(
        str(number), Cell("all"), str(number), "m", PARAMETERS, prompt, image, f"{number:032x}", schema=schema
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_question_without_an_image_is_answered_or_fails_with_its_reason(
    tmp_path: Path, tiny: Callable[[str], Path], kind: str
) -> None:
    draw(tmp_path / "1.png", 1)
    image = read_image(tmp_path / "1.png")
    loaded = open_model(tiny(kind))
    family = find_family(loaded, NEW_TOKENS)
    generator = Generator(family, lambda ids: " ".join(map(str, ids)), lambda _: None)

    def answer(*requests: Request) -> dict[str, Response]:
        found = [
            response
            for together in group(requests, most_rows=8)
            for response in generator.answer(
                read_group(family, together), frozenset(one.key for one in requests), PARAMETERS
            )
        ]
        return {response.key: response for response in found}

    blind = [request(1, None, "How many cars are there?"), request(2, None, "Is there a tree?")]
    seeing = [request(3, image, "How many cars are there?"), request(4, image, "Who walks?")]
    together = answer(*blind, *seeing)
    alone = {key: one for asked in (*blind, *seeing) for key, one in answer(asked).items()}
    assert [together[key].status for key in "34"] == [alone[key].status for key in "34"]
    assert "failed" not in [together[key].status for key in "34"]
    if kind.startswith(("blip", "instructblip")):
        assert [together[key].error.code for key in "12"] == ["no image", "no image"]  # type: ignore[union-attr]
        return
    assert "failed" not in [together[key].status for key in "12"], together
    assert [together[key].text for key in "1234"] == [alone[key].text for key in "1234"]
    assert together["1"].usage.input_tokens < together["3"].usage.input_tokens  # type: ignore[union-attr, operator]
