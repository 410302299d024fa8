"""What `vlures tables` and `vlures compare` share: the format of what they write, and where it goes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from vlures.errors import UsageError, VluresError

if TYPE_CHECKING:
    from vlures.tables.formats import Format


def require_numpy() -> None:
    """Raises VluresError where it is not installed."""
    try:
        import numpy  # noqa: F401
    except ImportError as error:
        raise VluresError("Tables need the package numpy; get it with `pip install 'vlures[stats]'`.") from error


def choose_format(wanted: str | None, out: Path | None) -> Format:
    """The wanted format, else the one that the file's suffix names, else md. Raises UsageError if they contradict each
    other or the suffix names none."""
    from vlures.tables.formats import FORMATS

    suffix = out.suffix.lower().lstrip(".") if out is not None else ""
    named = {"tex": "latex", "markdown": "md"}.get(suffix, suffix)
    for form in FORMATS:
        if wanted == form:
            if named in FORMATS and named != form:
                raise UsageError(f"--format {form} does not fit --out {out}; give that file another ending.")
            return form
    if out is None:
        return "md"
    for form in FORMATS:
        if named == form:
            return form
    raise UsageError(f"--out {out} does not say what to write; add --format {' or '.join(FORMATS)}.")


def deliver(text: str, out: Path | None, *, force: bool, tell: Callable[[str], None]) -> None:
    """Print a text, or write it into a file and say so. Raises VluresError if there is one or it cannot be written."""
    from vlures.results.new_file import open_new_file

    if out is None:
        tell(text.rstrip("\r\n"))
        return
    with open_new_file(out, force=force) as file:
        file.write(text.encode("utf-8", "backslashreplace"))
    tell(f"Wrote {out}.")
