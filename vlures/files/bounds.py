"""Whether a dataset's files are its own: what a link leads to would be read and sent, wherever on this machine it is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from vlures.errors import VluresError


@dataclass(frozen=True, slots=True)
class Bounds:
    """The folder that the user named, which may be a link itself, and whether links in it may lead out of it."""

    folder: Path
    follow_links: bool = False

    def check(self, path: Path) -> None:
        """Raises VluresError, with the reason alone, if links lead from this path in the folder to elsewhere."""
        if self.follow_links:
            return
        end = os.path.realpath(path)
        if not Path(end).is_relative_to(os.path.realpath(self.folder)):
            raise VluresError(
                f"a link that leads out of the dataset's folder, to {end}, so it is not followed; --follow-links follows it"
            )
