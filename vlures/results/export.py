"""One table of all that a run has stored, for pandas, polars and Hugging Face `datasets`: a row per standing response.

Rows come by setting, then sample, then cell, are read one by one and written in pieces: a million answers need the
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
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache, partial
from importlib.util import find_spec
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO, Literal, get_args

import msgspec

from vlures.backends.models import is_same_model
from vlures.benchmarks.vlures.benchmark import Benchmark, digest_data, find_language_reading, load_prompts
from vlures.benchmarks.vlures.dataset import Reading, Selection, load_reading
from vlures.config.run_config import FIELDS, RunConfig
from vlures.errors import UsageError, VluresError
from vlures.images import PICTURES_HELD, read_bytes
from vlures.records import LANGUAGES, SETTINGS, TASKS, Cell, Dataset, Failure, Response, Sample, Setting, Usage
from vlures.store.checkpoints import CheckpointStore
from vlures.store.due import count_left

Format = Literal["jsonl", "parquet", "csv"]
FORMATS: tuple[Format, ...] = get_args(Format)

Row = dict[str, Any]
COLUMNS: dict[str, type] = {
    "name": str,
    "provider": str,
    "mode": str,
    "model": str,
    "model_answered": str,
    "setting": str,
    "shots": int,
    "rationales": bool,
    "language": str,
    "language_name": str,
    "task": int,
    "task_code": str,
    "sample_id": int,
    "key": str,
    "status": str,
    "answer": str,
    "reasoning": str,
    "finish_reason": str,
    "error_code": str,
    "error_message": str,
    "response_id": str,
    "input_tokens": int,
    "output_tokens": int,
    "cached_tokens": int,
    "thinking_tokens": int,
    "latency_s": float,
    "attempts": int,
    "job": str,
    "imported": str,
    "time": str,
    "digest": str,
    "image": str,
    "article": str,
}
"""Every table has these columns, in this order, whether or not anything stands in them."""

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
    """What was written. due: requests that have no answer yet or are to be asked again, those that failed included."""

    statuses: Counter[str] = field(default_factory=Counter)
    due: int = 0


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
    """Write the table of all settings of a run to a file, whole or not at all, or to one that is open.

    force: replace a file that is there. raw_cells: in CSV, leave texts that a spreadsheet would run as they are. say: called with a sentence about what stays empty. Raises VluresError if the
    folder holds no run, if the file is there or cannot be written, if a stored line cannot be read, or if an image is
    wanted that is gone or is not what was asked about.
    """
    settings = _find_settings(output_folder)
    exported = Exported()
    with _open_whole(to, force) if isinstance(to, Path) else nullcontext(to) as file:
        standing = _all_standing(output_folder, settings, form if with_images else None, exported, say)
        rows = (answer.row for answer in standing)
        if form == "jsonl":
            _write_jsonl(rows, file)
        elif form == "csv":
            _write_csv(rows, file, raw_cells)
        else:
            _write_parquet(rows, file, with_images)
        file.flush()
    return exported


Load = Callable[[Reading], Dataset]
"""How a dataset is read."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A standing response as a row of the table, and what the row is made of. run: the run.json of its setting. sample:
    what it is about, None where that is not there or has changed since."""

    row: Row
    response: Response
    sample: Sample | None
    run: Mapping[str, Any]


def read_standing(
    output_folder: Path, say: Callable[[str], None], *, sample_id: int | None = None, load: Load = load_reading
) -> Iterator[Standing]:
    """All standing responses of a run, in all its settings, or those about one sample.

    Raises VluresError if the folder holds no run, or if a stored line cannot be read.
    """
    return _all_standing(output_folder, _find_settings(output_folder), None, Exported(), say, sample_id, load)


def _find_settings(output_folder: Path) -> list[Setting]:
    settings = [setting for setting in SETTINGS if (output_folder / f"checkpoints_{setting.label}").is_dir()]
    if not settings:
        raise VluresError(f"{output_folder} holds no run; see the runs with `vlures status`.")
    return settings


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


def _all_standing(
    output_folder: Path,
    settings: Iterable[Setting],
    images_for: Format | None,
    exported: Exported,
    say: Callable[[str], None],
    only: int | None = None,
    load: Load = load_reading,
) -> Iterator[Standing]:
    """images_for: the format that the pictures themselves are wanted in, if they are. only: the ID of the only sample that
    is wanted."""
    load = cache(load)
    for setting in settings:
        store = CheckpointStore(output_folder, setting, writable=False, say=say)
        run = store.read_json("run.json")
        exported.due += sum(left.due + left.in_flight for left in count_left(store).values())
        source = _find_source(run, store, load)
        for sentence in source.missing:
            if images_for is not None:
                raise VluresError(
                    f"{sentence}, and --with-images needs it; export from the folder where the run began."
                )
            say(f"{sentence}; the columns image and article stay empty.")
        for standing in _rows(output_folder.resolve().name, store, run, source, images_for, only):
            exported.statuses[standing.response.status] += 1
            yield standing
        if source.withheld:
            say(
                f"{source.withheld:,} answer(s) in {setting.label} stay without image and article: what they are about was "
                "removed or has changed since, or its prompt has."
            )


def _rows(
    name: str,
    store: CheckpointStore,
    run: Mapping[str, Any],
    source: _Source,
    images_for: Format | None,
    only: int | None,
) -> Iterator[Standing]:
    setting = store.setting
    read = lru_cache(PICTURES_HELD)(read_bytes)
    providers = {job.tag: job.provider.lower() for job in store.jobs}
    for sample_id, cell, response in _standing(store, only):
        usage, error = response.usage or Usage(), response.error or Failure("", "")
        language, task = LANGUAGES.get(cell.language), TASKS.get(cell.task)
        sample = source.find(cell, sample_id, response, wanted=images_for is not None)
        is_latest = _is_of_run(run, source, cell, sample_id, response)
        row: Row = {
            "name": name,
            "provider": run.get("provider") if is_latest else providers.get(response.job or ""),
            "mode": None if response.imported else "batch" if response.job else "live",
            "model": run.get("model") if is_latest else response.model,
            "model_answered": response.model,
            "setting": setting.label,
            "shots": setting.shots,
            "rationales": setting.rationales,
            "language": cell.language,
            "language_name": language.name if language else None,
            "task": cell.task,
            "task_code": task.code if task else None,
            "sample_id": sample_id,
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
            "image": write_path(sample.image.path) if sample else None,
            "article": sample.text if sample else None,
        }
        if images_for == "parquet":
            row["image"] = {"bytes": read(sample.image), "path": row["image"]} if sample else None
        elif images_for == "jsonl":
            row["image_base64"] = base64.b64encode(read(sample.image)).decode("ascii") if sample else None
        yield Standing(row, response, sample, run)


def _is_of_run(run: Mapping[str, Any], source: _Source, cell: Cell, sample_id: int, response: Response) -> bool:
    """Whether the run that run.json tells of is the one that asked: one folder may hold answers of several models, kept with
    --stale keep. By the name of the model that answered, else by the digest of the question."""
    if response.imported:  # nobody knows who answered to what
        return False
    if response.model is not None and is_same_model(str(run.get("model")), response.model):
        return True
    return bool(response.digest) and source.is_asked_today(cell, sample_id, response.digest)


def _standing(store: CheckpointStore, only: int | None) -> Iterator[tuple[int, Cell, Response]]:
    """Every standing response, by sample and then by cell, so that what is about one picture stands together."""
    for sample_id, cell, line in heapq.merge(*(_of_cell(store, cell, only) for cell in store.cells), key=itemgetter(0)):
        try:
            yield sample_id, cell, msgspec.convert(line, Response)
        except msgspec.ValidationError as error:
            raise VluresError(
                f"{store.checkpoint_path(cell)}: the answer {line['key']} cannot be read ({error}); mend or remove its line."
            ) from error


def _of_cell(store: CheckpointStore, cell: Cell, only: int | None) -> Iterator[tuple[int, Cell, dict[str, Any]]]:
    return ((sample_id, cell, line) for sample_id, line in store.responses(cell, only))


# What the answers are about


@dataclass(frozen=True, slots=True)
class _Asked:
    """A language's samples today. then: what they must still be asked, to be what was asked; None if no sample has
    changed since the last run. ask: gives the questions of today."""

    folder: Path
    samples: Mapping[int, Sample]
    then: Benchmark | None
    ask: Callable[[], Benchmark]


@dataclass(slots=True)
class _Source:
    """The images and articles that a setting's answers are about, by language.

    missing: what is not there at all, each a sentence without its end. withheld: how many answers had to stay without.
    """

    asked: dict[str, _Asked] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    withheld: int = 0

    def find(self, cell: Cell, sample_id: int, response: Response, *, wanted: bool) -> Sample | None:
        """The sample that a response is about, or None if it is no longer what was asked about.

        wanted: then raise VluresError instead, unless there never was an answer or it is imported.
        """
        asked = self.asked.get(cell.language)
        if asked is None:
            return None
        sample = asked.samples.get(sample_id)
        if response.status == "failed" or response.imported:  # what was asked about is not known
            return sample
        if sample is not None and (asked.then is None or _is_same(asked.then, cell, sample, response.digest)):
            return sample
        if wanted and sample is None:
            raise VluresError(
                f"{asked.folder} has no usable image with the ID {sample_id} any more, which {response.key} is about; put it "
                "back (`vlures check` may say more), or export without --with-images."
            )
        if wanted and sample is not None:
            raise VluresError(
                f"{sample.image.path} is not what {response.key} is about: it, its article or the prompt has changed since. "
                "Put the old one back, ask again (`vlures run --stale redo`), or export without --with-images."
            )
        self.withheld += 1
        return None

    def is_asked_today(self, cell: Cell, sample_id: int, digest: str) -> bool:
        """Whether the last run's configuration asks this question of today's sample."""
        asked = self.asked.get(cell.language)
        sample = asked.samples.get(sample_id) if asked else None
        return asked is not None and sample is not None and _is_same(asked.ask(), cell, sample, digest)


def _find_source(run: Mapping[str, Any], store: CheckpointStore, load: Load) -> _Source:
    source = _Source()
    config = _stored_config(run)
    if config is None:
        source.missing.append(f"{store.folder / 'run.json'} does not say which dataset was asked about")
        return source
    absent: dict[Path, list[str]] = {}
    for code in sorted({cell.language for cell in store.cells} & LANGUAGES.keys()):
        if isinstance(config.dataset, dict) and code not in config.dataset:
            source.missing.append(f"{store.folder / 'run.json'} names no dataset folder for {LANGUAGES[code].name}")
            continue
        folder = config.dataset_folder(LANGUAGES[code])
        try:
            dataset = load(find_language_reading(config, LANGUAGES[code], _answered(store, code)))
        except VluresError:
            absent.setdefault(folder, []).append(LANGUAGES[code].name)
            continue
        samples = {sample.id: sample for sample in dataset.samples}
        unchanged = run.get("data_digests", {}).get(code) == digest_data(dataset)
        ask = cache(partial(_questions, config, code, dataset))
        source.asked[code] = _Asked(folder, samples, None if unchanged else ask(), ask)
    for folder, names in absent.items():
        source.missing.append(
            f"Seen from here, the dataset folder {folder} ({', '.join(names)}) is not there or has no images"
        )
    return source


def _answered(store: CheckpointStore, code: str) -> Selection:
    """Of a table, only the samples that there is something about."""
    return Selection(
        frozenset(number for cell in store.cells if cell.language == code for number in store.entries(cell))
    )


def _stored_config(run: Mapping[str, Any]) -> RunConfig | None:
    """The configuration of the last run; None if it is not there or of a kind that is no longer known."""
    if "config" not in run:
        return None
    try:
        return msgspec.convert({key: value for key, value in run["config"].items() if key in FIELDS}, RunConfig)
    except msgspec.ValidationError:
        return None


def _questions(config: RunConfig, code: str, dataset: Dataset) -> Benchmark:
    """All that today's images, articles and prompts would ask in a language."""
    config = replace(config, languages=(code,), tasks=tuple(TASKS))
    try:
        prompts = load_prompts(config)
    except VluresError:  # a pack is gone or broken: nothing can be told to be the same
        prompts = {}
    return Benchmark(config, {code: dataset}, prompts)


def _is_same(then: Benchmark, cell: Cell, sample: Sample, digest: str) -> bool:
    return cell in then.prompts and then.request(cell, sample).digest == digest


# Formats


def _write_jsonl(rows: Iterable[Row], file: BinaryIO) -> None:
    encoder = msgspec.json.Encoder()
    for row in rows:
        file.write(encoder.encode(row) + b"\n")


def write_path(path: Path) -> str:
    """A file's path as a text; bytes of its name that are not UTF-8, as old archives bring them, become a mark."""
    return path.as_posix().encode(errors="surrogateescape").decode(errors="replace")


def as_cell(value: Any) -> Any:
    """A text that a spreadsheet would run as a formula (https://owasp.org/www-community/attacks/CSV_Injection) with a ' before
    it; all other values as they are. A number in words runs nothing."""
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def _write_csv(rows: Iterable[Row], file: BinaryIO, raw_cells: bool) -> None:
    """RFC 4180 in UTF-8: a header, CRLF between rows, line breaks inside answers as they are, nothing for None."""
    writer = csv.writer(codecs.getwriter("utf-8")(file))
    writer.writerow(COLUMNS)
    for row in rows:
        row["rationales"] = "true" if row["rationales"] else "false"  # polars knows no True
        writer.writerow(row.values() if raw_cells else map(as_cell, row.values()))


def _write_parquet(rows: Iterable[Row], file: BinaryIO, with_images: bool) -> None:
    # Loaded on use: it is big, and only those who want Parquet install it.
    import pyarrow as pa  # type: ignore[import-untyped]
    from pyarrow.parquet import ParquetWriter  # type: ignore[import-untyped]

    types = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    columns = {name: types[kind] for name, kind in COLUMNS.items()}
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
        size += sum(len(row[name]) for name in ("answer", "reasoning", "article") if row[name])
        size += len(row["image"]["bytes"]) if isinstance(row["image"], dict) else 0
        if len(piece) == PIECE_ROWS or size >= PIECE_BYTES:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece
