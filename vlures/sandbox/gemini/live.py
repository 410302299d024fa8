"""Gemini's live answers: check, answer, record in the ledger, and only then reply."""

from vlures.sandbox.exchange import Call, Reply, json_reply
from vlures.sandbox.gemini.answer import generate_content
from vlures.sandbox.gemini.body import read_body
from vlures.sandbox.gemini.errors import unknown_model
from vlures.sandbox.gemini.generate import read_generate
from vlures.sandbox.ledger import make_entry
from vlures.sandbox.state import State


def answer_generate(state: State, call: Call) -> Reply:
    """`POST /{version}/models/{model}:generateContent`."""
    model = call.path_values["model"]
    if state.settings.models and model not in state.settings.models:
        raise unknown_model(model, call.path_values["version"])
    body = read_body(state, call, "generateContent")
    request = read_generate(body, model, state.image_cache)
    state.counts.add_images(len(request.question.images))
    strikes = state.faults.strikes("answer", "gemini")
    cached_tokens = state.prompt_cache.cached_tokens(model, request.question.image_digests, request.tokens_by_image)
    fault = strikes[0] if strikes else None
    answer, document = generate_content(request, state.settings.seed, fault, cached_tokens)
    if answer.charged:
        tokens = sum(request.tokens_by_image)
        state.ledger.record([make_entry("gemini", request.question, answer, tokens, cached_tokens)])
    return json_reply(document, headers={"x-gemini-service-tier": request.tier})


def list_models(state: State, _call: Call) -> Reply:
    """`GET /{version}/models`."""
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
