"""What a new folder begins with: ready-made configurations, sample data, a place for outputs.

Here are symbolic links to the repository's own configs/ and data/Sample*; a wheel has copies in their place. The
pictures are the same in every language, so a wheel holds them once, in SampleEn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vlures.errors import VluresError

_HERE = Path(__file__).parent
_FOLDER_OF_PICTURES = "data/SampleEn"
_PICTURES = (".jpg", ".jpeg", ".png", ".webp")


@dataclass(frozen=True, slots=True)
class LaidOut:
    """What came of it, by path below the folder. kept: were there with another content, and are as they were."""

    written: tuple[Path, ...]
    there_already: tuple[Path, ...]
    kept: tuple[Path, ...]


def lay_out(folder: Path) -> LaidOut:
    """Write configs/, data/Sample* and an empty outputs/ below the folder, which need not exist. Overwrites nothing.

    Raises VluresError if this installation has no such files, OSError for what cannot be written.
    """
    found: dict[str, list[Path]] = {"written": [], "there already": [], "kept": []}
    for path, source in sorted(_starting_files().items()):
        content = source.read_bytes()
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if _write_new(target, content):
            found["written"].append(path)
        else:
            same = target.is_file() and target.read_bytes() == content
            found["there already" if same else "kept"].append(path)
    (folder / "outputs").mkdir(exist_ok=True)
    return LaidOut(*(tuple(paths) for paths in found.values()))


def _starting_files() -> dict[Path, Path]:
    """Where each file goes → where it is."""
    pictures = [path for path in _files(_FOLDER_OF_PICTURES) if path.suffix in _PICTURES]
    files = {Path("configs", path.name): path for path in _files("configs") if path.suffix == ".toml"}
    for dataset in sorted(_HERE.glob("data/Sample*")):
        own = _files(f"data/{dataset.name}")
        files |= {Path("data", dataset.name, path.name): path for path in [*pictures, *own]}
    if not (pictures and files):
        raise VluresError(
            "This installation of vlures lacks its starting files; install it from a wheel, then init again."
        )
    return files


def _files(name: str) -> Iterator[Path]:
    folder = _HERE / name
    return (path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else iter(())


def _write_new(path: Path, content: bytes) -> bool:
    """Write a file that is not there yet; False if there is one. A file that does not become whole is taken back."""
    try:
        file = path.open("xb")
    except FileExistsError:
        return False
    try:
        with file:
            file.write(content)
    except BaseException:  # Ctrl-C too: the next init would take a piece of a file for the user's own
        path.unlink()
        raise
    return True
