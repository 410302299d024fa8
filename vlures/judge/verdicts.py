"""What judges and people have said of a run's answers, in one form for both.

A judge's verdicts lie in `<run>/judged/<judge>/verdicts.jsonl`, people's in `<run>/people/<sheets>.jsonl`: a verdict in
JSON on each line. Both files are derived: from the judge's checkpoints, and from the sheets that came back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from vlures.errors import VluresError
from vlures.files.writing import write_whole
from vlures.records import Cell

VERDICTS_FILE = "verdicts.jsonl"
JUDGED = "judged"
PEOPLE = "people"

LOWEST, HIGHEST = 1, 100
"""Of an overall score, a person's and a judge's; vlures.judge.forms.find_scale knows wordings with another scale."""

DUE = "due"
CHANGED = "changed"
"""What was said is of something, or by a wording, that has changed since or is gone."""

Kind = Literal["judge", "person"]
Control = Literal["wrong image", "no image", "other answer", "wrong language", "padded", "repeat"]
"""A verdict that tests its rater; it is in no mean. other answer: another sample's. repeat: the same once more."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one rater said of one answer, or why it said nothing."""

    rater: str
    """The judge's folder, or a person's pseudonym."""
    kind: Kind
    run: str
    """The name of the run's folder."""
    variant: str
    """The label of the variant that was answered."""
    cell: Cell
    sample_id: str
    answer_digest: str
    """SHA-256 of the text that was rated, in hexadecimal."""
    image_digest: str
    """SHA-256 of the image that was asked about: verdicts about one image are not independent."""
    overall: int | None = None
    """On the scale of the wording that rubric_name names; None where it is missing."""
    criteria: Mapping[str, int] = field(default_factory=dict)
    """From 0 to 5, by the criterion's name. Empty where the rater gives none."""
    reasons: str = ""
    missing: str | None = None
    """Why there is no score: `invalid: …`, `refused`, `truncated`, `failed: …`, DUE, CHANGED (the answer or the
    wording has). None where there is one."""
    control: Control | None = None
    """None: the answer itself, as it was given."""
    probability: float | None = None
    """With which the answer was drawn to be rated; None where all were."""
    rubric: str = ""
    """Digest of the wording by which it was rated."""
    language: str | None = None
    """Of the answer, as a BCP 47 tag."""
    model: str | None = None
    """The judge that really answered."""
    rubric_name: str = ""
    """The wording's name: `answer_en`, `whole_native`, `upstream` (whose overall scores are from 0 to 100)."""
    unwrapped: bool = False
    """The judge's JSON stood in a fence, or had text around it."""


def write_verdicts(path: Path, verdicts: Iterable[Verdict]) -> None:
    """Replace the file whole. Raises NotWritable where the disk fails."""
    encode = msgspec.json.encode
    write_whole(path, "".join(encode(verdict).decode() + "\n" for verdict in verdicts))


def read_verdicts(output_folder: Path) -> Iterator[Verdict]:
    """All verdicts on a run, judges' first. Raises VluresError with file and line for one that cannot be read."""
    for path in [
        *sorted((output_folder / JUDGED).glob(f"*/{VERDICTS_FILE}")),
        *sorted((output_folder / PEOPLE).glob("*.jsonl")),
    ]:
        yield from read_verdict_file(path)


def read_verdict_file(path: Path) -> Iterator[Verdict]:
    """The verdicts of one file. Raises as read_verdicts does."""
    decoder = msgspec.json.Decoder(Verdict)
    content = path.read_bytes()
    try:
        verdicts = decoder.decode_lines(content)
    except msgspec.MsgspecError:
        raise _name_line(path, content.splitlines(), decoder) from None
    yield from verdicts


def _name_line(path: Path, lines: Iterable[bytes], decoder: msgspec.json.Decoder[Verdict]) -> VluresError:
    """The error that names the first line that cannot be read."""
    for number, line in enumerate(lines, start=1):
        try:
            decoder.decode(line)
        except msgspec.MsgspecError as error:
            return VluresError(
                f"{path}, line {number}, is no verdict ({error}); `vlures judge` and `vlures sheets in` write such "
                "files: run the one that wrote it again."
            )
    return VluresError(f"{path} cannot be read as lines of verdicts; run again what wrote it.")


def find_judges(output_folder: Path) -> list[Path]:
    """The folders of a run's judges."""
    return sorted({path.parent for path in (output_folder / JUDGED).glob("*/checkpoints_*")})


def is_about(verdict: Verdict, digest: str | None) -> bool:
    """Whether a verdict is on the answer that stands now, or is a control, which may be about another text.

    digest: of the answer's text; None where no ok answer stands.
    """
    return verdict.control is not None or verdict.answer_digest == digest


def about(verdict: Verdict) -> tuple[str, str, Cell, str]:
    """Which answer a verdict is about: run, variant, cell, sample."""
    return verdict.run, verdict.variant, verdict.cell, verdict.sample_id
