"""Images and texts as files, paired by numeric ID.

A file's ID is the one number in its name. Ambiguities are never guessed: a text with exactly the image's stem wins,
anything else is an error that names the files.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from vlures.benchmarks.left_files import find_left_files
from vlures.benchmarks.problems import Problem, ProblemList
from vlures.benchmarks.vlures.dataset.fetched import FETCHED_FILE
from vlures.benchmarks.vlures.samples import Dataset, Sample
from vlures.errors import VluresError
from vlures.files.bounds import Bounds
from vlures.files.names import as_read
from vlures.files.reading import UnusableFile, read_file
from vlures.files.text import LOOKS_DOUBLE_ENCODED, decode_text, looks_double_encoded
from vlures.images import IMAGE_SUFFIXES, UnusableImage, read_image

KINDS = {"encoding": "texts that look like UTF-8 read as Latin-1"}
"""Kinds of problems that are counted, and what many of a kind are called."""
TEXT_SUFFIXES = frozenset({".txt", ".text"})
LONGEST_ID = 15
LARGEST_TEXT = 16_000_000
"""Characters of an article in a table, or bytes of a text file; the longest of the published data have 30,000."""


def load_pairs(folder: Path, paths: Sequence[Path], text_encoding: str, bounds: Bounds) -> Dataset:
    """The samples of a folder with these files and folders in it or below it. bounds: where they must lie.

    Raises VluresError if none of them could be part of a sample; everything wrong is in the Dataset's problems.
    """
    problems: list[Problem] = []
    found = ProblemList(KINDS)
    taken = [path for path in paths if _is_taken(path)]
    images, texts = _settle(folder, *_collect(folder, taken, bounds, problems), problems)

    samples = []
    for number, path in sorted(images.items()):
        try:
            image = read_image(path)
        except UnusableImage as error:
            left = [path, texts.pop(number)] if number in texts else [path]
            problems.append(Problem("error", _names(folder, left), f"the image {error}"))
            continue
        text = None
        if number in texts:
            try:
                text = _read_text(texts[number], text_encoding)
            except VluresError as error:
                problems.append(Problem("error", _names(folder, [texts[number]]), str(error)))
            if text is not None and looks_double_encoded(text):
                found.add("encoding", _names(folder, [texts[number]]), f"the text {LOOKS_DOUBLE_ENCODED}", "note")
        samples.append(Sample(number, image, text, texts[number] if text is not None else None))
    problems += [
        Problem("error", _names(folder, [texts[number]]), f"a text without an image: no image here has the ID {number}")
        for number in sorted(texts.keys() - images.keys())
    ]
    problems += found.problems("texts")
    problems += _find_left(folder, set(paths).difference(taken), bounds, images.keys())
    if not samples and not any(problem.severity == "error" for problem in problems):
        raise VluresError(_describe_absence(folder, paths))
    return Dataset(folder, tuple(samples), tuple(problems))


def _is_taken(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES | TEXT_SUFFIXES and not path.name.startswith(".")


def _find_left(folder: Path, paths: Iterable[Path], bounds: Bounds, taken: Collection[int]) -> tuple[Problem, ...]:
    """What is not taken: an image of a kind that is not sent is an error, unless there is another with its ID."""
    expected = f"neither an image ({list_suffixes(IMAGE_SUFFIXES)}) nor a text ({list_suffixes(TEXT_SUFFIXES)})"
    left = (path for path in paths if path.name != FETCHED_FILE)
    return find_left_files(left, bounds, folder, expected, lambda path: "note" if _find_id(path) in taken else "error")


def _find_id(path: Path) -> int | None:
    try:
        return numeric_id(path.stem)
    except VluresError:
        return None


def list_suffixes(suffixes: Iterable[str]) -> str:
    return " ".join(sorted(suffixes))


def _names(folder: Path, paths: Iterable[Path]) -> tuple[str, ...]:
    return tuple(path.relative_to(folder).as_posix() for path in paths)


def numeric_id(stem: str) -> int:
    """The one number in a file's stem.

    Raises VluresError with the reason if there is none, or more than one.
    """
    numbers = re.findall(r"\d+", stem)  # of every script: ٣, ۳ and ３ are 3
    if not numbers:
        raise VluresError("no number in its name, so it has no ID")
    if len(numbers) > 1:
        raise VluresError(f"{len(numbers)} separate numbers in its name ({', '.join(numbers)}), so its ID is ambiguous")
    digits = "".join(str(unicodedata.decimal(digit)) for digit in numbers[0])
    if len(digits.lstrip("0")) > LONGEST_ID:
        raise VluresError(f"the number in its name has more than {LONGEST_ID} digits")
    return int(digits)


def _describe_absence(folder: Path, paths: Sequence[Path]) -> str:
    sentence = (
        f"The dataset folder {folder} has no images ({list_suffixes(IMAGE_SUFFIXES)}) and no table of them "
        "(metadata.parquet, .jsonl or .csv)"
    )
    if folders := [path.name for path in paths if path.is_dir() and not path.name.startswith(".")]:
        sentence += f"; it has the folders {', '.join(folders[:4])}{' …' if len(folders) > 4 else ''}"
    if any(path.suffix == ".parquet" for path in paths):
        sentence += (
            "; its Parquet files are not read, since images are sent as files: a table named "
            "metadata.parquet names them"
        )
    return f"{sentence}; name another one with --dataset."


Candidates = dict[int, list[Path]]


def _collect(
    folder: Path, paths: Iterable[Path], bounds: Bounds, problems: list[Problem]
) -> tuple[Candidates, Candidates]:
    images: Candidates = defaultdict(list)
    texts: Candidates = defaultdict(list)
    for path in paths:
        kind = images if path.suffix.lower() in IMAGE_SUFFIXES else texts
        try:
            if not path.is_file():
                raise VluresError("not a file, or a broken link")
            bounds.check(path)
            kind[numeric_id(path.stem)].append(path)
        except VluresError as error:
            problems.append(Problem("error", _names(folder, [path]), str(error)))
    return images, texts


def _settle(
    folder: Path, images: Candidates, texts: Candidates, problems: list[Problem]
) -> tuple[dict[int, Path], dict[int, Path]]:
    """At most one image and one text per ID; a pair with the same stem takes precedence."""
    one_image: dict[int, Path] = {}
    one_text: dict[int, Path] = {}
    for number in sorted(images.keys() | texts.keys()):
        image_paths, text_paths = images.get(number, []), texts.get(number, [])
        shared = set(map(_stem, image_paths)) & set(map(_stem, text_paths))
        image = _choose(image_paths, shared)
        text = _choose(text_paths, shared)
        for kind, paths, chosen in (("images", image_paths, image), ("texts", text_paths, text)):
            if paths and not chosen:
                reason = f"{len(paths)} {kind} with the one ID {number}; keep one of them"
                problems.append(Problem("error", _names(folder, paths), reason))
        if image_paths and not image:
            continue
        if image and text and _stem(image) == _stem(text):
            aside = _names(folder, [path for path in image_paths + text_paths if path not in (image, text)])
            if aside:
                reason = (
                    f"ignored: {image.name} and {text.name} share their stem, so they are the pair with the ID {number}"
                )
                problems.append(Problem("note", aside, reason))
        if image:
            one_image[number] = image
        if text:
            one_text[number] = text
    return one_image, one_text


def _choose(paths: Iterable[Path], shared_stems: set[str]) -> Path | None:
    """The only path, or the only one whose stem an image and a text share; None if that is ambiguous."""
    paths = list(paths)
    if len(paths) > 1:
        paths = [path for path in paths if _stem(path) in shared_stems]
    return paths[0] if len(paths) == 1 else None


def _stem(path: Path) -> str:
    return as_read(path.stem)


def _read_text(path: Path, encoding: str) -> str:
    try:
        text = tidy_text(decode_text(read_file(path, LARGEST_TEXT), encoding))
    except UnusableFile as error:
        raise VluresError(f"the text {error}") from error
    if not text:
        raise VluresError("the text is empty")
    return text


def tidy_text(text: str) -> str:
    """An article as it is sent: line breaks of one kind, no surrounding blanks."""
    return text.replace("\r\n", "\n").strip()
