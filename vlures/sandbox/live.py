"""The live answers of both providers: check, answer, book, and only then reply."""

import time
from typing import Literal

import msgspec

from vlures.sandbox import gemini_errors, gemini_generate
from vlures.sandbox.answers import Answer
from vlures.sandbox.ledger import Entry
from vlures.sandbox.openai_batches import read_body
from vlures.sandbox.openai_chat import read_chat
from vlures.sandbox.openai_completion import complete_chat
from vlures.sandbox.openai_errors import OpenAIError
from vlures.sandbox.questions import Question
from vlures.sandbox.replies import Call, Reply, json_reply
from vlures.sandbox.world import World


def answer_chat(world: World, call: Call) -> Reply:
    """OpenAI's `POST /v1/chat/completions`."""
    body = read_body(call.body)
    complaint = world.violation("chat", body, "chat completion")
    if complaint:
        raise OpenAIError(400, complaint)
    request = read_chat(body, world.gallery, world.settings.models)
    strikes = world.faults.strikes("answer", "chat")
    answer, document = complete_chat(request, world.settings.seed, strikes[0] if strikes else None)
    _book(world, "openai", request.question, answer)
    headers = {"x-request-id": "req_" + str(document["id"]).removeprefix("chatcmpl-"), "openai-version": "2020-10-01"}
    return json_reply(document, headers=headers)


def answer_generate(world: World, call: Call) -> Reply:
    """Gemini's `POST /{version}/models/{model}:generateContent`."""
    model = call.words["model"]
    if world.settings.models and model not in world.settings.models:
        raise gemini_errors.unknown_model(model, call.words["version"])
    try:
        body = msgspec.json.decode(call.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise gemini_generate.unreadable_body() from None
    complaint = world.violation("generateContent", body, "generateContent")
    if complaint:
        raise gemini_errors.bad_request(complaint)
    request = gemini_generate.read_generate(body, model, world.gallery)
    strikes = world.faults.strikes("answer", "gemini")
    answer, document = gemini_generate.generate_content(request, world.settings.seed, strikes[0] if strikes else None)
    _book(world, "gemini", request.question, answer)
    return json_reply(document)


def _book(world: World, provider: Literal["openai", "gemini"], question: Question, answer: Answer) -> None:
    world.counts.add_images(len(question.pictures))
    if answer.charged:
        now = time.time()
        entry = Entry("live", provider, None, question.digest(), None, question.model, now, question.images)
        world.ledger.book([entry])


def list_openai_models(world: World) -> Reply:
    """OpenAI's `GET /v1/models`."""
    names = world.settings.models or ("gpt-6-luna", "gpt-6-astra")
    models = [{"id": name, "object": "model", "created": 1767225600, "owned_by": "sandbox"} for name in names]
    return json_reply({"object": "list", "data": models})


def list_gemini_models(world: World) -> Reply:
    """Gemini's `GET /{version}/models`."""
    names = world.settings.models or ("gemini-3.8-flash", "gemini-3.5-flash-lite")
    models = [
        {
            "name": f"models/{name}",
            "displayName": name,
            "supportedGenerationMethods": ["generateContent"],
            "inputTokenLimit": 1_048_576,
            "outputTokenLimit": 65_536,
        }
        for name in names
    ]
    return json_reply({"models": models})
