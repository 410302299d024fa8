"""What `vlures init` lays out: ready-made configurations, sample data, a place for outputs.

This package has symbolic links to the repository's configs/ and data/Sample*; a wheel has copies instead. The images
are the same in every language, so a wheel holds them once, in SampleEn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vlures.errors import VluresError

_HERE = Path(__file__).parent
_IMAGE_FOLDER = "data/SampleEn"
_IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


@dataclass(frozen=True, slots=True)
class ScaffoldFiles:
    """The files of a new folder, by path below it."""

    written: tuple[Path, ...]
    unchanged: tuple[Path, ...]
    """Existed already with the same content."""
    kept: tuple[Path, ...]
    """Existed already with other content, which was left alone."""


def lay_out(folder: Path) -> ScaffoldFiles:
    """Write configs/, data/Sample* and an empty outputs/ below the folder, which need not exist. Overwrites nothing.

    Raises VluresError if this installation lacks those files, OSError for a file that cannot be written.
    """
    found: dict[str, list[Path]] = {"written": [], "unchanged": [], "kept": []}
    for path, source in sorted(_starting_files().items()):
        content = source.read_bytes()
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if _write_new(target, content):
            found["written"].append(path)
        else:
            same = target.is_file() and target.read_bytes() == content
            found["unchanged" if same else "kept"].append(path)
    (folder / "outputs").mkdir(exist_ok=True)
    return ScaffoldFiles(*(tuple(paths) for paths in found.values()))


def _starting_files() -> dict[Path, Path]:
    """Where each file goes → where it is."""
    images = [path for path in _files(_IMAGE_FOLDER) if path.suffix in _IMAGE_SUFFIXES]
    files = {Path("configs", path.name): path for path in _files("configs") if path.suffix == ".toml"}
    for dataset in sorted(_HERE.glob("data/Sample*")):
        own = _files(f"data/{dataset.name}")
        files |= {Path("data", dataset.name, path.name): path for path in [*images, *own]}
    if not (images and files):
        raise VluresError(
            "This installation of vlures lacks its starting files; install it from a wheel, then init again."
        )
    return files


def _files(name: str) -> Iterator[Path]:
    folder = _HERE / name
    return (path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else iter(())


def _write_new(path: Path, content: bytes) -> bool:
    """Write a new file; False if it exists. Removes a file that was not written completely."""
    try:
        file = path.open("xb")
    except FileExistsError:
        return False
    try:
        with file:
            file.write(content)
    except BaseException:  # Ctrl-C too: the next init would take a partial file for the user's own
        path.unlink()
        raise
    return True
