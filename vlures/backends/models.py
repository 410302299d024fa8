"""What is known of the providers' models: which are gone, and what each provider lets one set.

Sources, read on 2026-11-21: OpenAI's deprecations as in openai 3.54 (types/shared/chat_model.py) and its model pages;
Gemini's changelog and deprecations page of 2026-11-10. A model that is not listed is taken to be alive.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta

from vlures.config.run_config import RunConfig
from vlures.errors import UsageError

OPENAI_BATCH_BYTES = 200_000_000
"""Most bytes of a batch's file, by the Batch guide of 2026-09."""

LISTED_ON = date(2026, 11, 21)
NOTICE = timedelta(days=60)


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a family of models. pattern: of its names, whole. on: its last day is the one before.
    instead: the nearest living one. rerouted: it does not fail, but the other one answers, at its own price."""

    provider: str
    pattern: str
    on: date
    instead: str
    rerouted: bool = False


_SNAPSHOT = r"(-\d{4}-\d{2}-\d{2})?"

ENDINGS = (
    Ending("openai", r"gpt-4-vision-preview|gpt-4-1106-vision-preview", date(2024, 12, 6), "gpt-6-luna"),
    Ending("openai", r"gpt-4\.5-preview" + _SNAPSHOT, date(2025, 7, 14), "gpt-6-sol"),
    Ending("openai", r"o1" + _SNAPSHOT, date(2026, 10, 23), "gpt-6-sol"),
    Ending("openai", r"o4-mini" + _SNAPSHOT, date(2026, 10, 23), "gpt-6-luna"),
    Ending("openai", r"gpt-4\.1-nano" + _SNAPSHOT, date(2026, 10, 23), "gpt-6-luna"),
    Ending("openai", r"gpt-4-turbo(-preview|-\d{4}.*)?" + _SNAPSHOT, date(2026, 10, 23), "gpt-6-sol"),
    Ending("openai", r"gpt-5-(mini|nano)" + _SNAPSHOT, date(2026, 12, 11), "gpt-6-luna"),
    Ending("openai", r"gpt-5" + _SNAPSHOT, date(2026, 12, 11), "gpt-6-sol"),
    Ending("openai", r"o3" + _SNAPSHOT, date(2026, 12, 11), "gpt-6-sol"),
    Ending("openai", r"gpt-4(\.1|o)-mini" + _SNAPSHOT, date(2027, 1, 14), "gpt-6-luna"),
    Ending("openai", r"(gpt-4(\.1|o)|chatgpt-4o-latest)" + _SNAPSHOT, date(2027, 1, 14), "gpt-6-sol"),
    Ending("openai", r"gpt-5\.4-nano" + _SNAPSHOT, date(2027, 4, 1), "gpt-6-luna"),
    Ending("gemini", r"gemini-(1\.0-)?pro(-vision)?(-latest)?", date(2025, 2, 15), "gemini-3.8-flash"),
    Ending("gemini", r"gemini-1\.5-pro.*", date(2025, 9, 24), "gemini-3.8-flash"),
    Ending("gemini", r"gemini-1\.5-flash.*", date(2025, 9, 24), "gemini-3.5-flash-lite"),
    Ending("gemini", r"gemini-2\.0-flash-lite(-001)?", date(2026, 6, 1), "gemini-3.5-flash-lite"),
    Ending("gemini", r"gemini-2\.0-flash(-001|-exp)?", date(2026, 6, 1), "gemini-3.8-flash"),
    Ending("gemini", r"gemini-3-pro-preview", date(2026, 3, 9), "gemini-3.1-pro-preview"),
    Ending("gemini", r"gemini-3\.1-flash-lite-preview", date(2026, 5, 25), "gemini-3.1-flash-lite"),
    Ending("gemini", r"gemini-3\.7-flash", date(2026, 10, 8), "gemini-3.8-flash", rerouted=True),
    Ending("gemini", r"gemini-3\.5-flash", date(2026, 10, 8), "gemini-3.6-flash", rerouted=True),
    Ending("gemini", r"gemini-2\.5-pro", date(2026, 12, 1), "gemini-3.8-flash", rerouted=True),
    Ending("gemini", r"gemini-2\.5-flash", date(2026, 12, 1), "gemini-3.5-flash-lite", rerouted=True),
)

SAMPLING = frozenset({"temperature", "top_p", "max_output_tokens"})
KNOWN_PARAMETERS = {
    "openai": SAMPLING | {"seed", "image_detail", "reasoning_effort"},
    "gemini": SAMPLING | {"seed", "media_resolution", "thinking_level", "thinking_budget"},
}
"""What a provider's API has a word for. What a model makes of it is the model's affair, but for what is below."""

_BUDGET_MODELS = re.compile(r"gemini-2\.5-.*")
_LEVEL_MODELS = re.compile(r"gemini-([3-9]|\d\d).*")
_FIXED_TEMPERATURE = re.compile(r"(gpt-([5-9]|\d\d)|o[134])([-.].*)?")


def check_model(config: RunConfig, today: date) -> str | None:
    """A sentence to say about the configuration's model, or None. A model behind a base URL of the user's own is
    nobody's business.

    Raises UsageError for a model that is gone, and for a parameter that the provider or the model does not have.
    """
    _check_parameters(config)
    _check_sdk(config)
    if config.base_url:
        return None
    _check_model_parameters(config)
    ending = next((ending for ending in ENDINGS if _is_about(ending, config)), None)
    if ending is None:
        return None
    what = f"is answered by {ending.instead}, at its price," if ending.rerouted else "is shut down"
    if ending.on <= today:
        raise UsageError(
            f"The model {config.run_model} {what} since {ending.on}; take --model {ending.instead} "
            f"(by what was announced until {LISTED_ON}; with --base-url no model is judged)."
        )
    if ending.on - NOTICE <= today:
        return f"The model {config.run_model} {what} from {ending.on} on; the nearest that stays is {ending.instead}."
    return None


def _is_about(ending: Ending, config: RunConfig) -> bool:
    return ending.provider == config.backend and re.fullmatch(ending.pattern, config.run_model) is not None


def _check_parameters(config: RunConfig) -> None:
    known = KNOWN_PARAMETERS.get(config.backend)
    if known is None:
        return
    provider = {"openai": "OpenAI", "gemini": "Gemini"}[config.backend]
    if unknown := sorted(config.parameters.keys() - known):
        others = ", ".join(sorted(known))
        raise UsageError(f"{provider} has no `{unknown[0]}`; leave it out. It has {others}.")
    if config.backend == "openai" and config.batch_bytes > OPENAI_BATCH_BYTES:
        raise UsageError(f"OpenAI takes batches of at most {OPENAI_BATCH_BYTES:,} bytes; lower --batch-bytes.")
    if config.backend == "openai" and config.endpoint == "responses" and "seed" in config.parameters:
        raise UsageError("OpenAI's responses have no `seed`; leave it out, or take --endpoint chat.")
    if config.backend != "openai" and (config.endpoint != "chat" or config.image_transport != "inline"):
        raise UsageError(f"--endpoint and --image-transport are OpenAI's; {provider} takes its pictures inline.")
    if config.image_transport == "file" and config.endpoint != "responses":
        raise UsageError("Chat completions take no picture by a file's id; add --endpoint responses.")
    if (config.image_transport == "url") != (config.image_url_template is not None):
        raise UsageError("--image-transport url and --image-url-template go together; give both or neither.")
    if config.service_tier and config.run_mode == "batch":
        raise UsageError("--service-tier is for live calls; batches have a tier and a price of their own.")
    if config.backend == "openai" and config.endpoint == "chat" and config.thinking_summary:
        raise UsageError("Chat completions summarise no thinking; add --endpoint responses.")
    if config.backend == "gemini" and config.service_tier in ("auto", "default"):
        raise UsageError("Gemini's service tiers are flex and priority; leave --service-tier out for the standard one.")


def _check_sdk(config: RunConfig) -> None:
    """What the SDK that is no longer supported has no word for (read in google-generativeai 0.8.6)."""
    if config.sdk != "google-generativeai":
        return
    if config.backend != "gemini":
        raise UsageError(f"--sdk is about Gemini; leave it out with --backend {config.backend}.")
    if config.run_mode == "batch":
        raise UsageError("google-generativeai has no batches; leave --sdk out, or add --mode live.")
    others = {"service_tier": config.service_tier, "thinking_summary": config.thinking_summary}
    set_here = config.parameters.keys() | {name for name, value in others.items() if value}
    if unknown := sorted(set_here - SAMPLING):
        raise UsageError(f"google-generativeai cannot carry `{unknown[0]}`; leave it out, or leave --sdk out.")
    if (config.max_output_tokens or 0) >= 2**31:
        raise UsageError("google-generativeai cannot carry so large a `max_output_tokens`; lower it.")
    if not re.fullmatch(r"[\w.-]+", config.run_model, re.ASCII):
        raise UsageError(
            f"google-generativeai cannot ask a model of the name {config.run_model!r}; name another one with --model."
        )


def _check_model_parameters(config: RunConfig) -> None:
    """What is known to be answered with a 400, for every single request."""
    model, parameters = config.run_model, config.parameters
    if config.backend == "gemini":
        if {"thinking_level", "thinking_budget"} <= parameters.keys():
            raise UsageError("Give thinking_level or thinking_budget, not both: a model takes one of them.")
        if "thinking_level" in parameters and _BUDGET_MODELS.fullmatch(model):
            raise UsageError(f"{model} takes thinking_budget, not thinking_level.")
        if "thinking_budget" in parameters and _LEVEL_MODELS.fullmatch(model):
            raise UsageError(f"{model} takes thinking_level, not thinking_budget.")
    if config.backend == "openai" and _FIXED_TEMPERATURE.fullmatch(model):
        for name in ("temperature", "top_p"):
            if parameters.get(name, 1) != 1 and parameters.get("reasoning_effort") != "none":
                raise UsageError(f"{model} reasons and takes no {name} but 1; leave it out.")
