"""The sentences of the sandbox's answers about an image and about an article."""

import re
from collections import Counter
from functools import lru_cache

from vlures.sandbox.answers.phrases import Phrases
from vlures.sandbox.images.inspection import InspectedImage

_WORD = re.compile(r"[^\s.,;:!?()\[\]{}\"“”‘’'«»،؛؟۔…—–/\\|<>*#\d]+")
_JAPANESE_WORD = re.compile(r"[\u4e00-\u9fff々]{2,}|[\u30a1-\u30ffー]{2,}")
_ENDINGS = ".,:;!?。、：；！？．，۔،؛؟ "
_INNER_QUOTES = str.maketrans("「」", "『』")
_QUOTED_WORDS = 7
_QUOTED_CHARS = 16
_SHORTEST_WORD = 4


def image_sentences(image: InspectedImage, phrases: Phrases, drawn: bytes) -> list[str]:
    """Its size, its colours and its brightness. drawn: the first three bytes pick the wordings."""
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


def article_sentences(article: str, phrases: Phrases, drawn: bytes, *, japanese: bool) -> list[str]:
    """Its length and first words, and the words that it repeats if there are any. drawn: the fourth and fifth byte pick
    the wordings."""
    count = len("".join(article.split())) if japanese else len(article.split())
    first = phrases.quoted.format(first_words(article, japanese=japanese))
    sentences = [phrases.article[drawn[3] % 2].format(count=count, first=first)]
    words = [phrases.quoted.format(word) for word in repeated_words(article, phrases.common_words, japanese=japanese)]
    if words:
        wording = phrases.one_repeated if len(words) == 1 else phrases.repeated
        sentences.append(wording[drawn[4] % 2].format(words=_listed(words, phrases)))
    return sentences


def first_words(text: str, *, japanese: bool) -> str:
    """How a text begins."""
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
