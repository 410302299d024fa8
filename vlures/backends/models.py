"""Whether a configuration's model exists and takes its parameters, by its provider's facts."""

from __future__ import annotations

import re
from datetime import date, timedelta

from vlures.backends import all_providers
from vlures.backends.provider import Provider
from vlures.config.sections import BackendOptions
from vlures.errors import UsageError

NOTICE = timedelta(days=60)


def check_model(options: BackendOptions, provider: Provider, today: date) -> str | None:
    """A warning about the configuration's model, or None. A model behind the user's own base URL is not checked.

    Raises UsageError for a model that is gone, and for a parameter that the provider or the model does not take.
    """
    _check_parameters(options, provider)
    for other in all_providers():
        if other is not provider:
            other.check_foreign_options(options.providers[other.name], provider.title, options.target.provider)
    if options.target.service_tier and options.target.mode == "batch":
        raise UsageError("--service-tier is for live calls; batches have a tier and a price of their own.")
    provider.check_options(options)
    if options.target.base_url:
        return None
    provider.check_model_parameters(options)
    return _describe_end(options.target.model, provider, today)


def _check_parameters(options: BackendOptions, provider: Provider) -> None:
    if unknown := sorted(options.target.parameters.keys() - provider.parameters):
        others = ", ".join(sorted(provider.parameters))
        raise UsageError(f"{provider.title} has no `{unknown[0]}`; leave it out. It has {others}.")


def _describe_end(model: str, provider: Provider, today: date) -> str | None:
    """A warning about a model that ends within NOTICE. Raises UsageError for one that is gone."""
    ending = next((ending for ending in provider.endings if re.fullmatch(ending.pattern, model)), None)
    if ending is None:
        return None
    what = f"is answered by {ending.instead}, at its price," if ending.rerouted else "is shut down"
    if ending.on <= today:
        raise UsageError(
            f"The model {model} {what} since {ending.on}; take --model {ending.instead} "
            f"(by what was announced until {provider.listed_on}; with --base-url no model is judged)."
        )
    if ending.on - NOTICE <= today:
        return f"The model {model} {what} from {ending.on} on; the nearest that stays is {ending.instead}."
    return None
