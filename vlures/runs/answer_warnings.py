"""Warnings about a run's answers, beyond each one's status: each said once; a reason to stop where no answer can be
used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from vlures.backends.outcomes import ALL_THINKING, is_wordless
from vlures.errors import counted
from vlures.records import Response, is_same_model

FIRST_ANSWERS = 50
"""After this many answers of which none can be used, the next thousand would be no better."""

UNUSABLE = ("truncated", "refused")
ADVICE: Mapping[str, str] = {
    "truncated": (
        "For truncated answers, raise --max-output-tokens (or the server's context) or reduce the thinking; "
        "--redo truncated asks them again."
    ),
    "refused": (
        "For refused answers, see in the export what the model or its filter objects to; --redo refused asks them "
        "again."
    ),
    "thought only": ALL_THINKING,
}


def describe_unusable(counts: Mapping[str, int]) -> str:
    """Why none of these answers, counted by status, can be used, and what to do."""
    found = {status: counts[status] for status in ADVICE if counts.get(status)}
    listed = ", ".join(f"{count:,} {status}" for status, count in found.items())
    advice = " ".join(ADVICE[status] for status in found)
    return f"Not one of {counted(sum(found.values()), 'answer')} can be used ({listed}). {advice}"


def describe_canary(response: Response) -> str:
    """Why the other requests were not sent after the answer to the first one, which was sent alone."""
    return (
        f"The first request, {response.key}, was sent alone and live, and its answer is {response.status} (finish "
        f"reason {response.finish_reason!r}). Nothing else was sent. {ADVICE[response.status]} Run again to try the "
        "next request, or with --no-canary to send everything."
    )


@dataclass(slots=True)
class AnswerWarnings:
    """Warnings about a run's answers as they arrive, each given once."""

    any_usable: bool = False
    """Whether any answer, of this run or an earlier one, can be used."""
    unusable: Counter[str] = field(default_factory=Counter)
    """By kind, the answers that cannot be used, among those to requests that this process has sent."""
    _given: set[str] = field(default_factory=set)

    def add(self, response: Response, asked: str, *, is_ours: bool = True) -> list[str]:
        """Count an answer. Returns the new warnings that it causes. asked: the model. is_ours: this process has sent
        the request."""
        self.any_usable = self.any_usable or response.status == "ok"
        thought_only = response.reasoning and response.text is None
        if is_ours and response.status in UNUSABLE:
            self.unusable[response.status] += 1
        elif is_ours and is_wordless(response):
            self.unusable["thought only"] += 1
        sentences = dict(_find_warnings(response, asked))
        if thought_only and (response.status == "truncated" or is_wordless(response)):
            sentences["thought only"] = f"An answer has no text. {ALL_THINKING}"
        new = [sentence for subject, sentence in sentences.items() if subject not in self._given]
        self._given.update(sentences)
        return new

    @property
    def all_unusable(self) -> bool:
        """Whether there are enough first answers to judge, and none can be used."""
        return not self.any_usable and self.unusable.total() >= FIRST_ANSWERS


def _find_warnings(response: Response, asked: str) -> Iterator[tuple[str, str]]:
    """(subject, sentence) for an answer, whatever its status."""
    model, notes = response.model, response.notes or ()
    if model is not None and not is_same_model(asked, model):
        yield f"model {model}", f"Answers come from the model {model}, not from {asked}; each says so under `model`."
    if "think tags" in notes:
        yield (
            "think tags",
            "Answers hold the model's thinking in their text; it is moved to `reasoning`. --keep-think-tags leaves it "
            "in place.",
        )
    if "unknown end" in notes:
        yield (
            "unknown end",
            f"Answers end with an unknown finish reason ({response.finish_reason!r}); their text is kept unchanged, "
            "and each says so under `finish_reason`.",
        )
