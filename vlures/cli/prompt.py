"""`vlures prompt`"""

from __future__ import annotations

import click

from vlures.benchmarks.vlures.languages import LANGUAGES
from vlures.cli.console import say, tell
from vlures.cli.options import GroupedCommand, config_options
from vlures.cli.suggestions import suggest_from
from vlures.errors import VluresError
from vlures.records import write_schema
from vlures.runs.config import RunConfig
from vlures.safety.control_characters import as_line


@click.command(cls=GroupedCommand, groups=("Who answers", "What is asked", "Model"))
@click.option(
    "--language", "one_language", help="The language, by code or name.", shell_complete=suggest_from(LANGUAGES)
)
@click.option("--task", "one_task", help="The task, by number or code: 1 to 8, or VQA.")
@click.option("--sample", "one_sample", help="The sample's ID.")
@config_options
def prompt(config: RunConfig, one_language: str | None, one_task: str | None, one_sample: str | None) -> int:
    """Print exactly what would be sent for one sample.

    \b
    Example:
      vlures prompt --language Sw --task 7 --sample 3
    """
    from vlures.runs.config import narrow
    from vlures.runs.prepare import prepare, requests_of

    config = narrow(config, {"languages": one_language, "tasks": one_task, "samples": one_sample})
    benchmark = prepare(config, say).benchmark
    request = next(requests_of(benchmark), None)
    if request is None:
        cell = benchmark.variant.title(benchmark.cells()[0])
        raise VluresError(f"{cell} has nothing to ask: no sample selected has the text that the task needs.")
    image = request.image
    tell(as_line(f"── {request.key} ── {request.model}"))
    for name, value in request.parameters.items():
        tell(as_line(f"{name} = {value}"))
    if request.prompt.system:
        tell(f"── system ──\n{request.prompt.system}")
    tell(f"── user: text ──\n{request.prompt.user}")
    if image is not None:
        tell(
            f"── user: image ──\n{as_line(image.path)} ({image.mime_type}, {image.width} × {image.height} pixels, "
            f"{image.size_bytes:,} bytes)"
        )
    if request.schema is not None:
        tell(f"── the answer's JSON schema ──\n{as_line(write_schema(request.schema))}")
    return 0
