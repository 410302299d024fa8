"""`vlures completion`"""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> int:
    """Print the script that completes this command in your shell.

    Put it where your shell reads it, and open a new shell.

    \b
    Examples:
      echo 'eval "$(vlures completion bash)"' >> ~/.bashrc
      echo 'eval "$(vlures completion zsh)"' >> ~/.zshrc
      vlures completion fish > ~/.config/fish/completions/vlures.fish
    """
    complete = get_completion_class(shell)
    assert complete is not None
    click.echo(complete(context.find_root().command, {}, "vlures", "_VLURES_COMPLETE").source())
    return 0
