"""`vlures sandbox`"""

from __future__ import annotations

import click


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}, add_help_option=False
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def sandbox(arguments: tuple[str, ...]) -> int:
    """Serve the providers' protocols on this machine, for trial runs.

    \b
    Example:
      vlures sandbox --port 8080 --fault 429@gemini:rate=0.1
    """
    from vlures.sandbox.__main__ import main as serve

    try:
        return serve(list(arguments), "vlures sandbox")
    except SystemExit as exit_:  # after its help, or for a wrong option
        return exit_.code if isinstance(exit_.code, int) else 0
