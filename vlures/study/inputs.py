"""Whether a product is still that of what is stored: a digest of everything that it is made of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import vlures
from vlures.files.writing import write_whole
from vlures.judge.pairs import PREFERENCES_FILE
from vlures.judge.verdicts import PEOPLE, VERDICTS_FILE
from vlures.study.steps import ProductStep

GROWING = ("checkpoint*.jsonl", "jobs.jsonl")
"""Files that only grow: their length says whether they have changed."""
REPLACED = ("run.json", "scores.json", VERDICTS_FILE, PREFERENCES_FILE, f"{PEOPLE}/*.jsonl")


def digest_inputs(step: ProductStep) -> str:
    """Of the command, of this version of vlures, and of all that the runs hold."""
    sha = hashlib.sha256(repr((vlures.__version__, step.arguments)).encode())
    for folder in step.runs:
        for path, content in _read(folder, step.out):
            sha.update(repr((path.relative_to(folder).as_posix(), content)).encode("utf-8", "surrogatepass"))
    return sha.hexdigest()


def _read(folder: Path, out: Path) -> Iterator[tuple[Path, int | str]]:
    for path in _find(folder, GROWING):
        yield path, path.stat().st_size
    for path in _find(folder, REPLACED):
        if path != out:
            yield path, hashlib.sha256(path.read_bytes()).hexdigest()


def _find(folder: Path, patterns: Iterable[str]) -> list[Path]:
    return sorted(path for pattern in patterns for path in folder.rglob(pattern) if path.is_file())


class Made:
    """Of what each product was made last, in a file of the study's."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            known = json.loads(path.read_bytes())
        except (OSError, ValueError):  # it only saves time
            known = {}
        self._digests: dict[str, str] = known if isinstance(known, dict) else {}

    def is_new(self, step: ProductStep) -> bool:
        """Whether the product is there, and nothing that it is made of has changed since."""
        return step.out.is_file() and self._digests.get(str(step.out)) == digest_inputs(step)

    def remember(self, step: ProductStep) -> None:
        """Raises NotWritable."""
        self._digests[str(step.out)] = digest_inputs(step)
        write_whole(self._path, json.dumps(self._digests, indent=1) + "\n")
