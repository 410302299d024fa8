"""A file for the user that appears whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from vlures.errors import VluresError


@contextmanager
def open_new_file(path: Path, *, force: bool) -> Iterator[BinaryIO]:
    """A file that appears under its name once all of it is written and synced, or not at all.

    force: replace an existing one. Raises VluresError if there is one, if it is no plain file, or if the file cannot be
    written.
    """
    scratch = path.with_name(f".{path.name}.new")
    if path.exists() and not force:
        raise VluresError(f"{path} exists already; replace it with --force, or name another file with --out.")
    if path.exists() and not path.is_file():
        raise VluresError(f"{path} is a folder or a device, which is not replaced; name another file with --out.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:  # a file in the folder's place, too
        raise _unwritable(path, error) from error
    try:
        if force:
            scratch.unlink(missing_ok=True)
        file = scratch.open("xb")
    except FileExistsError as error:
        raise VluresError(
            f"{scratch} is there: another export is writing it, or one was killed. If none is, add --force."
        ) from error
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    except OSError as error:
        if error.filename is not None and Path(error.filename) != scratch:
            raise  # the fault of a file that is read
        raise _unwritable(path, error) from error
    finally:
        with suppress(OSError):
            scratch.unlink(missing_ok=True)


def _unwritable(path: Path, error: OSError) -> VluresError:
    return VluresError(
        f"{path} cannot be written ({error.strerror}); nothing of it was kept. Make room, or name another file with "
        "--out."
    )
