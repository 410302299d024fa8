"""OpenAI's two endpoints that answer a question, live or line by line in a batch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from vlures.sandbox.answers.compose import answer_question, answering_model
from vlures.sandbox.answers.prompt_cache import PromptCache
from vlures.sandbox.faults.fault import Fault
from vlures.sandbox.openai.chat import read_chat
from vlures.sandbox.openai.completion import completion_document
from vlures.sandbox.openai.errors import OpenAIError, blocked_prompt, flex_busy
from vlures.sandbox.openai.images import ImageSource
from vlures.sandbox.openai.request import Answered, OpenAIRequest
from vlures.sandbox.openai.response_object import response_document
from vlures.sandbox.openai.responses import read_responses
from vlures.sandbox.settings import RequestKind
from vlures.sandbox.state import State


@dataclass(frozen=True)
class Endpoint:
    """One endpoint."""

    kind: RequestKind
    read: Callable[[object, ImageSource, tuple[str, ...]], OpenAIRequest]
    """Checks a request body; the last argument is the models that exist (empty: all)."""
    reply_document: Callable[[Answered, dict[str, Any]], dict[str, object]]
    """The reply to a request body."""


ENDPOINTS: Mapping[str, Endpoint] = MappingProxyType(
    {
        "/v1/chat/completions": Endpoint("chat", read_chat, completion_document),
        "/v1/responses": Endpoint("responses", read_responses, response_document),
    }
)


@dataclass(frozen=True)
class RequestContext:
    """Where a request is answered."""

    place: str
    """Where faults strike it."""
    label: str
    """Its name in violations."""
    cache: PromptCache


def answer_request(
    state: State, endpoint: Endpoint, body: object, context: RequestContext
) -> tuple[Answered, dict[str, object]]:
    """Check and answer one request; returns the answer and the reply to it. Raises OpenAIError."""
    violation = state.violation(endpoint.kind, body, context.label)
    if violation:
        raise OpenAIError(400, violation)
    source = ImageSource(state.image_cache, state.files, state.faults, context.place)
    request = endpoint.read(body, source, state.settings.models)
    state.counts.add_images(len(request.question.images))
    if request.tier == "flex" and state.faults.strikes("flex", context.place):
        raise flex_busy()
    struck = state.faults.strikes("answer", context.place)
    answered = answer_checked(request, state.settings.seed, struck[0] if struck else None, context.cache)
    return answered, endpoint.reply_document(answered, body if isinstance(body, dict) else {})


def answer_checked(request: OpenAIRequest, seed: int, fault: Fault | None, cache: PromptCache) -> Answered:
    """Answer a checked request; raises OpenAIError for a blocked prompt."""
    question = request.question
    answer = answer_question(question, seed, request.limit, fault, request.thought_tokens)
    if answer.finish == "blocked":
        raise blocked_prompt()
    cached = cache.cached_tokens(question.model, question.image_digests, request.tokens_by_image)
    return Answered(request, answer, answering_model(question.model, fault), cached)
