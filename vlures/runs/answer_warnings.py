"""What the answers of a run tell, beyond each one's own status: said once, and reason to stop where none can be used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from vlures.backends.outcomes import ALL_THINKING, is_wordless
from vlures.records import Response, is_same_model

FIRST_ANSWERS = 50
"""So many answers without one that can be used mean that the next thousand would be like them."""

UNUSABLE = ("truncated", "refused")
ADVICE: Mapping[str, str] = {
    "truncated": (
        "For those that are truncated raise --max-output-tokens (or the server's context) or turn the thinking down; "
        "--redo truncated asks them again."
    ),
    "refused": (
        "For those that are refused look at what the model or its filter objects to, in the export; --redo refused asks "
        "them again."
    ),
    "thought only": ALL_THINKING,
}


def describe_unusable(counts: Mapping[str, int]) -> str:
    """Why not one of these answers, counted by status, can be used, and what to do."""
    found = {status: counts[status] for status in ADVICE if counts.get(status)}
    listed = ", ".join(f"{count:,} {status}" for status, count in found.items())
    advice = " ".join(ADVICE[status] for status in found)
    return f"Not one of {sum(found.values()):,} answer(s) can be used ({listed}). {advice}"


def describe_canary(response: Response) -> str:
    """Why the answer to the request that went first, alone, is no reason to send the others."""
    return (
        f"The first request, {response.key}, was sent alone and live, and its answer is {response.status} (finish reason "
        f"{response.finish_reason!r}). Nothing else was sent. {ADVICE[response.status]} Run again to try the next request, or "
        "with --no-canary to send all the same."
    )


@dataclass(slots=True)
class Remarks:
    """What is said of a run's answers as they come, each once.

    usable: whether any answer, of this run or an earlier one, can be used. unusable: the answers that cannot, of those to
    requests that this process has sent.
    """

    usable: bool = False
    unusable: Counter[str] = field(default_factory=Counter)
    _said: set[str] = field(default_factory=set)

    def hear(self, response: Response, asked: str, *, is_ours: bool = True) -> list[str]:
        """Take an answer in. The sentences that it is reason for, which were not said yet. asked: the model. is_ours: this
        process has sent the request."""
        self.usable = self.usable or response.status == "ok"
        thought_only = response.reasoning and response.text is None
        if is_ours and response.status in UNUSABLE:
            self.unusable[response.status] += 1
        elif is_ours and is_wordless(response):
            self.unusable["thought only"] += 1
        sentences = dict(_remark(response, asked))
        if thought_only and (response.status == "truncated" or is_wordless(response)):
            sentences["thought only"] = f"An answer has no text. {ALL_THINKING}"
        news = [sentence for subject, sentence in sentences.items() if subject not in self._said]
        self._said.update(sentences)
        return news

    @property
    def are_unusable(self) -> bool:
        """Whether there are enough first answers, and none can be used."""
        return not self.usable and self.unusable.total() >= FIRST_ANSWERS


def _remark(response: Response, asked: str) -> Iterator[tuple[str, str]]:
    """(subject, sentence) of what an answer tells, whatever its status."""
    model, notes = response.model, response.notes or ()
    if model is not None and not is_same_model(asked, model):
        yield f"model {model}", f"Answers come from the model {model}, not from {asked}; each says so under `model`."
    if "think tags" in notes:
        yield (
            "think tags",
            "Answers hold the model's thinking in their text; it is taken out and kept as `reasoning`. --keep-think-tags leaves "
            "it there.",
        )
    if "unknown end" in notes:
        yield (
            "unknown end",
            f"Answers end with a finish reason that is not known here ({response.finish_reason!r}); their text is kept as it came, "
            "and each says so under `finish_reason`.",
        )
