"""One table of all that a run has stored, for pandas, polars and Hugging Face `datasets`: a row per standing response.

Rows come by variant, then sample, then cell, are read one by one and written in pieces: a million answers need the
memory of the store's index and of one piece. Image and article of a row are those that were asked about, or empty.
"""

from __future__ import annotations

import base64
import codecs
import csv
import heapq
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO, Literal, get_args

import msgspec

from vlures.benchmarks import BenchmarkPackage, Head, Question, Subject, Subjects, require_stored_variants
from vlures.benchmarks.columns import WHAT, WHO
from vlures.errors import UsageError, VluresError
from vlures.files.names import path_as_text
from vlures.images import IMAGES_HELD, read_bytes
from vlures.records import Cell, Failure, Response, Usage, Variant, is_same_model
from vlures.store.checkpoints import CheckpointStore
from vlures.store.due import count_left
from vlures.store.small_files import read_small_file

Format = Literal["jsonl", "parquet", "csv"]
FORMATS: tuple[Format, ...] = get_args(Format)

Row = dict[str, Any]
_FORMULA = re.compile(r"""[\s"'“”‘’`\u200b-\u200f\ufeff]*[=+\-@＝＋－＠]|[\t\r\n]""")
"""What a spreadsheet takes for a formula, also behind blanks and quotation marks, and in full width."""
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)*(e[+-]?\d+)?%?", re.IGNORECASE)

PIECE_ROWS = 10_000
PIECE_BYTES = 32_000_000
"""A row group of a Parquet file holds no more than this, in about."""

ALL_DIFFERENT = frozenset({"sample_id", "key", "answer", "reasoning", "response_id", "latency_s", "digest"})
"""Columns in which a dictionary of the values spares nothing. The others have one: a picture that all cells of a sample
share stands once in a row group."""
LARGEST_DICTIONARY_BYTES = 1 << 30


@dataclass(slots=True)
class Exported:
    """What was written."""

    statuses: Counter[str] = field(default_factory=Counter)
    due: int = 0
    """Requests that have no answer yet or are to be asked again, failures included."""


def choose_format(wanted: str | None, out: Path | None) -> Format:
    """The format asked for, or what the file's name ends in, or jsonl.

    Raises UsageError if they contradict each other or say nothing.
    """
    suffix = out.suffix.lower().lstrip(".") if out is not None else ""
    for form in FORMATS:
        if wanted == form:
            if suffix in FORMATS and suffix != form:
                raise UsageError(f"--format {form} does not fit --out {out}; give that file another ending.")
            return form
    if out is None or str(out) == "-":
        return "jsonl"
    for form in FORMATS:
        if suffix == form:
            return form
    raise UsageError(f"--out {out} does not say what to write; add --format {' or '.join(FORMATS)}.")


def check_format(form: Format, *, with_images: bool, to_stdout: bool) -> None:
    """Raises UsageError for what a format cannot hold, VluresError if its package is not installed."""
    if form == "csv" and with_images:
        raise UsageError("A CSV file holds no images; use --format parquet or jsonl with --with-images.")
    if form == "parquet" and to_stdout:
        raise UsageError("Parquet is not written to standard output; name a file with --out, or use --format jsonl.")
    if form == "parquet" and find_spec("pyarrow") is None:
        raise VluresError(
            "Parquet needs the package pyarrow; get it with `pip install 'vlures[parquet]'`, or use --format jsonl."
        )


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
    """Write the table of all variants of a run to a file, whole or not at all, or to one that is open.

    force: replace a file that is there. raw_cells: in CSV, leave texts that a spreadsheet would run as they are. say: called with a sentence about what stays empty. Raises VluresError if the
    folder holds no run, if the file is there or cannot be written, if a stored line cannot be read, or if an image is
    wanted that is gone or is not what was asked about.
    """
    variants = require_stored_variants(output_folder)
    columns, _ = find_columns(output_folder)
    exported = Exported()
    with _open_whole(to, force) if isinstance(to, Path) else nullcontext(to) as file:
        standing = _all_standing(output_folder, variants, form if with_images else None, exported, say)
        rows = (answer.row for answer in standing)
        if len({package for package, _ in variants}) > 1:
            rows = (_fill_up(row, columns) for row in rows)
        if form == "jsonl":
            _write_jsonl(rows, file)
        elif form == "csv":
            _write_csv(rows, columns, file, raw_cells)
        else:
            _write_parquet(rows, columns, file, with_images)
        file.flush()
    return exported


@dataclass(frozen=True, slots=True)
class Standing:
    """A standing response as a row of the table, and what the row is made of."""

    row: Row
    response: Response
    subject: Subject | None
    """None where it is not there or has changed since."""
    run: Mapping[str, Any]
    """The run.json of its variant."""
    package: BenchmarkPackage
    cell: Cell
    variant: Variant
    head: Head


def read_standing(
    output_folder: Path, say: Callable[[str], None], *, sample_id: str | None = None
) -> Iterator[Standing]:
    """All standing responses of a run, in all its variants, or those about one sample.

    Raises VluresError if the folder holds no run, or if a stored line cannot be read.
    """
    return _all_standing(output_folder, require_stored_variants(output_folder), None, Exported(), say, sample_id)


def find_columns(output_folder: Path) -> tuple[dict[str, type], dict[str, type]]:
    """The columns of a run's table, with their types; and those that only this machine knows."""
    question: dict[str, type] = {}
    subject: dict[str, type] = {}
    local: dict[str, type] = {}
    for package, variant in require_stored_variants(output_folder):
        columns = package.columns(read_small_file(output_folder / f"checkpoints_{variant.label}" / "run.json"))
        question |= columns.question
        subject |= columns.subject
        local |= columns.local
    return WHO | question | WHAT | subject, local


@contextmanager
def _open_whole(path: Path, force: bool) -> Iterator[BinaryIO]:
    """A new file that appears under its name when all of it is written and on the disk, and otherwise not at all."""
    scratch = path.with_name(f".{path.name}.new")
    if path.exists() and not force:
        raise VluresError(f"{path} is there already; replace it with --force, or name another file with --out.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if force:
            scratch.unlink(missing_ok=True)
        file = scratch.open("xb")
    except FileExistsError as error:
        raise VluresError(
            f"{scratch} is there: another export is writing it, or one was killed. If none is, add --force."
        ) from error
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    except OSError as error:
        if error.filename is not None and Path(error.filename) != scratch:
            raise  # of a file that was to be read
        raise _unwritable(path, error) from error
    finally:
        with suppress(OSError):
            scratch.unlink(missing_ok=True)


def _unwritable(path: Path, error: OSError) -> VluresError:
    return VluresError(
        f"{path} cannot be written ({error.strerror}); nothing of it was kept. Make room, or name another file with --out."
    )


# Rows


def _fill_up(row: Row, columns: Iterable[str]) -> Row:
    """The row with the columns of the folder's other benchmarks, empty."""
    return {**dict.fromkeys(columns), **row}


def _all_standing(
    output_folder: Path,
    variants: Iterable[tuple[BenchmarkPackage, Variant]],
    images_for: Format | None,
    exported: Exported,
    say: Callable[[str], None],
    only: str | None = None,
) -> Iterator[Standing]:
    """images_for: the format that the images themselves are wanted in, if they are. only: the ID of the only sample that
    is wanted."""
    for package, variant in variants:
        store = CheckpointStore(output_folder, variant, writable=False, say=say)
        run = store.read_json("run.json")
        exported.due += sum(left.due + left.in_flight for left in count_left(store).values())
        subjects = package.find_subjects(run, store)
        for sentence in subjects.missing:
            if images_for is not None:
                raise VluresError(
                    f"{sentence}, and --with-images needs it; export from the folder where the run began."
                )
            empty = " and ".join(["image", *package.columns(run).subject])
            say(f"{sentence}; the columns {empty} stay empty.")
        for standing in _rows(output_folder.resolve().name, store, run, package, subjects, images_for, only):
            exported.statuses[standing.response.status] += 1
            yield standing
        if subjects.withheld:
            say(
                f"{subjects.withheld:,} answer(s) in {variant.label} stay without image and article: what they are about was "
                "removed or has changed since, or its prompt has."
            )


def _rows(
    name: str,
    store: CheckpointStore,
    run: Mapping[str, Any],
    package: BenchmarkPackage,
    subjects: Subjects,
    images_for: Format | None,
    only: str | None,
) -> Iterator[Standing]:
    read = lru_cache(IMAGES_HELD)(read_bytes)
    providers = {job.tag: job.provider.lower() for job in store.jobs}
    columns = package.columns(run)
    for sample_id, cell, response in _standing(store, only):
        question = Question(cell, sample_id)
        subject = subjects.find(question, response, wanted=images_for is not None)
        is_latest = _is_of_run(run, subjects, question, response)
        row: Row = {
            "name": name,
            "provider": run.get("provider") if is_latest else providers.get(response.job or ""),
            "mode": None if response.imported else "batch" if response.job else "live",
            "model": run.get("model") if is_latest else response.model,
            "model_answered": response.model,
            **package.describe_question(store.variant, question),
            **_describe_response(response),
            "image": path_as_text(subject.image.path) if subject else None,
            **{name: subject.columns.get(name) if subject else None for name in columns.subject},
        }
        if images_for == "parquet":
            row["image"] = {"bytes": read(subject.image), "path": row["image"]} if subject else None
        elif images_for == "jsonl":
            row["image_base64"] = base64.b64encode(read(subject.image)).decode("ascii") if subject else None
        yield Standing(row, response, subject, run, package, cell, store.variant, package.head(store.variant, cell))


def _describe_response(response: Response) -> Row:
    usage, error = response.usage or Usage(), response.error or Failure("", "")
    return {
        "key": response.key,
        "status": response.status,
        "answer": response.text,
        "reasoning": response.reasoning,
        "finish_reason": response.finish_reason,
        "error_code": error.code or None,
        "error_message": error.message or None,
        "response_id": response.response_id,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_tokens": usage.cached_tokens,
        "thinking_tokens": usage.thinking_tokens,
        "latency_s": response.latency_s,
        "attempts": response.attempts,
        "job": response.job,
        "imported": response.imported,
        "time": response.time,
        "digest": response.digest,
    }


def _is_of_run(run: Mapping[str, Any], subjects: Subjects, question: Question, response: Response) -> bool:
    """Whether the run that run.json describes is the one that asked: one folder may hold answers of several models, kept with
    --stale keep. By the name of the model that answered, else by the digest of the question."""
    if response.imported:  # it is not known who answered to what
        return False
    if response.model is not None and is_same_model(str(run.get("model")), response.model):
        return True
    return bool(response.digest) and subjects.is_asked_today(question, response.digest)


def _standing(store: CheckpointStore, only: str | None) -> Iterator[tuple[str, Cell, Response]]:
    """Every standing response, by sample and then by cell, so that what is about one picture stands together."""
    for sample_id, cell, line in heapq.merge(*(_of_cell(store, cell, only) for cell in store.cells), key=_place):
        try:
            yield sample_id, cell, msgspec.convert(line, Response)
        except msgspec.ValidationError as error:
            raise VluresError(
                f"{store.checkpoint_path(cell)}: the answer {line['key']} cannot be read ({error}); mend or remove its line."
            ) from error


def _place(standing: tuple[str, Cell, dict[str, Any]]) -> tuple[int, str]:
    """As sort_ids orders them."""
    return len(standing[0]), standing[0]


def _of_cell(store: CheckpointStore, cell: Cell, only: str | None) -> Iterator[tuple[str, Cell, dict[str, Any]]]:
    return ((sample_id, cell, line) for sample_id, line in store.responses(cell, only))


# Formats


def _write_jsonl(rows: Iterable[Row], file: BinaryIO) -> None:
    encoder = msgspec.json.Encoder()
    for row in rows:
        file.write(encoder.encode(row) + b"\n")


def as_cell(value: Any) -> Any:
    """A text that a spreadsheet would run as a formula (https://owasp.org/www-community/attacks/CSV_Injection) with a ' before
    it; all other values as they are. A number in words runs nothing."""
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def _write_csv(rows: Iterable[Row], columns: Mapping[str, type], file: BinaryIO, raw_cells: bool) -> None:
    """RFC 4180 in UTF-8: a header, CRLF between rows, line breaks inside answers as they are, nothing for None."""
    writer = csv.writer(codecs.getwriter("utf-8")(file))
    writer.writerow(columns)
    for row in rows:
        values = (
            str(value).lower() if isinstance(value, bool) else value for value in row.values()
        )  # polars knows no True
        writer.writerow(values if raw_cells else map(as_cell, values))


def _write_parquet(rows: Iterable[Row], kinds: Mapping[str, type], file: BinaryIO, with_images: bool) -> None:
    # Loaded on use: it is big, and only those who want Parquet install it.
    import pyarrow as pa  # type: ignore[import-untyped]
    from pyarrow.parquet import ParquetWriter  # type: ignore[import-untyped]

    types = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    columns = {name: types[kind] for name, kind in kinds.items()}
    repeating = [name for name in columns if name not in ALL_DIFFERENT]
    metadata = None
    if with_images:
        columns["image"] = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        repeating += ["image.bytes", "image.path"]
        # Where `datasets` notes, and looks for, what Arrow's own types cannot say (its Features.from_arrow_schema).
        metadata = {"huggingface": json.dumps({"info": {"features": {"image": {"_type": "Image"}}}})}
    schema = pa.schema(columns, metadata=metadata)
    with ParquetWriter(
        file,
        schema,
        compression="zstd",
        use_dictionary=repeating,
        dictionary_pagesize_limit=LARGEST_DICTIONARY_BYTES,
    ) as writer:
        for piece in _pieces(rows):
            arrays = [pa.array([row[name] for row in piece], kind) for name, kind in columns.items()]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _pieces(rows: Iterable[Row]) -> Iterator[list[Row]]:
    piece: list[Row] = []
    size = 0
    for row in rows:
        piece.append(row)
        size += sum(len(value) for value in row.values() if isinstance(value, str))
        size += len(row["image"]["bytes"]) if isinstance(row["image"], dict) else 0
        if len(piece) == PIECE_ROWS or size >= PIECE_BYTES:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece
