"""Whether a dataset's files are inside its folder: a link could make a run read and send any file of this machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from vlures.errors import VluresError


@dataclass(frozen=True, slots=True)
class Bounds:
    """The folder that a dataset's files must be in."""

    folder: Path
    """As the user named it; it may be a link itself."""
    follow_links: bool = False
    """Links in it may lead out of it."""

    def check(self, path: Path) -> None:
        """Raises VluresError, with only the reason, if this path or its links lead out of the folder."""
        if self.follow_links:
            return
        end = os.path.realpath(path)
        if not Path(end).is_relative_to(os.path.realpath(self.folder)):
            if not Path(os.path.normpath(path.absolute())).is_relative_to(os.path.normpath(self.folder.absolute())):
                raise VluresError(
                    f"a path outside the folder {self.folder}, and what leads out of it is not read; copy the "
                    "file into it, or allow this with --follow-links"
                )
            raise VluresError(
                f"a link that leads out of the dataset's folder, to {end}, so it is not followed; --follow-links "
                "follows it"
            )
