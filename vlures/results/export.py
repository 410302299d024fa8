"""One table of all that a run has stored, for pandas, polars and Hugging Face `datasets`: a row per standing
response."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from vlures.benchmarks import require_stored_variants
from vlures.benchmarks.columns import fit
from vlures.results.formats import Format, write_csv, write_jsonl, write_parquet
from vlures.results.new_file import open_new_file
from vlures.results.rows import ImagesAs, Row, StandingResponse, find_columns, read_standing_responses
from vlures.store.checkpoints import CheckpointStore
from vlures.store.due import count_left


@dataclass(slots=True)
class Exported:
    """What was written."""

    statuses: Counter[str] = field(default_factory=Counter)
    due: int = 0
    """Requests without an answer or to be asked again, failures included."""

    def count_due(self, store: CheckpointStore) -> None:
        self.due += sum(left.due + left.in_flight for left in count_left(store).values())

    def count(self, answer: StandingResponse) -> Row:
        self.statuses[answer.response.status] += 1
        return answer.row


def export_run(
    output_folder: Path,
    form: Format,
    to: Path | BinaryIO,
    *,
    with_images: bool,
    force: bool,
    say: Callable[[str], None],
    raw_cells: bool = False,
) -> Exported:
    """Write the table of all variants of a run, to a new file (whole or not at all) or to an open one.

    force: replace an existing file. raw_cells: in CSV, leave texts unchanged that a spreadsheet would run as formulas.
    say: called with a sentence about what stays empty. Raises VluresError if the folder holds no run, if the file
    exists or cannot be written, if a stored line cannot be read, or if a wanted image is gone or is not the one that
    was asked about.
    """
    packages = {package for package, _ in require_stored_variants(output_folder)}
    columns, _ = find_columns(output_folder)
    exported = Exported()
    images_as: ImagesAs | None = None if not with_images else "bytes" if form == "parquet" else "base64"
    with open_new_file(to, force=force) if isinstance(to, Path) else nullcontext(to) as file:
        standing = read_standing_responses(output_folder, say, images_as=images_as, opened=exported.count_due)
        rows = (exported.count(answer) for answer in standing)
        if len(packages) > 1:
            rows = (_fill_up(row, columns) for row in rows)
        if form == "jsonl":
            write_jsonl(rows, file)
        elif form == "csv":
            write_csv(rows, columns, file, raw_cells=raw_cells)
        else:
            write_parquet(rows, columns, file, with_images=with_images)
        file.flush()
    return exported


def _fill_up(row: Row, columns: Mapping[str, type]) -> Row:
    """A row with the columns of the folder's other benchmarks, empty, and its own as all of them have them."""
    others = {name: value for name, value in row.items() if name not in columns}
    return {name: fit(row.get(name), kind) for name, kind in columns.items()} | others
