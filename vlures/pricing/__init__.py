"""Tokens and money, before and after. All numbers from before an answer are estimates, and called so.

Nothing here sends anything: text in, figures out. How it goes together:

    counter = TextCounter(provider, model)                         one for a plan; counts each text once
    estimate = estimate_request(request, provider, setting, counter)
    totals = Totals(); totals.add(estimate)                        one for each cell
    price = find_price(provider, model, "batch", None, when)       None: nobody we know lists it
    cost_range(totals, price)                                      low, expected, high in USD
    calibration = calibrate(pairs of estimate and usage)           after the first answers
    CostBrake(limit).try_reserve(key, highest_cost(estimate, price))
"""

from vlures.pricing.brake import CostBrake, check_limit
from vlures.pricing.calibration import CALIBRATE_AFTER, Calibration, calibrate, describe_calibration, recalibrate
from vlures.pricing.estimates import (
    CostRange,
    Estimate,
    Totals,
    cost_range,
    describe_gaps,
    estimate_request,
    highest_cost,
)
from vlures.pricing.images import describe_refusal, image_tokens, most_image_tokens
from vlures.pricing.outputs import OutputRange, expect_output
from vlures.pricing.prices import Price, cost, describe_change, find_price, format_usd, require_price
from vlures.pricing.texts import TextCounter

__all__ = [
    "CALIBRATE_AFTER",
    "Calibration",
    "CostBrake",
    "CostRange",
    "Estimate",
    "OutputRange",
    "Price",
    "TextCounter",
    "Totals",
    "calibrate",
    "check_limit",
    "cost",
    "cost_range",
    "describe_calibration",
    "describe_change",
    "describe_gaps",
    "describe_refusal",
    "estimate_request",
    "expect_output",
    "find_price",
    "format_usd",
    "highest_cost",
    "image_tokens",
    "most_image_tokens",
    "recalibrate",
    "require_price",
]
