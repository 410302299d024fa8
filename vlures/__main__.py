"""The `vlures` command, and `python -m vlures`."""

from __future__ import annotations

import signal


def main() -> None:
    """Run the command line. A Ctrl-C while the program is being loaded ends it without a traceback."""
    usual = signal.signal(signal.SIGINT, signal.SIG_DFL) if _hears_ctrl_c() else None
    from vlures.cli import main as run

    if usual is not None:
        signal.signal(signal.SIGINT, usual)
    run()


def _hears_ctrl_c() -> bool:
    """A command in the background of a script does not, and must not from now on."""
    return signal.getsignal(signal.SIGINT) is signal.default_int_handler


if __name__ == "__main__":
    main()
