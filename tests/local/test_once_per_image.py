"""In one process: the vision tower sees each image once, too little memory halves a group, chance can be repeated."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.local.conftest import write_questions
from tests.local.tiny_models import KINDS
from vlures.backends.local.backend import LocalBackend
from vlures.backends.local.families import Loaded, find_family
from vlures.backends.local.generation import Generator, read_group
from vlures.backends.local.grouping import group
from vlures.backends.local.loading import load
from vlures.backends.local.model_files import find_model
from vlures.backends.local.options import Options
from vlures.records import Request, Response
from vlures.runs.config import RunConfig
from vlures.runs.prepare import prepare, requests_of

IMAGES = 8
VISION_TOWERS = {
    "blip2_t5": "vision_model",
    "blip2_opt": "vision_model",
    "instructblip_t5": "vision_model",
    "instructblip_llama": "vision_model",
    "llava": "model.vision_tower",
    "idefics3": "model.vision_model",
}


@pytest.fixture
def requests(tmp_path: Path, tiny: Callable[[str], Path]) -> Callable[..., list[Request]]:
    def make(kind: str, **options: Any) -> list[Request]:
        asked = write_questions(tmp_path, IMAGES)
        values = {"max_output_tokens": 5, **options}
        config = RunConfig(
            backend="local", model=str(tiny(kind)), benchmark="table", questions=str(asked), name="x", **values
        )
        return list(requests_of(prepare(config, lambda _: None).benchmark))

    return make


def open_model(folder: Path) -> Loaded:
    return load(find_model(str(folder)), "fp32", Options(device="cpu"))


def answer_all(loaded: Loaded, requests: Sequence[Request], most_rows: int, say: list[str]) -> list[Response]:
    parameters = requests[0].parameters
    family = find_family(loaded, parameters["max_output_tokens"])
    generator = Generator(family, lambda ids: loaded.processor.tokenizer.decode(list(ids)), say.append)
    responses: list[Response] = []
    for together in group(requests, most_rows):
        keys = frozenset(request.key for request in together.requests)
        responses += generator.answer(read_group(family, together), keys, parameters)
    assert not family.note
    return responses


@pytest.mark.parametrize("kind", KINDS)
def test_each_image_goes_through_the_vision_tower_once(
    tiny: Callable[[str], Path], requests: Callable[..., list[Request]], kind: str
) -> None:
    loaded = open_model(tiny(kind))
    asked = requests(kind)
    answer_all(loaded, asked[:6], 6, [])  # the first image of a model with a template is also computed plainly
    seen: list[int] = []
    tower = loaded.model.get_submodule(VISION_TOWERS[kind])
    tower.register_forward_hook(
        lambda _module, args, kwargs, _output: seen.append(len((args or (kwargs["pixel_values"],))[0])),
        with_kwargs=True,
    )
    family = find_family(loaded, 5)
    generator = Generator(family, str, print)
    groups = list(group(asked, 18))
    generator.answer(
        read_group(family, groups[0]), frozenset(one.key for one in groups[0].requests), asked[0].parameters
    )
    seen.clear()
    images = 0
    for together in groups[1:]:
        images += len(together.images)
        keys = frozenset(one.key for one in together.requests)
        assert len(generator.answer(read_group(family, together), keys, asked[0].parameters)) == len(keys)
    tiles = 5 if kind == "idefics3" else 1
    assert sum(seen) == tiles * images
    assert images == IMAGES - len(groups[0].images)


@pytest.mark.parametrize("kind", ["blip2_t5", "llava"])
def test_too_little_memory_halves_a_group_and_goes_on(
    tiny: Callable[[str], Path], requests: Callable[..., list[Request]], kind: str
) -> None:
    loaded = open_model(tiny(kind))
    asked = requests(kind)
    plain = {one.key: one.text for one in answer_all(loaded, asked, 48, [])}
    layers = loaded.model.get_submodule(VISION_TOWERS[kind])

    def refuse(_module: Any, args: Any, kwargs: Any) -> None:
        if len((args or (kwargs["pixel_values"],))[0]) > 2:
            raise torch.OutOfMemoryError("planted")

    layers.register_forward_pre_hook(refuse, with_kwargs=True)
    said: list[str] = []
    found = {one.key: one.text for one in answer_all(loaded, asked, 24, said)}
    assert found == plain
    assert len(said) == 1
    assert "halved" in said[0]


def test_one_question_that_does_not_fit_fails_alone(
    tiny: Callable[[str], Path], requests: Callable[..., list[Request]]
) -> None:
    loaded = open_model(tiny("blip2_t5"))
    asked = requests("blip2_t5")
    longest = max(len(f"Question: {one.prompt.user} Answer:") for one in asked) + 4 + 1  # the image's places, the end

    def refuse(_module: Any, args: Any, kwargs: Any) -> None:
        if kwargs["inputs_embeds"].shape[1] >= longest:
            raise torch.OutOfMemoryError("planted")

    loaded.model.language_model.get_encoder().register_forward_pre_hook(refuse, with_kwargs=True)
    responses = answer_all(loaded, asked, 24, [])
    failed = [one for one in responses if one.error is not None]
    assert {one.error.code for one in failed if one.error} == {"out of memory"}
    assert 0 < len(failed) < len(responses)


@pytest.mark.parametrize("kind", ["blip2_t5", "llava"])
def test_chance_can_be_repeated(tiny: Callable[[str], Path], requests: Callable[..., list[Request]], kind: str) -> None:
    loaded = open_model(tiny(kind))
    asked = requests(kind, temperature=1.0, seed=7)
    first, again = (answer_all(loaded, asked, 18, []) for _ in range(2))
    assert [one.text for one in first] == [one.text for one in again]
    groups = [len(list(together.requests)) for together in group(asked, 18)]
    rest = answer_all(loaded, asked[groups[0] :], 18, [])  # as in a run that continues with the second group
    assert [one.text for one in rest] == [one.text for one in first[groups[0] :]]
    other = requests(kind, temperature=1.0, seed=8)
    assert [one.text for one in answer_all(loaded, other, 18, [])] != [one.text for one in first]


def test_a_part_that_is_due_is_answered_as_in_the_whole(
    tiny: Callable[[str], Path], requests: Callable[..., list[Request]]
) -> None:
    """The group is computed again as it was, and only what is due is given."""
    asked = requests("llava")
    config = RunConfig(backend="local", model=str(tiny("llava")), name="x", max_output_tokens=5, rows=18)
    sizes: list[int] = []

    async def answer(due: Sequence[Request]) -> dict[str, str | None]:
        backend = LocalBackend(config.backend_options, lambda: asked, lambda: True, say=lambda _: None)
        backend_sizes = [response async for response in backend.answer(due)]
        sizes.append(len(backend_sizes))
        return {one.key: one.text for one in backend_sizes}

    whole = asyncio.run(answer(asked))
    due = [one for number, one in enumerate(asked) if number % 5 == 2]
    part = asyncio.run(answer(due))
    assert part == {one.key: whole[one.key] for one in due}
    assert sizes == [48, len(due)]
