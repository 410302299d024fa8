"""Answers to groups of questions: images are read in workers, out of memory halves a group, every question gets a
response."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vlures.backends.local.families import AskedImage, Family, Generated, UnfitPrompt, lacks_memory
from vlures.backends.local.grouping import AskedTogether
from vlures.backends.outcomes import judge_reply
from vlures.errors import VluresError
from vlures.images import UnusableImage, read_picture
from vlures.records import Failure, Parameters, Request, Response, Usage


@dataclass(frozen=True, slots=True)
class ReadGroup:
    """A group as tensors and tokens."""

    together: AskedTogether
    images: tuple[AskedImage, ...]
    """Those that can be asked about."""
    asked: tuple[Request, ...]
    """A request for each row of the images."""
    failed: Mapping[str, Failure]
    """Why the others cannot be asked, by key."""


def read_group(family: Family, together: AskedTogether) -> ReadGroup:
    """Read a group's images and prompts. Needs no GPU, and may run in any thread."""
    images, asked, failed = [], [], {}
    for requests in together.images:
        found = _ask(family, requests)
        if isinstance(found, Failure):
            failed.update({request.key: found for request in requests})
            continue
        image, unfit = found
        for request, reason in zip(requests, unfit, strict=True):
            if reason is None:
                asked.append(request)
            else:
                failed[request.key] = Failure(reason.code, reason.message)
        if image.rows:
            images.append(image)
    return ReadGroup(together, tuple(images), tuple(asked), failed)


def _ask(family: Family, requests: Sequence[Request]) -> tuple[AskedImage, list[UnfitPrompt | None]] | Failure:
    """An image with its questions, or why it cannot be asked about."""
    image = requests[0].image
    prompts = [request.prompt for request in requests]
    what = image.path if image is not None else "a question without an image"
    try:
        return family.ask(read_picture(image) if image is not None else None, prompts)
    except UnusableImage as reason:
        return Failure("bad image", f"{what} {reason}.")
    except VluresError:
        raise
    except Exception as error:  # noqa: BLE001 (one odd image must not end a run of thousands, whatever its processor raises)
        said = " ".join(str(error).split())[:300]
        code = "bad image" if image is not None else "no image"
        return Failure(code, f"The model's processor cannot take {what} ({type(error).__name__}: {said}).")


class Generator:
    """Computes the answers to groups, one group after the other."""

    def __init__(self, family: Family, decode: Callable[[Sequence[int]], str], say: Callable[[str], None]) -> None:
        """decode: an answer's tokens → its text."""
        self._family, self._decode, self._say = family, decode, say
        self._most_rows: int | None = None
        """More rows than this were too many for the memory."""

    def answer(self, read: ReadGroup, keys: frozenset[str], parameters: Parameters) -> list[Response]:
        """Responses to the requests with these keys. The whole group is computed if any of them needs it: its answers
        then are what they would have been at first."""
        found: dict[str, Generated | None] = {}
        if any(request.key in keys for request in read.asked):
            seed = find_seed(parameters, read.together)
            answers = self._generate(list(read.images), make_settings(parameters), seed)
            found = dict(zip((request.key for request in read.asked), answers, strict=True))
        tokens = dict(zip((request.key for request in read.asked), _prompt_lengths(read.images), strict=True))
        return [
            _fail(request, read.failed[request.key])
            if request.key in read.failed
            else self._respond(request, found[request.key], tokens[request.key])
            for request in read.together.requests
            if request.key in keys
        ]

    def _respond(self, request: Request, answer: Generated | None, prompt_tokens: int) -> Response:
        if answer is None:
            return _fail(
                request,
                Failure(
                    "out of memory", "Even alone this question does not fit into memory; try --dtype bf16 or --quant."
                ),
            )
        heard = Response(
            request.key,
            "ok",
            digest=request.digest,
            text=self._decode(answer.ids).strip(),
            finish_reason="stop" if answer.ended else "length",
            model=request.model,
            usage=Usage(prompt_tokens, len(answer.ids)),
        )
        if answer.ended and not heard.text:
            return heard  # asked again, the model would end at once again: saying nothing is its answer
        return judge_reply(heard, "done" if answer.ended else "cut", try_again=False)

    def _generate(self, images: list[AskedImage], settings: Mapping[str, Any], seed: int) -> list[Generated | None]:
        """The rows' answers; None for one that does not fit into memory even alone."""
        import torch

        rows = sum(len(image.rows) for image in images)
        halves = _halve(images)
        if halves and self._most_rows is not None and rows > self._most_rows:
            return [answer for half in halves for answer in self._generate(half, settings, seed)]
        try:
            torch.manual_seed(seed)
            with torch.inference_mode():  # of this thread
                return list(self._family.generate(images, settings))
        except RuntimeError as error:
            if not lacks_memory(error):
                raise
        # Outside that block: the error holds the tensors of the failed attempt.
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if not halves:
            return [None]
        if self._most_rows is None:
            self._say(
                f"{rows} questions at a time are too many for this machine's memory; the group is halved, and so are "
                "the next. --rows sets a smaller number from the start."
            )
        self._most_rows = min(self._most_rows or rows, max(rows // 2, 1))
        return [answer for half in halves for answer in self._generate(half, settings, seed)]


def make_settings(parameters: Parameters) -> dict[str, Any]:
    """How transformers' `generate` chooses tokens: the likeliest, unless a temperature is given."""
    settings: dict[str, Any] = {
        "max_new_tokens": parameters["max_output_tokens"],
        "num_beams": 1,
        "do_sample": False,
        "temperature": 1.0,
        "top_p": 1.0,
        "top_k": 0,
    }
    if temperature := parameters.get("temperature"):
        settings |= {"do_sample": True, "temperature": temperature, "top_p": parameters.get("top_p", 1.0)}
    return settings


def find_seed(parameters: Parameters, together: AskedTogether) -> int:
    """What chance gives a group hangs on the seed and its own questions, so that a continued run repeats it."""
    names = "\n".join([str(parameters.get("seed", 0)), *(request.key for request in together.requests)])
    return int.from_bytes(hashlib.sha256(names.encode()).digest()[:8], "big") >> 1


def _halve(images: Sequence[AskedImage]) -> tuple[list[AskedImage], list[AskedImage]] | None:
    """Two groups of images, or of one image's questions; None for a single question."""
    if len(images) > 1:
        middle = len(images) // 2
        return list(images[:middle]), list(images[middle:])
    rows = len(images[0].rows)
    if rows == 1:
        return None
    return [images[0].take(0, rows // 2)], [images[0].take(rows // 2, rows)]


def _prompt_lengths(images: Sequence[AskedImage]) -> list[int]:
    return [len(row.ids) for image in images for row in image.rows]


def _fail(request: Request, failure: Failure) -> Response:
    return Response(request.key, "failed", digest=request.digest, error=failure)
