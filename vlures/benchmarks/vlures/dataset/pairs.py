"""Images and texts as files, paired by numeric ID.

A file's ID is the one number in its name. Ambiguities are never guessed: a text with exactly the image's stem wins,
anything else is an error that names the files.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from vlures.benchmarks.problems import Problem
from vlures.benchmarks.vlures.samples import Dataset, Sample
from vlures.errors import VluresError
from vlures.files.bounds import Bounds
from vlures.files.reading import UnusableFile, read_file
from vlures.images import IMAGE_SUFFIXES, UnusableImage, read_image

TEXT_SUFFIXES = frozenset({".txt", ".text"})
LONGEST_ID = 15
LARGEST_TEXT = 16_000_000
"""Characters of an article in a table, or bytes of a text file; the longest of the published data have 30,000."""


def load_pairs(folder: Path, paths: Sequence[Path], text_encoding: str, bounds: Bounds) -> Dataset:
    """The samples of a folder with these files and folders in it. bounds: where they must lie.

    Raises VluresError if none of them could be part of a sample; everything wrong is in the Dataset's problems.
    """
    problems: list[Problem] = []
    images, texts = _settle(*_collect(paths, bounds, problems), problems)

    samples = []
    for number, path in sorted(images.items()):
        try:
            image = read_image(path)
        except UnusableImage as error:
            left = (path.name, texts[number].name) if number in texts else (path.name,)
            texts.pop(number, None)
            problems.append(Problem("error", left, f"the image {error}"))
            continue
        text = None
        if number in texts:
            try:
                text = _read_text(texts[number], text_encoding)
            except VluresError as error:
                problems.append(Problem("error", (texts[number].name,), str(error)))
        samples.append(Sample(number, image, text, texts[number] if text is not None else None))
    problems += [
        Problem("error", (texts[number].name,), f"a text without an image: no image here has the ID {number}")
        for number in sorted(texts.keys() - images.keys())
    ]
    if not samples and not problems:
        raise VluresError(_describe_absence(folder, paths))
    return Dataset(folder, tuple(samples), tuple(problems))


def numeric_id(stem: str) -> int:
    """The one number in a file's stem.

    Raises VluresError with the reason if there is none, or more than one.
    """
    numbers = re.findall(r"[0-9]+", stem)
    if not numbers:
        raise VluresError("no number in its name, so it has no ID")
    if len(numbers) > 1:
        raise VluresError(f"{len(numbers)} separate numbers in its name ({', '.join(numbers)}), so its ID is ambiguous")
    if len(numbers[0].lstrip("0")) > LONGEST_ID:
        raise VluresError(f"the number in its name has more than {LONGEST_ID} digits")
    return int(numbers[0])


def _describe_absence(folder: Path, paths: Sequence[Path]) -> str:
    suffixes = " ".join(sorted(IMAGE_SUFFIXES))
    sentence = (
        f"The dataset folder {folder} has no images ({suffixes}) and no table of them (metadata.parquet, "
        ".jsonl or .csv)"
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


def _collect(paths: Iterable[Path], bounds: Bounds, problems: list[Problem]) -> tuple[Candidates, Candidates]:
    images: Candidates = defaultdict(list)
    texts: Candidates = defaultdict(list)
    for path in paths:
        suffix = path.suffix.lower()
        kind = images if suffix in IMAGE_SUFFIXES else texts if suffix in TEXT_SUFFIXES else None
        if kind is None or path.name.startswith("."):
            continue
        try:
            if not path.is_file():
                raise VluresError("not a file, or a broken link")
            bounds.check(path)
            kind[numeric_id(path.stem)].append(path)
        except VluresError as error:
            problems.append(Problem("error", (path.name,), str(error)))
    return images, texts


def _settle(images: Candidates, texts: Candidates, problems: list[Problem]) -> tuple[dict[int, Path], dict[int, Path]]:
    """At most one image and one text per ID; a pair with the same stem takes precedence."""
    one_image: dict[int, Path] = {}
    one_text: dict[int, Path] = {}
    for number in sorted(images.keys() | texts.keys()):
        image_paths, text_paths = images.get(number, []), texts.get(number, [])
        shared = {path.stem for path in image_paths} & {path.stem for path in text_paths}
        image = _choose(image_paths, shared)
        text = _choose(text_paths, shared)
        for kind, paths, chosen in (("images", image_paths, image), ("texts", text_paths, text)):
            if paths and not chosen:
                reason = f"{len(paths)} {kind} with the one ID {number}; keep one of them"
                problems.append(Problem("error", tuple(path.name for path in paths), reason))
        if image_paths and not image:
            continue
        chosen_names = {path.name for path in (image, text) if path}
        if image and text and image.stem == text.stem:
            aside = tuple(path.name for path in image_paths + text_paths if path.name not in chosen_names)
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
        paths = [path for path in paths if path.stem in shared_stems]
    return paths[0] if len(paths) == 1 else None


def _read_text(path: Path, encoding: str) -> str:
    try:
        data = read_file(path, LARGEST_TEXT)
    except UnusableFile as error:
        raise VluresError(f"the text {error}") from error
    try:
        text = data.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError as error:
        raise VluresError(
            f'the text is not UTF-8 (byte {error.start}); save it as UTF-8, or set text_encoding = "latin-1" if it is '
            "that"
        ) from error
    text = tidy_text(text)
    if not text:
        raise VluresError("the text is empty")
    return text


def tidy_text(text: str) -> str:
    """An article as it is sent: line breaks of one kind, no surrounding blanks."""
    return text.replace("\r\n", "\n").strip()
