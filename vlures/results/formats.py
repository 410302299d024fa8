"""The formats of an exported table: choosing one, checking what it can hold, writing rows in it."""

from __future__ import annotations

import codecs
import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO, Literal, get_args

import msgspec

from vlures.errors import UsageError, VluresError
from vlures.results.rows import Row

Format = Literal["jsonl", "parquet", "csv"]
FORMATS: tuple[Format, ...] = get_args(Format)

_FORMULA = re.compile(r"""[\s"'“”‘’`\u200b-\u200f\ufeff]*[=+\-@＝＋－＠]|[\t\r\n]""")
"""What a spreadsheet takes for a formula, even after blanks or quotation marks, and in full width."""
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)*(e[+-]?\d+)?%?", re.IGNORECASE)

PIECE_ROWS = 10_000
PIECE_BYTES = 32_000_000
"""A row group of a Parquet file ends once it holds this much."""

ALL_DIFFERENT = frozenset({"sample_id", "key", "answer", "reasoning", "response_id", "latency_s", "digest"})
"""Columns for which a dictionary of the values saves nothing. The others have one: an image that all cells of a sample
share is stored once in a row group."""
LARGEST_DICTIONARY_BYTES = 1 << 30


def choose_format(wanted: str | None, out: Path | None) -> Format:
    """The wanted format, else the one that the file's suffix names, else jsonl.

    Raises UsageError if the two contradict each other or the suffix names none.
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


def write_jsonl(rows: Iterable[Row], file: BinaryIO) -> None:
    encoder = msgspec.json.Encoder()
    for row in rows:
        file.write(encoder.encode(row) + b"\n")


def as_cell(value: Any) -> Any:
    """Put a ' before a text that a spreadsheet would run as a formula
    (https://owasp.org/www-community/attacks/CSV_Injection).

    All other values stay unchanged. A number written as text runs nothing.
    """
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def write_csv(rows: Iterable[Row], columns: Mapping[str, type], file: BinaryIO, *, raw_cells: bool) -> None:
    """RFC 4180 in UTF-8: a header, CRLF between rows, line breaks inside answers kept, nothing for None."""
    writer = csv.writer(codecs.getwriter("utf-8")(file))
    writer.writerow(columns)
    for row in rows:
        values = (
            str(value).lower() if isinstance(value, bool) else value for value in row.values()
        )  # polars does not read "True"
        writer.writerow(values if raw_cells else map(as_cell, values))


def write_parquet(rows: Iterable[Row], kinds: Mapping[str, type], file: BinaryIO, *, with_images: bool) -> None:
    # Loaded on use: it is big, and only users of Parquet install it.
    import pyarrow as pa  # type: ignore[import-untyped]
    from pyarrow.parquet import ParquetWriter  # type: ignore[import-untyped]

    types = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    columns = {name: types[kind] for name, kind in kinds.items()}
    repeating = [name for name in columns if name not in ALL_DIFFERENT]
    metadata = None
    if with_images:
        columns["image"] = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        repeating += ["image.bytes", "image.path"]
        # Where `datasets` stores what Arrow's own types cannot express (see its Features.from_arrow_schema).
        metadata = {"huggingface": json.dumps({"info": {"features": {"image": {"_type": "Image"}}}})}
    schema = pa.schema(columns, metadata=metadata)
    with ParquetWriter(
        file,
        schema,
        compression="zstd",
        use_dictionary=repeating,
        dictionary_pagesize_limit=LARGEST_DICTIONARY_BYTES,
    ) as writer:
        for piece in _split(rows):
            arrays = [pa.array([row[name] for row in piece], kind) for name, kind in columns.items()]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _split(rows: Iterable[Row]) -> Iterator[list[Row]]:
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
