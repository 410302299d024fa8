"""Downloads a dataset from the Hugging Face Hub into a folder: one revision, every checksum verified, its licence
confirmed.

The Hub's own client does the downloading. Downloaded files are always kept, so the same command continues after an
interruption.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import msgspec

from vlures.benchmarks.vlures.dataset import FETCHED_FILE, Fetched, read_fetched
from vlures.benchmarks.vlures.hub import Offer, RemoteFile
from vlures.benchmarks.vlures.hub_errors import translate_errors
from vlures.errors import VluresError, counted
from vlures.files.writing import write_whole
from vlures.store.clock import now

CLIENT_FOLDER = ".cache/huggingface"
"""Where the Hub's client keeps its metadata inside a folder."""
MOST_TRIES = 3
"""How often a file with a wrong checksum is fetched."""
PIECE_BYTES = 1_000_000


def check_folder(offer: Offer, folder: Path) -> None:
    """Raises VluresError where the folder holds anything but this revision."""
    before = read_fetched(folder)
    if before is None:
        if folder.exists() and (not folder.is_dir() or any(not path.name.startswith(".") for path in folder.iterdir())):
            raise VluresError(f"{folder} exists already and was not fetched; name another folder with --to.")
        return
    if before.repository != offer.repository:
        raise VluresError(f"{folder} holds {before.repository}; name another folder with --to.")
    if before.revision != offer.revision:
        raise VluresError(
            f"{folder} holds revision {before.revision[:12]}; fetch {offer.revision[:12]} into another one with --to, "
            "so that runs over the present one stay reproducible."
        )


def is_confirmed(offer: Offer, folder: Path) -> bool:
    """Whether the user has agreed to this licence before."""
    before = read_fetched(folder)
    return before is not None and before.licence == offer.licence


def fetch(offer: Offer, folder: Path, say: Callable[[str], None], show_progress: bool = False) -> Fetched:
    """Download every file that the folder lacks or has with another checksum. The user has agreed to the licence.

    Raises Incomplete where the same command can continue, VluresError where it cannot.
    """
    with _hold(folder):
        before = read_fetched(folder)
        fetched = Fetched(
            repository=offer.repository,
            revision=offer.revision,
            licence=offer.licence,
            confirmed=before.confirmed if before and before.licence == offer.licence else now(),
            endpoint=offer.hub.endpoint,
            files=len(offer.files),
            size_bytes=offer.size_bytes,
            complete=False,
        )
        missing = _find_missing(offer, folder)
        if missing:
            _check_room(sum(file.size_bytes for file in missing), folder)
            _write_fetched(folder, fetched)  # before anything is moved: a kill leaves no folder that looks complete
            _move_aside(missing, offer, folder, say)
            _download(offer, folder, say, show_progress)
        fetched = msgspec.structs.replace(fetched, complete=True)
        _write_fetched(folder, fetched)
    return fetched


@contextmanager
def _hold(folder: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".vlures-fetch.lock", timeout=0):
            for path in (folder / CLIENT_FOLDER).rglob("*.incomplete"):
                path.unlink()  # of a killed process; the client never resumes one
            yield
    except Timeout as error:
        raise VluresError(f"Another process is fetching into {folder}; wait for it.") from error
    except OSError as error:
        raise VluresError(
            f"The folder {folder} cannot be written ({error.strerror}); fix its permissions or name another with --to."
        ) from error


def _write_fetched(folder: Path, fetched: Fetched) -> None:
    content = msgspec.json.format(msgspec.json.encode(fetched), indent=2).decode()
    write_whole(folder / FETCHED_FILE, content + "\n")


def _check_room(size_bytes: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if size_bytes > free:
        raise VluresError(
            f"{folder} has room for {free / 1e6:,.0f} MB, and {size_bytes / 1e6:,.0f} MB are missing; free some space "
            "and run again."
        )


def _find_missing(offer: Offer, folder: Path) -> list[RemoteFile]:
    """The files that are missing or differ from the published ones."""
    return [file for file in offer.files if not is_published(folder / file.path, file)]


def _move_aside(missing: list[RemoteFile], offer: Offer, folder: Path, say: Callable[[str], None]) -> None:
    """Rename files that differ from the published ones, so that their content is kept."""
    offered = {folder / file.path for file in offer.files}
    for path in (folder / file.path for file in missing):
        if os.path.lexists(path):
            names = (path.with_name(f"{path.name}.before-fetch{end}") for end in _endings())
            aside = next(name for name in names if not os.path.lexists(name) and name not in offered)
            path.replace(aside)
            say(f"{path} differs from the published file; it is kept as {aside.name} and fetched again.")


def _endings() -> Iterator[str]:
    yield ""
    yield from (f"-{number}" for number in count(2))


def is_published(path: Path, file: RemoteFile) -> bool:
    """Whether the file exists with the checksum that the Hub lists."""
    if not path.is_file() or path.stat().st_size != file.size_bytes:
        return False
    digest = hashlib.sha256() if file.sha256 else hashlib.sha1(b"blob %d\0" % file.size_bytes, usedforsecurity=False)
    with path.open("rb") as content:
        while piece := content.read(PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest() == (file.sha256 or file.blob_id)


def _download(offer: Offer, folder: Path, say: Callable[[str], None], show_progress: bool) -> None:
    """Download what is missing. Raises VluresError for a file whose checksum stays wrong."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if not show_progress:
        disable_progress_bars()
    for _ in range(MOST_TRIES):
        with translate_errors(offer.repository, offer.revision, offer.hub.endpoint, has_begun=True):
            snapshot_download(
                offer.repository,
                repo_type="dataset",
                revision=offer.revision,
                local_dir=folder,
                cache_dir=folder / CLIENT_FOLDER / "hub",  # so that it uses no other cache
                endpoint=offer.hub.endpoint,
                token=offer.hub.token,
            )
        missing = _find_missing(offer, folder)  # checks all: without its metadata the client fetches others again
        if not missing:
            return
        for file in missing:
            (folder / file.path).unlink(missing_ok=True)
        say(
            f"{counted(len(missing), 'file')} arrived with a wrong checksum, the first {missing[0].path}; fetching "
            "again."
        )
    raise VluresError(
        f"{missing[0].path} arrived {MOST_TRIES} times with a wrong checksum and was not kept; try again later, or "
        f"tell the publishers of {offer.repository}."
    )
