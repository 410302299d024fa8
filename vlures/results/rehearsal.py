"""Whether a sandbox gave the answers in a folder."""

from __future__ import annotations

from vlures.store.checkpoints import CheckpointStore

FACT = "rehearsal"
"""The name of the stored fact, as older folders have it."""


def holds_sandbox_answers(store: CheckpointStore) -> bool:
    """Whether the folder is marked for sandbox answers only."""
    return bool(store.recall(FACT))


def is_rehearsal(store: CheckpointStore) -> bool:
    """Whether a sandbox gave the answers in the folder, by --sandbox or by its address."""
    asked = (store.read_json("run.json").get("config") or {}).get("sandbox")
    return bool(asked) or holds_sandbox_answers(store)
