"""Requests as bodies: which endpoint is asked, and how an image gets there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vlures.backends.batch.shards import Line
from vlures.backends.openai import chat, responses
from vlures.backends.openai.addresses import fill_template
from vlures.backends.openai.image_files import PLACEHOLDER, ImageFiles
from vlures.backends.openai.image_parts import ImagePart, inline_image, split_body
from vlures.backends.openai.options import ImageTransport
from vlures.backends.openai.parameter_names import ParameterNames
from vlures.config.sections import BackendOptions
from vlures.errors import UsageError
from vlures.records import Image, Request, Response


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One of the provider's two ways to ask."""

    path: str
    build: Callable[..., dict[str, Any]]
    """Makes a request's body."""
    read: Callable[..., Response]
    """Reads an answer's body."""


ENDPOINTS = {
    "chat": Endpoint(chat.PATH, chat.build_completion, chat.read_completion),
    "responses": Endpoint(responses.PATH, responses.build_response, responses.read_response),
}


@dataclass(slots=True)
class Bodies:
    """Writes requests as a run's configuration wants them."""

    endpoint: Endpoint
    transport: ImageTransport
    """May change during a run: a provider may refuse one."""
    template: str
    """Of the images' addresses, where transport is `url`."""
    service_tier: str | None
    summary: bool
    """Ask for a summary of the model's thinking."""
    files: ImageFiles | None = None
    """Where transport is `file`."""
    names: ParameterNames = field(default_factory=ParameterNames)
    """Of the parameters, as the server has them. They may change during a run."""
    keep_think_tags: bool = False
    """Leave thinking in the text of an answer."""
    _addresses: dict[str, str] = field(default_factory=dict)

    def build(self, request: Request) -> dict[str, Any]:
        """The body, with a mark in the place of an image in base64."""
        body = self.endpoint.build(request, self._image_part(request), self.service_tier, summary=self.summary)
        self.names.apply(body)
        return body

    def read(self, key: str, body: Mapping[str, Any]) -> Response:
        """An answer as a response."""
        return self.endpoint.read(key, body, keep_think_tags=self.keep_think_tags)

    def write(self, request: Request) -> Line:
        """The body as bytes."""
        return split_body(self.build(request), request.image)

    def _image_part(self, request: Request) -> ImagePart | None:
        image = request.image
        if image is None:
            return None
        if self.transport == "file" and self.files is not None:
            return ImagePart(file_id=self.files.find(image) or PLACEHOLDER)
        if self.transport == "url":
            return ImagePart(address=self._address(image, request.sample_id))
        return inline_image(image)

    def _address(self, image: Image, sample_id: str) -> str:
        address = fill_template(self.template, image, sample_id)
        if self._addresses.setdefault(address, image.digest) != image.digest:
            raise UsageError(
                f"image_url_template {self.template!r} gives {address} for several images, one of them "
                f"{image.path}; add {{name}}, {{folder}} or {{sha256}} to tell them apart."
            )
        return address


def make_bodies(options: BackendOptions, names: ParameterNames | None = None) -> Bodies:
    """As the configuration has it. names: of the parameters at the server; by default OpenAI's own."""
    return Bodies(
        ENDPOINTS[options.provider.endpoint],
        options.provider.image_transport,
        options.provider.image_url_template or "",
        options.target.service_tier,
        options.generation.thinking_summary,
        names=names or ParameterNames(),
        keep_think_tags=options.generation.keep_think_tags,
    )
