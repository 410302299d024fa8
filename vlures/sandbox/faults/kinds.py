"""The kinds of faults: where each can strike, its options and its line of help.

`fault` reads the text of one, `active_faults` decides whether it strikes; what a strike does is up to the protocols.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

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
        "channels": "<|channel|>analysis<|message|>{thoughts}<|end|>"
        "<|start|>assistant<|channel|>final<|message|>{text}",
        "lone": "{thoughts}\n</think>\n\n{text}",
        "loop": "<think></think>" * 20_000 + "<think>{thoughts}" + "=" * 200_000 + "</think>{text}",
        "only": "<think>\n{thoughts}\n</think>\n",
        "open": "<think>\n{thoughts}",
    }
)
"""How servers without a reasoning parser leave thinking in the text. In `loop` the model repeats itself; the last two
have no answer."""
USAGE_FORMS = ("nothing", "negative", "absurd", "half", "text", "broken")
JUDGE_REPLIES = ("nan", "true", "850", "text", "half", "fence", "list", "two", "cut", "empty", "lacking", "prose")
"""How a judge's reply may be no verdict: its last score is NaN, true, 850, a text or no whole number; the object stands
in a fence (which can be read), in a list, or twice; it is cut off, has no reasons, lacks its last key, or is prose."""
JUDGE_FAULTS = ("blind_judge", "malformed_judge")
COUNTING_OPTIONS = ("times", "every", "after", "rate")


@dataclass(frozen=True)
class FaultKind:
    """One kind of fault."""

    level: Level
    """What it is decided for: an HTTP request (`limit`: by the rate of requests), a request for flex processing, a file
    that a request names, an answer, a batch line, a whole batch."""
    help: str
    """One line."""
    options: tuple[str, ...] = ()
    """Its own, beyond COUNTING_OPTIONS."""
    places: tuple[str, ...] = ()
    """Where it can strike; without a place in its text it strikes at each of them."""


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
        "latency": _http("the server waits seconds=S (1) before it reads the request", "seconds"),
        "drop_before": _http("the connection is cut before the server acts"),
        "drop_after": _http("the server acts (and charges), then cuts the connection without a reply"),
        "hang": _http("the server does not act and holds the connection for seconds=S (3600)", "seconds"),
        "hang_after": _http("the server acts (and charges), then holds the connection for seconds=S (3600)", "seconds"),
        "truncate": _http("the server acts; half of the body arrives, then the connection closes"),
        "bad_json": _http("the server acts; status 200 with a body that is not JSON"),
        "portal": _download("a download brings a network's sign-in page, with status 200"),
        "empty_body": _download("a download brings nothing, with status 200"),
        "half_lines": _download("a download brings the first half of the lines, with status 200"),
        "names_only": _download(
            "a download brings lines with the names of their requests and nothing else, with status 200"
        ),
        "byte_order_mark": _download("a download begins with a byte order mark"),
        "html": _http("status 502 with a proxy's HTML page"),
        "malformed": _http(f"the server acts; a reply that is not valid HTTP: how={', '.join(MALFORMED)}", "how"),
        "cut_at": _http(
            "the server acts; the connection closes after bytes=N (100) of the reply, its head included", "bytes"
        ),
        "endless": _http(
            f"the server acts; an endless reply: how={', '.join(ENDLESS)}; a piece every seconds=S (0.1)",
            "how",
            "seconds",
        ),
        "redirect": _http("status=307 with Location to=URL; the server does not act", "status", "to"),
        "echo_key": _http(
            "an error of status=401 that repeats the caller's key in several forms; answer=1: the server acts, and its "
            "live answer repeats the key",
            "status",
            "answer",
        ),
        "escapes": _http("an error of status=400 whose message has terminal escapes", "status"),
        "limit": FaultKind(
            "limit",
            "a real rate limit: 429 beyond per_minute=600 (or per_second=N) answers in any window=SECONDS (60, or 1); "
            "fixed=1: windows by the clock; strict=1: refusals count; retry_after=SECONDS; silent=1: no hints",
            ("per_minute", "per_second", "window", "fixed", "strict", "retry_after", "silent"),
            LIVE_PLACES,
        ),
        "flex_busy": FaultKind(
            "flex", "OpenAI's 429 resource_unavailable, for service_tier flex only", places=("chat", "responses")
        ),
        "file_gone": FaultKind(
            "file", "a file that a request names by its id is deleted before it is read", places=("responses", "line")
        ),
        "no_file_ids": FaultKind("file", "a batch line that names an image by file_id fails", places=("line",)),
        "error": _http("any error: status=400,code=...,message=...", "status", "code", "message"),
        "not_found": _http("the provider's own 404"),
        "blocked_prompt": _answer("the prompt is blocked (Gemini: promptFeedback; OpenAI: 400 invalid_prompt)"),
        "safety": _answer("the answer is withheld: finishReason SAFETY, finish_reason content_filter"),
        "refusal": _answer("OpenAI's message.refusal instead of text", places=("chat", "responses", "line")),
        "empty": _answer("a normal end without any text"),
        "max_tokens": _answer("the text is cut: MAX_TOKENS, length"),
        "other_model": _answer("the reply names a model that was not asked: name=...", "name"),
        "max_tokens_empty": _answer("thinking used the whole budget: MAX_TOKENS, length, no text"),
        "finish": _answer(
            "any other finish reason: reason=WORD, message=a gateway's error message, empty=1: without text",
            *("reason", "message", "empty"),
        ),
        "think_tags": _answer(
            f"the text contains thinking: form={'|'.join(THINKING_FORMS)}, reason=WORD: its finish reason",
            "form",
            "reason",
        ),
        "reasoning_only": _answer("reasoning and no text; reason=WORD: its finish reason", "reason"),
        "usage": _answer(
            f"an answer is charged, and its usage is missing or false: tell={'|'.join(USAGE_FORMS)}", "tell"
        ),
        "blind_judge": _answer("a judge that does not use the image: it believes whatever it reads"),
        "malformed_judge": _answer(
            f"a judge's reply that is not the verdict asked for: kind={'|'.join(JUDGE_REPLIES)} (none: by lot)", "kind"
        ),
        "thinking_apart": _answer(
            "usage counts thinking apart from the output, as xAI does: tokens=2800 of it", "tokens"
        ),
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
        "doubled": _line("a batch line is twice in the output file"),
        "failed_first": _batch("the output file begins with failed lines of the requests that it answers further on"),
        "unknown_id": _batch("the output file has one more line, with an id that was never sent"),
        "null_id": _batch("the output file has one more line, with custom_id null"),
        "garbage_line": _batch("the output file has one more line, which is not JSON"),
        "shuffle": _batch("the output file is in another order"),
        "no_file_ids_batch": _batch(
            "the batch fails validation if a line names an image by file_id", places=("create",)
        ),
        "expire": _batch(
            "the batch expires with keep=0.5 of its lines answered (Gemini: none, and none is charged)", "keep"
        ),
        "cancelled": _batch("the batch is cancelled by the provider with keep=0.5 of its lines answered", "keep"),
        "fail_batch": _batch("the batch fails validation: code=...,message=...", "code", "message"),
        "token_limit": _batch("the batch fails with token_limit_exceeded (Gemini: its creation is refused with 429)"),
        "cannot_find_file": _batch("the batch fails at once: its file cannot be found"),
        "empty_ids": _batch('file ids that do not exist are "" instead of null'),
        "results_late": _batch("the first looks=N (1) looks at the ended batch show no result files", "looks"),
        "counts_late": _batch(
            "the first looks=N (1) looks at the ended batch show half of the answers counted", "looks"
        ),
        "list_late": _batch("lists show the batch only seconds=S (60) after its creation", "seconds"),
        "new_state": _batch("the batch is in an unknown state for seconds=S (1): name=...", "seconds", "name"),
        "uncounted": _batch("the batch never shows how many of its requests are done"),
        "inline": _batch(
            "the answers are in the batch itself, not in a file; nameless=1: without their keys",
            "nameless",
            places=("gemini_create",),
        ),
        "stuck": _batch("the batch never leaves in_progress"),
        "queued": _batch("the batch starts seconds=S (1) later", "seconds"),
        "paused": _batch("the batch is paused for seconds=S (1), then continues", "seconds", places=("gemini_create",)),
        "partial": _batch(
            "the batch ends PARTIALLY_SUCCEEDED: keep=0.5 of its lines are answered, the rest failed",
            "keep",
            places=("gemini_create",),
        ),
    }
)

FAULT_KINDS: Mapping[str, str] = MappingProxyType({kind: fact.help for kind, fact in KINDS.items()})
"""Kind of fault -> its line of help."""
