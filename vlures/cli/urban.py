"""`vlures urban`"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vlures.cli.console import tell
from vlures.cli.options import debug_option
from vlures.cli.urban_launcher import launch, launcher_options, read_launch
from vlures.cli.urban_qa import qa
from vlures.errors import counted


@click.group(invoke_without_command=True, subcommand_metavar="[COMMAND …]")
@launcher_options
@debug_option
@click.pass_context
def urban(context: click.Context, /, **given: Any) -> int:
    """Street views: ask about them, make questions and metadata.

    The options below are those of the benchmark's first launcher: they run and score a model in one go. `vlures run
    --benchmark urban` does the same for every model, with every option.

    \b
    Example:
      vlures urban --framework blip2 --test_json test.jsonl \\
          --image_dir images --out_dir outputs/blip2 --bf16
    """
    if context.invoked_subcommand is not None:
        return 0
    if given["framework"] is None:
        tell(context.get_help())
        return 0
    return launch(read_launch(given))


urban.add_command(qa)


@urban.command()
@click.option("--n", "count", type=click.IntRange(1, 100_000), default=40, show_default=True, help="How many streets.")
@click.option(
    "--size", type=click.IntRange(64, 1024), default=256, show_default=True, help="The image's side, in pixels."
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="A new folder.", metavar="FOLDER"
)
@click.option("--seed", type=int, default=42, show_default=True, help="The same seed draws the same streets.")
@debug_option
def scenes(count: int, size: int, out: Path, seed: int) -> int:
    """Draw streets with questions whose answers are true by construction.

    Sky, buildings, trees, cars and people stand at known depths. The folder gets images/, the QA files train.jsonl,
    val.jsonl and test.jsonl, split by image, and features.json, which says what is where.

    \b
    Example:
      vlures urban scenes --n 400 --size 128 --out data/scenes
    """
    from vlures.benchmarks.urban.scenes.writing import write_scenes

    written = write_scenes(out, count, size, seed)
    for split, images in written.images.items():
        tell(f"{out / split}.jsonl: {counted(written.questions[split], 'question')} about {counted(images, 'image')}")
    tell(f"Ask them: `vlures run --benchmark urban --questions {out / 'test.jsonl'} --dataset {out / 'images'}`")
    return 0
