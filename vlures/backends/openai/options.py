"""The options that only OpenAI has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vlures.config.options import option

EndpointName = Literal["chat", "responses"]
ImageTransport = Literal["inline", "file", "url"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """How OpenAI, or a server that speaks its protocol, is asked."""

    endpoint: EndpointName = option("Which of OpenAI's endpoints is asked: chat or responses.", "chat", "Who answers")
    image_transport: ImageTransport = option(
        "How images get to OpenAI: inline, file (uploaded once, with --endpoint responses), url.",
        "inline",
        "Who answers",
    )
    image_url_template: str | None = option(
        "Where OpenAI finds the images, as in https://host/{name}; also {id} {stem} {folder} {sha256}.",
        None,
        "Who answers",
        metavar="URL",
    )
    image_detail: Literal["low", "high", "original", "auto"] | None = option(
        "How closely OpenAI's models look at the image.", group="Model", parameter=True
    )
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = option(
        "How long OpenAI's models think.", group="Model", parameter=True
    )
