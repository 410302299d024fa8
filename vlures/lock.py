"""One process at a time on an output folder."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vlures.errors import VluresError
from vlures.store import now, write_whole


@contextmanager
def hold_folder(output_folder: Path, advice: str = "wait for it, or give this run another --name") -> Iterator[None]:
    """Hold an output folder. Raises VluresError saying who holds it already, with the advice what to do then."""
    from filelock import FileLock, Timeout

    try:
        output_folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(output_folder / ".lock")
        lock.acquire(timeout=0)
    except Timeout as error:
        holder = output_folder / ".lock-holder"
        who = holder.read_text(encoding="utf-8").strip() if holder.is_file() else "another process"
        raise VluresError(f"{output_folder} is in use by {who}; {advice}.") from error
    except OSError as error:
        raise VluresError(
            f"The folder {output_folder} cannot be written ({error.strerror}); mend its rights or name another with --output."
        ) from error
    try:
        write_whole(output_folder / ".lock-holder", f"process {os.getpid()} on {socket.gethostname()} since {now()}\n")
        yield
    finally:
        lock.release()
