"""What requests will take, before they are sent: tokens of one, of many, and their cost as a range."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from vlures.pricing.image_tokens import most_image_tokens
from vlures.pricing.output_tokens import expect_output
from vlures.pricing.prices import Price
from vlures.pricing.provider import PricedProvider
from vlures.pricing.text_tokens import TextCounter
from vlures.records import Cell, Request, write_schema


@dataclass(frozen=True, slots=True)
class Estimate:
    """Tokens of one request."""

    text_tokens: int
    """With those of a schema, which providers count as input."""
    image_tokens: int | None
    """None where no formula is published."""
    image_most: int
    """A bound that the image will hardly exceed."""
    input_most: int
    """A bound that the input will hardly exceed."""
    output_low: int
    output_expected: int
    output_high: int
    output_bounded: bool
    """The provider limits the answer to output_high."""
    cacheable: bool
    """The input is long enough for the provider to write it into its cache."""

    @property
    def input_tokens(self) -> int:
        """What is known of the input."""
        return self.text_tokens + (self.image_tokens or 0)


@dataclass(slots=True)
class Totals:
    """Tokens of many requests, such as a cell's."""

    requests: int = 0
    text_tokens: int = 0
    image_tokens: int = 0
    """Of images that a formula covers."""
    unknown_images: int = 0
    """How many have no formula."""
    unknown_most: int = 0
    """A bound that those will hardly exceed."""
    cacheable: int = 0
    """Input of requests long enough for the provider to write them into its cache."""
    input_most: int = 0
    output_low: int = 0
    output_expected: int = 0
    output_high: int = 0
    unbounded: int = 0
    """Requests whose answers have no allowance."""

    @property
    def input_tokens(self) -> int:
        """What is known of the input."""
        return self.text_tokens + self.image_tokens

    def add(self, estimate: Estimate) -> None:
        self.requests += 1
        self.text_tokens += estimate.text_tokens
        if estimate.image_tokens is None:
            self.unknown_images += 1
            self.unknown_most += estimate.image_most
        else:
            self.image_tokens += estimate.image_tokens
        if estimate.cacheable:
            self.cacheable += estimate.input_tokens
        self.input_most += estimate.input_most
        self.output_low += estimate.output_low
        self.output_expected += estimate.output_expected
        self.output_high += estimate.output_high
        self.unbounded += not estimate.output_bounded

    def add_all(self, other: Totals) -> None:
        """Another cell's totals on top."""
        for name in self.__dataclass_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(frozen=True, slots=True)
class CostRange:
    """In USD."""

    low: float
    """Short answers, no thinking, known input only."""
    expected: float | None
    """None while an image's tokens are unknown."""
    high: float
    """No run should exceed it."""


class RequestEstimator:
    """Estimates what the requests of one run will take; texts that they share are counted once.

    expected_tokens: tokens of a cell's answers in English, as Benchmark.expected_output_tokens gives them.
    """

    def __init__(self, provider: PricedProvider, model: str, expected_tokens: Callable[[Cell], int]) -> None:
        self.counter = TextCounter(provider, model)
        self._provider = provider
        self._expected_tokens = expected_tokens

    def estimate(self, request: Request) -> Estimate:
        """What a request will take."""
        provider, model, parameters, image = self._provider, request.model, request.parameters, request.image
        text = self.counter.count_prompt(request.prompt, request.language)
        if request.schema is not None:
            text += self.counter.count(write_schema(request.schema))
        image_tokens: int | None = 0
        image_most = 0
        if image is not None:
            image_tokens = provider.image_tokens(model, image.width, image.height, parameters)
            image_most = most_image_tokens(provider, model, image.width, image.height, parameters)
        output = expect_output(provider, model, self._expected_tokens(request.cell), request.language, parameters)
        return Estimate(
            text_tokens=text,
            image_tokens=image_tokens,
            image_most=image_most,
            input_most=ceil(text * self.counter.margin) + image_most,
            output_low=output.low,
            output_expected=output.expected,
            output_high=output.high,
            output_bounded=output.bounded,
            cacheable=text + (image_tokens or 0) >= provider.cached_from_tokens,
        )


def highest_cost(estimate: Estimate, price: Price) -> float:
    """USD that one request should never exceed: all input written into the cache, the whole allowance used."""
    dearest = max(price.input, price.cache_write)
    return (estimate.input_most * dearest + estimate.output_high * price.output) / 1e6


def cost_range(totals: Totals, price: Price) -> CostRange:
    """What the requests should cost."""
    written = totals.cacheable * (price.cache_write - price.input)
    low = totals.input_tokens * price.input + totals.output_low * price.output
    expected = totals.input_tokens * price.input + written + totals.output_expected * price.output
    high = totals.input_most * max(price.input, price.cache_write) + totals.output_high * price.output
    return CostRange(low / 1e6, None if totals.unknown_images else expected / 1e6, high / 1e6)


def describe_gaps(totals: Totals, model: str) -> list[str]:
    """Sentences on what makes the estimate unreliable; empty if nothing does."""
    gaps = []
    if totals.unknown_images:
        gaps.append(
            f"The tokens of an image with {model} are not published, so only the high end of the price includes them; "
            "the first answers will show them."
        )
    if totals.unbounded:
        gaps.append(
            f"Answers have no bound; each counts {ceil(totals.output_high / totals.requests):,} tokens at most. "
            "Add max_output_tokens for a firm price."
        )
    return gaps
