"""Depth maps that are kept: a file's name says what it was made of, so no other file is ever in its place."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vlures.files.writing import NotWritable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FOLDER = "depth"
DIGITS = 12
OF_A_DEPTH = ("depth", "dtype")
"""What decides a depth map, among the things that decide a record."""


@dataclass(frozen=True, slots=True)
class DepthMaps:
    """The folder of the depth maps."""

    folder: Path

    def name(self, image_id: str, digest: str, made_with: Mapping[str, str]) -> str:
        """The file's name for an image with this SHA-256, whether it exists or not."""
        made_of = "\n".join([digest, *(made_with[name] for name in OF_A_DEPTH)])
        return f"{image_id}-{hashlib.sha256(made_of.encode()).hexdigest()[:DIGITS]}.npy"

    def load(self, name: str, size: tuple[int, int]) -> NDArray[np.float32] | None:
        """A depth map that was kept; None if it is not there or not of this height and width."""
        import numpy as np

        try:
            values = np.load(self.folder / name, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        return values if values.shape == size and values.dtype == np.float32 else None

    def save(self, name: str, values: NDArray[np.float32]) -> None:
        """Raises NotWritable."""
        import numpy as np

        scratch = self.folder / f".{name}.new"
        try:
            self.folder.mkdir(exist_ok=True)
            with scratch.open("wb") as file:
                np.save(file, values, allow_pickle=False)
                file.flush()
                os.fsync(file.fileno())
            scratch.replace(self.folder / name)
        except OSError as error:
            scratch.unlink(missing_ok=True)
            raise NotWritable(self.folder / name, error) from error
