"""OpenAI's live answers: check, answer, record in the ledger, and only then reply."""

import secrets

from vlures.sandbox.exchange import Call, Reply, json_reply
from vlures.sandbox.openai.batches import read_body
from vlures.sandbox.openai.endpoints import ENDPOINTS, RequestContext, answer_request
from vlures.sandbox.state import State


def answer_chat(state: State, call: Call) -> Reply:
    """`POST /v1/chat/completions`."""
    return _answer(state, call, "/v1/chat/completions", RequestContext("chat", "chat completion", state.prompt_cache))


def answer_responses(state: State, call: Call) -> Reply:
    """`POST /v1/responses`."""
    return _answer(state, call, "/v1/responses", RequestContext("responses", "response", state.prompt_cache))


def _answer(state: State, call: Call, endpoint: str, context: RequestContext) -> Reply:
    answered, document = answer_request(state, ENDPOINTS[endpoint], read_body(call.body), context)
    state.ledger.record([answered.ledger_entry("openai")])
    headers = {"x-request-id": "req_" + secrets.token_hex(16), "openai-version": "2020-10-01"}
    return json_reply(document, headers=headers)


def list_models(state: State, _call: Call) -> Reply:
    """`GET /v1/models`."""
    names = state.settings.models or ("gpt-6-luna", "gpt-6-astra")
    models = [{"id": name, "object": "model", "created": 1767225600, "owned_by": "sandbox"} for name in names]
    return json_reply({"object": "list", "data": models})
