"""The options of every run, in sections: a function takes the section that it needs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec

from vlures.config.options import option, read_texts, read_words
from vlures.errors import UsageError
from vlures.records import AskedModel, Parameters

PositiveInt = Annotated[int, msgspec.Meta(ge=1)]
PositiveFloat = Annotated[float, msgspec.Meta(gt=0)]

Mode = Literal["batch", "live"]

FLEX_TIMEOUT_S = 900.0
"""Flex answers within 15 minutes, says OpenAI's guide on it."""
USUAL_TIMEOUT_S = 300.0


def _read_redo(value: Any, place: str) -> list[str]:
    words = [word.strip() for word in read_words(value, place)]
    if "failed" in words:
        raise UsageError(f"{place}: what failed is asked again by every run, without an option; leave `failed` out.")
    return words


def _read_name(value: Any, place: str) -> Any:
    """A name without the blanks around it; anything else is left to the check."""
    if isinstance(value, str) and not value.strip():
        raise UsageError(f"{place} is empty; name one, or leave the option out.")
    return value.strip() if isinstance(value, str) else value


@dataclass(frozen=True, kw_only=True)
class WhoOptions:
    """Who answers."""

    backend: str = option(
        "Who answers: a provider, or a server that speaks its protocol.", "openai", group="Who answers"
    )
    mode: Mode | None = option("batch (half price) or live; by default what suits the backend.", group="Who answers")
    model: str | None = option("The provider's name of the model.", group="Who answers", read=_read_name)
    service_tier: Literal["auto", "default", "flex", "priority"] | None = option(
        "Live: flex is half the price and may take minutes.", None, "Who answers"
    )
    base_url: str | None = option(
        "The provider's address, if it is not the usual one.", None, "Who answers", metavar="URL", read=_read_name
    )


@dataclass(frozen=True, kw_only=True)
class GenerationOptions:
    """How the model answers. What is not set is not sent."""

    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = option(
        "Sampling temperature.", group="Model", parameter=True
    )
    top_p: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = option(
        "Nucleus sampling.", group="Model", parameter=True
    )
    max_output_tokens: PositiveInt | None = option(
        "Most tokens of an answer, thinking included.", group="Model", parameter=True
    )
    seed: int | None = option("Seed, where the provider takes one.", group="Model", parameter=True)
    thinking_summary: bool = option(
        "Ask for a summary of the thinking, and store it; changes no answer.", False, group="Model"
    )
    keep_think_tags: bool = option(
        "Leave thinking that a server puts into the text, as in <think>…</think>, there.", False, group="Model"
    )


@dataclass(frozen=True, kw_only=True)
class SelectionOptions:
    """Which benchmark is asked."""

    benchmark: str = option(
        "Whose questions are asked: VLURes', those about street views, or those of your own table.", "vlures"
    )
    skip_problems: bool = option("Go on without the files that `vlures check` finds wrong.", False)


@dataclass(frozen=True, kw_only=True)
class StorageOptions:
    """Where a run's folder is."""

    output: str = option(
        "The folder that holds the runs' folders.", "outputs", "What is stored", metavar="FOLDER", suggest="folder"
    )
    name: str | None = option("Name of the folder under outputs/; by default the model's.", group="What is stored")


@dataclass(frozen=True, kw_only=True)
class AgainOptions:
    """What happens to existing answers."""

    redo: tuple[Literal["truncated", "refused", "imported"], ...] = option(
        "Ask again what was truncated, refused or imported. What failed is asked again in any case.",
        (),
        "What is asked again",
        read=_read_redo,
    )
    stale: Literal["stop", "keep", "redo"] = option(
        "What to do with answers to a question that has changed since.", "stop", "What is asked again"
    )


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """How batches are cut, watched and collected."""

    batch_size: Annotated[int, msgspec.Meta(ge=1, le=50_000)] = option("Most lines in one batch.", 500, "Batches")
    batch_bytes: Annotated[int, msgspec.Meta(ge=1_000, le=2_000_000_000)] = option(
        "Most bytes of one batch's file.", 190_000_000, "Batches"
    )
    max_attempts: PositiveInt = option("How often one run sends a failing request in batches.", 3, "Batches")
    poll_s: PositiveFloat = option("Longest time between two checks of a batch, in seconds.", 60.0, "Batches")
    doubt_patience_s: PositiveFloat = option(
        "How long to look for a batch whose creation is in doubt before creating it again, in seconds.",
        300.0,
        "Batches",
    )
    result_patience_s: PositiveFloat = option(
        "How long to recheck an ended batch whose results are incomplete, in seconds.", 600.0, "Batches"
    )
    forget_lost: bool = option(
        "Ask (and pay) again for requests of batches that the provider no longer knows or has no results of.",
        False,
        "What is asked again",
    )
    canary: bool = option(
        "Send the first request live before the first batch, to check that everything works.", True, "Batches"
    )
    wait: bool = option("Batch: wait for the answers; without, send and leave them for a later run.", True, "Batches")
    finish_live: str | None = option(
        "Once all batches have ended, ask live what they left unanswered, if it is at most this share: 2%.",
        None,
        "Batches",
        metavar="PERCENT",
    )
    stall_after_s: PositiveFloat = option(
        "Report a batch that stays in one state for this long, in seconds.", 14_400.0, "Batches"
    )
    delete_remote_files: bool = option(
        "Delete a batch's files at the provider once its answers are stored.", False, "Batches"
    )

    @property
    def live_share(self) -> float | None:
        """The share of a batch run's requests that may be finished live, from 0 to 1; None if none."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", self.finish_live or "")
        return float(match[1]) / 100 if match and float(match[1]) <= 100 else None


@dataclass(frozen=True, kw_only=True)
class LiveOptions:
    """How live requests are paced."""

    concurrency: PositiveInt = option("Most live requests in flight.", 10, "Live requests")
    rpm: PositiveFloat | None = option("Most live requests a minute.", None, "Live requests")
    tpm: PositiveFloat | None = option(
        "Most tokens a minute of live requests, asked and answered.", None, "Live requests"
    )
    timeout_s: PositiveFloat | None = option(
        "Longest time one live request may take, in seconds; by default 300, with --service-tier flex 900. Calls about "
        "batches may take 60, or less if this is less.",
        None,
        "Live requests",
    )

    def find_timeout_s(self, service_tier: str | None) -> float:
        """Longest time that one request may take."""
        return self.timeout_s or (FLEX_TIMEOUT_S if service_tier == "flex" else USUAL_TIMEOUT_S)


@dataclass(frozen=True, kw_only=True)
class ContactOptions:
    """How long a provider is retried."""

    retry_budget_s: PositiveFloat = option(
        "How long a run goes on without any answer from the provider, in seconds.", 1800.0, "Running"
    )
    first_contact_s: PositiveFloat = option(
        "How long a run tries to reach the provider for the first time, in seconds.", 15.0, "Running"
    )


@dataclass(frozen=True, kw_only=True)
class NoticeOptions:
    """How the user hears of a run's end."""

    notify: str | None = option(
        "A shell command for the end of a run. It finds how the run ended in $VLURES_OUTCOME, and the run's folder in "
        "$VLURES_RUN.",
        None,
        "Running",
        metavar="COMMAND",
    )


@dataclass(frozen=True, kw_only=True)
class MoneyOptions:
    """What may be spent, and by which prices."""

    max_cost: Annotated[float, msgspec.Meta(gt=0, le=1_000_000_000)] | None = option(
        "A cap in USD on all that the output folder ever spends; requests in flight count at their highest cost.",
        group="Money",
    )
    price_input: Annotated[float, msgspec.Meta(ge=0, le=1_000_000)] | None = option(
        "USD per million tokens of input, as charged in the run's mode.", group="Money"
    )
    price_output: Annotated[float, msgspec.Meta(ge=0, le=1_000_000)] | None = option(
        "USD per million tokens of output, as charged in the run's mode.", group="Money"
    )


@dataclass(frozen=True, kw_only=True)
class RehearsalOptions:
    """Whether a sandbox answers, and what goes wrong in it."""

    sandbox: bool = option("Rehearse: let a sandbox on this machine answer. Costs nothing.", False, "Rehearsal")
    fault: tuple[str, ...] = option(
        "A fault for the sandbox to show; see `vlures sandbox --list-faults`.",
        (),
        "Rehearsal",
        metavar="KIND[@PLACE]",
        read=read_texts,
    )


@dataclass(frozen=True, slots=True)
class Target:
    """Who is asked, in which mode, with which parameters: the options resolved."""

    provider: str
    mode: Mode
    model: str
    parameters: Parameters
    service_tier: str | None = None
    base_url: str | None = None

    @property
    def asked(self) -> AskedModel:
        """As it goes into a request's digest."""
        return AskedModel(self.provider, self.model, self.parameters)


@dataclass(frozen=True, slots=True)
class BackendOptions:
    """What a backend is given: who is asked and how, and the limits of its drivers."""

    target: Target
    providers: Mapping[str, Any]
    """The own options of each provider, by its name."""
    generation: GenerationOptions
    batches: BatchOptions
    live: LiveOptions
    contact: ContactOptions
    asks_changed_again: bool = False
    """A batch's answer to a question that has changed since is asked for again."""

    @property
    def provider(self) -> Any:
        """The own options of the provider that is asked."""
        return self.providers[self.target.provider]

    def find_timeout_s(self) -> float:
        """Longest time that one live request may take."""
        return self.live.find_timeout_s(self.target.service_tier)
