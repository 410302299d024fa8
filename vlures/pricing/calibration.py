"""The first answers' real usage against their estimates, and the estimates corrected by it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from vlures.pricing.estimates import Estimate, Totals
from vlures.records import Response, Usage

CALIBRATE_AFTER = 50
"""Answers. A run sends its requests sample by sample and mixed over cells, so the first ones are of all kinds."""

QUARTER = 0.25


@dataclass(frozen=True, slots=True)
class Calibration:
    """Real tokens of the first answers, their estimates, and the factors between them."""

    answers: int
    estimated_input: int
    real_input: int
    estimated_output: int
    real_output: int
    unknown_images: int
    """Those without a formula."""
    real_image_tokens: int
    """Of images without a formula."""
    input: float
    """Real over estimated, of the input that a formula covers."""
    image_share: float | None
    """Of images without a formula: real over the most that was assumed; None if there were none."""
    output: float
    """Real over expected."""
    input_over: float
    """By what factor any one answer's input exceeded its upper bound; at least 1."""
    output_over: float
    """The same of the output."""


def calibrate(pairs: Iterable[tuple[Estimate, Usage | None]]) -> Calibration | None:
    """Compare estimates with real usages. Ignores usages that lack a count of input or output; None if all do."""
    known = [
        (estimate, usage.input_tokens, usage.output_tokens)
        for estimate, usage in pairs
        if usage is not None and usage.input_tokens is not None and usage.output_tokens is not None
    ]
    if not known:
        return None
    covered = [(estimate, real) for estimate, real, _ in known if estimate.image_tokens is not None]
    unformulated = [(estimate, real) for estimate, real, _ in known if estimate.image_tokens is None]
    estimated_input = sum(estimate.input_tokens for estimate, _ in covered)
    real_input = sum(real for _, real in covered)
    unknown_most = sum(estimate.image_most for estimate, _ in unformulated)
    image_tokens = sum(max(0, real - estimate.text_tokens) for estimate, real in unformulated)
    estimated_output = sum(estimate.output_expected for estimate, _, _ in known)
    real_output = sum(real for _, _, real in known)
    return Calibration(
        answers=len(known),
        estimated_input=estimated_input,
        real_input=real_input,
        estimated_output=estimated_output,
        real_output=real_output,
        unknown_images=len(unformulated),
        real_image_tokens=image_tokens,
        input=real_input / estimated_input if estimated_input else 1.0,
        image_share=image_tokens / unknown_most if unknown_most else None,
        output=real_output / estimated_output if estimated_output else 1.0,
        input_over=max(1.0, *(real / max(1, estimate.input_most) for estimate, real, _ in known)),
        output_over=max(1.0, *(real / max(1, estimate.output_high) for estimate, _, real in known)),
    )


def recalibrate(totals: Totals, calibration: Calibration) -> Totals:
    """The totals corrected. Images without a formula become known if there were such among the answers; upper bounds
    only ever rise."""
    learned = calibration.image_share is not None
    high = round(totals.output_high * calibration.output_over)
    image_tokens = totals.image_tokens * calibration.input
    cacheable = totals.cacheable * calibration.input
    if learned:
        newly_known = totals.unknown_most * (calibration.image_share or 0.0)
        image_tokens += newly_known
        cacheable += newly_known if totals.cacheable else 0
    return replace(
        totals,
        text_tokens=round(totals.text_tokens * calibration.input),
        image_tokens=round(image_tokens),
        unknown_images=0 if learned else totals.unknown_images,
        unknown_most=0 if learned else totals.unknown_most,
        cacheable=round(cacheable),
        input_most=round(totals.input_most * calibration.input_over),
        output_low=min(high, round(totals.output_low * calibration.output)),
        output_expected=min(high, round(totals.output_expected * calibration.output)),
        output_high=high,
    )


def describe_calibration(calibration: Calibration) -> str | None:
    """A sentence if the estimates were off by more than a quarter, or had no formula for images; else None."""
    parts = []
    if calibration.unknown_images:
        parts.append(f"an image takes about {calibration.real_image_tokens / calibration.unknown_images:,.0f} tokens")
    for what, factor, real, estimated in (
        ("input", calibration.input, calibration.real_input, calibration.estimated_input),
        ("output", calibration.output, calibration.real_output, calibration.estimated_output),
    ):
        if abs(factor - 1) > QUARTER:
            parts.append(f"the {what} is {factor:.2g} times the estimate ({real:,} tokens instead of {estimated:,})")
    if not parts:
        return None
    return (
        f"By the first {calibration.answers} answers, {' and '.join(parts)}; the estimate of what is due now takes "
        "that into account."
    )


class Calibrator:
    """Compares a run's first answers with their estimates."""

    def __init__(self) -> None:
        self._expected: dict[str, Estimate] = {}
        self._compared: list[tuple[Estimate, Usage | None]] = []
        self._done = False

    def expect(self, key: str, estimate: Estimate) -> None:
        """A request is about to be sent."""
        if not self._done:
            self._expected[key] = estimate

    def take(self, response: Response) -> str | None:
        """A sentence, once, if the estimates are off."""
        estimate = self._expected.pop(response.key, None)
        if self._done or estimate is None or response.usage is None:
            return None
        self._compared.append((estimate, response.usage))
        if len(self._compared) < CALIBRATE_AFTER:
            return None
        self._done = True
        calibration = calibrate(self._compared)
        self._compared.clear()
        self._expected.clear()
        return describe_calibration(calibration) if calibration else None
