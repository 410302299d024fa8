"""Scores a run's stored answers, or answers made elsewhere, as their benchmark says, and writes what comes out."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from vlures.benchmarks import (
    BenchmarkPackage,
    Parser,
    Question,
    Scorer,
    Scores,
    find_options,
    find_package,
    require_stored_variants,
)
from vlures.config.resolve import stored_section
from vlures.errors import VluresError
from vlures.files.names import path_as_text
from vlures.files.writing import write_whole
from vlures.records import Response
from vlures.results.files import results_folder
from vlures.results.rehearsal import is_rehearsal
from vlures.store.checkpoints import CheckpointStore

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ScoreFiles:
    """What was scored, and where it was written."""

    scores: Scores
    paths: tuple[Path, ...]
    """scores.json, scores.md and predictions.jsonl."""


def score_run(output_folder: Path, parser: Parser, command: str, say: Say) -> list[ScoreFiles]:
    """Score every variant of a run, each into its results folder.

    command: gives the scores again. Raises VluresError if the folder holds no run that can be scored, or if its
    questions cannot be read.
    """
    found = []
    for package, variant in require_stored_variants(output_folder):
        store = CheckpointStore(output_folder, variant, writable=False, say=say)
        run = store.read_json("run.json")
        scorer = _find_scorer(package, run, store)
        if scorer is None:
            continue
        responses = _read_responses(store)
        about = {
            "run": path_as_text(output_folder),
            "model": run.get("model"),
            "provider": run.get("provider"),
            "rehearsal": is_rehearsal(store),
            "command": command,
        }
        scores = scorer.score(responses, parser, about)
        found.append(ScoreFiles(scores, _write(results_folder(output_folder, variant), parser, scores)))
    if not found:
        raise VluresError(
            f"{output_folder} has no answers that are right or wrong by themselves, so there is nothing to score; read "
            "them with `vlures show`, or in the table of `vlures export`."
        )
    return found


def score_answers(
    benchmark: str, options: Any, answers: Path, parser: Parser, to: Path, command: str, say: Say
) -> ScoreFiles:
    """Score answers that were made elsewhere, into a folder.

    options: the benchmark's own. Raises VluresError as score_run does.
    """
    if any((to / name).resolve() == answers.resolve() for name in score_files(parser)):
        raise VluresError(f"The scores would replace {answers} itself; name another folder with --out.")
    package = find_package(benchmark)
    scorer = package.find_scorer(options)
    if scorer is None:
        raise VluresError(
            f"The answers of --benchmark {benchmark} are not right or wrong by themselves, so there is nothing to "
            "score; name another benchmark."
        )
    responses = scorer.read_answers(answers, say)
    scores = scorer.score(responses, parser, {"answers": path_as_text(answers), "command": command})
    return ScoreFiles(scores, _write(to, parser, scores))


def score_files(parser: Parser) -> tuple[str, str, str]:
    """Names of the files that scores are written into: for programs, for people, and a row per question. Another parser
    has other names, so that neither replaces the other's figures."""
    end = "" if parser == "strict" else f"_{parser}"
    return f"scores{end}.json", f"scores{end}.md", f"predictions{end}.jsonl"


def describe_command(output_folder: Path, parser: Parser) -> str:
    """The command that scores a run."""
    flag = [] if parser == "strict" else ["--parser", parser]
    return shlex.join(["vlures", "score", path_as_text(output_folder), *flag])


def _find_scorer(package: BenchmarkPackage, run: Mapping[str, Any], store: CheckpointStore) -> Scorer | None:
    """Of the benchmark that a run.json names, with the options that it holds."""
    try:
        options = stored_section(find_options(str(run.get("benchmark", "vlures"))), run.get("config") or {})
    except msgspec.ValidationError as error:
        raise VluresError(
            f"{store.folder / 'run.json'} cannot be used ({error}); score with the version of vlures that wrote it."
        ) from error
    return package.find_scorer(options)


def _read_responses(store: CheckpointStore) -> dict[Question, Response]:
    """Every standing response, by its question."""
    responses: dict[Question, Response] = {}
    for cell in store.cells:
        for sample_id, line in store.responses(cell):
            try:
                responses[Question(cell, sample_id)] = msgspec.convert(line, Response)
            except msgspec.ValidationError as error:
                raise VluresError(
                    f"{store.checkpoint_path(cell)}: the answer {line['key']} cannot be read ({error}); correct or "
                    "remove its line."
                ) from error
    return responses


def _write(folder: Path, parser: Parser, scores: Scores) -> tuple[Path, ...]:
    texts = (
        json.dumps(scores.content, ensure_ascii=False, indent=2) + "\n",
        scores.report,
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in scores.predictions),
    )
    paths = tuple(folder / name for name in score_files(parser))
    for path, text in zip(paths, texts, strict=True):
        write_whole(path, text.encode(errors="replace").decode())  # a file's name may hold bytes that are no text
    return paths
