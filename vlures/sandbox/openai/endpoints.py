"""OpenAI's two endpoints that answer a question, live or line by line in a batch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from vlures.sandbox.answers.compose import answer_question, answering_model
from vlures.sandbox.answers.prompt_cache import PromptCache
from vlures.sandbox.faults.kinds import Fault
from vlures.sandbox.openai.chat import read_chat
from vlures.sandbox.openai.completion import completion_document
from vlures.sandbox.openai.errors import OpenAIError, blocked_prompt, flex_busy
from vlures.sandbox.openai.images import PictureSource
from vlures.sandbox.openai.request import Answered, OpenAIRequest
from vlures.sandbox.openai.response_object import response_document
from vlures.sandbox.openai.responses import read_responses
from vlures.sandbox.specs import Document
from vlures.sandbox.state import World


@dataclass(frozen=True)
class Endpoint:
    """One endpoint: the published document of its requests, what checks them and what words the answers."""

    document: Document
    read: Callable[[object, PictureSource, tuple[str, ...]], OpenAIRequest]
    word: Callable[[Answered, dict[str, Any]], dict[str, object]]


ENDPOINTS: Mapping[str, Endpoint] = MappingProxyType(
    {
        "/v1/chat/completions": Endpoint("chat", read_chat, completion_document),
        "/v1/responses": Endpoint("responses", read_responses, response_document),
    }
)


@dataclass(frozen=True)
class Occasion:
    """Where a request is answered: the place where faults find it, its name in complaints, the prompt cache it sees."""

    place: str
    name: str
    cache: PromptCache


def answer_request(
    world: World, endpoint: Endpoint, body: object, occasion: Occasion
) -> tuple[Answered, dict[str, object]]:
    """Check and answer one request: the answer and OpenAI's document of it; raises OpenAIError."""
    complaint = world.violation(endpoint.document, body, occasion.name)
    if complaint:
        raise OpenAIError(400, complaint)
    source = PictureSource(world.gallery, world.files, world.faults, occasion.place)
    request = endpoint.read(body, source, world.settings.models)
    world.counts.add_images(len(request.question.pictures))
    if request.tier == "flex" and world.faults.strikes("flex", occasion.place):
        raise flex_busy()
    struck = world.faults.strikes("answer", occasion.place)
    answered = say(request, world.settings.seed, struck[0] if struck else None, occasion.cache)
    return answered, endpoint.word(answered, body if isinstance(body, dict) else {})


def say(request: OpenAIRequest, seed: int, fault: Fault | None, cache: PromptCache) -> Answered:
    """Answer a checked request; raises OpenAIError for a blocked prompt."""
    question = request.question
    answer = answer_question(question, seed, request.limit, fault, request.thought_tokens)
    if answer.finish == "blocked":
        raise blocked_prompt()
    cached = cache.look(question.model, question.images, request.picture_tokens)
    return Answered(request, answer, answering_model(question.model, fault), cached)
