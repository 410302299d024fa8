"""Names of models that cannot be meant: another provider's, and those that look mistyped."""

from __future__ import annotations

import difflib
import re
from datetime import UTC, datetime

from vlures.backends import all_providers
from vlures.backends.provider import Provider
from vlures.errors import UsageError
from vlures.pricing.prices import find_price, list_models

CUTOFF = 0.75
"""The least similarity (of `difflib`) of a name that is suggested."""


def check_model_name(provider: Provider, model: str) -> None:
    """Raises UsageError for a model of another provider. Not for a server of the user's own, which may call its models
    as it likes."""
    name = model.lower().rpartition("/")[2]
    for other in all_providers():
        if other is not provider and re.match(other.own_models, name):
            raise UsageError(
                f"The model {model} is {other.title}'s, and {provider.title} would be asked; add --backend "
                f"{other.name}, or take another --model."
            )


def describe_unknown_model(provider: Provider, model: str) -> str | None:
    """A sentence if no list has the model, and one has a name much like it. A fine-tuned one (`ft:`) is in no list."""
    name = model.lower().rpartition("/")[2]
    own = [listed for listed in list_models(provider) if re.match(provider.own_models, listed)]
    known = list(dict.fromkeys([provider.default_model, *own]))
    if model in known or model.startswith("ft:") or any(re.fullmatch(end.pattern, model) for end in provider.endings):
        return None
    if name not in known and find_price(provider, model, "live", None, datetime.now(UTC)) is not None:
        return None
    near = difflib.get_close_matches(name, known, n=1, cutoff=CUTOFF)
    if not near:
        return None
    return f"{model} is in no list of {provider.title}'s models; did you mean {near[0]}? It is asked for all the same."
