"""The first answers' real usage against what was estimated for them, and the estimates put right by it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from vlures.pricing.estimates import Estimate, Totals
from vlures.records import Usage

CALIBRATE_AFTER = 50
"""Answers. A run sends its requests sample by sample and mixed over cells, so the first ones are of all kinds."""

QUARTER = 0.25


@dataclass(frozen=True, slots=True)
class Calibration:
    """What so many answers really took, and by what factor that is off.

    input: real over estimated, of the input that a formula covers. image_share: of pictures without a formula, real over the
    most that was thought of; None if there were none. output: real over expected. input_over, output_over: at least 1; by how
    much any one answer went beyond what it should never pass.
    """

    answers: int
    estimated_input: int
    real_input: int
    estimated_output: int
    real_output: int
    unknown_images: int
    real_image_tokens: int
    input: float
    image_share: float | None
    output: float
    input_over: float
    output_over: float


def calibrate(pairs: Iterable[tuple[Estimate, Usage | None]]) -> Calibration | None:
    """Compare estimates with real usages. One without counts of its input and output says nothing; None if none has them."""
    told = [
        (estimate, usage.input_tokens, usage.output_tokens)
        for estimate, usage in pairs
        if usage is not None and usage.input_tokens is not None and usage.output_tokens is not None
    ]
    if not told:
        return None
    covered = [(estimate, real) for estimate, real, _ in told if estimate.image_tokens is not None]
    pictured = [(estimate, real) for estimate, real, _ in told if estimate.image_tokens is None]
    estimated_input = sum(estimate.input_tokens for estimate, _ in covered)
    real_input = sum(real for _, real in covered)
    unknown_most = sum(estimate.image_most for estimate, _ in pictured)
    image_tokens = sum(max(0, real - estimate.text_tokens) for estimate, real in pictured)
    estimated_output = sum(estimate.output_expected for estimate, _, _ in told)
    real_output = sum(real for _, _, real in told)
    return Calibration(
        answers=len(told),
        estimated_input=estimated_input,
        real_input=real_input,
        estimated_output=estimated_output,
        real_output=real_output,
        unknown_images=len(pictured),
        real_image_tokens=image_tokens,
        input=real_input / estimated_input if estimated_input else 1.0,
        image_share=image_tokens / unknown_most if unknown_most else None,
        output=real_output / estimated_output if estimated_output else 1.0,
        input_over=max(1.0, *(real / max(1, estimate.input_most) for estimate, real, _ in told)),
        output_over=max(1.0, *(real / max(1, estimate.output_high) for estimate, _, real in told)),
    )


def recalibrate(totals: Totals, calibration: Calibration) -> Totals:
    """The totals as they are to be thought of now. Pictures without a formula become known if such pictures were among the
    answers; the high ends only ever rise."""
    learned = calibration.image_share is not None
    high = round(totals.output_high * calibration.output_over)
    image_tokens = totals.image_tokens * calibration.input
    cacheable = totals.cacheable * calibration.input
    if learned:
        pictures = totals.unknown_most * (calibration.image_share or 0.0)
        image_tokens += pictures
        cacheable += pictures if totals.cacheable else 0
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
    """A sentence if the estimates were off by more than a quarter, or told nothing of pictures; else None."""
    parts = []
    if calibration.unknown_images:
        parts.append(f"a picture takes about {calibration.real_image_tokens / calibration.unknown_images:,.0f} tokens")
    for what, factor, real, estimated in (
        ("input", calibration.input, calibration.real_input, calibration.estimated_input),
        ("output", calibration.output, calibration.real_output, calibration.estimated_output),
    ):
        if abs(factor - 1) > QUARTER:
            parts.append(f"the {what} is {factor:.2g} times its estimate ({real:,} tokens for {estimated:,})")
    if not parts:
        return None
    return f"By the first {calibration.answers} answers {' and '.join(parts)}; the estimate of what is due now counts with that."
