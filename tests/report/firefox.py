"""Firefox, driven over WebDriver BiDi, which it speaks by itself: no driver is needed, and nothing is downloaded.

https://w3c.github.io/webdriver-bidi/; Firefox says on stderr where it listens.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp

LISTENS = re.compile(r"WebDriver BiDi listening on (ws://\S+)")
LONGEST_START_S = 60
LONGEST_REPLY_S = 180
EVENTS = ("log.entryAdded", "network.beforeRequestSent")


class Firefox:
    """One tab. Everything that it logs and asks for is kept."""

    def __init__(self, address: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._sent = 0
        self.logged: list[str] = []
        self.requested: list[str] = []
        self._open(address)

    def _open(self, address: str) -> None:
        self._session = self._run(self._connect(address))
        self.send("session.new", capabilities={})
        self.send("session.subscribe", events=list(EVENTS))
        self._tab = self.send("browsingContext.getTree")["contexts"][0]["context"]

    async def _connect(self, address: str) -> aiohttp.ClientSession:
        session = aiohttp.ClientSession()
        self._socket = await session.ws_connect(f"{address}/session", max_msg_size=0)
        return session

    def _run(self, coroutine: Any) -> Any:
        return self._loop.run_until_complete(asyncio.wait_for(coroutine, LONGEST_REPLY_S))

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """What the browser replies. Raises RuntimeError where it refuses."""
        result: dict[str, Any] = self._run(self._send(method, parameters))
        return result

    async def _send(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        self._sent += 1
        await self._socket.send_json({"id": self._sent, "method": method, "params": parameters})
        while True:
            message = await self._socket.receive_json()
            if message.get("id") == self._sent:
                if message["type"] == "error":
                    raise RuntimeError(f"{method}: {message['error']}: {message['message']}")
                result: dict[str, Any] = message["result"]
                return result
            self._keep(message)

    def _keep(self, message: dict[str, Any]) -> None:
        if message.get("method") == "log.entryAdded":
            self.logged.append(message["params"]["text"])
        elif message.get("method") == "network.beforeRequestSent":
            self.requested.append(message["params"]["request"]["url"])

    def go(self, address: str) -> None:
        self.send("browsingContext.navigate", context=self._tab, url=address, wait="complete")

    def evaluate(self, expression: str) -> Any:
        """A text, a number or a truth value, of the page; a promise is awaited."""
        target = {"context": self._tab}
        reply = self.send("script.evaluate", expression=expression, target=target, awaitPromise=True)
        if reply["type"] == "exception":
            raise RuntimeError(reply["exceptionDetails"]["text"])
        return reply["result"].get("value")

    def close(self) -> None:
        self._run(self._socket.close())
        self._run(self._session.close())
        self._loop.close()


@contextmanager
def running_firefox(program: str, folder: Path) -> Iterator[Firefox]:
    """A headless Firefox with a new profile in the folder, for as long as the block lasts."""
    command = [program, "--headless", "--no-remote", "--profile", str(folder), "--remote-debugging-port", "0"]
    said = folder / "said"
    with said.open("w") as sink:
        process = subprocess.Popen(
            command, stdout=sink, stderr=sink, env={"HOME": str(folder), "PATH": "/usr/bin:/bin"}
        )
        try:
            firefox = Firefox(_wait_for_address(process, said))
            try:
                yield firefox
            finally:
                firefox.close()
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait_for_address(process: subprocess.Popen[bytes], said: Path) -> str:
    for _ in range(LONGEST_START_S * 10):
        if found := LISTENS.search(said.read_text(errors="replace")):
            return found[1]
        try:
            process.wait(timeout=0.1)
        except subprocess.TimeoutExpired:
            continue
        break
    raise RuntimeError(f"Firefox did not start: {said.read_text(errors='replace')[-2000:]}")
