"""What of a reply is thinking and what is the answer, on every wire."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlures.backends.gemini.content import read_answer
from vlures.backends.openai.chat import read_completion
from vlures.backends.openai.responses import read_response
from vlures.backends.thinking import split_text
from vlures.errors import Retry
from vlures.records import Response

KEY = "Sw-t3-1shot-rationales-421"
HARMONY = "<|channel|>analysis<|message|>A cat?<|end|><|start|>assistant<|channel|>"

TAGGED = [
    ("<think>\nA cat?\n</think>\n\nA dog.", "A cat?", "A dog."),
    ("  \n<think>A cat?</think>A dog.", "A cat?", "A dog."),
    ("A cat?\n</think>\n\nA dog.", "A cat?", "A dog."),
    ("<think>A cat?</think>\n<think>A fox?</think>\nA dog.", "A cat?\n\nA fox?", "A dog."),
    ("<think>A <think>small</think> cat?</think>A dog.", "A <think>small</think> cat?", "A dog."),
    ("<think>no <think> tags</think>A dog.", "no <think> tags", "A dog."),
    ("<think>A cat?</think></think>\nA dog.", "A cat?", "A dog."),
    ("<think>A cat?</think>A dog, says </think>.", "A cat?", "A dog, says </think>."),
    ("<think></think>\n\nA dog.", None, "A dog."),
    ("<THINK>A cat?</THINK>A dog.", "A cat?", "A dog."),
    ("<thinking>A cat?</thinking>A dog.", "A cat?", "A dog."),
    ("<thought>A cat?</thought>A dog.", "A cat?", "A dog."),
    ("<reasoning>A cat?</reasoning>A dog.", "A cat?", "A dog."),
    ('<think type="long">A cat?</think>A dog.', "A cat?", "A dog."),
    ("<seed:think>A cat?</seed:think>A dog.", "A cat?", "A dog."),
    ("[THINK]A cat?[/THINK]A dog.", "A cat?", "A dog."),
    ("A cat?[/THINK]A dog.", "A cat?", "A dog."),
    ("◁think▷A cat?◁/think▷A dog.", "A cat?", "A dog."),
    ("<|begin_of_thought|>A cat?<|end_of_thought|>A dog.", "A cat?", "A dog."),
    ("<|START_THINKING|>A cat?<|END_THINKING|>A dog.", "A cat?", "A dog."),
    ("<|channel>thought\nA cat?<channel|>A dog.", "A cat?", "A dog."),
    (f"{HARMONY}final<|message|>A dog.<|return|>", "A cat?", "A dog."),
    (
        f"{HARMONY}commentary<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>A dog.",
        "A cat?\n\nHm.",
        "A dog.",
    ),
    ("A cat?<|end|><|start|>assistant<|channel|>final<|message|>A dog.", "A cat?", "A dog."),
    ("<|channel|>final<|message|>A dog.", None, "A dog."),
    ("analysisA cat?assistantfinalA dog.", "A cat?", "A dog."),
    # Without an answer
    ("<think>A cat?</think>\n", "A cat?", None),
    ("A cat?</think>", "A cat?", None),
    ("<think>A cat? I thi", "A cat? I thi", None),
    ("[THINK]A cat? I thi", "A cat? I thi", None),
    ("<|channel|>analysis<|message|>A cat? I thi", "A cat? I thi", None),
]
PLAIN = [
    "A dog.",
    "  A dog.\n",
    "A sign says <think>.",
    "A sign says <think>different</think>, in blue.",
    "The text shows `</think>` in red.",
    'It reads "</think>".',
    "Thinking: a dog. I think so.",
    "[1] A dog. [/1]",
    "analysis of the picture: a dog.",
    "<answer>A dog.</answer>",
    "2 < 3 and think > 1",
]


@pytest.mark.parametrize(("text", "thinking", "answer"), TAGGED)
def test_thinking_in_a_text_is_taken_apart(text: str, thinking: str | None, answer: str | None) -> None:
    split = split_text(text)
    assert (split.thinking, split.answer, split.tagged) == (thinking, answer, True)


@pytest.mark.parametrize("text", PLAIN)
def test_an_answer_without_a_block_of_thinking_stays_letter_by_letter(text: str) -> None:
    split = split_text(text)
    assert (split.thinking, split.answer, split.tagged) == (None, text, False)


@given(text=st.lists(st.sampled_from(["<think>", "</think>", "A", " ", "\n", "[/THINK]", "`", "<|channel|>", "final"])))
def test_no_word_is_lost_or_invented(text: list[str]) -> None:
    split = split_text("".join(text))
    assert (split.answer or "") in "".join(text)
    assert (split.thinking or "").count("A") + (split.answer or "").count("A") <= text.count("A")


@pytest.mark.parametrize(
    "piece",
    [
        *("<think>", "</think>", "<think ", "<|channel|>a", "<|start|>", "analysis", "[", "<"),
        *("<think></think>", "<think><think></think>", "<think> </think></think> "),
    ],
)
def test_a_text_made_to_take_long_does_not(piece: str) -> None:
    began = time.process_time()
    split_text(piece * (300_000 // len(piece)))
    split_text("<think>" + piece * (300_000 // len(piece)))
    assert time.process_time() - began < 20, "a square of this length would take hours"


# On the wires


def chat(reason: str, content: Any, *, keep: bool = False, **message: Any) -> Response:
    body = {"choices": [{"finish_reason": reason, "message": {"content": content} | message}]}
    return read_completion(KEY, body, keep_think_tags=keep)


def responses(reason: str, content: Any, *, keep: bool = False, **_: Any) -> Response:
    message = {"type": "message", "content": [{"type": "output_text", "text": content}]}
    ended = {"status": "completed"}
    if reason == "length":
        ended = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}  # type: ignore[dict-item]
    return read_response(KEY, {"output": [message], **ended}, keep_think_tags=keep)


def gemini(reason: str, content: Any, *, keep: bool = False, **_: Any) -> Response:
    body = {"candidates": [{"finishReason": reason.upper(), "content": {"parts": [{"text": content}]}}]}
    try:
        return read_answer(KEY, body, keep_think_tags=keep)
    except Retry as retry:
        return _heard_by(retry)


def _heard_by(retry: Retry) -> Response:
    assert retry.heard is not None
    assert retry.limit == 1, "each of these is charged"
    return retry.heard


@pytest.mark.parametrize("read", [chat, responses, gemini])
@pytest.mark.parametrize(
    ("reason", "text", "status", "answer"),
    [
        ("stop", "<think>A cat?</think>A dog.", "ok", "A dog."),
        ("length", "<think>A cat?</think>A do", "truncated", "A do"),
        ("length", "<think>A cat?", "truncated", None),
        ("stop", "<think>A cat?</think>", "failed", None),
        ("stop", "<think>A cat?", "failed", None),
    ],
)
def test_only_what_follows_the_thinking_is_the_answer(
    read: Any, reason: str, text: str, status: str, answer: str | None
) -> None:
    response = read(reason, text)
    assert (response.status, response.text, response.reasoning) == (status, answer, "A cat?")
    assert response.notes == ("think tags",)
    assert (response.error is None) == (answer is not None)
    kept = read(reason, text, keep=True)
    assert (kept.status, kept.text, kept.reasoning) == ("ok" if reason == "stop" else "truncated", text, None)
    assert kept.notes is None


@pytest.mark.parametrize(
    "message",
    [
        {"reasoning": "A cat?"},
        {"reasoning_content": "A cat?"},
        {"reasoning": "A cat?", "reasoning_details": [{"type": "reasoning.text", "text": "A cat?"}]},
        {"reasoning_details": [{"type": "reasoning.summary", "summary": "A cat?"}]},
        {"reasoning": {"content": "A cat?"}},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "A cat?"}]}]},
        {"content": [{"type": "reasoning", "text": "A cat?"}]},
        {"content": "A cat?", "channel": "analysis"},
    ],
)
def test_words_that_came_only_as_thinking_are_kept_beside_the_failure(message: dict[str, Any]) -> None:
    response = chat("stop", message.pop("content", ""), **message)
    assert (response.status, response.text, response.reasoning) == ("failed", None, "A cat?")
    assert response.error is not None
    assert "turn thinking off" in response.error.message
    cut = chat("length", "", reasoning="A cat?")
    assert (cut.status, cut.text, cut.reasoning) == ("truncated", None, "A cat?")


def test_parts_of_a_message_are_told_apart_by_their_types() -> None:
    parts = [{"type": "thinking", "thinking": [{"text": "A cat?"}]}, {"type": "text", "text": "A "}, {"text": "dog."}]
    response = chat("stop", parts)
    assert (response.status, response.text, response.reasoning) == ("ok", "A dog.", "A cat?")


def said(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "message", "content": [{"type": "output_text", "text": text}]} | more


@pytest.mark.parametrize(
    ("messages", "status", "text", "reasoning"),
    [
        ([said("Hm.", phase="commentary"), said("A dog.", phase="final_answer")], "ok", "A dog.", "Hm."),
        ([said("Hm."), said("A dog.", phase="final_answer")], "ok", "A dog.", "Hm."),
        ([said("Hm.", phase="commentary"), said("A dog.")], "ok", "A dog.", "Hm."),
        ([said("Hm.", phase="commentary")], "failed", None, "Hm."),
        ([said("A "), said("dog.")], "ok", "A dog.", None),
        ([said("A dog.", phase="of a later version")], "ok", "A dog.", None),
    ],
)
def test_where_messages_have_phases_only_the_final_answer_is_the_answer(
    messages: list[Any], status: str, text: str | None, reasoning: str | None
) -> None:
    response = read_response(KEY, {"status": "completed", "output": messages})
    assert (response.status, response.text, response.reasoning) == (status, text, reasoning)
