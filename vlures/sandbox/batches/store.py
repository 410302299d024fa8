"""The folder of batches."""

from collections import Counter
from pathlib import Path

import msgspec

from vlures.sandbox.batches.batch import FINAL, Batch, Provider


class BatchStore:
    """Every batch, on disk when `save` returns."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for incomplete in folder.glob("*.part"):
            incomplete.unlink()
        found = (msgspec.json.decode(path.read_bytes(), type=Batch) for path in folder.glob("*.json"))
        self._looks: Counter[str] = Counter()
        self._batches = {batch.id: batch for batch in sorted(found, key=lambda batch: batch.created_at)}

    def save(self, batch: Batch) -> Batch:
        """Store a batch as it is now; returns it."""
        part = self._folder / f"{batch.id}.part"
        part.write_bytes(msgspec.json.encode(batch))
        part.replace(self._folder / f"{batch.id}.json")
        self._batches[batch.id] = batch
        return batch

    def find(self, batch_id: str) -> Batch | None:
        """The batch as it is now, or None if there is no such batch."""
        return self._batches.get(batch_id)

    def visibility(self, batch: Batch) -> dict[str, bool]:
        """Whether this look at a batch shows result files (`shows_results`) and all counts (`shows_all_counts`).

        The faults `results_late` and `counts_late` hide them from the first looks at a batch that has ended.
        """
        if batch.status in FINAL:
            self._looks[batch.id] += 1
        looks = self._looks[batch.id]

        def is_shown(kind: str) -> bool:
            late = batch.fault(kind)
            return batch.status not in FINAL or late is None or looks > late.number("looks", 1.0)

        return {"shows_results": is_shown("results_late"), "shows_all_counts": is_shown("counts_late")}

    def newest_first(self, provider: Provider | None = None) -> list[Batch]:
        """Every batch, or every batch of one provider, newest first."""
        return [batch for batch in reversed(self._batches.values()) if provider in (None, batch.provider)]

    def unfinished(self) -> list[Batch]:
        """The batches that have not ended, oldest first."""
        return [batch for batch in self._batches.values() if batch.status not in FINAL]
