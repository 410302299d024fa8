"""A user's own server that speaks OpenAI's chat completions (vLLM, llama.cpp, Ollama): no key, any model, no extras."""

import secrets
import time
from typing import Any

from vlures.sandbox.answers.compose import THOUGHTS
from vlures.sandbox.exchange import Call, ProviderError, Reply, json_reply
from vlures.sandbox.openai.batches import read_body
from vlures.sandbox.openai.chat import read_limit, read_messages
from vlures.sandbox.openai.completion import ending
from vlures.sandbox.openai.endpoints import answer_checked
from vlures.sandbox.openai.errors import OpenAIError
from vlures.sandbox.openai.forms import read_response_format
from vlures.sandbox.openai.images import ImageSource, estimate_image_tokens
from vlures.sandbox.openai.request import Answered, OpenAIRequest, check_model, refuse_stream
from vlures.sandbox.state import State

REASONING_TOKENS = 64
KINDS = {400: "BadRequestError", 404: "NotFoundError"}


class PlainError(ProviderError):
    """An error as such servers report it: in OpenAI's format, with the status as its code."""

    def __init__(self, status: int, message: str, param: str | None = None) -> None:
        error = {"message": message, "type": KINDS.get(status, "InternalServerError"), "param": param, "code": status}
        super().__init__(status, {"error": error})


def answer_chat(state: State, call: Call) -> Reply:
    """`POST /plain/v1/chat/completions`."""
    try:
        request = _read(read_body(call.body), state)
        state.counts.add_images(len(request.question.images))
        struck = state.faults.strikes("answer", "plain")
        answered = answer_checked(request, state.settings.seed, struck[0] if struck else None, state.prompt_cache)
    except OpenAIError as error:
        inner = error.document["error"]
        raise PlainError(error.status, inner["message"], inner["param"]) from None
    state.ledger.record([answered.ledger_entry("plain")])
    return json_reply(_document(answered, reasoning=state.settings.plain_reasoning))


def list_models(_state: State, _call: Call) -> Reply:
    """`GET /plain/v1/models`: such a server serves one model under any name."""
    model = {"id": "sandbox-vlm", "object": "model", "created": 1767225600, "owned_by": "vllm", "max_model_len": 32768}
    return json_reply({"object": "list", "data": [model]})


def _read(body: dict[str, Any], state: State) -> OpenAIRequest:
    for name in state.settings.plain_lacks:
        if name in body:
            raise PlainError(400, f"unknown field: {name!r} is not known to this server", name)
    model = check_model(body, ())
    refuse_stream(body)
    conversation = read_messages(body, ImageSource(state.image_cache, state.files, state.faults, "plain"))
    tokens = estimate_image_tokens(model, conversation.images)
    thought_tokens = REASONING_TOKENS if state.settings.plain_reasoning else 0
    question = conversation.question(model, read_response_format(body.get("response_format")))
    return OpenAIRequest(question, tokens, read_limit(body), thought_tokens)


def _document(answered: Answered, *, reasoning: bool) -> dict[str, object]:
    answer = answered.answer
    message = {"role": "assistant", "content": answer.text}
    if reasoning or answer.thoughts:
        message["reasoning_content"] = answer.thoughts or THOUGHTS
    usage: dict[str, object] = {
        "prompt_tokens": answered.prompt_tokens,
        "completion_tokens": answered.written_tokens,
        "total_tokens": answered.total_tokens,
    }
    if answer.counts_thoughts_apart:
        usage["completion_tokens_details"] = {"reasoning_tokens": answer.thought_tokens}
    return {
        "id": "chatcmpl-" + secrets.token_hex(12),
        "object": "chat.completion",
        "created": int(time.time()),
        "model": answered.model,
        "choices": [{"index": 0, "message": message, **ending(answer)}],
        "usage": usage,
    }
