"""Keeps a sandbox's synthetic answers apart from a model's: one folder never holds both.

`--sandbox` has a folder of its own. This is about a sandbox that the user started separately and named by its address.
"""

from __future__ import annotations

import http.client
import json
from urllib.parse import urlsplit

from vlures.backends import all_providers
from vlures.config.route import is_this_machine
from vlures.errors import VluresError
from vlures.results.rehearsal import FACT, holds_sandbox_answers
from vlures.store.checkpoints import CheckpointStore
from vlures.store.clock import now

LONGEST_WAIT_S = 5.0


def guard_sandbox_folder(address: str | None, store: CheckpointStore) -> str | None:
    """Before anything is sent, keep a model's answers out of a folder with sandbox answers, and the other way round.

    address: of the server, if it is not the provider's own.
    Returns a sentence when the folder is marked as a sandbox's. Raises VluresError where the two would mix. A sandbox
    that is not running yet cannot be recognised, so nothing is marked before a run finds it.
    """
    may_be_sandbox = address is not None and _may_be_sandbox(address)
    if holds_sandbox_answers(store):
        if may_be_sandbox:
            return None
        if not _holds_answers(store):  # a sandbox was named but never answered
            store.remember(FACT, {})
            return None
        raise VluresError(f"{store.folder.parent} holds the answers of a sandbox; give this run another --name.")
    if address is None or not may_be_sandbox or not _is_sandbox(address):
        return None
    if _holds_answers(store) and not _was_asked_before(store, address):
        raise VluresError(
            f"{address} is a sandbox, and {store.folder.parent} holds answers that may be a model's; use --sandbox, or "
            "another --name."
        )
    store.remember(FACT, {"address": address, "time": now()})
    return f"{address} is a sandbox, so the folder {store.folder.parent} holds sandbox answers only."


def _holds_answers(store: CheckpointStore) -> bool:
    entries = (entry for cell in store.cells for entry in store.entries(cell).values())
    return bool(store.open_jobs()) or any(entry.is_own_answer for entry in entries)


def _was_asked_before(store: CheckpointStore, address: str) -> bool:
    """Whether the last run used this address already without a mark: an older version, or before the sandbox was
    running."""
    before = (store.read_json("run.json").get("config") or {}).get("base_url") or ""
    return str(before).rstrip("/") == address.rstrip("/")


def _may_be_sandbox(address: str) -> bool:
    """By the address alone: a sandbox serves on loopback only, each provider's protocol below its own path. No other
    server is asked whether it is one."""
    parts = urlsplit(address)
    paths = {path for provider in all_providers() for path in provider.sandbox_paths}
    return is_this_machine(parts.hostname or "") and parts.path.strip("/").partition("/")[0] in paths


def _is_sandbox(address: str) -> bool:
    """Ask the server. One that does not answer is no sandbox; the run will report it."""
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
