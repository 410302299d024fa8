"""vlures: a vision-language model's answers to a whole multilingual benchmark.

For programs and notebooks: run, run_async, load, score and show; RunConfig and Outcome; VluresError, UsageError and
Incomplete.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vlures.api import load, run, run_async, score
    from vlures.errors import Incomplete, UsageError, VluresError
    from vlures.results.show import show
    from vlures.runs.config import RunConfig
    from vlures.runs.session import Outcome

__version__ = "0.2.0"

__all__ = [
    "Incomplete",
    "Outcome",
    "RunConfig",
    "UsageError",
    "VluresError",
    "__version__",
    "load",
    "run",
    "run_async",
    "score",
    "show",
]

_HOMES = {
    "run": "api",
    "run_async": "api",
    "load": "api",
    "score": "api",
    "show": "results.show",
    "RunConfig": "runs.config",
    "Outcome": "runs.session",
    "VluresError": "errors",
    "UsageError": "errors",
    "Incomplete": "errors",
}
"""Public name → the module that it is loaded from on first use: the command needs few of them, --help none."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(globals().keys() | _HOMES.keys())
