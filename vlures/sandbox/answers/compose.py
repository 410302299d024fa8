"""The sandbox's answers: made from the image and the article, in the language of the request, always with the mark."""

import hashlib
import random
import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from vlures.sandbox.answers.forms import fill_form, write_json
from vlures.sandbox.answers.phrases import PHRASES, Phrases
from vlures.sandbox.answers.questions import Question
from vlures.sandbox.faults.fault import Fault
from vlures.sandbox.faults.kinds import THINKING_FORMS
from vlures.sandbox.images.inspection import InspectedImage

Finish = Literal["stop", "length", "safety", "refusal", "blocked"]

_WORD = re.compile(r"[^\s.,;:!?()\[\]{}\"“”‘’'«»،؛؟۔…—–/\\|<>*#\d]+")
_JAPANESE_WORD = re.compile(r"[\u4e00-\u9fff々]{2,}|[\u30a1-\u30ffー]{2,}")
_ENDINGS = ".,:;!?。、：；！？．，۔،؛؟ "
_INNER_QUOTES = str.maketrans("「」", "『』")
_QUOTED_WORDS = 7
_QUOTED_CHARS = 16
_SHORTEST_WORD = 4
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
    if fault is not None and fault.kind != "max_tokens":
        return _withheld(question, fault, prompt_tokens)
    text = compose(question, seed)
    tokens = count_tokens(text)
    if fault is not None:
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


def compose(question: Question, seed: int) -> str:
    """The text of an answer: JSON where the question has a schema, else prose."""
    prose = _compose_prose(question, seed)
    if question.schema is None:
        return prose
    chance = random.Random(f"{seed}|{question.digest()}")  # noqa: S311 (an answer, not a secret)
    return write_json(fill_form(question.schema, prose, PHRASES[question.language()], chance))


def _compose_prose(question: Question, seed: int) -> str:
    """The mark and three to six sentences."""
    phrases = PHRASES[question.language()]
    drawn = hashlib.sha256(f"{seed}|{question.digest()}".encode()).digest()
    sentences = [phrases.mark]
    if question.images:
        sentences += _image_sentences(question.images[-1], phrases, drawn)
    else:
        sentences.append(phrases.no_image)
    article = question.article()
    if article:
        sentences += _article_sentences(article, phrases, drawn, japanese=question.language() == "Japanese")
    if question.last_line():
        ending = phrases.quoted.format(_first_words(question.last_line(), japanese=phrases.glue == ""))
        sentences.append(phrases.ending[drawn[5] % 2].format(ending=ending))
    return sentences[0] + " " + phrases.glue.join(sentences[1:])


def _image_sentences(image: InspectedImage, phrases: Phrases, drawn: bytes) -> list[str]:
    orientation = phrases.square
    if image.width != image.height:
        orientation = phrases.landscape if image.width > image.height else phrases.portrait
    size = phrases.size[drawn[0] % 2].format(width=image.width, height=image.height, orientation=orientation)
    names = [phrases.colour_names[colour] for colour in image.colours]
    colour_phrases = phrases.one_colour if len(names) == 1 else phrases.colours
    colours = colour_phrases[drawn[1] % 2].format(colours=_listed(names, phrases))
    if image.lightest is None or image.darkest is None:
        return [size, colours, phrases.even[drawn[2] % 2]]
    brightness = phrases.brightness[drawn[2] % 2].format(
        lightest=phrases.regions[image.lightest], darkest=phrases.regions[image.darkest]
    )
    return [size, colours, brightness]


def _article_sentences(article: str, phrases: Phrases, drawn: bytes, *, japanese: bool) -> list[str]:
    count = len("".join(article.split())) if japanese else len(article.split())
    first = phrases.quoted.format(_first_words(article, japanese=japanese))
    sentences = [phrases.article[drawn[3] % 2].format(count=count, first=first)]
    words = [phrases.quoted.format(word) for word in repeated_words(article, phrases.common_words, japanese=japanese)]
    if words:
        wording = phrases.one_repeated if len(words) == 1 else phrases.repeated
        sentences.append(wording[drawn[4] % 2].format(words=_listed(words, phrases)))
    return sentences


def _first_words(text: str, *, japanese: bool) -> str:
    if japanese:
        joined = "".join(text.split()).translate(_INNER_QUOTES)
        first, more = joined[:_QUOTED_CHARS], len(joined) > _QUOTED_CHARS
    else:
        words = text.split()
        first, more = " ".join(words[:_QUOTED_WORDS]), len(words) > _QUOTED_WORDS
    return first.rstrip(_ENDINGS) + ("…" if more else "")


@lru_cache(maxsize=4096)  # an article comes back in many requests
def repeated_words(article: str, common: frozenset[str], *, japanese: bool) -> tuple[str, ...]:
    """Up to three words that the article repeats, the most frequent first, without the language's common words."""
    found = _JAPANESE_WORD.findall(article) if japanese else _WORD.findall(article)
    words = [word for word in found if (japanese or len(word) >= _SHORTEST_WORD) and word.lower() not in common]
    spelling = {word.lower(): word for word in reversed(words)}
    counts = Counter(word.lower() for word in words)
    return tuple(spelling[word] for word, count in counts.most_common(3) if count > 1)


def _listed(items: list[str], phrases: Phrases) -> str:
    if len(items) < 2:
        return "".join(items)
    return phrases.joint.join(items[:-1]) + phrases.last_joint + items[-1]
