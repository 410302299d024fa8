"""`vlures sheets in`: returned files and the key → verdicts in each run's folder, and what was wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from vlures.errors import UsageError, VluresError
from vlures.files.writing import write_whole
from vlures.judge.sheets.key import KEY_FILE, Key, read_key
from vlures.judge.sheets.making import FOR_RATERS
from vlures.judge.sheets.matching import Matched, Problem, Rating, match
from vlures.judge.sheets.quality import Quality, assess
from vlures.judge.sheets.returned import Returned, UnusableSheet
from vlures.judge.sheets.returned_page import read_saved_page
from vlures.judge.sheets.returned_workbook import read_workbook
from vlures.judge.verdicts import PEOPLE, Verdict, read_verdict_file, write_verdicts

_READERS: dict[str, Callable[[Path], Returned]] = {".xlsx": read_workbook, ".json": read_saved_page}


@dataclass(frozen=True, slots=True)
class Received:
    """What came back."""

    set: str
    matched: Matched
    quality: Sequence[Quality]
    written: Sequence[Path]
    verdicts: int
    """With a score, controls not counted."""
    without: Sequence[str]
    """Raters who were left out."""

    @property
    def is_complete(self) -> bool:
        """Every row of every rater has a score."""
        unrated = any(self.matched.unrated.values())
        return not (self.matched.problems or unrated or set(self.matched.absent) - set(self.without))


@dataclass(frozen=True, slots=True)
class _Record:
    """How the verdicts beside it came about: `<set>.json`."""

    set: str
    made: str
    seed: int
    per_cell: int
    files: Sequence[str]
    without: Sequence[str]
    """Raters who came back and were left out."""
    quality: Sequence[Quality]
    """Of all raters, those included."""
    problems: Sequence[str]


def receive(named: Sequence[Path], key_path: Path | None, without: Sequence[str]) -> Received:
    """Read the files, and replace `<run>/people/<set>.jsonl` of each run of the set.

    named: files, and folders of files. key_path: by default the key beside the files or above them. without: raters
    who are left out; who that was is recorded in the file. Raises UsageError for a file of an unknown kind and an
    unknown rater, VluresError where nothing can be used, a run is gone, or a rater who is stored did not come back.
    """
    paths = list(_find_files(named))
    key = read_key(key_path or _find_key(paths))
    if unknown := [rater for rater in without if rater not in {sheet.rater for sheet in key.sheets}]:
        raters = ", ".join(sheet.rater for sheet in key.sheets)
        raise UsageError(f"The set {key.set} has no rater {unknown[0]}; there are {raters}.")
    folders = _find_runs(key)
    returned, problems = [], []
    for path in paths:
        try:
            returned.append(_READERS[path.suffix.lower()](path))
        except UnusableSheet as reason:
            problems.append(Problem(path, "", f"it {reason}"))
    matched = match(returned, key)
    matched = Matched(matched.ratings, [*problems, *matched.problems], matched.unrated, matched.absent)
    if not matched.ratings:
        raise VluresError(
            f"No row of these files belongs to the set {key.set}: {'; '.join(map(str, matched.problems))}."
        )
    kept = [rating for rating in matched.ratings if rating.sheet.rater not in without]
    quality = assess(matched.ratings)
    files = [path.name for path in paths]
    record = _Record(
        key.set, key.time, key.seed, key.per_cell, files, without, quality, list(map(str, matched.problems))
    )
    written = _write(key, folders, kept, record)
    scores = sum(rating.score is not None and rating.row.control is None for rating in kept)
    return Received(key.set, matched, quality, written, scores, without)


def _find_files(named: Sequence[Path]) -> Iterator[Path]:
    for path in named:
        if path.is_dir():
            files = [one for one in sorted(path.iterdir()) if one.suffix.lower() in _READERS and one.name != KEY_FILE]
            files = [one for one in files if not one.name.startswith((".", "~$"))]
            if not files:
                raise UsageError(f"{path} holds no returned sheet (.xlsx, or .json from the page).")
            yield from files
        elif path.suffix.lower() == ".html":
            raise UsageError(f"{path} is the page itself; the scores are in the .json file that it saves.")
        elif path.suffix.lower() not in _READERS:
            raise UsageError(f"{path} is no returned sheet: those are .xlsx, or .json from the page.")
        else:
            yield path


def _find_key(paths: Sequence[Path]) -> Path:
    for path in paths:
        for folder in (path.parent, path.parent.parent if path.parent.name == FOR_RATERS else path.parent):
            if (folder / KEY_FILE).is_file():
                return folder / KEY_FILE
    raise UsageError(
        f"There is no {KEY_FILE} beside these files; name the one that `vlures sheets out` wrote with --key."
    )


def _find_runs(key: Key) -> Mapping[str, Path]:
    """The folders of the set's runs."""
    folders = {name: Path(place) for name, place in key.runs.items()}
    for name, folder in folders.items():
        if not any(folder.glob("checkpoints_*")):
            raise VluresError(
                f"{folder} holds no run any more, and the scores of {name} belong there; put it back, or correct its "
                f"place under `runs` in {KEY_FILE}."
            )
    return folders


def _write(key: Key, folders: Mapping[str, Path], kept: Sequence[Rating], record: _Record) -> list[Path]:
    """Replace each run's verdicts, and the record of how they came about."""
    paths = {name: folder / PEOPLE / f"{key.set}.jsonl" for name, folder in folders.items()}
    there = {rating.sheet.rater for rating in kept} | set(record.without)
    for path in paths.values():
        if path.exists():
            _refuse_to_forget(path, key, there)
    told = msgspec.json.format(msgspec.json.encode(record), indent=1).decode() + "\n"
    for name, path in paths.items():
        write_verdicts(path, (_verdict(rating, key.set) for rating in kept if rating.row.run == name))
        write_whole(path.with_suffix(".json"), told)
    return list(paths.values())


def _refuse_to_forget(path: Path, key: Key, there: set[str]) -> None:
    """Raises VluresError where the file has scores by somebody whose sheet is not among those that are read now."""
    names = {name_in_verdicts(sheet.rater, key.set): sheet.rater for sheet in key.sheets}
    stored = {names[one.rater] for one in read_verdict_file(path) if one.overall is not None and one.rater in names}
    if forgotten := sorted(stored - there):
        raise VluresError(
            f"{path} has scores by {', '.join(forgotten)}, whose sheets are not among these files; name all sheets of "
            f"the set together, or leave somebody out with --without {forgotten[0]}."
        )


def name_in_verdicts(rater: str, set_name: str) -> str:
    """A rater's name beside those of other sets, whose raters may be other people."""
    return f"{rater}-{set_name}"


def _verdict(rating: Rating, set_name: str) -> Verdict:
    row = rating.row
    return Verdict(
        rater=name_in_verdicts(rating.sheet.rater, set_name),
        kind="person",
        run=row.run,
        variant=row.variant,
        cell=row.cell,
        sample_id=row.sample_id,
        answer_digest=row.answer_digest,
        image_digest=row.image_digest,
        overall=rating.score,
        reasons=rating.comment,
        missing=rating.missing,
        control=row.control,
        probability=row.probability,
        rubric=rating.sheet.rubric,
        language=rating.sheet.language,
    )
