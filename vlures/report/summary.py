"""The first part of a report, in plain HTML: it prints, needs no script and is found by a search in the page."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vlures.errors import counted
from vlures.judge.report import summarise_judge
from vlures.judge.verdicts import JUDGED
from vlures.pricing import format_usd
from vlures.records import STATUSES, Cell
from vlures.report.entries import Shown, ShownRun
from vlures.report.html import folded, line, table, text
from vlures.report.languages import language_of
from vlures.report.numbers import LONGEST_OPEN, describe_numbers
from vlures.report.prompts import AskedPrompt, read_prompts
from vlures.store.small_files import read_small_file

SANDBOX = "SANDBOX: synthetic answers, given by no model."
SOME_SANDBOX = "SANDBOX: some answers or verdicts are synthetic, given by no model."
LICENCE = (
    "Images and texts belong to their owners. The data of VLURes are under CC BY-NC-SA 4.0, other data under the terms "
    "of those who made them; whoever passes on this page with images passes on the images. --no-images leaves them out."
)
USUAL = frozenset(
    {
        *("time", "versions", "benchmark", "provider", "mode", "model", "parameters", "config", "planned"),
        *("allowances", "prompt_digests", "data_digests", "data_sources", "text_languages"),
    }
)
"""What every run.json holds. Anything else in a judge's is its wording, and is shown whole."""
NOT_SET: tuple[object, ...] = (None, "", [], {}, False)


def describe_runs(shown: Shown, say: Callable[[str], None]) -> Iterator[str]:
    """The sections on what was run, what came of it, what it cost, what the numbers are, and by which words. say:
    called with a sentence about what the tables lack."""
    yield _section("what", "What was run", _runs(shown.runs))
    yield _section("counts", "What came of it", _counts(shown))
    folders = {run.folder: run.name for run in shown.runs}
    numbers = "".join(describe_numbers(list(folders), say)) if shown.entries else "<p>There are no answers yet.</p>"
    yield _section("numbers", "The numbers", _judged(folders) + numbers)
    yield _section("wording", "By which words", "".join(_wording(shown)))


def _section(name: str, title: str, content: str) -> str:
    return f'<section id="{name}"><h2>{line(title)}</h2>{content}</section>'


def find_banner(shown: Shown) -> str:
    """What stands above everything where a sandbox answered; empty where none did."""
    judges = [read_small_file(path) for run in shown.runs for path in find_judge_files(run.folder)]
    synthetic = [run.rehearsal for run in shown.runs] + [
        bool((judge.get("config") or {}).get("sandbox")) for judge in judges
    ]
    if all(synthetic):
        return SANDBOX
    return SOME_SANDBOX if any(synthetic) else ""


def find_judge_files(folder: Path) -> list[Path]:
    """The run.json of each judge of a run."""
    return sorted((folder / JUDGED).glob("*/checkpoints_*/run.json"))


def _runs(runs: Sequence[ShownRun]) -> str:
    names = ["", *(run.label for run in runs)]
    rows = [
        ["Model asked", *(run.run.get("model") or "unknown" for run in runs)],
        ["Model that answered", *(_name_models(run) for run in runs)],
        ["Provider", *(f"{run.run.get('provider') or 'unknown'}, {run.run.get('mode') or ''}" for run in runs)],
        ["Benchmark", *(f"{run.benchmark}, {run.variant.label}" for run in runs)],
        ["First answer", *((run.times or ["none"])[0] for run in runs)],
        ["Last answer", *((run.times or ["none"])[-1] for run in runs)],
        ["Parameters", *(_as_words(run.run.get("parameters")) or "the provider’s own" for run in runs)],
        ["Versions", *(_as_words(run.run.get("versions")) or "unknown" for run in runs)],
        ["Data", *(_as_words(run.run.get("data_digests")) or "unknown" for run in runs)],
        ["Source of the data", *(_as_words(run.run.get("data_sources")) or "local files" for run in runs)],
        ["Folder", *(run.folder.as_posix() for run in runs)],
    ]
    settings = "".join(folded(f"All settings of {run.label}", _settings(run.run)) for run in runs)
    return table("Runs", names, rows) + settings + f"<p>{line(LICENCE)}</p>"


def _name_models(run: ShownRun) -> str:
    if len(run.answered_by) == 1:
        return next(iter(run.answered_by))
    return ", ".join(f"{model} ({count:,})" for model, count in run.answered_by.most_common()) or "not said"


def _as_words(values: Any) -> str:
    if not isinstance(values, Mapping):
        return str(values or "")
    return ", ".join(
        f"{name} {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for name, value in values.items()
    )


def _settings(run: Mapping[str, Any]) -> str:
    """Options that are set, then the digests of what was asked."""
    config = run.get("config") or {}
    given = [(name, _as_text(value)) for name, value in config.items() if value not in NOT_SET]
    digests = sorted((run.get("prompt_digests") or {}).items())
    return table("Options", ["option", "value"], given) + table("Digests of the prompts", ["cell", "digest"], digests)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _counts(shown: Shown) -> str:
    runs = shown.runs
    totals = table(
        "Answers by status",
        ["run", *STATUSES, "due", "cost", "verdicts"],
        [
            [
                run.label,
                *(f"{run.summary['status'].get(status, 0):,}" for status in STATUSES),
                f"{run.summary['due']:,}",
                _cost(run, run.summary["cost_usd"]),
                f"{_count_verdicts(shown, run):,}",
            ]
            for run in runs
        ],
        numbers=True,
    )
    cells = _titles(shown)
    by_cell = table(
        "Answers by cell: ok of all that were asked",
        ["cell", *(run.label for run in runs)],
        [[title, *(_of_cell(run, cell) for run in runs)] for cell, title in cells.items()],
        numbers=True,
    )
    costs = table(
        "Costs by cell",
        ["cell", *(run.label for run in runs)],
        [[title, *(_cost_of_cell(run, cell) for run in runs)] for cell, title in cells.items()],
        numbers=True,
    )
    notes = "".join(f"<li>{line(note)}</li>" for note in shown.notes)
    missing = f"<h3>What cannot be shown</h3><ul>{notes}</ul>" if notes else ""
    cells_shown = by_cell if len(cells) <= LONGEST_OPEN else folded(f"Answers by cell ({len(cells)} rows)", by_cell)
    return totals + cells_shown + folded("Costs by cell", costs) + missing


def _titles(shown: Shown) -> dict[Cell, str]:
    """Of every cell that a run has or plans, in the order of the entries."""
    titles = {entry.cell: entry.heading.title for entry in shown.entries}
    for run in shown.runs:
        for cell in run.summary["cells"]:
            titles.setdefault(cell, run.package.heading(run.variant, cell).title)
    return titles


def _of_cell(run: ShownRun, cell: Cell) -> str:
    found = run.summary["cells"].get(cell)
    if found is None:
        return "–"
    counts = found["status"]
    others = [f"{counts[status]:,} {status}" for status in STATUSES[1:] if counts.get(status)]
    others += [f"{found['due']:,} due"] if found["due"] and not counts.get("failed") else []
    asked = sum(counts.values()) + max(0, found["due"] - counts.get("failed", 0))
    return f"{counts.get('ok', 0):,} of {asked:,}" + (f" ({', '.join(others)})" if others else "")


def _cost_of_cell(run: ShownRun, cell: Cell) -> str:
    found = run.summary["cells"].get(cell)
    return "–" if found is None else _cost(run, found["cost_usd"])


def _cost(run: ShownRun, usd: float | None) -> str:
    if usd is None:
        return "unknown"
    return f"$0.00 (for real about {format_usd(usd)})" if run.rehearsal else format_usd(usd)


def _count_verdicts(shown: Shown, run: ShownRun) -> int:
    return sum(
        verdict.overall is not None
        for verdict in shown.verdicts
        if verdict.control is None and (verdict.run, verdict.variant) == (run.name, run.variant.label)
    )


def _judged(folders: Mapping[Path, str]) -> str:
    """What each judge's controls have shown, before any of its scores. folders: with their names."""
    items = []
    for folder, name in folders.items():
        for judge in sorted((folder / JUDGED).glob("*")):
            if judge.is_dir():
                items.append(f"<li>{line(f'{name}: {summarise_judge(judge)}')}</li>")
    return f"<ul>{''.join(items)}</ul>" if items else ""


def _wording(shown: Shown) -> Iterator[str]:
    texts = {(entry.cell, entry.sample_id): entry.text for entry in shown.entries if entry.text}
    titles = _titles(shown)
    yield "<h3>Prompts</h3>"
    seen: dict[tuple[str, str, str], str] = {}
    for run in shown.runs:
        prompts, why = read_prompts(run, texts)
        if why:
            yield f"<p>{line(f'{run.label}: {why}')}</p>"
        content = "".join(_prompt(prompt, titles.get(prompt.cell, prompt.cell), run, seen) for prompt in prompts)
        if content:
            yield folded(f"{run.label}: {counted(len(prompts), 'prompt')}", content)
    judges = {path: run.name for run in shown.runs for path in find_judge_files(run.folder)}
    yield "<h3>Judges</h3>"
    if not judges and not shown.raters:
        yield "<p>No judge has been asked about these answers yet; `vlures judge` asks one.</p>"
    yield from (_judge(path, name) for path, name in judges.items())
    known = {path.parts[-3] for path in judges}
    for name, kind in shown.raters:
        if kind == "judge" and name not in known:
            yield f"<p>{line(f'What {name} was asked is not there: its folder holds verdicts only.')}</p>"


def _prompt(prompt: AskedPrompt, title: str, run: ShownRun, seen: dict[tuple[str, str, str], str]) -> str:
    """A prompt whole, unless another run was shown the same."""
    same = seen.setdefault((prompt.cell, prompt.system, prompt.user), run.label)
    heading = f"<h4>{line(title)}</h4>"
    if same != run.label:
        return f"{heading}<p>{line(f'As in {same}.')}</p>"
    doubt = "" if prompt.is_same else "<p>It or its data have changed since: the answers were given to another.</p>"
    system = f"<p>System</p>{text(prompt.system, language_of(prompt.system))}" if prompt.system else ""
    asked = f"<p>{line(f'To the model, with the image (of sample {prompt.sample_id})')}</p>"
    return f"{heading}{doubt}{system}{asked}{text(prompt.user, language_of(prompt.user))}"


def _judge(path: Path, judged: str) -> str:
    """judged: the name of the run whose answers it judges."""
    run = read_small_file(path)
    name = f"{path.parts[-3]}, of {judged}"
    rows = [
        ["Model asked", run.get("model") or "unknown"],
        ["Provider", f"{run.get('provider') or 'unknown'}, {run.get('mode') or ''}"],
        ["Parameters", _as_words(run.get("parameters")) or "the provider’s own"],
        ["Versions", _as_words(run.get("versions")) or "unknown"],
    ]
    words = "".join(_judge_words(key, value) for key, value in run.items() if key not in USUAL)
    return f"<h4>{line(name)}</h4>{table('Judge', ['', name], rows)}{folded('Its words, whole', words)}"


def _judge_words(key: str, value: Any) -> str:
    """A value of a judge's run.json, whole: tables of it as headings with what stands under each."""
    heading = f"<h5>{line(key)}</h5>"
    if isinstance(value, Mapping) and value:
        return heading + "".join(_judge_words(f"{key} · {name}", inner) for name, inner in value.items())
    if isinstance(value, str) and "\n" in value:
        return heading + text(value, language_of(value))
    return f"<p>{line(f'{key}: {value if isinstance(value, str) else _as_json(value)}')}</p>"


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1)


def describe_left_out(sentences: Iterable[str]) -> str:
    """What the report leaves out, said where the answers begin."""
    items = "".join(f"<li>{line(sentence)}</li>" for sentence in sentences)
    return f'<ul class="left-out">{items}</ul>' if items else ""
