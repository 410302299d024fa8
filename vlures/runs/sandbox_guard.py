"""A sandbox's answers are no model's: one folder never holds both.

`--sandbox` sees to that by its own folder. This is about a sandbox that somebody started by hand and named by its address.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
from collections.abc import Mapping
from urllib.parse import urlsplit

from vlures.backends import all_providers, find_own_address, find_provider
from vlures.errors import VluresError
from vlures.records import FINAL_STATUSES
from vlures.runs.config import RunConfig
from vlures.store.checkpoints import CheckpointStore
from vlures.store.clock import now

LONGEST_WAIT_S = 5.0
REHEARSAL = "rehearsal"


def check_rehearsal(config: RunConfig, environment: Mapping[str, str], store: CheckpointStore) -> str | None:
    """Before anything is sent: a folder that a sandbox has answered into takes no model's answers, nor the other way round.

    Returns a sentence when the folder becomes a rehearsal's. Raises VluresError where the two would mix. A sandbox that is not
    up yet is not known to be one, so nothing is marked before a run finds it there.
    """
    if config.rehearsal.sandbox or find_provider(config.who.backend) is None:
        return None
    address = find_own_address(config.who, environment)
    may_be_sandbox = address is not None and _may_be_sandbox(address)
    if is_rehearsal(store):
        if may_be_sandbox:
            return None
        if not _holds_answers(store):  # the sandbox was named, and then nothing came of it
            store.remember(REHEARSAL, {})
            return None
        raise VluresError(f"{store.folder} holds the answers of a sandbox; give this run another --name.")
    if address is None or not may_be_sandbox or not _is_sandbox(address):
        return None
    if _holds_answers(store) and not _was_asked_before(store, address):
        raise VluresError(
            f"{address} is a sandbox, and {store.folder} holds answers that may be a model's; rehearse with --sandbox, or under "
            "another --name."
        )
    store.remember(REHEARSAL, {"address": address, "time": now()})
    return f"{address} is a sandbox, so {store.folder} is a rehearsal from here on: no model is asked into it."


def is_rehearsal(store: CheckpointStore) -> bool:
    return bool(store.recall(REHEARSAL))


def _holds_answers(store: CheckpointStore) -> bool:
    entries = (entry for cell in store.cells for entry in store.entries(cell).values())
    return bool(store.open_jobs()) or any(entry.status in FINAL_STATUSES and not entry.imported for entry in entries)


def _was_asked_before(store: CheckpointStore, address: str) -> bool:
    """Whether the last run asked there already, unmarked: by an older version, or before the sandbox was up."""
    before = (store.read_json("run.json").get("config") or {}).get("base_url") or ""
    return str(before).rstrip("/") == address.rstrip("/")


def _may_be_sandbox(address: str) -> bool:
    """By the address alone: a sandbox serves on loopback only, each provider's protocol below a path of its own. No
    other server is asked whether it is one."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    try:
        is_loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
    paths = {path for provider in all_providers() for path in provider.sandbox_paths}
    return is_loopback and parts.path.strip("/").partition("/")[0] in paths


def _is_sandbox(address: str) -> bool:
    """Ask it. What does not answer is none, and the run will say so."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=LONGEST_WAIT_S)
    try:
        connection.request("GET", "/sandbox/faults")
        reply = connection.getresponse()
        return reply.status == http.client.OK and isinstance(json.loads(reply.read()), list)
    except (OSError, ValueError, http.client.HTTPException):
        return False
    finally:
        connection.close()
