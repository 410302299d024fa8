"""Tokens and money, before and after. All figures from before an answer are estimates, and called so.

Nothing here sends anything: text in, figures out. How it goes together:

estimator = RequestEstimator(provider, model, benchmark.expected_output_tokens) estimate = estimator.estimate(request)
totals = Totals(); totals.add(estimate)                        one for each cell price = find_price(provider, model,
"batch", None, when)       None: no known table lists it cost_range(totals, price)
low, expected, high in USD calibration = calibrate(pairs of estimate and usage)           after the first answers
charge_of(usage, price, reservation)                           billionths of a dollar; None without a sound usage
Ledger().apply(event)                                          reserved and charged (vlures/pricing/spending_file.py)
"""

from vlures.pricing.calibration import CALIBRATE_AFTER, Calibration, calibrate, describe_calibration, recalibrate
from vlures.pricing.charges import charge_of, may_be_charged, may_cost
from vlures.pricing.estimates import (
    CostRange,
    Estimate,
    RequestEstimator,
    Totals,
    cost_range,
    describe_gaps,
    highest_cost,
)
from vlures.pricing.image_tokens import most_image_tokens
from vlures.pricing.ledger import LIVE, NANO, Event, Ledger, cap_to_nano, to_nano
from vlures.pricing.output_tokens import OutputRange, expect_output
from vlures.pricing.prices import Price, cost, describe_change, find_price, format_usd, require_price
from vlures.pricing.provider import PricedProvider
from vlures.pricing.text_tokens import TextCounter

__all__ = [
    "CALIBRATE_AFTER",
    "LIVE",
    "NANO",
    "Calibration",
    "CostRange",
    "Estimate",
    "Event",
    "Ledger",
    "OutputRange",
    "Price",
    "PricedProvider",
    "RequestEstimator",
    "TextCounter",
    "Totals",
    "calibrate",
    "cap_to_nano",
    "charge_of",
    "cost",
    "cost_range",
    "describe_calibration",
    "describe_change",
    "describe_gaps",
    "expect_output",
    "find_price",
    "format_usd",
    "highest_cost",
    "may_be_charged",
    "may_cost",
    "most_image_tokens",
    "recalibrate",
    "require_price",
    "to_nano",
]
