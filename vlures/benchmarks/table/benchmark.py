"""The questions of a table as a benchmark."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from vlures.benchmarks import Question, Skips, digest_content, make_request
from vlures.benchmarks.image_check import ImageCheck
from vlures.benchmarks.left_files import find_left_files, note_files
from vlures.benchmarks.problems import Problem, name_check, refuse_data
from vlures.benchmarks.table.options import Options
from vlures.benchmarks.table.rows import QuestionTable, TableRow, read_table
from vlures.benchmarks.table.variant import TableVariant
from vlures.errors import VluresError, counted
from vlures.files.bounds import Bounds
from vlures.files.signatures import find_kind_by_name
from vlures.files.text import describe_double_encoded, looks_double_encoded
from vlures.images import IMAGE_SUFFIXES
from vlures.records import FINAL_STATUSES, AskedModel, Cell, Image, Prompt, Request
from vlures.safety.control_characters import as_line
from vlures.store.checkpoints import CheckpointStore

EXPECTED_TOKENS = 150
"""Of an answer in English. A guess: a table can ask anything. Real usage replaces it after the first answers."""


@dataclass(frozen=True)
class TableBenchmark:
    """A cell per group, a sample per row, as vlures.benchmarks.Benchmark."""

    table: QuestionTable
    asked: AskedModel
    skips: Skips | None = None
    """Images that are left out."""
    name: str = field(default="table", init=False)
    variant: TableVariant = field(default=TableVariant(), init=False)

    def cells(self) -> Sequence[Cell]:
        return list(dict.fromkeys(Cell(row.group) for row in self.table.rows))

    def questions(self) -> Iterator[Question]:
        """Image by image, in the order of their first rows."""
        by_image: dict[str, list[TableRow]] = {}
        for row in self.table.rows:
            by_image.setdefault(row.image.digest, []).append(row)
        for rows in by_image.values():
            if not self._is_skipped(rows[0]):
                yield from (Question(Cell(row.group), row.id) for row in rows)

    def request(self, question: Question) -> Request:
        row = self.rows_by_id[question.sample_id]
        return make_request(question, self.variant, self.asked, Prompt(row.system, (row.question,)), row.image)

    def images(self) -> Iterator[Image]:
        return (row.image for row in self.table.rows)

    def left_out(self, cell: Cell) -> int:
        return sum(row.group == cell and self._is_skipped(row) for row in self.table.rows)

    def expected_output_tokens(self, cell: Cell) -> int:  # noqa: ARG002 (nothing is known of them)
        return EXPECTED_TOKENS

    def describe(self) -> Mapping[str, Any]:
        groups: dict[str, list[TableRow]] = {cell: [] for cell in self.cells()}
        for row in self.table.rows:
            groups[row.group].append(row)
        kinds = {name: kind.__name__ for name, kind in self.table.find_kinds().items()}
        return {
            "prompt_digests": {
                group: digest_content([(row.id, row.system, row.question) for row in rows])
                for group, rows in groups.items()
            },
            "data_digests": {
                group: digest_content([(row.id, row.image.digest) for row in rows]) for group, rows in groups.items()
            },
            "table_columns": {"roles": dict(self.table.columns), "others": kinds},
        }

    @property
    def find_fault(self) -> None:
        return None

    def conclude(self, store: CheckpointStore) -> None: ...

    def check_folder(self, store: CheckpointStore) -> None:
        """Raises VluresError for answers to rows that have another group now: they would be paid for again."""
        moved = [
            (cell, sample_id)
            for cell in store.cells
            for sample_id, entry in store.entries(cell).items()
            if entry.status in FINAL_STATUSES
            and (row := self.rows_by_id.get(sample_id)) is not None
            and row.group != cell
            and store.entry(Cell(row.group), sample_id) is None
        ]
        if moved:
            cell, sample_id = moved[0]
            raise VluresError(
                f"{store.folder} has {counted(len(moved), 'answer')} to rows that are in another group now: "
                f"{sample_id!r} was in {cell!r} and is in {self.rows_by_id[sample_id].group!r}. Give them back their "
                "groups, or new IDs, or give this run another --name."
            )

    def mark_folder(self, store: CheckpointStore) -> None: ...

    def notes(self) -> Iterator[str]:
        if self.table.errors:
            count = sum(error.times for error in self.table.errors)
            rows = f"{counted(count, 'row', 'is', 'are')} left out of {self.table.path}"
            yield f"{rows}; `{_name_check(self.table)}` names them."
        if doubtful := sum(looks_double_encoded(row.question) for row in self.table.rows):
            yield describe_double_encoded(doubtful)

    @cached_property
    def rows_by_id(self) -> Mapping[str, TableRow]:
        return {row.id: row for row in self.table.rows}

    def _is_skipped(self, row: TableRow) -> bool:
        return self.skips is not None and self.skips(row.image)


def _name_check(table: QuestionTable) -> str:
    return name_check("table", table.path, table.folder)


def load_benchmark(options: Options, asked: AskedModel, skips: Skips | None) -> TableBenchmark:
    """Read the table and its images.

    Raises UsageError for columns that cannot be found and, where nothing is left out, VluresError for wrong rows.
    """
    table = read_table(options)
    if table.errors and skips is None:
        raise refuse_data(table.path, table.errors, _name_check(table), "rows")
    if not table.rows:
        raise VluresError(f"{table.path} has no row that can be asked; see why with `{_name_check(table)}`.")
    return TableBenchmark(table, asked, skips)


def check_data(options: Options, image_check: ImageCheck, tell: Callable[[str], None]) -> bool:
    """Report what a table holds and everything wrong with it. Returns whether it has no errors."""
    from tabulate import tabulate

    table = read_table(options)
    checked = image_check.find_problems((row.image for row in table.rows), table.folder)
    table = replace(table, problems=(*table.problems, *checked, *_find_unnamed(table, options)))
    groups: dict[str, list[TableRow]] = {}
    for row in table.rows:
        groups.setdefault(row.group, []).append(row)
    counts = [
        [
            as_line(group),
            len(rows),
            len({row.image.digest for row in rows}),
            sum(row.answer is not None for row in rows),
        ]
        for group, rows in groups.items()
    ]
    tell(tabulate(counts, ["group", "questions", "images", "with an answer"], tablefmt="simple"))
    roles = ", ".join(f"{role} = {name!r}" for role, name in table.columns.items())
    others = f"; others: {', '.join(map(repr, table.other_columns))}" if table.other_columns else ""
    tell(as_line(f"columns: {roles}{others}"))
    for problem in table.problems:
        tell(as_line(f"{problem.severity}: {', '.join(problem.files)}: {problem.reason}"))
    return not table.errors


def _find_unnamed(table: QuestionTable, options: Options) -> tuple[Problem, ...]:
    """Notes about the files in the folder of images that no row names; images only, where that is the table's own
    folder. None where only some rows were read."""
    if options.limit is not None or options.samples:
        return ()
    taken = {os.path.realpath(path) for path in (*table.paths, table.path)}
    folders = {str(parent) for path in taken for parent in Path(path).parents}
    paths = [path for path in table.folder.iterdir() if os.path.realpath(path) not in taken | folders]
    if options.dataset is None:
        paths = [path for path in paths if find_kind_by_name(path) is not None and not path.name.startswith(".")]
    images = [path for path in paths if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()]
    expected = f"no row of {table.path.name} names it"
    left = set(paths).difference(images)
    found = find_left_files(left, Bounds(table.folder), table.folder, expected, lambda _: "note")
    return (*note_files(sorted(path.name for path in images), expected), *found)
