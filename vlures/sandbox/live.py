"""The live answers of all providers: check, answer, book, and only then reply."""

import secrets

import msgspec

from vlures.sandbox.exchange import Call, Reply, json_reply
from vlures.sandbox.gemini import answer as gemini_answer
from vlures.sandbox.gemini import errors as gemini_errors
from vlures.sandbox.gemini import generate as gemini_generate
from vlures.sandbox.ledger import Provider, ledger_entry
from vlures.sandbox.openai.batches import read_body
from vlures.sandbox.openai.endpoints import ENDPOINTS, RequestContext, answer_request
from vlures.sandbox.openai.request import Answered
from vlures.sandbox.plain_server import answer_plain
from vlures.sandbox.state import State


def answer_chat(state: State, call: Call) -> Reply:
    """OpenAI's `POST /v1/chat/completions`."""
    return _answer_openai(
        state, call, "/v1/chat/completions", RequestContext("chat", "chat completion", state.prompt_cache)
    )


def answer_responses(state: State, call: Call) -> Reply:
    """OpenAI's `POST /v1/responses`."""
    return _answer_openai(state, call, "/v1/responses", RequestContext("responses", "response", state.prompt_cache))


def _answer_openai(state: State, call: Call, endpoint: str, context: RequestContext) -> Reply:
    answered, document = answer_request(state, ENDPOINTS[endpoint], read_body(call.body), context)
    _book(state, "openai", answered)
    headers = {"x-request-id": "req_" + secrets.token_hex(16), "openai-version": "2020-10-01"}
    return json_reply(document, headers=headers)


def answer_plain_chat(state: State, call: Call) -> Reply:
    """`POST /v1/chat/completions` of a server of one's own."""
    answered, document = answer_plain(state, call)
    _book(state, "plain", answered)
    return json_reply(document)


def answer_generate(state: State, call: Call) -> Reply:
    """Gemini's `POST /{version}/models/{model}:generateContent`."""
    model = call.path_values["model"]
    if state.settings.models and model not in state.settings.models:
        raise gemini_errors.unknown_model(model, call.path_values["version"])
    try:
        body = msgspec.json.decode(call.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise gemini_generate.unreadable_body() from None
    complaint = state.violation("generateContent", body, "generateContent")
    if complaint:
        raise gemini_errors.bad_request(complaint)
    request = gemini_generate.read_generate(body, model, state.image_cache)
    state.counts.add_images(len(request.question.images))
    strikes = state.faults.strikes("answer", "gemini")
    cached_tokens = state.prompt_cache.cached_tokens(model, request.question.image_digests, request.tokens_by_image)
    fault = strikes[0] if strikes else None
    answer, document = gemini_answer.generate_content(request, state.settings.seed, fault, cached_tokens)
    if answer.charged:
        tokens = sum(request.tokens_by_image)
        state.ledger.record([ledger_entry("gemini", request.question, answer, tokens, cached_tokens)])
    return json_reply(document, headers={"x-gemini-service-tier": request.tier})


def _book(state: State, provider: Provider, answered: Answered) -> None:
    request, answer = answered.request, answered.answer
    if answer.charged:
        entry = ledger_entry(provider, request.question, answer, request.image_tokens, answered.cached_tokens)
        state.ledger.record([entry])


def list_openai_models(state: State) -> Reply:
    """OpenAI's `GET /v1/models`."""
    names = state.settings.models or ("gpt-6-luna", "gpt-6-astra")
    models = [{"id": name, "object": "model", "created": 1767225600, "owned_by": "sandbox"} for name in names]
    return json_reply({"object": "list", "data": models})


def list_plain_models(_state: State) -> Reply:
    """`GET /v1/models` of a server of one's own, which serves one model under any name."""
    model = {"id": "sandbox-vlm", "object": "model", "created": 1767225600, "owned_by": "vllm", "max_model_len": 32768}
    return json_reply({"object": "list", "data": [model]})


def list_gemini_models(state: State) -> Reply:
    """Gemini's `GET /{version}/models`."""
    names = state.settings.models or ("gemini-3.8-flash", "gemini-3.5-flash-lite")
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
