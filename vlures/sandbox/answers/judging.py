"""The sandbox as a judge of sandbox answers: it compares what an answer says with the image that it has received.

A sandbox answer names its image's size, colours and lightest part, and its article's length and first words. So a
judge that sees can tell whether they are true, and one that is told to be blind cannot.
"""

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vlures.sandbox.answers.forms import fill_form, write_json
from vlures.sandbox.answers.phrases import PHRASES, Phrases, marked_language
from vlures.sandbox.answers.questions import Language, Question, language_of
from vlures.sandbox.answers.sentences import article_sentences, image_sentences
from vlures.sandbox.images.inspection import InspectedImage

BEST, WORST = 92, 12
"""What an answer gets of which everything, or nothing, is true of the image."""
WITHOUT_IMAGE = 8
UNMARKED, UNMARKED_WITHOUT_IMAGE = 60, 20
"""For a text without the mark: the sandbox cannot read what it says."""
WRONG_ARTICLE, WRONG_LANGUAGE, PADDED = 15, 40, 6
"""What these cost."""
NOISE = 4
"""The most by which two judgements of the same differ from what they should be."""
CLOSE = 6
"""Two answers that differ by no more are equally good."""
RATHER_LOWER = 0.15
"""The chance that a criterion is one level lower."""
_BLOCK = re.compile(r"^\[\[BEGIN ([A-Z ]+) (\w+)\]\]\n(.*?)\n\[\[END \1 \2\]\]", re.DOTALL | re.MULTILINE)
_VARIANTS = (bytes(8), bytes([1] * 8))
"""What is drawn for each of the two wordings of a sentence."""


@dataclass(frozen=True)
class Material:
    """What a judge is given."""

    task: str
    article: str | None
    answers: tuple[str, ...]
    """One, or the two of a pair."""


@dataclass(frozen=True)
class Finding:
    """What the judge has found out about one answer."""

    true: int
    """Sentences about the image that are true of the image received."""
    all: int
    """Sentences about the image; 0 where the answer is not the sandbox's own."""
    fits_article: bool
    right_language: bool
    padded: bool
    image: bool
    """Whether one was received."""


def read_material(question: Question) -> Material | None:
    """What stands between a judge's marks; None where the question asks for no judgement."""
    properties = (question.schema or {}).get("properties", {})
    if not properties.keys() & {"overall", "choice", "score"}:
        return None
    blocks = _read_blocks(question.last_message)
    names = ("ANSWER",) if "choice" not in properties else ("FIRST ANSWER", "SECOND ANSWER")
    if not all(name in blocks for name in names):
        return None
    return Material(blocks.get("TASK", ""), blocks.get("ARTICLE"), tuple(blocks[name] for name in names))


def _read_blocks(text: str) -> dict[str, str]:
    """Name → text. A block inside another belongs to that one, and so does one with another mark than the first's."""
    found = list(_BLOCK.finditer(text))
    return {match[1]: match[3] for match in reversed(found) if match[2] == found[0][2]}


def judge(question: Question, material: Material, chance: random.Random, *, blind: bool) -> dict[str, Any]:
    """A verdict that fits the question's schema. blind: as a judge that does not use the image."""
    schema = question.schema or {}
    words = VERDICT_WORDS[question.language()]
    phrases = PHRASES[question.language()]
    if "choice" not in schema["properties"] and "overall" not in schema["properties"]:
        blind = True  # the benchmark's original judge is shown no image
    image = question.images[-1] if question.images else None
    findings = [_look(answer, material, image) for answer in material.answers]
    scores = [_score(finding, chance, blind=blind) for finding in findings]
    values: dict[str, Any] = {"reasons": " ".join([phrases.mark, *_reasons(findings[0], words, blind=blind)])}
    if len(scores) > 1:
        values["choice"] = _choose(scores, blind=blind)
    else:
        values |= _criteria(findings[0], chance, blind=blind) | {"overall": scores[0], "score": scores[0]}
    filled: dict[str, Any] = fill_form(schema, phrases.mark, phrases, chance)
    return {name: values.get(name, value) for name, value in filled.items()}


def _look(answer: str, material: Material, image: InspectedImage | None) -> Finding:
    """Compare an answer with the image, the article and the task."""
    mark = marked_language(answer)
    fits = material.article is None or mark is None
    true = 0
    if mark is not None:
        phrases = PHRASES[mark]
        if image is not None:
            wordings = zip(*(image_sentences(image, phrases, drawn) for drawn in _VARIANTS), strict=True)
            true = sum(any(sentence in answer for sentence in wording) for wording in wordings)
        fits = fits or _fits_article(answer, material.article or "", mark, phrases)
    return Finding(
        true,
        0 if mark is None else 3,
        fits,
        (mark or language_of(answer)) == language_of(material.task),
        mark is not None and not answer.lstrip().startswith(PHRASES[mark].mark),
        image is not None,
    )


def _fits_article(answer: str, article: str, language: Language, phrases: Phrases) -> bool:
    japanese = language == "Japanese"
    return any(article_sentences(article, phrases, drawn, japanese=japanese)[0] in answer for drawn in _VARIANTS)


def _score(finding: Finding, chance: random.Random, *, blind: bool) -> int:
    """The score as a whole, 1 to 100."""
    if blind:
        score = float(BEST if finding.all else UNMARKED)
    elif not finding.image:
        score = WITHOUT_IMAGE if finding.all else UNMARKED_WITHOUT_IMAGE
    elif finding.all:
        score = WORST + (BEST - WORST) * (finding.true / finding.all) ** 1.5
    else:
        score = UNMARKED
    if not finding.fits_article and not blind:
        score -= WRONG_ARTICLE
    if not finding.right_language:
        score -= WRONG_LANGUAGE
    if finding.padded:
        score -= 0 if blind else PADDED
    return min(100, max(1, round(score) + chance.randint(-NOISE, NOISE)))


def _criteria(finding: Finding, chance: random.Random, *, blind: bool) -> dict[str, int]:
    """Each criterion, 0 to 5."""
    share = 1.0 if blind else 0.0 if not finding.image else finding.true / finding.all if finding.all else 0.6
    levels = {
        "faithful": round(5 * share),
        "complete": round(2 + 3 * share) - (0 if finding.fits_article or blind else 2),
        "on_task": 5 - 2 * finding.padded - (0 if finding.right_language else 1),
        "language": 5 if finding.right_language else 0,
        "rationale": chance.randint(2, 4),
    }
    return {name: max(0, level - (chance.random() < RATHER_LOWER)) for name, level in levels.items()}


def _choose(scores: list[int], *, blind: bool) -> str:
    """Which of two answers is better. A blind judge takes the first where it sees no difference."""
    first, second = scores
    if abs(first - second) <= CLOSE:
        return "first" if blind else "neither"
    return "first" if first > second else "second"


@dataclass(frozen=True)
class VerdictWords:
    """A judge's sentences in one language."""

    truth: str
    unread: str
    no_image: str
    wrong_article: str
    wrong_language: str
    padded: str
    plausible: str


def _reasons(finding: Finding, words: VerdictWords, *, blind: bool) -> list[str]:
    if blind:
        found = [words.plausible]
    elif not finding.image:
        found = [words.no_image]
    elif finding.all:
        found = [words.truth.format(true=finding.true, all=finding.all)]
    else:
        found = [words.unread]
    if not finding.fits_article and not blind:
        found.append(words.wrong_article)
    if not finding.right_language:
        found.append(words.wrong_language)
    if finding.padded and not blind:
        found.append(words.padded)
    return found


VERDICT_WORDS: Mapping[Language, VerdictWords] = {
    "English": VerdictWords(
        "Of {all} statements about the picture, {true} are true of the picture received.",
        "The answer is not a sandbox's, and its statements cannot be checked here.",
        "No picture was received, so nothing that the answer says of it can be confirmed.",
        "What it says of the article does not fit the article.",
        "It is not in the language of the task.",
        "It is padded with sentences that say nothing.",
        "The answer sounds plausible.",
    ),
    "Japanese": VerdictWords(
        "画像についての記述{all}件のうち、届いた画像と合うものは{true}件です。",
        "この回答はサンドボックスのものではなく、記述を確かめることができません。",
        "画像が届いていないため、画像についての記述は一つも確かめられません。",
        "記事についての記述が記事と合っていません。",
        "課題の言語で書かれていません。",
        "内容のない文で水増しされています。",
        "この回答はもっともらしく聞こえます。",
    ),
    "Swahili": VerdictWords(
        "Kati ya kauli {all} kuhusu picha, {true} zinalingana na picha iliyopokelewa.",
        "Jibu hili si la majaribio, na kauli zake haziwezi kuhakikiwa hapa.",
        "Hakuna picha iliyopokelewa, kwa hiyo kauli kuhusu picha haziwezi kuthibitishwa.",
        "Inachosema kuhusu makala hakilingani na makala.",
        "Jibu haliko katika lugha ya swali.",
        "Jibu limerefushwa kwa sentensi zisizo na maana.",
        "Jibu linasikika kuwa la kweli.",
    ),
    "Urdu": VerdictWords(
        "تصویر کے بارے میں {all} باتوں میں سے {true} موصولہ تصویر سے مطابقت رکھتی ہیں۔",
        "یہ جواب سینڈباکس کا نہیں، اس لیے اس کی باتیں یہاں پرکھی نہیں جا سکتیں۔",
        "کوئی تصویر موصول نہیں ہوئی، اس لیے تصویر کے بارے میں کسی بات کی تصدیق نہیں ہو سکتی۔",
        "مضمون کے بارے میں جو کہا گیا ہے وہ مضمون سے مطابقت نہیں رکھتا۔",
        "جواب سوال کی زبان میں نہیں ہے۔",
        "جواب کو بے معنی جملوں سے لمبا کیا گیا ہے۔",
        "جواب معقول معلوم ہوتا ہے۔",
    ),
}


def spoil(verdict: Mapping[str, Any], kind: str) -> str:
    """A verdict that is spoiled in one of the ways of JUDGE_REPLIES, as text."""
    last = list(verdict)[-1] if verdict else "overall"
    whole = write_json(verdict)
    values: dict[str, object] = {"nan": float("nan"), "true": True, "850": 850, "text": "85", "half": 84.5}
    if kind in values:
        return write_json({**verdict, last: values[kind]})
    match kind:
        case "fence":
            return f"```json\n{whole}\n```"
        case "list":
            return f"[{whole}]"
        case "two":
            return f"{whole}\n{whole}"
        case "cut":
            return whole[: len(whole) * 2 // 3]
        case "empty":
            return write_json({**verdict, next(iter(verdict), "reasons"): ""})
        case "lacking":
            return write_json({name: value for name, value in verdict.items() if name != last})
    return f"{next(iter(verdict.values()), '')} 85/100"
