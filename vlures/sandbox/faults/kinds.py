"""What can go wrong at a provider, said in one line of text.

A fault reads `KIND[@PLACE][:key=value,key=value]`, for example `429@chat:times=5,retry_after=1`. This file knows the
kinds and reads the text; `fault_book` decides whether a fault strikes; what a strike does is in the protocols' files.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Literal

from vlures.errors import UsageError

Level = Literal["http", "limit", "flex", "file", "answer", "line", "batch"]

GEMINI_PLACES = tuple(
    f"gemini_{name}" for name in ("upload", "create", "status", "list", "content", "cancel", "delete")
)
HTTP_PLACES = (
    *("upload", "create", "status", "list", "content", "cancel", "delete", "chat", "responses", "plain", "gemini"),
    *GEMINI_PLACES,
)
ANSWER_PLACES = ("chat", "responses", "plain", "gemini", "line")
LIVE_PLACES = ("chat", "responses", "plain", "gemini")
MALFORMED = (
    *("two_lengths", "length_and_chunks", "no_length", "long_header", "huge_header", "many_headers", "bad_header"),
    *("not_gzip", "cut_gzip", "not_deflate", "cut_deflate", "not_brotli", "not_zstd", "bad_chunk", "wrong_chunk"),
    *("bad_status", "no_http", "http09", "status_999", "status_099", "status_204", "status_101"),
    *("charset", "short", "long", "deep", "closed"),
)
ENDLESS = ("drip", "drip_header", "informational", "huge", "bomb")
HOW_WORDS = {"malformed": MALFORMED, "endless": ENDLESS}
THINKING_FORMS: Mapping[str, str] = MappingProxyType(
    {
        "think": "<think>\n{thoughts}\n</think>\n\n{text}",
        "thinking": "<thinking>{thoughts}</thinking>\n{text}",
        "reasoning": "<reasoning>{thoughts}</reasoning>\n{text}",
        "square": "[THINK]{thoughts}[/THINK]{text}",
        "kimi": "◁think▷{thoughts}◁/think▷{text}",
        "channels": "<|channel|>analysis<|message|>{thoughts}<|end|><|start|>assistant<|channel|>final<|message|>{text}",
        "lone": "{thoughts}\n</think>\n\n{text}",
        "loop": "<think></think>" * 20_000 + "<think>{thoughts}" + "=" * 200_000 + "</think>{text}",
        "only": "<think>\n{thoughts}\n</think>\n",
        "open": "<think>\n{thoughts}",
    }
)
"""How servers without a parser leave thinking in the text. In `loop` a model has lost itself; the last two have
no answer."""
USAGE_FORMS = ("nothing", "negative", "absurd", "half", "text", "broken")
COUNTING_OPTIONS = ("times", "every", "after", "rate")


@dataclass(frozen=True)
class FaultKind:
    """One kind: what decides it (`level`), its help, its own options and the places where it can stand."""

    level: Level
    help: str
    options: tuple[str, ...] = ()
    places: tuple[str, ...] = ()


def _http(text: str, *options: str) -> FaultKind:
    return FaultKind("http", text, options, HTTP_PLACES)


def _download(text: str) -> FaultKind:
    return FaultKind("http", text, places=("content", "gemini_content"))


def _answer(text: str, *options: str, places: tuple[str, ...] = ANSWER_PLACES) -> FaultKind:
    return FaultKind("answer", text, options, places)


def _line(text: str, *options: str) -> FaultKind:
    return FaultKind("line", text, options, ("line",))


def _batch(text: str, *options: str, places: tuple[str, ...] = ("create", "gemini_create")) -> FaultKind:
    return FaultKind("batch", text, options, places)


KINDS: Mapping[str, FaultKind] = MappingProxyType(
    {
        "429": _http(
            "rate limit; retry_after=SECONDS (none: no hint), per_day=1: the day's quota",
            "retry_after",
            "per_day",
            "per_minute",
        ),
        "500": _http("internal error of the provider"),
        "503": _http("the provider is overloaded", "retry_after"),
        "latency": _http("seconds=S more before the request is looked at", "seconds"),
        "drop_before": _http("the connection is cut before the server acts"),
        "drop_after": _http("the server acts (and charges), then cuts the connection without a reply"),
        "hang": _http("the server does not act and holds the connection for seconds=S (3600)", "seconds"),
        "hang_after": _http("the server acts (and charges), then holds the connection for seconds=S (3600)", "seconds"),
        "truncate": _http("the server acts; half of the body arrives, then the connection closes"),
        "bad_json": _http("the server acts; status 200 with a body that is not JSON"),
        "portal": _download("a download brings the page of some network's portal, with status 200"),
        "empty_body": _download("a download brings nothing, with status 200"),
        "half_lines": _download("a download brings the first half of the lines, whole ones, with status 200"),
        "names_only": _download(
            "a download brings lines that name the requests and say nothing of them, as the file that was sent, with status 200"
        ),
        "byte_order_mark": _download("a download begins with a byte order mark"),
        "html": _http("status 502 with an HTML page of some proxy"),
        "malformed": _http(f"the server acts; a reply that is no HTTP: how={', '.join(MALFORMED)}", "how"),
        "cut_at": _http(
            "the server acts; the connection closes after bytes=N (100) of the reply, its head included", "bytes"
        ),
        "endless": _http(
            f"the server acts; a reply without an end: how={', '.join(ENDLESS)}; a piece each seconds=S (0.1)",
            "how",
            "seconds",
        ),
        "redirect": _http("status=307 with Location to=URL; the server does not act", "status", "to"),
        "echo_key": _http(
            "an error of status=401 that repeats the caller's key in several forms; answer=1: the server acts, and the text of "
            "a live answer does",
            "status",
            "answer",
        ),
        "escapes": _http("an error of status=400 whose message holds what a terminal would obey", "status"),
        "limit": FaultKind(
            "limit",
            "a real limit: 429 beyond per_minute=600 (or per_second=N) answers, counted over any window=SECONDS (60, or 1), or "
            "fixed=1: each by the clock; strict=1: refusals count; retry_after=SECONDS, silent=1: no hints",
            ("per_minute", "per_second", "window", "fixed", "strict", "retry_after", "silent"),
            LIVE_PLACES,
        ),
        "flex_busy": FaultKind(
            "flex", "OpenAI's 429 resource_unavailable, for service_tier flex only", places=("chat", "responses")
        ),
        "file_gone": FaultKind(
            "file", "a file that a request names by its id is deleted before it is read", places=("responses", "line")
        ),
        "no_file_ids": FaultKind("file", "a batch line that names a picture by file_id fails", places=("line",)),
        "error": _http("any error: status=400,code=...,message=...", "status", "code", "message"),
        "not_found": _http("the provider's own 404"),
        "blocked_prompt": _answer("the prompt is blocked (Gemini: promptFeedback; OpenAI: 400 invalid_prompt)"),
        "safety": _answer("the answer is withheld: finishReason SAFETY, finish_reason content_filter"),
        "refusal": _answer("OpenAI's message.refusal instead of text", places=("chat", "responses", "line")),
        "empty": _answer("a normal end without any text"),
        "max_tokens": _answer("the text is cut: MAX_TOKENS, length"),
        "other_model": _answer("the reply names another model than the one asked: name=...", "name"),
        "max_tokens_empty": _answer("thinking ate the whole budget: MAX_TOKENS, length, no text"),
        "finish": _answer(
            "any other end: reason=WORD, message=what a gateway says of it, empty=1: without text",
            *("reason", "message", "empty"),
        ),
        "think_tags": _answer(
            f"thinking stands in the text: form={'|'.join(THINKING_FORMS)}, reason=WORD for its end", "form", "reason"
        ),
        "reasoning_only": _answer("all words come as reasoning, none as text; reason=WORD for its end", "reason"),
        "usage": _answer(
            f"an answer is charged, and its usage is hidden or false: tell={'|'.join(USAGE_FORMS)}", "tell"
        ),
        "thinking_apart": _answer("usage counts thinking beside the output, as xAI does: tokens=2800 of it", "tokens"),
        "line_error": _line(
            "a batch line fails with response.status_code (Gemini: error.code): status=400,code=...,message=...",
            "status",
            "code",
            "message",
        ),
        "line_error_b": _line(
            "a batch line fails with response null (Gemini: with a status object): code=batch_expired,message=...",
            "code",
            "message",
        ),
        "line_status0": _line("a line in the output file with status_code 0 and no body (Gemini: with its key alone)"),
        "missing": _line("a batch line is in neither result file"),
        "doubled": _line("a batch line stands twice in the output file"),
        "unknown_id": _batch("the output file has one more line, with an id that nobody sent"),
        "null_id": _batch("the output file has one more line, with custom_id null"),
        "garbage_line": _batch("the output file has one more line, which is not JSON"),
        "shuffle": _batch("the output file is in another order"),
        "no_file_ids_batch": _batch(
            "the batch fails validation if a line names a picture by file_id", places=("create",)
        ),
        "expire": _batch(
            "the batch expires with keep=0.5 of its lines answered (Gemini: none, and none is charged)", "keep"
        ),
        "cancelled": _batch("the batch is cancelled by the provider with keep=0.5 of its lines answered", "keep"),
        "fail_batch": _batch("the batch fails validation: code=...,message=...", "code", "message"),
        "token_limit": _batch("the batch fails with token_limit_exceeded (Gemini: its creation is refused with 429)"),
        "cannot_find_file": _batch("the batch fails at once: its file cannot be found"),
        "empty_ids": _batch('file ids that do not exist are "" instead of null'),
        "results_late": _batch("the first looks=N (1) looks at the ended batch name no file of results", "looks"),
        "counts_late": _batch("the first looks=N (1) looks at the ended batch count half of the answers", "looks"),
        "list_late": _batch("lists show the batch only seconds=S (60) after its creation", "seconds"),
        "new_state": _batch(
            "the batch is for seconds=S (1) in a state that no client knows yet: name=...", "seconds", "name"
        ),
        "uncounted": _batch("the batch never says how many of its requests are done"),
        "inline": _batch(
            "the answers stand in the batch itself, not in a file; nameless=1: without their keys",
            "nameless",
            places=("gemini_create",),
        ),
        "stuck": _batch("the batch never leaves in_progress"),
        "queued": _batch("the batch begins seconds=S (1) later", "seconds"),
        "paused": _batch("the batch is held for seconds=S (1), then goes on", "seconds", places=("gemini_create",)),
        "partial": _batch(
            "the batch ends PARTIALLY_SUCCEEDED: keep=0.5 of its lines are answered, the rest failed",
            "keep",
            places=("gemini_create",),
        ),
    }
)

FAULT_KINDS: Mapping[str, str] = MappingProxyType({kind: fact.help for kind, fact in KINDS.items()})
"""Kind of fault -> one line that says what it does."""


@dataclass(frozen=True)
class Fault:
    """One fault as it was asked for: strikes `times` times (None: always), each `every`th request after `after`."""

    text: str
    kind: str
    place: str | None = None
    times: int | None = None
    every: int = 1
    after: int = 0
    rate: float = 1.0
    values: tuple[tuple[str, str], ...] = ()

    @property
    def level(self) -> Level:
        """What the fault is decided for.

        An HTTP request (`limit`: by its pace), a request for flex processing, a file that is named, an answer, a batch
        line or a whole batch.
        """
        return KINDS[self.kind].level

    def option(self, key: str, default: str) -> str:
        """The value of one of the kind's own options."""
        return dict(self.values).get(key, default)

    def number(self, key: str, default: float) -> float:
        """The value of one of the kind's own options, as a number (checked when the fault was read)."""
        return float(self.option(key, str(default)))

    def applies_at(self, place: str) -> bool:
        """Whether the fault is meant for this place."""
        return self.place == place if self.place else place in KINDS[self.kind].places


def parse_fault(text: str) -> Fault:
    """Read `KIND[@PLACE][:key=value,...]`; raises UsageError with one sentence that names what is wrong."""
    head, _, tail = text.strip().partition(":")
    kind, at, place = head.partition("@")
    if kind not in KINDS:
        raise _complaint(text, f"there is no fault {kind!r}", kind, tuple(KINDS))
    fact = KINDS[kind]
    if at and place not in fact.places:
        raise _complaint(text, f"{kind!r} cannot stand at {place!r}", place, fact.places)
    options = _read_options(text, tail)
    for key in options:
        if key not in COUNTING_OPTIONS + fact.options:
            raise _complaint(text, f"{kind!r} has no option {key!r}", key, COUNTING_OPTIONS + fact.options)
    if options.get("form", "think") not in THINKING_FORMS:
        raise _complaint(text, f"there is no form {options['form']!r}", options["form"], tuple(THINKING_FORMS))
    if options.get("tell", "nothing") not in USAGE_FORMS:
        raise _complaint(text, f"there is no usage {options['tell']!r}", options["tell"], USAGE_FORMS)
    numbers = {key: _read_number(text, key, value) for key, value in options.items() if key not in TEXT_OPTIONS}
    _check_ranges(text, numbers)
    how = options.get("how", "")
    if how and how not in HOW_WORDS[kind]:
        raise _complaint(text, f"{kind!r} needs how=, one of its own, not {how!r}", how, HOW_WORDS[kind])
    return Fault(
        text=text.strip(),
        kind=kind,
        place=place or None,
        times=int(numbers["times"]) if "times" in numbers else None,
        every=int(numbers.get("every", 1)),
        after=int(numbers.get("after", 0)),
        rate=numbers.get("rate", 1.0),
        values=tuple((key, value) for key, value in options.items() if key not in COUNTING_OPTIONS),
    )


TEXT_OPTIONS = ("code", "message", "name", "how", "to", "reason", "form", "tell")


def _read_options(text: str, tail: str) -> dict[str, str]:
    options: dict[str, str] = {}
    last = ""
    for piece in tail.split(",") if tail else []:
        key, equals, value = piece.partition("=")
        if last == "message" and not (equals and key.strip().isidentifier()):
            options["message"] += "," + piece  # a message may contain commas
        elif equals:
            last = key.strip()
            options[last] = value.strip()
        else:
            sentence = f"The fault {text!r} has an option {piece!r} without a value; write it as key=value."
            raise UsageError(sentence)
    return options


def _read_number(text: str, key: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        sentence = f"The fault {text!r} needs a number for {key!r}, not {value!r}."
        raise UsageError(sentence) from None


_LOWEST = {"every": 1.0, "status": 300.0}
_HIGHEST = {"rate": 1.0, "keep": 1.0, "status": 599.0}


def _check_ranges(text: str, numbers: Mapping[str, float]) -> None:
    for key, number in numbers.items():
        low, high = _LOWEST.get(key, 0.0), _HIGHEST.get(key, float("inf"))
        if not low <= number <= high:
            sentence = f"The fault {text!r} has {key}={number:g}, which is outside {low:g} to {high:g}."
            raise UsageError(sentence)


def _complaint(text: str, what: str, word: str, known: tuple[str, ...]) -> UsageError:
    close = get_close_matches(word, known, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}?" if close else "known are: " + ", ".join(known) + "."
    return UsageError(f"The fault {text!r} cannot be used: {what}; {hint}")
