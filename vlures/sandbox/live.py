"""The live answers of all providers: check, answer, book, and only then reply."""

import secrets

import msgspec

from vlures.sandbox.exchange import Call, Reply, json_reply
from vlures.sandbox.gemini import answer as gemini_answer
from vlures.sandbox.gemini import errors as gemini_errors
from vlures.sandbox.gemini import generate as gemini_generate
from vlures.sandbox.ledger import Provider, charge
from vlures.sandbox.openai.batches import read_body
from vlures.sandbox.openai.endpoints import ENDPOINTS, Occasion, answer_request
from vlures.sandbox.openai.request import Answered
from vlures.sandbox.plain_server import answer_plain
from vlures.sandbox.state import World


def answer_chat(world: World, call: Call) -> Reply:
    """OpenAI's `POST /v1/chat/completions`."""
    return _answer_openai(world, call, "/v1/chat/completions", Occasion("chat", "chat completion", world.prompt_cache))


def answer_responses(world: World, call: Call) -> Reply:
    """OpenAI's `POST /v1/responses`."""
    return _answer_openai(world, call, "/v1/responses", Occasion("responses", "response", world.prompt_cache))


def _answer_openai(world: World, call: Call, endpoint: str, occasion: Occasion) -> Reply:
    answered, document = answer_request(world, ENDPOINTS[endpoint], read_body(call.body), occasion)
    _book(world, "openai", answered)
    headers = {"x-request-id": "req_" + secrets.token_hex(16), "openai-version": "2020-10-01"}
    return json_reply(document, headers=headers)


def answer_plain_chat(world: World, call: Call) -> Reply:
    """`POST /v1/chat/completions` of a server of one's own."""
    answered, document = answer_plain(world, call)
    _book(world, "plain", answered)
    return json_reply(document)


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
    world.counts.add_images(len(request.question.pictures))
    strikes = world.faults.strikes("answer", "gemini")
    cached_tokens = world.prompt_cache.look(model, request.question.images, request.image_tokens)
    fault = strikes[0] if strikes else None
    answer, document = gemini_answer.generate_content(request, world.settings.seed, fault, cached_tokens)
    if answer.charged:
        tokens = sum(request.image_tokens)
        world.ledger.book([charge("gemini", request.question, answer, tokens, cached_tokens)])
    return json_reply(document, headers={"x-gemini-service-tier": request.tier})


def _book(world: World, provider: Provider, answered: Answered) -> None:
    request, answer = answered.request, answered.answer
    if answer.charged:
        entry = charge(provider, request.question, answer, request.image_tokens, answered.cached_tokens)
        world.ledger.book([entry])


def list_openai_models(world: World) -> Reply:
    """OpenAI's `GET /v1/models`."""
    names = world.settings.models or ("gpt-6-luna", "gpt-6-astra")
    models = [{"id": name, "object": "model", "created": 1767225600, "owned_by": "sandbox"} for name in names]
    return json_reply({"object": "list", "data": models})


def list_plain_models(_world: World) -> Reply:
    """`GET /v1/models` of a server of one's own, which serves one model under any name."""
    model = {"id": "sandbox-vlm", "object": "model", "created": 1767225600, "owned_by": "vllm", "max_model_len": 32768}
    return json_reply({"object": "list", "data": [model]})


def list_gemini_models(world: World) -> Reply:
    """Gemini's `GET /{version}/models`."""
    names = world.settings.models or ("gemini-3.8-flash", "gemini-3.5-flash-lite")
    models = [
        {
            "name": f"models/{name}",
            "displayName": name,
            "supportedGenerationMethods": ["generateContent", "batchGenerateContent"],
            "inputTokenLimit": 1_048_576,
            "outputTokenLimit": 65_536,
        }
        for name in names
    ]
    return json_reply({"models": models})
