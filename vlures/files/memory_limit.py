"""A limit for code that may need any amount of memory: a few kilobytes of Parquet can unpack to terabytes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def within_memory(more_bytes: int) -> Iterator[None]:
    """Within it, allocating so many bytes more than the process has now raises MemoryError.

    Only on Linux, where the system can report and limit a process's memory; elsewhere nothing is limited.
    """
    if sys.platform != "linux":
        yield
        return
    import resource

    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    most = pages * resource.getpagesize() + more_bytes
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    if 0 <= soft < most or 0 <= hard < most:  # its limit is lower already; -1 is none
        yield
        return
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
