"""The JSON in the body of a request to Gemini."""

from typing import Any, Literal

import msgspec

from vlures.sandbox.exchange import Call
from vlures.sandbox.gemini.errors import bad_request
from vlures.sandbox.state import State


def read_body(state: State, call: Call, kind: Literal["generateContent", "batchGenerateContent"]) -> Any:
    """A body that the published specification allows, where the sandbox checks that; raises GeminiError for another."""
    try:
        body = msgspec.json.decode(call.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise bad_request("Invalid JSON payload received. Unexpected end of string.") from None
    violation = state.violation(kind, body, kind)
    if violation:
        raise bad_request(violation)
    return body
