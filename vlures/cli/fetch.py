"""`vlures fetch`"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from vlures.cli.console import say, tell
from vlures.cli.options import debug_option
from vlures.errors import UsageError


@click.command()
@click.argument("repository", default="atamiles/VLURes")
@click.option("--to", type=click.Path(path_type=Path, file_okay=False), help="The folder; by default data/NAME.")
@click.option("--revision", help="A commit, branch or tag; by default the newest, or the one in the folder.")
@click.option("--yes", is_flag=True, help="Agree to the licence without being asked.")
@debug_option
def fetch(repository: str, to: Path | None, revision: str | None, yes: bool) -> int:
    """Download a dataset from the Hugging Face Hub.

    REPOSITORY is its name there; by default the published data, atamiles/VLURes. The licence is shown, and you agree to
    it once. Run the command again to continue after an interruption, or to check that every file is still as published.

    \b
    Example:
      vlures fetch --yes && vlures check --dataset data/VLURes
    """
    from vlures.benchmarks.vlures.dataset import read_fetched
    from vlures.benchmarks.vlures.download import check_folder, is_confirmed
    from vlures.benchmarks.vlures.download import fetch as fetch_offer
    from vlures.benchmarks.vlures.hub import describe_licence, find_hub, find_offer
    from vlures.config.environment import read_environment

    folder = to or Path("data") / repository.rpartition("/")[2]
    offer = find_offer(repository, revision, find_hub(read_environment()), read_fetched(folder))
    check_folder(offer, folder)
    size = f"{len(offer.files):,} files, {offer.size_bytes / 1e6:,.1f} MB"
    tell(f"{repository}, revision {offer.revision}: {size}, into {folder}")
    tell(describe_licence(offer))
    if offer.newest != offer.revision and revision is None:
        say(f"There is a newer revision, {offer.newest}; fetch it with --revision {offer.newest} --to another folder.")
    if not yes and not is_confirmed(offer, folder):
        if not sys.stdin.isatty():
            raise UsageError("The licence must be agreed to once: add --yes if you agree.")
        click.confirm("Do you agree, and start the download?", abort=True)
    fetched = fetch_offer(offer, folder, say, show_progress=sys.stderr.isatty())
    tell(f"{folder} has all {fetched.files:,} files, each with its published checksum.")
    tell(f"Look at it with `vlures check --dataset {folder}`.")
    return 0
