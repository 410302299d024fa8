"""The Hugging Face Hub: a dataset's revisions, files and licence. Downloads nothing."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from vlures.benchmarks.vlures.dataset import FETCHED_FILE, Fetched
from vlures.benchmarks.vlures.hub_errors import translate_errors
from vlures.config.environment import check_address, find_value, hide_secrets
from vlures.config.route import find_route, is_this_machine
from vlures.errors import UsageError, VluresError

HUB = "https://huggingface.co"


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file as the Hub lists it."""

    path: str
    size_bytes: int
    blob_id: str
    """Git's SHA-1 of it."""
    sha256: str | None
    """Of its bytes, where it is stored in Git LFS."""


@dataclass(frozen=True, slots=True)
class Hub:
    """Where the Hub is and as whom it is asked."""

    endpoint: str
    """Its address."""
    token: str | None
    """The user's; None: the one that the Hub's client has stored, if any."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A revision of a dataset as the Hub offers it."""

    repository: str
    revision: str
    newest: str
    """The Hub's current revision."""
    licence: str | None
    """As the dataset's card states it."""
    licence_url: str | None
    files: tuple[RemoteFile, ...]
    hub: Hub

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)


def find_hub(environment: Mapping[str, str]) -> Hub:
    """The Hub's address and the user's token (HF_ENDPOINT, HF_TOKEN). Raises UsageError for a malformed one."""
    endpoint = find_value(environment, "HF_ENDPOINT").rstrip("/") or HUB
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname or " " in endpoint:
        raise UsageError(
            f"HF_ENDPOINT is {hide_secrets(endpoint)!r}, which is not an address; write it as https://host."
        )
    check_address(endpoint, "HF_ENDPOINT")
    token = find_value(environment, "HF_TOKEN") or None
    if token and not re.fullmatch(r"[!-~]+", token):
        raise UsageError("HF_TOKEN cannot be a token: it has blanks or non-ASCII characters. Copy it again.")
    return Hub(endpoint, token)


def find_offer(repository: str, revision: str | None, hub: Hub, before: Fetched | None = None) -> Offer:
    """Ask the Hub for a dataset's revision and its files. Downloads nothing.

    revision: a commit, branch or tag; None: the one in the folder, else the newest. before: what was fetched into the
    folder before. Raises UsageError for a malformed name, VluresError if the Hub does not give the revision.
    """
    client = _load_client(hub)
    with translate_errors(repository, revision, hub.endpoint):
        api = client.HfApi(endpoint=hub.endpoint, token=hub.token)
        info = newest = api.dataset_info(repository, revision=revision)
        if revision is None and before is not None and before.repository == repository:
            info = api.dataset_info(repository, revision=before.revision)
        listed = list(api.list_repo_tree(repository, repo_type="dataset", revision=info.sha, recursive=True))
        files = [_remote_file(entry) for entry in listed if isinstance(entry, client.RepoFile)]
        licence, licence_url = _read_licence(info.card_data)
        return Offer(repository, str(info.sha), str(newest.sha), licence, licence_url, tuple(files), hub)


def describe_licence(offer: Offer) -> str:
    """The licence in a sentence, as the dataset's card states it."""
    page = f"{offer.hub.endpoint}/datasets/{offer.repository}"
    if offer.licence is None:
        return f"Its card names no licence; ask its authors before using it: {page}"
    match = re.fullmatch(r"cc-(by(?:-nc)?(?:-sa|-nd)?)-(\d\.\d)", offer.licence)
    if match is None:
        return f"Licence, by its card: {offer.licence} ({offer.licence_url or page})"
    terms = {
        "by": "name its authors",
        "nc": "no commercial use",
        "sa": "share your work from it under the same licence",
        "nd": "share no changed version",
    }
    means = ", ".join(terms[part] for part in match[1].split("-"))
    name = f"CC {match[1].upper()} {match[2]}"
    return f"Licence, by its card: {name} (https://creativecommons.org/licenses/{match[1]}/{match[2]}/): {means}"


def _load_client(hub: Hub) -> Any:
    """The Hub's client, with telemetry off. Raises UsageError for a proxy, or certificates, that cannot be used."""
    find_route(hub.endpoint)
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"  # read once, on import
    try:
        import huggingface_hub
        import huggingface_hub.hf_api
    except ImportError as error:
        raise VluresError(
            "Fetching needs the package huggingface_hub; get it with `pip install 'vlures[hub]'`."
        ) from error
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # errors are reported here, in one sentence
    if is_this_machine(urlsplit(hub.endpoint).hostname or ""):
        huggingface_hub.set_client_factory(_make_local_client)
    return huggingface_hub.hf_api


def _make_local_client() -> Any:
    """As the Hub's client makes its own, but no proxy stands in between."""
    import httpx2
    from huggingface_hub.utils._http import hf_request_event_hook

    hooks: dict[str, list[Any]] = {"request": [hf_request_event_hook]}
    return httpx2.Client(event_hooks=hooks, follow_redirects=True, timeout=None, trust_env=False)


def _remote_file(entry: Any) -> RemoteFile:
    path: str = entry.path
    parts = path.split("/")
    if ".." in parts or "" in parts or "\\" in path or ":" in parts[0]:
        raise VluresError(f"The dataset has a file {path!r}, which would lie outside its folder; nothing was fetched.")
    if path == FETCHED_FILE or path.startswith(".cache/"):
        raise VluresError(f"The dataset has a file {path!r}, whose name is reserved; nothing was fetched.")
    if path.startswith(".") and path != ".gitattributes":
        raise VluresError(
            f"The dataset has a file {path!r}, which could replace your settings, as a .env would; nothing was fetched."
        )
    return RemoteFile(path, entry.size, entry.blob_id, entry.lfs.sha256 if entry.lfs else None)


def _read_licence(card: Any) -> tuple[str | None, str | None]:
    licence = card.get("license") if card else None
    if isinstance(licence, list):
        licence = ", ".join(map(str, licence))
    if licence == "other":
        licence = card.get("license_name") or licence
    return (str(licence) if licence else None), (card.get("license_link") if card else None)
