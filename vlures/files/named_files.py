"""Files by the names that a table gives them, compared as a person reads them."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path, PurePath, PurePosixPath

from vlures.errors import VluresError
from vlures.files.names import as_read


def with_slashes(name: str) -> str:
    """A path with the separators of Windows as one with slashes."""
    return name.replace("\\", "/")


class NamedFiles:
    """Finds files. Remembers the names in the folders that it has looked through."""

    def __init__(self) -> None:
        self._names: dict[Path, dict[str, list[str]]] = {}
        """Folder → name as it is read → the names of its files and folders."""

    def find(self, folder: Path, name: str) -> Path | None:
        """The file of exactly this name, else of this name with slashes for backslashes, else of the name that reads
        like it (NFC). None if there is none.

        It may be outside of the folder, where the name says so. Raises VluresError if several names read like it,
        OSError and ValueError for a name that no file can have.
        """
        for path in (folder / name, folder / with_slashes(name)):
            if path.is_file():
                return path
        found = self.follow(folder, PurePosixPath(with_slashes(name)))
        return found if found is not None and found.is_file() else None

    def follow(self, folder: Path, name: PurePath) -> Path | None:
        """What has this name, or one that reads like it. Raises VluresError if several have."""
        path = folder
        for part in name.parts:
            step = path / part
            if not step.exists():
                names = self._list(path).get(as_read(part), [])
                if not names:
                    return None
                if len(names) > 1:
                    raise VluresError(f"ambiguous: {len(names)} names in {path} read like {part}; keep one of them")
                step = path / names[0]
            path = step
        return path

    def _list(self, folder: Path) -> dict[str, list[str]]:
        if folder not in self._names:
            found = defaultdict(list)
            for path in folder.iterdir() if folder.is_dir() else ():
                found[as_read(path.name)].append(path.name)
            self._names[folder] = found
        return self._names[folder]


def as_on_disk(path: Path) -> Path:
    """A path that a user typed as it is on the disk, where only another name that reads like it exists; else as it
    is."""
    try:
        return path if path.exists() else NamedFiles().follow(Path(), path) or path
    except (VluresError, OSError, ValueError):  # whatever reads it says what is wrong
        return path
