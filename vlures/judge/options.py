"""The options of a judge."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from vlures.config.options import option, read_ids
from vlures.config.sections import PositiveInt
from vlures.errors import UsageError
from vlures.judge.variant import JudgeVariant

UPSTREAM = "upstream"
"""The --rubric of the benchmark's original judge."""

_UNSAFE = re.compile(r"[^A-Za-z0-9]+")


def _read_share(value: Any, place: str) -> str:
    """`5%`, or 0 for none."""
    text = str(value).strip()
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%|0", text)
    if match is None or float(match[1] or 0) > 100:
        raise UsageError(f"{place} is {value!r}: write a share of the answers, such as 5%, or 0 for none.")
    return text


@dataclass(frozen=True, kw_only=True)
class Options:
    """Whose answers are judged, by what, and how the judge is tested."""

    judged: str | None = option(
        "The folder of the run whose answers are judged.", group="Judging", metavar="FOLDER", suggest="folder"
    )
    pairwise: str | None = option(
        "The folder of a second run: the judge chooses between the two answers, in both orders.",
        group="Judging",
        metavar="FOLDER",
        suggest="folder",
    )
    judge_what: Literal["answer", "whole"] = option(
        "Judge the answer, or the whole reply with its rationale.", "answer", "Judging"
    )
    rubric: str | None = option(
        "A folder with packs of your own, or upstream: the original judge's criteria, 0 to 100, without the image.",
        group="Judging",
        metavar="FOLDER|upstream",
        suggest="folder",
        beside=True,
    )
    pack_language: Literal["en", "native"] = option(
        "Instruct the judge in English, or in the language of the answer.", "en", "Judging"
    )
    repeats: Annotated[int, msgspec.Meta(ge=1, le=20)] = option(
        "How often each answer is judged; the first time counts.", 1, "Judging"
    )
    controls: str = option(
        "Share of additional judgements that test the judge; 0 for none.",
        "5%",
        "Judging",
        metavar="PERCENT",
        read=_read_share,
    )
    control_seed: int = option("Draws which answers have controls.", 1, "Judging")
    limit: PositiveInt | None = option("Judge only the first N answers of each cell.")
    samples: tuple[str, ...] = option("Judge only the answers about these IDs.", (), metavar="IDS", read=read_ids)

    @property
    def share(self) -> float:
        """Of controls, from 0 to 1."""
        return float(self.controls.rstrip("% ")) / 100

    @property
    def is_upstream(self) -> bool:
        return self.rubric == UPSTREAM

    @property
    def rubric_folder(self) -> Path | None:
        """Of packs of the user's own."""
        return None if self.rubric is None or self.is_upstream else Path(self.rubric)

    @property
    def variant(self) -> JudgeVariant:
        """Named after the wording."""
        own = f"_{_UNSAFE.sub('_', self.rubric_folder.name).strip('_')}" if self.rubric_folder else ""
        if self.pairwise is not None:
            return JudgeVariant(f"judge_pairwise_{self.pack_language}{own}")
        if self.is_upstream:
            return JudgeVariant("judge_upstream")
        return JudgeVariant(f"judge_{self.judge_what}_{self.pack_language}{own}")

    @property
    def name_ending(self) -> str:
        """What follows the model's name in the name of the judge's folder, so that each wording has its own."""
        parts = [f"vs-{Path(self.pairwise).resolve().name}"] if self.pairwise is not None else []
        parts += ["whole"] if self.judge_what == "whole" else []
        parts += ["native"] if self.pack_language == "native" else []
        parts += [UPSTREAM if self.is_upstream else Path(self.rubric).name] if self.rubric is not None else []
        return "".join(f"-{part}" for part in parts)

    def check(self, place: Callable[[str], str]) -> None:
        """Raises UsageError for options that contradict each other. place: where an option was given."""
        if self.judged is None:
            raise UsageError(
                "A judge needs the run whose answers are judged: `vlures judge FOLDER`, or --judged FOLDER."
            )
        if self.is_upstream:
            self._check_upstream(place)
        if self.pairwise is not None:
            if self.judge_what == "whole":
                raise UsageError("--pairwise compares whole replies; leave --judge-what out.")
            if self.repeats > 1:
                raise UsageError("--pairwise asks each pair in both orders; leave --repeats out.")
            if Path(self.pairwise).resolve() == Path(self.judged).resolve():
                raise UsageError(f"{place('pairwise')} is the judged run itself; name another one.")
        folder = self.rubric_folder
        if folder is not None and not folder.is_dir():
            raise UsageError(f"{place('rubric')}: there is no folder {folder}; name one, or upstream.")

    def _check_upstream(self, place: Callable[[str], str]) -> None:
        others = {
            "pairwise": self.pairwise is not None,
            "judge_what": self.judge_what == "whole",
            "pack_language": self.pack_language == "native",
        }
        for name, given in others.items():
            if given:
                raise UsageError(f"{place(name)} does not go with --rubric upstream, which has one wording.")
