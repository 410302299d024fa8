"""The facts of Gemini, gathered from the modules that hold the figures and their sources."""

from __future__ import annotations

from vlures.backends.gemini.image_tokens import image_tokens, largest_image_tokens
from vlures.backends.gemini.keys import KEY_VARIABLES
from vlures.backends.gemini.models import (
    ENDINGS,
    LISTED_ON,
    OLD_CERTIFICATES,
    PARAMETERS,
    check_foreign_options,
    check_installed,
    check_model_parameters,
    check_options,
)
from vlures.backends.gemini.tokens import CHARACTERS_PER_TOKEN, LANGUAGE_FACTORS, thinking_tokens
from vlures.backends.provider import Provider
from vlures.config.route import CERTIFICATES

ADDRESS = "https://generativelanguage.googleapis.com"

FACTS = Provider(
    name="gemini",
    title="Gemini",
    default_mode="live",
    default_model="gemini-3.5-flash-lite",
    own_models="gemini-",
    plain_model=lambda model: model.removeprefix("models/"),
    connectors={
        "batch": "vlures.backends.gemini.connect:connect_batch",
        "live": "vlures.backends.gemini.connect:connect_live",
    },
    usual_address=ADDRESS,
    address_variable="GOOGLE_GEMINI_BASE_URL",
    key_variables=KEY_VARIABLES,
    hosts=(".googleapis.com",),
    sandbox_paths=("gemini",),
    packages=lambda own: (own.sdk,),
    certificate_variables=lambda own: OLD_CERTIFICATES if own.sdk == "google-generativeai" else CERTIFICATES,
    check_installed=check_installed,
    parameters=PARAMETERS,
    check_options=check_options,
    check_model_parameters=check_model_parameters,
    check_foreign_options=check_foreign_options,
    endings=ENDINGS,
    listed_on=LISTED_ON,
    image_tokens=image_tokens,
    largest_image_tokens=largest_image_tokens,
    # Its changelog of 2026-01-08.
    largest_request_bytes=100_000_000,
    thinking_tokens=thinking_tokens,
    language_factors=LANGUAGE_FACTORS,
    characters_per_token=CHARACTERS_PER_TOKEN,
    price_table="google",
    # Its Batch API page of 2026-11 halves flex as well as batches.
    halved_ways=frozenset({"batch", "flex"}),
)
