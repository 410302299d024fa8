"""`vlures urban`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vlures.cli.console import EXIT_INCOMPLETE, say, tell
from vlures.cli.options import debug_option
from vlures.cli.urban_launcher import launch, launcher_options, read_launch
from vlures.cli.urban_qa import qa
from vlures.errors import counted

if TYPE_CHECKING:
    from vlures.benchmarks.urban.features.models import Dtype
    from vlures.benchmarks.urban.synthesis.facts import DepthKind


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


@urban.command()
@click.option(
    "--images",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder of the images.",
    metavar="FOLDER",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="A new folder, or that of a run to continue.",
    metavar="FOLDER",
)
@click.option(
    "--depth-model",
    default="Intel/dpt-large",
    show_default=True,
    help="Tells how far everything is. A folder, or an ID on the hub, with @ and a revision if you like.",
    metavar="MODEL",
)
@click.option(
    "--detection-model",
    default="facebook/detr-resnet-50",
    show_default=True,
    help="Finds the objects.",
    metavar="MODEL",
)
@click.option(
    "--segmentation-model",
    default="nvidia/segformer-b5-finetuned-cityscapes-1024-1024",
    show_default=True,
    help="Tells the class of each pixel.",
    metavar="MODEL",
)
@click.option(
    "--depth-kind",
    type=click.Choice(["inverse", "distance"]),
    help="inverse: a larger depth is nearer; distance: it is farther, in metres. By default as is known of the model.",
)
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1 or mps.", metavar="DEVICE")
@click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    default="float32",
    show_default=True,
    help="What the models compute in.",
)
@click.option("--depth-maps", is_flag=True, help="Keep each image's depths as an .npy file, too.")
@debug_option
def features(
    images: Path,
    out: Path,
    depth_model: str,
    detection_model: str,
    segmentation_model: str,
    depth_kind: DepthKind | None,
    device: str,
    dtype: Dtype,
    depth_maps: bool,
) -> int:
    """Let models tell what is in street views, as metadata for questions.

    The folder gets features.json, one JSON list with a record per image, and features.jsonl, from which the same
    command continues after an interruption. Another model, or a changed image, is measured again. Needs
    `pip install 'vlures[local]'`.

    \b
    Example:
      vlures urban features --images photos --out photos-features
    """
    from vlures.benchmarks.urban.features.making import Choice, make_features

    choice = Choice(
        {"depth": depth_model, "detection": detection_model, "segmentation": segmentation_model},
        device,
        dtype,
        depth_kind,
        depth_maps,
    )
    made = make_features(images, out, choice, say)
    tell(f"{made.path}: {made.measured:,} of {counted(made.images, 'image')}")
    return 0 if made.measured == made.images else EXIT_INCOMPLETE
