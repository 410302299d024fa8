"""The facts of local models, as vlures needs them of every provider."""

from __future__ import annotations

from datetime import date

from vlures.backends.local.models import (
    PARAMETERS,
    check_foreign_options,
    check_installed,
    check_model_parameters,
    check_options,
    full_name,
    implied_parameters,
    installed_packages,
)
from vlures.backends.provider import ListedPrice, Provider

LARGEST_IMAGE_TOKENS = 2_880
"""LLaVA-NeXT's five tiles of 576: more than the families here take, for a plan that errs on the safe side."""

LANGUAGE_FACTORS = {"en": 1.0, "ja": 2.0, "sw": 1.7, "ur": 3.0}
CHARACTERS_PER_TOKEN = {"en": 4.0, "ja": 0.8, "sw": 2.5, "ur": 1.3}
"""Estimates, for a Llama's 32,000 tokens, which are mostly English. No money hangs on them."""

FACTS = Provider(
    name="local",
    title="Local",
    default_mode="live",
    default_model="blip2",
    own_models=r"(?!)",
    plain_model=full_name,
    connectors={"live": "vlures.backends.local.connect:connect"},
    meet="vlures.backends.local.connect:meet",
    usual_address=None,
    address_variable=None,
    key_variables=(),
    hosts=(),
    sandbox_paths=(),
    packages=installed_packages,
    check_installed=check_installed,
    parameters=PARAMETERS,
    implied_parameters=implied_parameters,
    check_options=check_options,
    check_model_parameters=check_model_parameters,
    check_foreign_options=check_foreign_options,
    listed_on=date(2026, 11, 30),
    image_tokens=lambda *_: None,
    largest_image_tokens=lambda *_: LARGEST_IMAGE_TOKENS,
    thinking_tokens=lambda *_: 0,
    language_factors=LANGUAGE_FACTORS,
    characters_per_token=CHARACTERS_PER_TOKEN,
    listed_prices=(ListedPrice(".*", 0.0, 0.0, 0.0, "your own machine"),),
)
