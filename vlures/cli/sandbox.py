"""`vlures sandbox`"""

from __future__ import annotations

import click


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}, add_help_option=False
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def sandbox(arguments: tuple[str, ...]) -> int:
    """Serve OpenAI's and Gemini's protocols on this machine, with synthetic answers and faults on request.

    Example: vlures sandbox --port 8080 --fault 429@gemini:rate=0.1
    """
    from vlures.sandbox.__main__ import main as serve

    return serve(list(arguments))
