"""What Gemini checks in an input file before it creates a batch: one bad line, and there is no batch.

Only the JSON and the names of its fields are checked here; a request that cannot be answered fails by itself.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

from vlures.sandbox.answers.compose import count_tokens
from vlures.sandbox.file_store import StoredFile
from vlures.sandbox.gemini.errors import GeminiError, bad_request
from vlures.sandbox.gemini.fields import unknown_fields
from vlures.sandbox.gemini.generate import read_generate
from vlures.sandbox.state import State

MAX_PROBLEMS = 20


@dataclass(frozen=True)
class Checked:
    """A good input file."""

    total: int
    """Lines."""
    tokens: int
    """Of the prompts, if the sandbox limits them; otherwise 0."""


def check_lines(state: State, file: StoredFile, model: str) -> Checked:
    """Check an input file line by line; raises GeminiError with a sentence for each of the first bad lines.

    Runs in a worker thread. Keys may be missing or repeated: Google accepts both.
    """
    problems: list[str] = []
    total = tokens = 0
    for number, line in enumerate(state.gemini_files.lines(file), start=1):
        total = number
        problem = _problem(state, line)
        if problem:
            problems.append(f"Error on line {number}: {problem}")
            if len(problems) >= MAX_PROBLEMS:
                break
        elif state.settings.queue_tokens is not None:
            tokens += _prompt_tokens(state, line, model)
    if problems:
        raise bad_request("\n".join(problems))
    if total == 0:
        raise bad_request("The input file is empty.")
    return Checked(total, tokens)


def _problem(state: State, line: bytes) -> str | None:
    try:
        asked = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return f"invalid JSON: {error}"
    if not isinstance(asked, dict):
        return "invalid JSON: not an object"
    key, request = asked.get("key"), asked.get("request")
    if key is not None and not isinstance(key, str):
        return "invalid value for 'key': not a string"
    if not isinstance(request, dict):
        return "no 'request' in this line"
    violation = state.violation("generateContent", request, f"batch line {key}")
    if violation:
        return violation
    unknown = unknown_fields(request)
    return f"invalid JSON: no such field: {unknown[0][1]}" if unknown else None


def _prompt_tokens(state: State, line: bytes, model: str) -> int:
    asked: dict[str, Any] = msgspec.json.decode(line)
    try:
        request = read_generate(asked["request"], model, state.image_cache)
    except GeminiError:
        return 0  # it will fail by itself
    question = request.question
    return sum(request.tokens_by_image) + count_tokens(question.system) + count_tokens(question.text)
