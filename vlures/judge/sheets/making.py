"""`vlures sheets out`: draw answers, and write each rater's files and the key."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vlures.errors import UsageError, VluresError, counted
from vlures.files.writing import NotWritable
from vlures.judge.answers import NO_IMAGE, digest_text
from vlures.judge.sheets.arranging import Item, arrange, count_neighbours
from vlures.judge.sheets.candidates import Candidate, Found
from vlures.judge.sheets.drawing import Drawn, draw
from vlures.judge.sheets.key import KEY_FILE, Key, KeyRow, KeySheet, write_key
from vlures.judge.sheets.layout import cells_of, digest_cells, lay_out_long_texts
from vlures.judge.sheets.page import make_page
from vlures.judge.sheets.sheet import Row, Sheet, make_rows
from vlures.judge.sheets.thumbnails import Thumbnail, make_thumbnail
from vlures.judge.sheets.wording import find_wording
from vlures.judge.sheets.workbook import make_workbook
from vlures.judge.verdicts import CHANGED

FOR_RATERS = "for-raters"
"""The folder of the files that are handed out."""


@dataclass(frozen=True, slots=True)
class Made:
    """A set of sheets."""

    set: str
    drawn: Sequence[Drawn]
    sheets: Sequence[KeySheet]
    neighbours: int
    """Rows about the same image as the row before, where no other order was possible."""
    files: Sequence[Path]
    key: Path


def make_sheets(
    found: Found, per_cell: int, raters: int, seed: int, out: Path, time: str, say: Callable[[str], None]
) -> Made:
    """Draw, and write a workbook and a page for each rater and language. The folder appears whole or not at all.

    time: ISO 8601, UTC. say: called with a sentence about images that cannot be shown. Raises UsageError if the folder
    holds something already, VluresError where a package is missing or the disk fails.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} is there already, and sheets that were handed out need its key; name another --out.")
    thumbnails, candidates = _make_thumbnails(found.candidates, per_cell, seed, say)
    drawn = draw(candidates, per_cell, seed)
    name = _name_set(drawn, seed)
    sheets: list[KeySheet] = []
    files: list[Path] = []
    neighbours = 0
    with _new_folder(out) as folder:
        for language in sorted({one.candidate.language for one in drawn}, key=lambda tag: tag or ""):
            of_language = [one for one in drawn if one.candidate.language == language]
            pool = [candidate for candidate in candidates if candidate.language == language]
            for number in range(1, raters + 1):
                rater = f"{language}-p{number}" if language else f"p{number}"
                items = arrange(of_language, pool, seed, rater)
                neighbours += count_neighbours(items)
                wording = find_wording(language)
                sheet = Sheet(name, rater, language, wording, make_rows(items), thumbnails)
                files += _write_files(folder / FOR_RATERS, out / FOR_RATERS, sheet)
                sheets.append(_describe(sheet, items))
        runs = {run: str(path.resolve()) for run, path in found.runs.items()}
        write_key(folder / KEY_FILE, Key(name, time, seed, per_cell, runs, sheets))
    return Made(name, drawn, sheets, neighbours, files, out / KEY_FILE)


def _make_thumbnails(
    candidates: Sequence[Candidate], per_cell: int, seed: int, say: Callable[[str], None]
) -> tuple[Mapping[str, Thumbnail], list[Candidate]]:
    """The thumbnails of the images that are drawn, and the candidates that remain when images that cannot be shown are
    left out: the draw is made again without them until all can be shown."""
    thumbnails: dict[str, Thumbnail] = {}
    left = list(candidates)
    while True:
        for one in draw(left, per_cell, seed):
            image = one.candidate.image
            if image.digest in thumbnails:
                continue
            try:
                thumbnails[image.digest] = make_thumbnail(image)
            except VluresError as error:
                say(f"Answers about an image that no rater could see are left out: {error}")
                left = [candidate for candidate in left if candidate.image.digest != image.digest]
                break
        else:
            return thumbnails, left
        if not left:
            raise VluresError("No image can be shown, so there is nothing to rate; `vlures check` may say why.")


def _name_set(drawn: Sequence[Drawn], seed: int) -> str:
    """The same draw has the same name."""
    rows = ((one.candidate.run, one.candidate.variant, one.candidate.cell, one.candidate.sample_id) for one in drawn)
    return hashlib.sha256(repr((seed, *rows)).encode()).hexdigest()[:6]


def _write_files(folder: Path, shown: Path, sheet: Sheet) -> Iterator[Path]:
    """shown: where the folder will be in the end."""
    for ending, data in ((".xlsx", make_workbook(sheet)), (".html", make_page(sheet))):
        path = folder / f"{sheet.rater}{ending}"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        except OSError as error:
            raise NotWritable(path, error) from error
        yield shown / path.name


def _describe(sheet: Sheet, items: Sequence[Item]) -> KeySheet:
    texts = lay_out_long_texts(sheet)
    rows = [
        _describe_row(sheet, item, row, row.id in texts.starts) for item, row in zip(items, sheet.rows, strict=True)
    ]
    return KeySheet(sheet.rater, sheet.language, sheet.wording.rubric, texts.digest, rows)


def _describe_row(sheet: Sheet, item: Item, row: Row, long: bool) -> KeyRow:
    about = item.about
    return KeyRow(
        id=item.id,
        run=about.run,
        variant=about.variant,
        cell=about.cell,
        sample_id=about.sample_id,
        answer_digest=digest_text(item.answer),
        image_digest=about.image.digest,
        shown_digest=row.digest,
        cells_digest=digest_cells(cells_of(row, sheet.wording)),
        long=long,
        control=item.control,
        third=item.third,
        probability=item.probability,
    )


@contextmanager
def _new_folder(out: Path) -> Iterator[Path]:
    """A folder that gets its name when all of it is written."""
    scratch = out.with_name(f".{out.name}.new")
    try:
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        yield scratch
        if out.exists():
            out.rmdir()
        scratch.rename(out)
    except OSError as error:
        raise NotWritable(out, error) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def describe_left_out(found: Found) -> str:
    """A sentence on what nobody rates; empty if that is nothing."""
    changed, unseen = found.left_out.get(CHANGED, 0), found.left_out.get(NO_IMAGE, 0)
    without = sum(found.left_out.values()) - changed - unseen
    parts = []
    if without:
        parts.append(f"{counted(without, 'response')} without an answer (refused, truncated or failed)")
    if changed:
        parts.append(f"{counted(changed, 'answer')} whose image, article or prompt has changed or is gone")
    if unseen:
        parts.append(f"{counted(unseen, 'answer')} to questions without an image")
    return f"Not to be rated: {'; '.join(parts)}." if parts else ""
