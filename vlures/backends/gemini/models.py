"""Gemini's models: which are gone, and which options they take.

Source, read on LISTED_ON: Gemini's changelog and deprecations page of 2026-11-10.
"""

from __future__ import annotations

import re
from datetime import date
from importlib.util import find_spec
from typing import TYPE_CHECKING

from vlures.backends.gemini.options import Options
from vlures.backends.provider import SAMPLING, Ending
from vlures.errors import UsageError, VluresError

if TYPE_CHECKING:
    from vlures.config.sections import BackendOptions

PARAMETERS = SAMPLING | {"seed", "media_resolution", "thinking_level", "thinking_budget"}

RETIRED_SDK = "google-generativeai"
OLD_CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Environment variables of the certificates that it trusts, over `requests`; the first that is set wins."""

LISTED_ON = date(2026, 11, 21)

ENDINGS = (
    Ending(r"gemini-(1\.0-)?pro(-vision)?(-latest)?", date(2025, 2, 15), "gemini-3.8-flash"),
    Ending(r"gemini-1\.5-pro.*", date(2025, 9, 24), "gemini-3.8-flash"),
    Ending(r"gemini-1\.5-flash.*", date(2025, 9, 24), "gemini-3.5-flash-lite"),
    Ending(r"gemini-2\.0-flash-lite(-001)?", date(2026, 6, 1), "gemini-3.5-flash-lite"),
    Ending(r"gemini-2\.0-flash(-001|-exp)?", date(2026, 6, 1), "gemini-3.8-flash"),
    Ending(r"gemini-3-pro-preview", date(2026, 3, 9), "gemini-3.1-pro-preview"),
    Ending(r"gemini-3\.1-flash-lite-preview", date(2026, 5, 25), "gemini-3.1-flash-lite"),
    Ending(r"gemini-3\.7-flash", date(2026, 10, 8), "gemini-3.8-flash", rerouted=True),
    Ending(r"gemini-3\.5-flash", date(2026, 10, 8), "gemini-3.6-flash", rerouted=True),
    Ending(r"gemini-2\.5-pro", date(2026, 12, 1), "gemini-3.8-flash", rerouted=True),
    Ending(r"gemini-2\.5-flash", date(2026, 12, 1), "gemini-3.5-flash-lite", rerouted=True),
)

_BUDGET_MODELS = re.compile(r"gemini-2\.5-.*")
_LEVEL_MODELS = re.compile(r"gemini-([3-9]|\d\d).*")


def check_installed(options: BackendOptions) -> None:
    """Raises VluresError for the retired SDK where it is not installed."""
    if (options.target.mode, options.provider.sdk) == ("live", RETIRED_SDK) and find_spec(
        "google.generativeai"
    ) is None:
        raise VluresError(
            "--sdk google-generativeai needs that package; get it with `pip install 'vlures[generativeai]'`, or leave "
            "--sdk out."
        )


def check_options(options: BackendOptions) -> None:
    """Raises UsageError for a tier that Gemini does not have, and for options that the retired SDK cannot carry."""
    if options.target.service_tier in ("auto", "default"):
        raise UsageError("Gemini's service tiers are flex and priority; leave --service-tier out for the standard one.")
    if options.provider.sdk == RETIRED_SDK:
        _check_retired_sdk(options)


def check_foreign_options(own: Options, _title: str, name: str) -> None:
    """Raises UsageError for Gemini's options in a run of another provider."""
    if own.sdk == RETIRED_SDK:
        raise UsageError(f"--sdk is for Gemini; leave it out with --backend {name}.")


def _check_retired_sdk(options: BackendOptions) -> None:
    """Raises UsageError for options that google-generativeai 0.8.6 cannot carry."""
    if options.target.mode == "batch":
        raise UsageError("google-generativeai has no batches; leave --sdk out, or add --mode live.")
    others = {"service_tier": options.target.service_tier, "thinking_summary": options.generation.thinking_summary}
    set_here = options.target.parameters.keys() | {name for name, value in others.items() if value}
    if unknown := sorted(set_here - SAMPLING):
        raise UsageError(f"google-generativeai cannot carry `{unknown[0]}`; leave it out, or leave --sdk out.")
    if (options.generation.max_output_tokens or 0) >= 2**31:
        raise UsageError("google-generativeai cannot carry so large a `max_output_tokens`; lower it.")
    if not re.fullmatch(r"[\w.-]+", options.target.model, re.ASCII):
        raise UsageError(
            f"google-generativeai cannot ask a model of the name {options.target.model!r}; choose another with --model."
        )


def check_model_parameters(options: BackendOptions) -> None:
    """Raises UsageError for what is known to cause a 400 for every single request."""
    model, parameters = options.target.model, options.target.parameters
    if {"thinking_level", "thinking_budget"} <= parameters.keys():
        raise UsageError("Give thinking_level or thinking_budget, not both: a model takes one of them.")
    if "thinking_level" in parameters and _BUDGET_MODELS.fullmatch(model):
        raise UsageError(f"{model} takes thinking_budget, not thinking_level.")
    if "thinking_budget" in parameters and _LEVEL_MODELS.fullmatch(model):
        raise UsageError(f"{model} takes thinking_level, not thinking_budget.")
