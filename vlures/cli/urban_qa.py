"""`vlures urban qa`"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vlures.cli.console import EXIT_INCOMPLETE, say, tell
from vlures.cli.options import config_file_option, config_option, debug_option
from vlures.cli.run import ask
from vlures.cli.suggestions import suggest_folders
from vlures.errors import UsageError, VluresError, counted

if TYPE_CHECKING:
    from vlures.benchmarks.urban.synthesis.facts import DepthKind
    from vlures.benchmarks.urban.synthesis.metadata import Metadata
    from vlures.benchmarks.urban.synthesis.paraphrases import Answer, Paraphrases
    from vlures.benchmarks.urban.synthesis.qa_set import QaSet
    from vlures.benchmarks.urban.synthesis.report import Tally
    from vlures.benchmarks.urban.synthesis.rows import Row

REPORT = "qa.json"
PARAPHRASES = "paraphrases"
"""The folder of the requests for paraphrases, and of the run that asks them."""
ASKED = ("backend", "mode", "model", "base_url", "concurrency", "max_cost", "sandbox", "fault")
"""Options of a run that the command takes itself; all others may stand in a configuration."""


def _run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for name in reversed(ASKED):
        command = config_option(name)(command)
    decorated: Callable[..., Any] = config_file_option(
        "With --paraphrases: a TOML file with options of the run that asks."
    )(command)
    return decorated


@click.command()
@click.option(
    "--metadata",
    "metadata_file",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="What is known of the images: one JSON list with a record per image.",
    metavar="FILE",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder for the QA files.",
    metavar="FOLDER",
    shell_complete=suggest_folders,
)
@click.option("--seed", type=int, default=42, show_default=True, help="The same seed makes the same files.")
@click.option("--split", default="70,15,15", show_default=True, help="Percentages of the images for train, val, test.")
@click.option("--cot", is_flag=True, help="Add `cot_answer`: reasoning that ends in the answer.")
@click.option(
    "--depth",
    type=click.Choice(["distance", "inverse"]),
    help="What depths mean in records that do not say so. MiDaS gives inverse depth.",
)
@click.option("--constant-labels", is_flag=True, help="Keep subtypes whose answer is always the same.")
@click.option("--skip-problems", is_flag=True, help="Leave out records that cannot be used, and what was not answered.")
@click.option("--force", is_flag=True, help="Replace the QA files that FOLDER has.")
@click.option(
    "--images",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder of the images; by default the one that the metadata's image_path names.",
    metavar="FOLDER",
    shell_complete=suggest_folders,
)
@click.option(
    "--paraphrases",
    type=click.IntRange(1, 10),
    help="Let a model say up to N questions about each image in other words.",
    metavar="N",
)
@_run_options
@debug_option
def qa(
    metadata_file: Path,
    out: Path,
    seed: int,
    split: str,
    depth: DepthKind | None,
    images: Path | None,
    paraphrases: int | None,
    config_file: Path | None,
    cot: bool,
    constant_labels: bool,
    skip_problems: bool,
    force: bool,
    **asked: Any,
) -> int:
    """Make question-answer pairs from metadata of street views.

    The folder gets train.jsonl, val.jsonl and test.jsonl, split by image, and qa.json, which says what they hold and
    what was left out. Subtypes whose answer is always the same are left out.

    \b
    Example:
      vlures urban qa --metadata features.json --out qa --depth inverse
    """
    from vlures.benchmarks.urban.synthesis.qa_set import Choices, make_qa_set, read_shares
    from vlures.benchmarks.urban.synthesis.report import describe_set

    given = {name: value for name, value in asked.items() if value not in (None, ())}
    if paraphrases is None and (given or config_file):
        flag = f"--{next(iter(given), 'config').replace('_', '-')}"
        raise UsageError(f"{flag} is for the model that says questions in other words; add --paraphrases N.")
    shares = read_shares(split)
    _refuse_existing(out, force)
    metadata = _read(metadata_file, depth, skip_problems)
    qa_set = make_qa_set(metadata, Choices(seed, shares, cot, constant_labels))
    folder = images or _find_images(metadata)
    found = None
    if paraphrases is not None:
        given |= {"skip_problems": True} if skip_problems else {}
        code, found = _ask(out, qa_set, paraphrases, folder, config_file, given)
        if found is None:
            return code
    tally = _write(out, qa_set, found, force)
    _write_report(out, describe_set(metadata, depth, qa_set, tally, found))
    _tell(out, qa_set, tally, found, folder)
    return 0


def _refuse_existing(out: Path, force: bool) -> None:
    from vlures.benchmarks.urban.synthesis.qa_set import SPLIT_FILES

    if force:
        return
    for name in (*SPLIT_FILES.values(), REPORT):
        if (out / name).exists():
            raise VluresError(
                f"{out / name} exists already; replace the QA files there with --force, or name another folder with "
                "--out."
            )


def _read(path: Path, depth: DepthKind | None, skip_problems: bool) -> Metadata:
    from vlures.benchmarks.urban.synthesis.metadata import read_metadata

    metadata = read_metadata(path, depth)
    for problem in metadata.problems:
        say(f"{problem.severity}: {', '.join(problem.files)}: {problem.reason}")
    if metadata.left_out and not skip_problems:
        raise VluresError(
            f"{counted(metadata.left_out, 'record')} of {path} cannot be used, as said above; correct them, or leave "
            "them out with --skip-problems."
        )
    if not metadata.facts:
        raise VluresError(f"{path} has no record that can be used; name another metadata file.")
    return metadata


def _find_images(metadata: Metadata) -> Path:
    """The folder of the images, as far as the metadata tell: paths in them begin beside the file."""
    named = next((path for path in metadata.image_paths if path), None)
    folder = metadata.path.parent / Path(named).parent if named else metadata.path.parent
    return folder if folder.is_dir() else metadata.path.parent


def _ask(
    out: Path, qa_set: QaSet, most: int, folder: Path, config_file: Path | None, given: Mapping[str, Any]
) -> tuple[int, Paraphrases | None]:
    """Ask a model for paraphrases, in a run like any other: what is answered is not asked again.

    Returns the exit code, and None where no QA files can be written yet.
    """
    from vlures.benchmarks.urban.synthesis.paraphrases import check_answers, write_requests
    from vlures.files.writing import write_whole
    from vlures.runs.config import load_config

    requests = out / PARAPHRASES / "requests.jsonl"
    write_whole(requests, "".join(write_requests(qa_set, most, _finder(folder))))
    where = {"questions": str(requests), "dataset": str(folder), "output": str(out / PARAPHRASES)}
    config = load_config(config_file, {**given, "benchmark": "table", **where})
    code, outcome = ask(config)
    if outcome is None:
        return code, None
    if outcome.rehearsal:
        say("This was a rehearsal: a sandbox says nothing in other words, so no QA files are written.")
        return code, None
    if code and (outcome.jobs or not given.get("skip_problems") or code != EXIT_INCOMPLETE):
        say(
            "The QA files are written once all paraphrases are answered: give the same command again. With "
            "--skip-problems they are written without those that failed."
        )
        return code, None
    return 0, check_answers(qa_set, most, _read_answers(outcome.output, config.target.model))


def _finder(folder: Path) -> Callable[[str], str]:
    """Image's ID → its path below the folder."""
    from vlures.benchmarks.urban.rows import Images

    found = Images(folder, follow_links=True)

    def find(image_id: str) -> str:
        try:
            path = found.find_path(image_id)
        except (VluresError, OSError, ValueError):  # whatever reads the requests says what is wrong
            path = None
        return image_id if path is None else path.relative_to(folder).as_posix()

    return find


def _read_answers(run: Path, model: str) -> dict[str, Answer]:
    from vlures.benchmarks import open_stores
    from vlures.benchmarks.urban.synthesis.paraphrases import Answer

    return {
        sample_id: Answer(line["status"], line.get("text"), line.get("model") or model)
        for store in open_stores(run, say)
        for cell in store.cells
        for sample_id, line in store.responses(cell)
    }


def _rows(qa_set: QaSet, found: Paraphrases | None) -> Iterator[tuple[str, Row]]:
    """All rows with their splits, each followed by its paraphrase."""
    from vlures.benchmarks.urban.synthesis.paraphrases import id_of, paraphrase_row

    answers = found.answers if found is not None else {}
    for split, row in qa_set.rows():
        yield split, row
        if answers and (answer := answers.get(id_of(row))) is not None:
            yield split, paraphrase_row(row, answer)


def _write(out: Path, qa_set: QaSet, found: Paraphrases | None, force: bool) -> Tally:
    from vlures.benchmarks.urban.synthesis.qa_set import SPLIT_FILES
    from vlures.benchmarks.urban.synthesis.report import Tally
    from vlures.results.new_file import open_new_file

    tally = Tally()
    with ExitStack() as stack:
        files = {
            split: stack.enter_context(open_new_file(out / name, force=force)) for split, name in SPLIT_FILES.items()
        }
        for split, row in _rows(qa_set, found):
            files[split].write(json.dumps(row).encode() + b"\n")
            tally.add(split, row)
        if not tally.questions:
            raise VluresError(
                "No question is left: the metadata have what none of them needs, or every subtype always has the same "
                "answer; --constant-labels keeps those."
            )
    return tally


def _write_report(out: Path, report: Mapping[str, Any]) -> None:
    from vlures.files.writing import write_whole

    write_whole(out / REPORT, json.dumps(report, indent=2, ensure_ascii=False) + "\n")


def _tell(out: Path, qa_set: QaSet, tally: Tally, found: Paraphrases | None, folder: Path) -> None:
    from vlures.benchmarks.urban.synthesis.paraphrases import describe_refused
    from vlures.benchmarks.urban.synthesis.qa_set import SPLIT_FILES
    from vlures.benchmarks.urban.synthesis.report import (
        describe_left_out,
        tabulate_constants,
        tabulate_left_out,
        tabulate_subtypes,
    )

    tell(tabulate_subtypes(tally))
    if qa_set.constants:
        kept = "kept" if qa_set.choices.constant_labels else "left out; --constant-labels keeps them"
        tell(f"\n{tabulate_constants(qa_set)}")
        say(f"Subtypes whose answer is always the same tell nothing about a model: they are {kept}.")
    if describe_left_out(qa_set):
        tell(f"\n{tabulate_left_out(qa_set)}\n")
    for sentence in describe_refused(found) if found is not None else ():
        say(sentence)
    for split, name in SPLIT_FILES.items():
        questions, images = tally.questions[split], len(tally.images[split])
        tell(f"{out / name}: {counted(questions, 'question')} about {counted(images, 'image')}")
    tell(f"Ask them: `vlures run --benchmark urban --questions {out / SPLIT_FILES['test']} --dataset {folder}`")
