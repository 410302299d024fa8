"""Those who ask live: the real command, and bare loops. Each against a server of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bare_server import Behaviour
from measure import VLURES, Child, run_child, run_script, running_server

MODELS = {"openai": "gpt-6-luna", "gemini": "gemini-3.5-flash-lite"}

Run = tuple[Child, dict[str, Any]]
"""What a run took, and what its server saw."""


def ask_by_vlures(
    folder: Path,
    provider: str,
    behaviour: Behaviour,
    concurrency: int,
    options: Sequence[str],
    *,
    complete: bool = True,
) -> Run:
    """`vlures run` in a folder, against a server of its own. complete: whether it must get every answer."""
    with running_server(folder, behaviour) as server:
        command = [VLURES, "run", "--backend", provider, "--mode", "live", "--model", MODELS[provider]]
        command += ["--languages", "En", "--concurrency", str(concurrency), *options]
        command += ["--base-url", server.url if provider == "gemini" else f"{server.url}/openai/v1"]
        environment = {"OPENAI_API_KEY": "dummy", "GEMINI_API_KEY": "dummy"}
        return run_child(command, folder, environment, codes=(0,) if complete else (0, 3)), server.counts()


def ask_by_loop(
    folder: Path, client: str, questions: Path, behaviour: Behaviour, concurrency: int, limit: int = 0
) -> Run:
    """A bare loop, against a server of its own. limit: of the questions; 0 is all of them."""
    with running_server(folder, behaviour) as server:
        child = run_script("bare_loop.py", client, server.url, questions, concurrency, limit, folder=folder)
        return child, server.counts()


def read_lost(child: Child) -> int:
    """How many questions a bare loop had no answer to in the end."""
    return int(json.loads(child.output.splitlines()[-1])["lost"])
