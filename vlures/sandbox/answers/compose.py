"""The sandbox's answers: made from the image and the article, in the language of the request, always with the mark."""

import hashlib
import random
from dataclasses import dataclass
from typing import Literal

from vlures.sandbox.answers.forms import fill_form, write_json
from vlures.sandbox.answers.judging import judge, read_material, spoil
from vlures.sandbox.answers.phrases import PHRASES
from vlures.sandbox.answers.questions import Question
from vlures.sandbox.answers.sentences import article_sentences, first_words, image_sentences
from vlures.sandbox.faults.fault import Fault
from vlures.sandbox.faults.kinds import JUDGE_FAULTS, JUDGE_REPLIES, THINKING_FORMS

Finish = Literal["stop", "length", "safety", "refusal", "blocked"]

_THOUGHT_TOKENS = 128
_ALTERED = ("finish", "think_tags", "reasoning_only", "thinking_apart", "usage")
THOUGHTS = "[sandbox] Synthetic thoughts: looked at the sizes and colours, then counted words."


@dataclass(frozen=True)
class Answer:
    """The answer to one question; all tokens are estimates."""

    text: str
    finish: Finish
    text_tokens: int
    """Of the prompt's text."""
    output_tokens: int
    """Of `text`, or of `thoughts` if there is no text."""
    thought_tokens: int = 0
    reason: str = ""
    """The finish reason that a fault names."""
    error_message: str = ""
    """A gateway's message about an answer that failed on its way."""
    thoughts: str = ""
    """Text that comes as reasoning."""
    counts_thoughts_apart: bool = False
    """Whether usage counts thinking apart from the output."""
    usage_form: str = ""
    """How the usage is hidden or falsified, one of USAGE_FORMS."""
    text_alone: str | None = None
    """The answer itself, if `text` also contains thinking."""

    @property
    def said(self) -> str:
        """The answer itself."""
        return self.text if self.text_alone is None else self.text_alone

    @property
    def charged(self) -> bool:
        """Whether a provider would charge for it: a blocked prompt is never answered."""
        return self.finish != "blocked"


def count_tokens(text: str) -> int:
    """An estimate: a token for four bytes of UTF-8, so that an ideograph costs more than a letter."""
    return (len(text.encode("utf-8", "surrogatepass")) + 3) // 4


def answering_model(asked: str, fault: Fault | None) -> str:
    """The model that a reply names: the one asked, or another under the fault `other_model`."""
    renamed = fault is not None and fault.kind == "other_model"
    return fault.option("name", f"{asked}-other") if fault is not None and renamed else asked


def answer_question(
    question: Question, seed: int, limit: int | None, fault: Fault | None, thought_tokens: int = 0
) -> Answer:
    """Answer one question; the same question and seed give the same answer.

    limit: the most output tokens, with the `thought_tokens` that come before the text; None for no limit.
    """
    prompt_tokens = count_tokens(question.system) + count_tokens(question.text) + 8
    if question.schema is not None:
        prompt_tokens += count_tokens(write_json(question.schema))
    if fault is not None and fault.kind == "other_model":
        fault = None
    if fault is not None and fault.kind in _ALTERED:
        return _altered(compose(question, seed), prompt_tokens, thought_tokens, fault)
    if fault is not None and fault.kind not in ("max_tokens", *JUDGE_FAULTS):
        return _withheld(question, fault, prompt_tokens)
    text = compose(question, seed, fault)
    tokens = count_tokens(text)
    if fault is not None and fault.kind == "max_tokens":
        limit = thought_tokens + tokens // 2
    if limit is not None and thought_tokens + tokens > limit:
        left = max(0, limit - thought_tokens)
        text = text.encode()[: left * 4].decode("utf-8", "ignore")
        return Answer(text, "length", prompt_tokens, left, min(thought_tokens, limit))
    return Answer(text, "stop", prompt_tokens, tokens, thought_tokens)


def _withheld(question: Question, fault: Fault, prompt_tokens: int) -> Answer:
    if fault.kind == "refusal":
        refusal = PHRASES[question.language()].refusal
        return Answer(refusal, "refusal", prompt_tokens, count_tokens(refusal))
    if fault.kind == "max_tokens_empty":
        return Answer("", "length", prompt_tokens, 0, _THOUGHT_TOKENS)
    finishes: dict[str, Finish] = {"safety": "safety", "blocked_prompt": "blocked"}
    finish = finishes.get(fault.kind, "stop")
    return Answer("", finish, prompt_tokens, 0)


def _altered(text: str, prompt_tokens: int, thought_tokens: int, fault: Fault) -> Answer:
    """A whole answer that a fault changes on its way."""
    reason, error_message, thoughts = fault.option("reason", ""), fault.option("message", ""), ""
    counts_apart, text_alone = fault.kind == "thinking_apart", None
    if fault.kind == "think_tags":
        text_alone = text
        form = THINKING_FORMS[fault.option("form", "think")]
        text = form.format(thoughts=THOUGHTS, text=text)
    elif fault.kind == "reasoning_only":
        text, thoughts = "", THOUGHTS
    elif counts_apart:
        thought_tokens = int(fault.number("tokens", 2_800))
    elif fault.number("empty", 0):
        text = ""
    tokens = count_tokens(text or thoughts)
    usage_form = fault.option("tell", "nothing") if fault.kind == "usage" else ""
    return Answer(
        text,
        "stop",
        prompt_tokens,
        tokens,
        thought_tokens,
        reason=reason,
        error_message=error_message,
        thoughts=thoughts,
        counts_thoughts_apart=counts_apart,
        usage_form=usage_form,
        text_alone=text_alone,
    )


def reported_usage(usage: dict[str, object], form: str) -> dict[str, object] | None:
    """The usage as the reply reports it. form: one of USAGE_FORMS, empty for the true usage."""
    if form in ("", "nothing"):
        return None if form else usage
    counts = [name for name, count in usage.items() if isinstance(count, int)]
    if form == "half":
        return {name: usage[name] for name in counts[:1]}
    false: dict[str, object] = {"negative": -1_000_000, "absurd": 10**15, "text": "many", "broken": 1.5}
    return usage | dict.fromkeys(counts, false[form])


def compose(question: Question, seed: int, fault: Fault | None = None) -> str:
    """The text of an answer: JSON where the question has a schema (a verdict where it asks for one), else prose."""
    prose = _compose_prose(question, seed)
    if question.schema is None:
        return prose
    phrases = PHRASES[question.language()]
    chance = random.Random(f"{seed}|{question.digest()}")  # noqa: S311 (an answer, not a secret)
    material = read_material(question)
    if material is None:
        return write_json(fill_form(question.schema, prose, phrases, chance))
    kind = fault.kind if fault is not None else ""
    verdict = judge(question, material, chance, blind=kind == "blind_judge")
    if fault is not None and kind == "malformed_judge":
        return spoil(verdict, fault.option("kind", chance.choice(JUDGE_REPLIES)))
    return write_json(verdict)


def _compose_prose(question: Question, seed: int) -> str:
    """The mark and three to six sentences."""
    phrases = PHRASES[question.language()]
    drawn = hashlib.sha256(f"{seed}|{question.digest()}".encode()).digest()
    sentences = [phrases.mark]
    if question.images:
        sentences += image_sentences(question.images[-1], phrases, drawn)
    else:
        sentences.append(phrases.no_image)
    article = question.article()
    if article:
        sentences += article_sentences(article, phrases, drawn, japanese=question.language() == "Japanese")
    if question.last_line():
        ending = phrases.quoted.format(first_words(question.last_line(), japanese=phrases.glue == ""))
        sentences.append(phrases.ending[drawn[5] % 2].format(ending=ending))
    return sentences[0] + " " + phrases.glue.join(sentences[1:])
