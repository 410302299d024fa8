"""Which samples of a run have no usable answer, by status and reason."""

from __future__ import annotations

from dataclasses import dataclass, field

from vlures.store.checkpoints import CheckpointStore

MOST_NAMED = 4


@dataclass(slots=True)
class Group:
    """Samples that have no answer for the same reason."""

    status: str
    """failed, refused or truncated."""
    reason: str
    """The error of a failed one, else the finish reason."""
    transient: bool
    """Whether the provider calls it transient."""
    count: int = 0
    samples: list[str] = field(default_factory=list)
    """The first few, each as the title of its cell and its ID."""


def group_unanswered(store: CheckpointStore) -> list[Group]:
    """The largest group first. Reads the lines of these samples alone."""
    groups: dict[tuple[str, str], Group] = {}
    for cell in store.cells:
        title = store.variant.title(cell)
        for sample_id, response in store.unusable_responses(cell):
            error = response.get("error") or {}
            reason = f"{error.get('code')}: {error.get('message')}" if error else response.get("finish_reason") or ""
            status = response["status"]
            group = groups.setdefault((status, reason), Group(status, reason, bool(error.get("transient"))))
            group.count += 1
            if len(group.samples) < MOST_NAMED:
                group.samples.append(f"{title}: {sample_id}")
    return sorted(groups.values(), key=lambda group: -group.count)
