"""A checked request to OpenAI, whichever endpoint it was sent to, and the checks that the endpoints share."""

from dataclasses import dataclass, field
from typing import Any

from vlures.sandbox.answers.compose import Answer
from vlures.sandbox.answers.questions import Question
from vlures.sandbox.ledger import Entry, make_entry
from vlures.sandbox.ledger import Provider as LedgerProvider
from vlures.sandbox.openai.errors import OpenAIError, invalid_type, invalid_value, unknown_model
from vlures.sandbox.openai.images import RequestImage

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
THOUGHT_TOKENS = dict(zip(EFFORTS, (0, 16, 64, 192, 512, 1024, 2048), strict=True))
"""Reasoning effort -> tokens of reasoning; without one the sandbox does not reason."""
TIERS = ("auto", "default", "flex", "scale", "priority")
VERBOSITIES = ("low", "medium", "high")
REASONING_MODELS = ("gpt-5", "gpt-6", "o1", "o3", "o4")
OLDER_MODELS = ("gpt-3.5", "gpt-4", "chatgpt-4o")
"""Models that accept `max_tokens` and do not reason."""


@dataclass(frozen=True)
class OpenAIRequest:
    """A request that passed all checks."""

    question: Question
    tokens_by_image: tuple[int, ...]
    limit: int | None
    """The most output tokens; None for no limit."""
    thought_tokens: int = 0
    tier: str | None = None
    """The service tier asked for."""

    @property
    def image_tokens(self) -> int:
        """The tokens of all images."""
        return sum(self.tokens_by_image)


@dataclass(frozen=True)
class Answered:
    """A request with its answer."""

    request: OpenAIRequest
    answer: Answer
    model: str
    """The model that the reply names."""
    cached_tokens: int = 0
    """Prompt tokens from the cache."""

    @property
    def prompt_tokens(self) -> int:
        """All tokens of the prompt."""
        return self.answer.text_tokens + self.request.image_tokens

    @property
    def written_tokens(self) -> int:
        """All tokens of the output, with the thinking unless a fault counts it apart."""
        return self.answer.output_tokens + (0 if self.answer.counts_thoughts_apart else self.answer.thought_tokens)

    @property
    def total_tokens(self) -> int:
        """All tokens of prompt and output."""
        return self.prompt_tokens + self.answer.output_tokens + self.answer.thought_tokens

    def ledger_entry(
        self, provider: LedgerProvider, *, line_id: str | None = None, batch_id: str | None = None
    ) -> Entry:
        """The answer's entry in the ledger: of a batch's line, or live."""
        request = self.request
        return make_entry(
            provider,
            request.question,
            self.answer,
            request.image_tokens,
            self.cached_tokens,
            line_id=line_id,
            batch_id=batch_id,
        )

    @property
    def tier(self) -> str:
        """The tier that served it: `default` for `auto`, as in a project without settings of its own."""
        return "default" if self.request.tier in (None, "auto") else str(self.request.tier)


@dataclass
class Conversation:
    """The messages of a request while they are read."""

    system: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    images: list[RequestImage] = field(default_factory=list)
    last: str = ""

    def add(self, role: str, text: str) -> None:
        """Add the text of one message."""
        (self.system if role in ("system", "developer") else self.texts).append(text)
        self.last = text if role == "user" else self.last

    def question(self, model: str, schema: dict[str, Any] | None) -> Question:
        """The question that the messages ask. schema: of its answer."""
        images = tuple(item.image for item in self.images)
        return Question(model, "\n".join(self.system), "\n".join(self.texts), self.last, images, schema)


def check_names(body: object, known: frozenset[str]) -> dict[str, Any]:
    """The body as an object with no parameter that is unknown to the endpoint; raises OpenAIError."""
    if not isinstance(body, dict):
        raise invalid_type("body", "an object")
    for name in body:
        if name not in known:
            raise OpenAIError(400, f"Unknown parameter: '{name}'.", param=str(name), code="unknown_parameter")
    return body


def check_model(body: dict[str, Any], models: tuple[str, ...]) -> str:
    """The model asked for. models: those that exist (empty: all)."""
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise OpenAIError(400, "you must provide a model parameter")
    if models and model not in models:
        raise unknown_model(model)
    return model


def check_number(body: dict[str, Any], name: str, highest: int) -> float | None:
    """A number from 0 to `highest`, if given."""
    number = body.get(name)
    if number is None:
        return None
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise invalid_type(name, "a decimal")
    if not 0 <= number <= highest:
        raise OpenAIError(
            400,
            f"Invalid '{name}': decimal out of range. Expected a value between 0 and {highest}, but got {number:g} "
            "instead.",
            param=name,
            code="decimal_above_max_value" if number > 0 else "decimal_below_min_value",
        )
    return float(number)


def check_word(value: object, name: str, known: tuple[str, ...]) -> str | None:
    """A word from a closed list, if given."""
    if value is not None and value not in known:
        raise invalid_value(name, value, known)
    return None if value is None else str(value)


def check_limit(body: dict[str, Any], name: str, lowest: int) -> int | None:
    """A limit on the output tokens, if given."""
    limit = body.get(name)
    if limit is None:
        return None
    if not isinstance(limit, int) or isinstance(limit, bool):
        raise invalid_type(name, "an integer")
    if limit < lowest:
        raise OpenAIError(
            400,
            f"Invalid '{name}': integer below minimum value. Expected a value >= {lowest}, but got {limit} instead.",
            param=name,
            code="integer_below_min_value",
        )
    return limit


def refuse_stream(body: dict[str, Any]) -> None:
    """Refuse to stream: the sandbox gives whole answers only."""
    if body.get("stream"):
        raise OpenAIError(400, "The sandbox does not stream.", param="stream", code="unsupported_value")
