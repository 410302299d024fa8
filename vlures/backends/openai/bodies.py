"""Requests as bodies: which endpoint is asked, and how a picture gets there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vlures.backends.batch.shards import Line
from vlures.backends.openai import chat, responses
from vlures.backends.openai.addresses import fill_template
from vlures.backends.openai.image_files import PLACEHOLDER, ImageFiles
from vlures.backends.openai.options import ImageTransport
from vlures.backends.openai.pictures import Picture, inline_picture, split_body
from vlures.config.sections import BackendOptions
from vlures.errors import UsageError
from vlures.records import Request, Response


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One of the provider's two ways to ask: its path, how a request is put to it, what its answers mean."""

    path: str
    build: Callable[..., dict[str, Any]]
    read: Callable[..., Response]


ENDPOINTS = {
    "chat": Endpoint(chat.PATH, chat.build_completion, chat.read_completion),
    "responses": Endpoint(responses.PATH, responses.build_response, responses.read_response),
}


@dataclass(slots=True)
class Bodies:
    """Writes requests as a run's configuration wants them. transport may change while it runs: a provider may refuse
    one. files: where transport is `file`. allowance: what the most tokens of an answer are called in chat completions.
    keep_think_tags: thinking that stands in the text of an answer stays there."""

    endpoint: Endpoint
    transport: ImageTransport
    template: str
    service_tier: str | None
    summary: bool
    files: ImageFiles | None = None
    allowance: str = "max_completion_tokens"
    keep_think_tags: bool = False
    _addresses: dict[str, str] = field(default_factory=dict)

    def build(self, request: Request) -> dict[str, Any]:
        """The body, with a mark where a picture comes in base64."""
        body = self.endpoint.build(request, self._picture(request), self.service_tier, summary=self.summary)
        if "max_completion_tokens" in body:
            body[self.allowance] = body.pop("max_completion_tokens")
        return body

    def read(self, key: str, body: Mapping[str, Any]) -> Response:
        """What an answer means."""
        return self.endpoint.read(key, body, keep_think_tags=self.keep_think_tags)

    def write(self, request: Request) -> Line:
        """The body as bytes."""
        return split_body(self.build(request))

    def _picture(self, request: Request) -> Picture:
        if self.transport == "file" and self.files is not None:
            return Picture(file_id=self.files.find(request.image) or PLACEHOLDER)
        if self.transport == "url":
            return Picture(address=self._address(request))
        return inline_picture(request.image)

    def _address(self, request: Request) -> str:
        address = fill_template(self.template, request.image, request.sample_id)
        if self._addresses.setdefault(address, request.image.digest) != request.image.digest:
            raise UsageError(
                f"image_url_template {self.template!r} gives {address} for several pictures, one of them {request.image.path}; add "
                "{name}, {folder} or {sha256} to tell them apart."
            )
        return address


def make_bodies(options: BackendOptions) -> Bodies:
    """As the configuration has it."""
    return Bodies(
        ENDPOINTS[options.provider.endpoint],
        options.provider.image_transport,
        options.provider.image_url_template or "",
        options.target.service_tier,
        options.generation.thinking_summary,
        keep_think_tags=options.generation.keep_think_tags,
    )
