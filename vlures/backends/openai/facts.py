"""The facts of OpenAI, gathered from the modules that hold the figures and their sources."""

from __future__ import annotations

from vlures.backends.openai.addresses import fill_template
from vlures.backends.openai.image_tokens import describe_doubt, describe_refusal, image_tokens, largest_image_tokens
from vlures.backends.openai.keys import KEY_VARIABLES
from vlures.backends.openai.models import (
    ENDINGS,
    LISTED_ON,
    PARAMETERS,
    check_foreign_options,
    check_model_parameters,
    check_options,
)
from vlures.backends.openai.prices import CACHED_FROM_TOKENS, LISTED_PRICES
from vlures.backends.openai.tokens import CHARACTERS_PER_TOKEN, LANGUAGE_FACTORS, load_vocabulary, thinking_tokens
from vlures.backends.provider import Provider

ADDRESS = "https://api.openai.com/v1"

FACTS = Provider(
    name="openai",
    title="OpenAI",
    default_mode="batch",
    default_model="gpt-6-luna",
    own_models=r"(ft:)?(gpt-\d|chatgpt-|o\d(-|$))",
    connectors={
        "batch": "vlures.backends.openai.connect:connect_batch",
        "live": "vlures.backends.openai.connect:connect_live",
    },
    usual_address=ADDRESS,
    address_variable="OPENAI_BASE_URL",
    key_variables=KEY_VARIABLES,
    hosts=(".openai.com",),
    sandbox_paths=("openai", "plain"),
    packages=lambda _: ("openai",),
    serves_own=True,
    parameters=PARAMETERS,
    check_options=check_options,
    check_model_parameters=check_model_parameters,
    check_foreign_options=check_foreign_options,
    endings=ENDINGS,
    listed_on=LISTED_ON,
    image_transport=lambda options: options.provider.image_transport,
    image_template=lambda options: options.provider.image_url_template,
    image_address=fill_template,
    find_uploaded="vlures.backends.openai.connect:find_uploaded",
    image_tokens=image_tokens,
    largest_image_tokens=largest_image_tokens,
    describe_refusal=describe_refusal,
    describe_doubt=describe_doubt,
    thinking_tokens=thinking_tokens,
    language_factors=LANGUAGE_FACTORS,
    characters_per_token=CHARACTERS_PER_TOKEN,
    load_vocabulary=load_vocabulary,
    price_table="openai",
    listed_prices=LISTED_PRICES,
    cached_from_tokens=CACHED_FROM_TOKENS,
)
