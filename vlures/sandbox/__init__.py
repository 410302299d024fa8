"""The sandbox: a server on loopback that speaks OpenAI's and Gemini's own protocols with synthetic answers."""

from collections.abc import Callable

from vlures.sandbox.faults.fault import Fault, parse_fault
from vlures.sandbox.faults.kinds import FAULT_KINDS
from vlures.sandbox.settings import SandboxSettings

__all__ = ["FAULT_KINDS", "Fault", "SandboxSettings", "parse_fault", "serve"]


async def serve(settings: SandboxSettings, ready: Callable[[str], None]) -> None:
    """Serve until cancelled; call `ready` with the base URL (`http://127.0.0.1:43211`) once requests are answered.

    Raises UsageError for a host that is not loopback, and for a port or state folder in use.
    """
    from vlures.sandbox.server import serve_sandbox  # aiohttp and Pillow load only for a server

    await serve_sandbox(settings, ready)
