"""OpenAI's models: which are gone, and which options they take.

Sources, read on LISTED_ON: OpenAI's deprecations as in openai 3.54 (types/shared/chat_model.py) and its model pages.
"""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING

from vlures.backends.openai.options import Options
from vlures.backends.provider import SAMPLING, Ending
from vlures.errors import UsageError

if TYPE_CHECKING:
    from vlures.config.sections import BackendOptions

MOST_BATCH_BYTES = 200_000_000
"""Of a batch's file, by the Batch guide of 2026-09."""

PARAMETERS = SAMPLING | {"seed", "image_detail", "reasoning_effort"}

LISTED_ON = date(2026, 11, 21)

SNAPSHOT = r"(-\d{4}-\d{2}-\d{2})?"
"""The date that may follow a model's name."""

ENDINGS = (
    Ending(r"gpt-4-vision-preview|gpt-4-1106-vision-preview", date(2024, 12, 6), "gpt-6-luna"),
    Ending(r"gpt-4\.5-preview" + SNAPSHOT, date(2025, 7, 14), "gpt-6-sol"),
    Ending(r"o1" + SNAPSHOT, date(2026, 10, 23), "gpt-6-sol"),
    Ending(r"o4-mini" + SNAPSHOT, date(2026, 10, 23), "gpt-6-luna"),
    Ending(r"gpt-4\.1-nano" + SNAPSHOT, date(2026, 10, 23), "gpt-6-luna"),
    Ending(r"gpt-4-turbo(-preview|-\d{4}.*)?" + SNAPSHOT, date(2026, 10, 23), "gpt-6-sol"),
    Ending(r"gpt-5-(mini|nano)" + SNAPSHOT, date(2026, 12, 11), "gpt-6-luna"),
    Ending(r"gpt-5" + SNAPSHOT, date(2026, 12, 11), "gpt-6-sol"),
    Ending(r"o3" + SNAPSHOT, date(2026, 12, 11), "gpt-6-sol"),
    Ending(r"gpt-4(\.1|o)-mini" + SNAPSHOT, date(2027, 1, 14), "gpt-6-luna"),
    Ending(r"(gpt-4(\.1|o)|chatgpt-4o-latest)" + SNAPSHOT, date(2027, 1, 14), "gpt-6-sol"),
    Ending(r"gpt-5\.4-nano" + SNAPSHOT, date(2027, 4, 1), "gpt-6-luna"),
)

_FIXED_TEMPERATURE = re.compile(r"(gpt-([5-9]|\d\d)|o[134])([-.].*)?")


def check_options(options: BackendOptions) -> None:
    """Raises UsageError for options that require each other, and for those that the endpoint does not have."""
    if options.batches.batch_bytes > MOST_BATCH_BYTES:
        raise UsageError(f"OpenAI takes batches of at most {MOST_BATCH_BYTES:,} bytes; lower --batch-bytes.")
    if options.provider.endpoint == "responses" and "seed" in options.target.parameters:
        raise UsageError("OpenAI's responses have no `seed`; leave it out, or take --endpoint chat.")
    if options.provider.image_transport == "file" and options.provider.endpoint != "responses":
        raise UsageError("Chat completions take no image by a file's id; add --endpoint responses.")
    _check_template(options.provider)
    if options.provider.endpoint == "chat" and options.generation.thinking_summary:
        raise UsageError("Chat completions summarise no thinking; add --endpoint responses.")


def check_foreign_options(own: Options, title: str, _name: str) -> None:
    """Raises UsageError for options of OpenAI's in a run of the provider with this title."""
    if own.endpoint != "chat" or own.image_transport != "inline":
        raise UsageError(f"--endpoint and --image-transport are OpenAI's; {title} takes its images inline.")
    _check_template(own)


def _check_template(own: Options) -> None:
    if (own.image_transport == "url") != (own.image_url_template is not None):
        raise UsageError("--image-transport url and --image-url-template go together; give both or neither.")


def check_model_parameters(options: BackendOptions) -> None:
    """Raises UsageError for what is known to cause a 400 for every single request."""
    model, parameters = options.target.model, options.target.parameters
    if not _FIXED_TEMPERATURE.fullmatch(model):
        return
    for name in ("temperature", "top_p"):
        if parameters.get(name, 1) != 1 and parameters.get("reasoning_effort") != "none":
            raise UsageError(f"{model} reasons and takes no {name} but 1; leave it out.")
