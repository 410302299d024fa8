"""A dataset from the Hugging Face Hub into a folder: one revision, every file's checksum seen to, its licence confirmed.

The Hub's own client does the downloading. What was downloaded is kept whatever happens, so the same command goes on.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from vlures.benchmarks.vlures.dataset import FETCHED_FILE, Fetched, read_fetched
from vlures.config.environment import check_address, hide_secrets
from vlures.errors import Incomplete, UsageError, VluresError
from vlures.files.writing import write_whole
from vlures.store.clock import now

PUBLISHED = "atamiles/VLURes"
"""Where the dataset of the paper is published (arXiv 2510.12845)."""
HUB = "https://huggingface.co"
CLIENT_FOLDER = ".cache/huggingface"
"""Where the Hub's client keeps, inside a folder, what it knows of the files in it."""
TIMES = 3
"""How often a file is fetched that comes with another checksum."""
PIECE_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file as the Hub lists it. sha256: of its bytes, where it is kept in Git LFS; blob_id: else Git's own SHA-1."""

    path: str
    size_bytes: int
    blob_id: str
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Offer:
    """A revision of a dataset as the Hub offers it. licence: as its card says it. newest: the Hub's present revision."""

    repository: str
    revision: str
    newest: str
    licence: str | None
    licence_url: str | None
    files: tuple[RemoteFile, ...]
    hub: Hub

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)


@dataclass(frozen=True, slots=True)
class Hub:
    """endpoint: its address. token: the user's, None for the one that the Hub's client keeps, if any."""

    endpoint: str
    token: str | None


def find_hub(environment: Mapping[str, str]) -> Hub:
    """The Hub's address and the user's token (HF_ENDPOINT, HF_TOKEN). Raises UsageError for what cannot be one."""
    endpoint = environment.get("HF_ENDPOINT", "").strip().rstrip("/") or HUB
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname or " " in endpoint:
        raise UsageError(f"HF_ENDPOINT is {hide_secrets(endpoint)!r}, which is no address; write it as https://host.")
    check_address(endpoint, "HF_ENDPOINT")
    token = environment.get("HF_TOKEN", "").strip() or None
    if token and not re.fullmatch(r"[!-~]+", token):
        raise UsageError("HF_TOKEN cannot be a token: it has blanks or letters beyond ASCII. Copy it again.")
    return Hub(endpoint, token)


def find_offer(repository: str, revision: str | None, folder: Path, hub: Hub) -> Offer:
    """Ask the Hub for a dataset's revision and its files. Downloads none.

    revision: a commit, branch or tag; None: the one that the folder was fetched at, else the newest.
    Raises UsageError for a name that cannot be one, VluresError if the Hub does not give it or the folder is another's.
    """
    before = read_fetched(folder)
    client = _load_client()
    with _in_words(repository, revision, hub):
        api = client.HfApi(endpoint=hub.endpoint, token=hub.token)
        info = newest = api.dataset_info(repository, revision=revision)
        if revision is None and before is not None and before.repository == repository:
            info = api.dataset_info(repository, revision=before.revision)
        listed = list(api.list_repo_tree(repository, repo_type="dataset", revision=info.sha, recursive=True))
        files = [_remote_file(entry) for entry in listed if isinstance(entry, client.RepoFile)]
        licence, licence_url = _read_licence(info.card_data)
        offer = Offer(repository, str(info.sha), str(newest.sha), licence, licence_url, tuple(files), hub)
    _check_folder(offer, folder, before)
    return offer


def is_confirmed(offer: Offer, folder: Path) -> bool:
    """Whether the user has agreed to this licence before."""
    before = read_fetched(folder)
    return before is not None and before.licence == offer.licence


def fetch(offer: Offer, folder: Path, say: Callable[[str], None], show_progress: bool = False) -> Fetched:
    """Bring every file into the folder that is not there with its checksum. The user has agreed to the licence.

    Raises Incomplete where the same command can go on, VluresError where it could not.
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
            _write_fetched(folder, fetched)  # before anything is moved: a kill leaves no folder that seems whole
            _move_aside(missing, offer, folder, say)
            _download(offer, folder, say, show_progress)
        fetched = msgspec.structs.replace(fetched, complete=True)
        _write_fetched(folder, fetched)
    return fetched


def describe_licence(offer: Offer) -> str:
    """The licence in a sentence, as the dataset's card says it."""
    page = f"{offer.hub.endpoint}/datasets/{offer.repository}"
    if offer.licence is None:
        return f"Its card names no licence; ask its authors before you use it: {page}"
    match = re.fullmatch(r"cc-(by(?:-nc)?(?:-sa|-nd)?)-(\d\.\d)", offer.licence)
    if match is None:
        return f"Licence, by its card: {offer.licence} ({offer.licence_url or page})"
    terms = {
        "by": "name its authors",
        "nc": "no commercial use",
        "sa": "share what you make of it under the same licence",
        "nd": "share no changed version",
    }
    means = ", ".join(terms[part] for part in match[1].split("-"))
    name = f"CC {match[1].upper()} {match[2]}"
    return f"Licence, by its card: {name} (https://creativecommons.org/licenses/{match[1]}/{match[2]}/): {means}"


# What the Hub says


def _load_client() -> Any:
    """The Hub's client, which is told to send no telemetry."""
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"  # read once, when it is loaded
    try:
        import huggingface_hub
        import huggingface_hub.hf_api
    except ImportError as error:
        raise VluresError(
            "Fetching needs the package huggingface_hub; get it with `pip install 'vlures[hub]'`."
        ) from error
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # what goes wrong is said here, in one sentence
    return huggingface_hub.hf_api


def _remote_file(entry: Any) -> RemoteFile:
    path: str = entry.path
    parts = path.split("/")
    if ".." in parts or "" in parts or "\\" in path or ":" in parts[0]:
        raise VluresError(f"The dataset has a file {path!r}, which would lead out of its folder; nothing was fetched.")
    if path == FETCHED_FILE or path.startswith(".cache/"):
        raise VluresError(f"The dataset has a file {path!r}, whose name is needed here; nothing was fetched.")
    if path.startswith(".") and path != ".gitattributes":
        raise VluresError(
            f"The dataset has a file {path!r}, which could take the place of settings of yours, as .env does; nothing was fetched."
        )
    return RemoteFile(path, entry.size, entry.blob_id, entry.lfs.sha256 if entry.lfs else None)


def _read_licence(card: Any) -> tuple[str | None, str | None]:
    licence = card.get("license") if card else None
    if isinstance(licence, list):
        licence = ", ".join(map(str, licence))
    if licence == "other":
        licence = card.get("license_name") or licence
    return (str(licence) if licence else None), (card.get("license_link") if card else None)


@contextmanager
def _in_words(repository: str, revision: str | None, hub: Hub, begun: bool = False) -> Iterator[None]:
    """What the Hub's client raises as a sentence. begun: files are here already, so that the same command goes on."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        yield
    except HFValidationError as error:
        raise UsageError(
            f"{repository!r} cannot be a dataset's name; write it as the Hub does: {PUBLISHED}."
        ) from error
    except (HfHubHTTPError, httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError, KeyError, TypeError) as error:
        sentence, passes = _describe_failure(_find_cause(error), repository, revision, hub)
        if begun and passes:
            raise Incomplete(f"{sentence} What was fetched is kept.") from error
        raise VluresError(sentence) from error


def _find_cause(error: BaseException) -> BaseException:
    """What the client met, where it wraps that in what it makes of it."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    wraps = isinstance(error, LocalEntryNotFoundError) or type(error) is ValueError
    return _find_cause(error.__cause__) if wraps and error.__cause__ is not None else error


def _describe_failure(error: BaseException, repository: str, revision: str | None, hub: Hub) -> tuple[str, bool]:
    """A sentence, and whether trying again later may help."""
    import httpx2
    from huggingface_hub import errors

    page = f"{hub.endpoint}/datasets/{repository}"
    match error:
        case errors.OfflineModeIsEnabled():
            return "HF_HUB_OFFLINE is set, so nothing is fetched; take it out of the environment.", False
        case errors.GatedRepoError():
            return (
                f"{repository} is given only to those who agree to its terms: do so at {page}, and put HF_TOKEN=… into .env.",
                False,
            )
        case errors.RevisionNotFoundError():
            return f"{repository} has no revision {revision}; see those it has at {page}.", False
        case errors.RepositoryNotFoundError():
            return (
                f"There is no dataset {repository} at {hub.endpoint}, or it is private: look at its name; for a private one put "
                "HF_TOKEN=… into .env.",
                False,
            )
        case errors.FileMetadataError():
            return f"{hub.endpoint} does not answer as the Hub does ({_first_line(error)}); look at HF_ENDPOINT.", False
        case errors.HfHubHTTPError():
            return _describe_status(error.response.status_code, hub)
        case httpx2.HTTPError():
            return f"{hub.endpoint} cannot be reached ({_first_line(error)}); run the same again when it can.", True
        case OSError() if error.errno is not None:
            return (
                f"{error.filename or 'The folder'} cannot be written ({error.strerror}); mend that and run again.",
                True,
            )
        case OSError():
            return f"A file came cut short ({_first_line(error)}); run the same again.", True
    return (
        f"{hub.endpoint} does not answer as the Hub does ({_first_line(error)}); look at HF_ENDPOINT.",
        False,
    )


def _describe_status(status: int, hub: Hub) -> tuple[str, bool]:
    if status in (401, 403):
        return f"{hub.endpoint} refuses the token ({status}); make HF_TOKEN right or take it away.", False
    if status == 429:
        return f"{hub.endpoint} says that these were too many requests (429); run the same again in some minutes.", True
    if status >= 500:
        return f"{hub.endpoint} fails ({status}); run the same again later.", True
    return f"{hub.endpoint} refused a request ({status}); look at HF_ENDPOINT.", False


def _first_line(error: BaseException) -> str:
    return (str(error).strip().split("\n")[0] or type(error).__name__).rstrip(".")


# The folder


def _check_folder(offer: Offer, folder: Path, before: Fetched | None) -> None:
    if before is None:
        if folder.exists() and (not folder.is_dir() or any(not path.name.startswith(".") for path in folder.iterdir())):
            raise VluresError(f"{folder} is there already and was not fetched; name another folder with --to.")
        return
    if before.repository != offer.repository:
        raise VluresError(f"{folder} holds {before.repository}; name another folder with --to.")
    if before.revision != offer.revision:
        raise VluresError(
            f"{folder} holds revision {before.revision[:12]}; fetch {offer.revision[:12]} into another one with --to, so that runs "
            "over the one that is here stay what they were."
        )


@contextmanager
def _hold(folder: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".vlures-fetch.lock", timeout=0):
            for path in (folder / CLIENT_FOLDER).rglob("*.incomplete"):
                path.unlink()  # of a process that was killed; the client never takes one up again
            yield
    except Timeout as error:
        raise VluresError(f"Another process is fetching into {folder}; wait for it.") from error
    except OSError as error:
        raise VluresError(
            f"The folder {folder} cannot be written ({error.strerror}); mend its rights or name another with --to."
        ) from error


def _write_fetched(folder: Path, fetched: Fetched) -> None:
    content = msgspec.json.format(msgspec.json.encode(fetched), indent=2).decode()
    write_whole(folder / FETCHED_FILE, content + "\n")


def _check_room(size_bytes: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if size_bytes > free:
        raise VluresError(
            f"{folder} has room for {free / 1e6:,.0f} MB, and {size_bytes / 1e6:,.0f} MB are still to come; make room and run again."
        )


def _find_missing(offer: Offer, folder: Path) -> list[RemoteFile]:
    """The files that are not there as published."""
    return [file for file in offer.files if not is_published(folder / file.path, file)]


def _move_aside(missing: list[RemoteFile], offer: Offer, folder: Path, say: Callable[[str], None]) -> None:
    """What is there in another form than published keeps its content, under another name."""
    offered = {folder / file.path for file in offer.files}
    for path in (folder / file.path for file in missing):
        if os.path.lexists(path):
            names = (path.with_name(f"{path.name}.before-fetch{end}") for end in _endings())
            aside = next(name for name in names if not os.path.lexists(name) and name not in offered)
            path.replace(aside)
            say(f"{path} is not as published; it is kept as {aside.name} and fetched again.")


def _endings() -> Iterator[str]:
    yield ""
    yield from (f"-{number}" for number in count(2))


def is_published(path: Path, file: RemoteFile) -> bool:
    """Whether the file is there with the checksum that the Hub has of it."""
    if not path.is_file() or path.stat().st_size != file.size_bytes:
        return False
    digest = hashlib.sha256() if file.sha256 else hashlib.sha1(b"blob %d\0" % file.size_bytes, usedforsecurity=False)
    with path.open("rb") as content:
        while piece := content.read(PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest() == (file.sha256 or file.blob_id)


def _download(offer: Offer, folder: Path, say: Callable[[str], None], show_progress: bool) -> None:
    """Bring what is missing. Raises VluresError for a file that keeps coming with another checksum."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if not show_progress:
        disable_progress_bars()
    for _ in range(TIMES):
        with _in_words(offer.repository, offer.revision, offer.hub, begun=True):
            snapshot_download(
                offer.repository,
                repo_type="dataset",
                revision=offer.revision,
                local_dir=folder,
                cache_dir=folder / CLIENT_FOLDER / "hub",  # so that it takes nothing from elsewhere
                endpoint=offer.hub.endpoint,
                token=offer.hub.token,
            )
        missing = _find_missing(
            offer, folder
        )  # among all: the client may have fetched others again, if it lost its notes
        if not missing:
            return
        for file in missing:
            (folder / file.path).unlink(missing_ok=True)
        say(
            f"{len(missing)} file(s) came with another checksum than published, the first {missing[0].path}; fetching again."
        )
    raise VluresError(
        f"{missing[0].path} came {TIMES} times with another checksum than published, and was not kept; try again later, or tell "
        f"those who publish {offer.repository}."
    )
