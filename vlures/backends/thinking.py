"""Which part of a reply is thinking, and which is the answer.

A server without a parser for its model's thinking leaves it in the text, in tags; others send it as parts, fields or
messages of their own. Only what is certain is taken out of a text: a block that the text begins with, or all before a
closing tag without an opening one (chat templates often end with the opening tag, which is then missing in the reply).
Tags later in the text are part of the answer.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from vlures.backends.lenient_json import as_objects, as_speech, as_text

_NAME = r"(?:\w+:)?(?:think(?:ing)?|thoughts?|reasoning|reasoning_content|scratchpad|inner_monologue)"
_OPENING = re.compile(
    rf"<\s*(?P<angle>{_NAME})(?:\s[^<>]*)?>|\[\s*(?P<square>THINK(?:ING)?|REASONING)\s*\]|◁(?P<kimi>{_NAME})▷"
    rf"|<\|(?:begin_of_|beginning_of_|start_)?(?P<piped>{_NAME})\|>|<\|channel>\s*(?P<gemma>thought)\b",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    rf"<\s*/\s*{_NAME}\s*>|\[\s*/\s*(?:THINK(?:ING)?|REASONING)\s*\]|◁/{_NAME}▷"
    rf"|<\|(?:end_of_|end_|/){_NAME}\|>|<channel\|>",
    re.IGNORECASE,
)
_QUOTES = ("``", "''", '""', "“”", "‘’", "「」")

_CHANNEL = re.compile(
    r"(?:<\|start\|>[^<]{0,99})?<\|channel\|>\s?(?P<name>\w{1,99})[^<]{0,99}(?:<\|constrain\|>[^<]{0,99})?<\|message\|>"
)
_MESSAGE_END = re.compile(r"<\|(?:end|start|return|call|channel)\|>")
_BARE_CHANNELS = re.compile(r"\s*analysis(?P<thinking>.*?)assistant\s?final(?P<answer>.*)", re.DOTALL)
"""gpt-oss's Harmony, with its special tokens and without them: https://github.com/openai/harmony"""

_DEEPEST = 8
_TEXT_FIELDS = ("text", "thinking", "reasoning", "summary", "content")
_THINKING_KINDS = frozenset(
    {"thinking", "thought", "thoughts", "think", "reasoning", "analysis", "commentary", "preamble", "scratchpad"}
)
_FINAL_KINDS = frozenset({"final", "final_answer", "answer"})


@dataclass(frozen=True, slots=True)
class Split:
    """A text without its thinking."""

    answer: str | None
    thinking: str | None
    tagged: bool
    """The text held thinking."""


def split_text(text: str | None) -> Split:
    """Separate the thinking in a text from the answer. A text without any stays as it is, letter by letter."""
    if text is None:
        return Split(None, None, tagged=False)
    for split in (_split_channels, _split_tags):
        found = split(text)
        if found is not None:
            answer, thoughts = found
            return Split(as_speech(answer.lstrip()), join_thoughts(thoughts), tagged=True)
    return Split(as_speech(text), None, tagged=False)


def _split_channels(text: str) -> tuple[str, list[str]] | None:
    marks = list(_CHANNEL.finditer(text))
    if not marks:
        bare = _BARE_CHANNELS.fullmatch(text)
        return (bare["answer"], [bare["thinking"]]) if bare else None
    answers: list[str] = []
    thoughts = [_MESSAGE_END.split(text[: marks[0].start()])[0]]
    for mark, after in zip(marks, [*marks[1:], None], strict=True):
        words = _MESSAGE_END.split(text[mark.end() : after.start() if after else len(text)])[0]
        (answers if mark["name"].lower() in _FINAL_KINDS else thoughts).append(words)
    return "".join(answers), thoughts


def _split_tags(text: str) -> tuple[str, list[str]] | None:
    start = len(text) - len(text.lstrip("\ufeff \t\r\n"))
    if _OPENING.match(text, start):
        return _split_blocks(text, start)
    closing = next((mark for mark in _CLOSING.finditer(text, start) if not _is_quoted(text, mark)), None)
    if closing is None or _OPENING.search(text, start, closing.start()):
        return None
    return text[_skip_closings(text, closing.end()) :], [text[start : closing.start()]]


def _split_blocks(text: str, at: int) -> tuple[str, list[str]]:
    """The answer, and the blocks before it. A model in a loop writes thousands of them, so each tag is looked at once.

    A block ends at the closing tag that matches its opening one, or, where blocks do not nest cleanly, at the first.
    """
    closings = list(_CLOSING.finditer(text, at))
    ends, unanswered = {}, []
    for mark in sorted([*_OPENING.finditer(text, at), *closings], key=re.Match.start):
        if mark.re is _OPENING:
            unanswered.append(mark.start())
        elif unanswered:
            ends[unanswered.pop()] = mark
    thoughts = []
    while opening := _OPENING.match(text, at):
        end = ends.get(opening.start())
        if end is None:
            following = bisect_left(closings, opening.end(), key=re.Match.start)
            end = closings[following] if following < len(closings) else None
        thoughts.append(text[opening.end() : end.start() if end else len(text)])
        at = _skip_blanks(text, end.end() if end else len(text))
    return text[_skip_closings(text, at) :], thoughts


def _skip_closings(text: str, at: int) -> int:
    """Some models close twice."""
    at = _skip_blanks(text, at)
    while closing := _CLOSING.match(text, at):
        at = _skip_blanks(text, closing.end())
    return at


def _skip_blanks(text: str, at: int) -> int:
    while text[at : at + 1].isspace():
        at += 1
    return at


def _is_quoted(text: str, mark: re.Match[str]) -> bool:
    return text[mark.start() - 1 : mark.start()] + text[mark.end() : mark.end() + 1] in _QUOTES


def join_thoughts(thoughts: Iterable[str | None]) -> str | None:
    """Pieces of thinking as one text, each once."""
    pieces = (thought.strip() for thought in thoughts if thought)
    return as_speech("\n\n".join(dict.fromkeys(filter(None, pieces))))


def read_words(value: Any, depth: int = 0) -> str:
    """All words of a text, a part, or a list of these, whatever its shape."""
    if isinstance(value, str):
        return value
    if depth > _DEEPEST:
        return ""
    if isinstance(value, list):
        return "".join(read_words(item, depth + 1) for item in value)
    if isinstance(value, dict):
        return next(filter(None, (read_words(value.get(name), depth + 1) for name in _TEXT_FIELDS)), "")
    return ""


def is_thinking(part: Mapping[str, Any]) -> bool:
    """Whether a part or message is marked as thinking: by its type, phase or channel, or Gemini's mark."""
    kinds = {_first_word(part.get(name)) for name in ("type", "phase", "channel")}
    return part.get("thought") is True or not kinds.isdisjoint(_THINKING_KINDS)


def pick_final(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages that are the answer: those marked as final, or without any such all that are not thinking."""
    final = [message for message in messages if _is_final(message)]
    return final or [message for message in messages if not is_thinking(message)]


def _is_final(message: Mapping[str, Any]) -> bool:
    return any(_word(message.get(name)) in _FINAL_KINDS for name in ("phase", "channel"))


def _first_word(value: Any) -> str:
    """`reasoning` of `reasoning.text` or `reasoning_text`."""
    return re.split(r"[^a-z]", _word(value), maxsplit=1)[0]


def _word(value: Any) -> str:
    return (as_text(value) or "").lower()


def split_content(content: Any) -> tuple[str, str]:
    """The words of the answer and of the thinking in a chat message's content: a text, or parts with types."""
    if not isinstance(content, list):
        return read_words(content), ""
    parts = as_objects(content)
    if not parts:
        return read_words(content), ""
    final = pick_final(parts)
    spoken = [part for part in final if _first_word(part.get("type")) != "refusal"]
    chosen = {id(part) for part in final}
    return read_words(spoken), read_words([part for part in parts if id(part) not in chosen])
