"""What a request costs through each of the SDKs' doors: `python tests/speed/doors.py [--requests N] [--only WORD]`.

Every door sends the same chat completion, or generateContent, with one image of 100 KB to a bare server that takes
200 ms, 20 and 100 at a time, each in a process of its own. CPU is that of the loop alone, after one request to warm up.
`doors.py DOOR URL CONCURRENCY REQUESTS TURNS` is such a process.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NoReturn

from bare_server import Behaviour
from measure import Table, conditions, print_table, run_script, running_server

IMAGE_BYTES = 100_000
LATENCY_S = 0.2
SYSTEM = "You describe pictures. " * 60
TEXT = "What stands where, and why? " * 60

Ask = Callable[[], Awaitable[object]]
Door = Callable[[str, int], AbstractAsyncContextManager[Ask]]
"""URL, concurrency → a call that sends one request and reads the text of its answer."""

IMAGE = random.Random(1).randbytes(IMAGE_BYTES)
ENCODED = base64.b64encode(IMAGE)
PICTURE = ENCODED.decode()


def chat_messages(picture: str) -> list[Any]:
    image_url = {"url": f"data:image/jpeg;base64,{picture}"}
    content = [{"type": "text", "text": TEXT}, {"type": "image_url", "image_url": image_url}]
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": content}]


def gemini_contents(picture: str) -> list[dict[str, Any]]:
    return [{"role": "user", "parts": [{"text": TEXT}, {"inlineData": {"mimeType": "image/jpeg", "data": picture}}]}]


def chat_body(picture: str) -> dict[str, Any]:
    return {"model": "bare", "messages": chat_messages(picture)}


def gemini_body(picture: str) -> dict[str, Any]:
    return {"contents": gemini_contents(picture), "systemInstruction": {"parts": [{"text": SYSTEM}]}}


def splice(body: dict[str, Any]) -> bytes:
    """The body as bytes, with the cached base64 put in where its mark stands."""
    import msgspec

    head, tail = msgspec.json.encode(body).split(b"\\u0000")
    return b"".join((head, ENCODED, tail))


def read_chat(data: bytes | str) -> str:
    import msgspec

    return str(msgspec.json.decode(data)["choices"][0]["message"]["content"])


def read_gemini(data: bytes | str) -> str:
    import msgspec

    return str(msgspec.json.decode(data)["candidates"][0]["content"]["parts"][0]["text"])


# aiohttp alone


@asynccontextmanager
async def aiohttp_chat(url: str, concurrency: int) -> AsyncIterator[Ask]:
    """Image read, base64, json and all, for every call."""
    import aiohttp

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=concurrency)) as session:

        async def ask() -> str:
            body = chat_body(base64.b64encode(IMAGE).decode())
            async with session.post(f"{url}/openai/v1/chat/completions", json=body) as reply:
                return str((await reply.json())["choices"][0]["message"]["content"])

        yield ask


@asynccontextmanager
async def aiohttp_bytes(url: str, concurrency: int) -> AsyncIterator[Ask]:
    import aiohttp

    headers = {"Content-Type": "application/json"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=concurrency)) as session:

        async def ask() -> str:
            data = splice(chat_body("\0"))
            async with session.post(f"{url}/openai/v1/chat/completions", data=data, headers=headers) as reply:
                return read_chat(await reply.read())

        yield ask


# OpenAI


def open_openai(url: str, http_client: Any = None) -> Any:
    from openai import AsyncOpenAI

    return AsyncOpenAI(api_key="dummy", base_url=f"{url}/openai/v1", max_retries=0, http_client=http_client)


def wide(concurrency: int) -> Any:
    import httpx2

    return httpx2.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)


@asynccontextmanager
async def openai_plain(url: str, concurrency: int) -> AsyncIterator[Ask]:
    async with open_openai(url) as client:

        async def ask() -> str:
            reply = await client.chat.completions.create(model="bare", messages=chat_messages(PICTURE))
            return str(reply.choices[0].message.content)

        yield ask


@asynccontextmanager
async def openai_raw(url: str, concurrency: int) -> AsyncIterator[Ask]:
    async with open_openai(url) as client:

        async def ask() -> str:
            create = client.chat.completions.with_raw_response.create
            reply = await create(model="bare", messages=chat_messages(PICTURE))
            return read_chat(reply.http_response.content)

        yield ask


@asynccontextmanager
async def openai_extra_body(url: str, concurrency: int) -> AsyncIterator[Ask]:
    """The messages go past the walk over the SDK's types."""
    async with open_openai(url) as client:

        async def ask() -> str:
            create = client.chat.completions.with_raw_response.create
            reply = await create(model="bare", messages=[], extra_body={"messages": chat_messages(PICTURE)})
            return read_chat(reply.http_response.content)

        yield ask


def posting(client: Any) -> Ask:
    """client.post with the body as bytes, and the reply as it came."""
    import httpx2

    options: Any = {"headers": {"Content-Type": "application/json"}}

    async def ask() -> str:
        content = splice(chat_body("\0"))
        reply = await client.post("/chat/completions", content=content, cast_to=httpx2.Response, options=options)
        return read_chat(reply.content)

    return ask


@asynccontextmanager
async def openai_post(url: str, concurrency: int) -> AsyncIterator[Ask]:
    async with open_openai(url) as client:
        yield posting(client)


@asynccontextmanager
async def openai_post_wide(url: str, concurrency: int) -> AsyncIterator[Ask]:
    import httpx2

    async with open_openai(url, httpx2.AsyncClient(limits=wide(concurrency), timeout=None)) as client:
        yield posting(client)


@asynccontextmanager
async def openai_plain_aiohttp(url: str, concurrency: int) -> AsyncIterator[Ask]:
    from openai import DefaultAioHttpClient

    async with open_openai(url, DefaultAioHttpClient(limits=wide(concurrency))) as client:

        async def ask() -> str:
            reply = await client.chat.completions.create(model="bare", messages=chat_messages(PICTURE))
            return str(reply.choices[0].message.content)

        yield ask


@asynccontextmanager
async def openai_post_aiohttp(url: str, concurrency: int) -> AsyncIterator[Ask]:
    from openai import DefaultAioHttpClient

    async with open_openai(url, DefaultAioHttpClient(limits=wide(concurrency), timeout=None)) as client:
        yield posting(client)


def make_own_transport(concurrency: int) -> Any:
    """A transport of httpx2 over aiohttp that hands over bytes and reads the whole reply in one piece."""
    import aiohttp
    import httpx2

    class OverAiohttp(httpx2.AsyncBaseTransport):
        def __init__(self) -> None:
            connector = aiohttp.TCPConnector(limit=concurrency)
            timeout = aiohttp.ClientTimeout(total=None)
            self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False)

        async def handle_async_request(self, request: Any) -> Any:
            async with self._session.request(
                request.method,
                str(request.url),
                headers=dict(request.headers),
                data=request.content,
                allow_redirects=False,
            ) as reply:
                content = await reply.read()
                return httpx2.Response(reply.status, headers=reply.raw_headers, content=content, request=request)

        async def aclose(self) -> None:
            await self._session.close()

    return OverAiohttp()


@asynccontextmanager
async def openai_post_own(url: str, concurrency: int) -> AsyncIterator[Ask]:
    import httpx2

    transport = make_own_transport(concurrency)
    async with open_openai(url, httpx2.AsyncClient(transport=transport, timeout=None)) as client:
        yield posting(client)


# Gemini


def open_genai(url: str, **options: Any) -> Any:
    from google import genai
    from google.genai import types

    chosen = types.HttpOptions(base_url=url, retry_options=types.HttpRetryOptions(attempts=1), **options)
    return genai.Client(vertexai=False, api_key="dummy", http_options=chosen)


@asynccontextmanager
async def genai_session(concurrency: int, **options: Any) -> AsyncIterator[Any]:
    import aiohttp

    connector = aiohttp.TCPConnector(limit=concurrency)
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, **options) as session:
        yield session


@asynccontextmanager
async def genai_plain(url: str, concurrency: int) -> AsyncIterator[Ask]:
    from google.genai import types

    client = open_genai(url)

    async def ask() -> str:
        picture = types.Part.from_bytes(data=IMAGE, mime_type="image/jpeg")
        config = types.GenerateContentConfig(system_instruction=SYSTEM)
        reply = await client.aio.models.generate_content(model="bare", contents=[TEXT, picture], config=config)
        return str(reply.text)

    yield ask
    await client.aio.aclose()


def lean_config(**options: Any) -> Any:
    from google.genai import types

    return types.GenerateContentConfig(
        system_instruction=SYSTEM,
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        automatic_continuation=False,
        should_return_http_response=True,
        **options,
    )


@asynccontextmanager
async def genai_extra_body(url: str, concurrency: int) -> AsyncIterator[Ask]:
    """The contents go past the SDK's types, the reply as it came."""
    from google.genai import types

    async with genai_session(concurrency) as session:
        client = open_genai(url, aiohttp_client=session)

        async def ask() -> str:
            options = types.HttpOptions(extra_body={"contents": gemini_contents(PICTURE)})
            reply = await client.aio.models.generate_content(
                model="bare", contents=TEXT, config=lean_config(http_options=options)
            )
            return read_gemini(reply.sdk_http_response.body)

        yield ask
        await client.aio.aclose()


@asynccontextmanager
async def genai_inner(url: str, concurrency: int) -> AsyncIterator[Ask]:
    """The private door behind generate_content; it takes a dict and turns it into JSON."""
    async with genai_session(concurrency) as session:
        client = open_genai(url, aiohttp_client=session)

        async def ask() -> str:
            body = gemini_body(PICTURE)
            reply = await client._api_client.async_request("post", "models/bare:generateContent", body)
            return read_gemini(reply.body)

        yield ask
        await client.aio.aclose()


BODY: ContextVar[bytes] = ContextVar("BODY")


@asynccontextmanager
async def genai_middleware(url: str, concurrency: int) -> AsyncIterator[Ask]:
    """generate_content of a short text; the session's middleware puts the body's bytes in its place."""

    async def put_body(request: Any, send: Any) -> Any:
        await request.update_body(BODY.get())
        return await send(request)

    async with genai_session(concurrency, middlewares=(put_body,)) as session:
        client = open_genai(url, aiohttp_client=session)
        config = lean_config()

        async def ask() -> str:
            BODY.set(splice(gemini_body("\0")))
            reply = await client.aio.models.generate_content(model="bare", contents="", config=config)
            return read_gemini(reply.sdk_http_response.body)

        yield ask
        await client.aio.aclose()


@asynccontextmanager
async def genai_middleware_empty(url: str, concurrency: int) -> AsyncIterator[Ask]:
    """Nothing for the SDK's types to walk over: the middleware's bytes hold the instruction and parameters as well."""
    from google.genai import types

    async def put_body(request: Any, send: Any) -> Any:
        await request.update_body(BODY.get())
        return await send(request)

    async with genai_session(concurrency, middlewares=(put_body,)) as session:
        client = open_genai(url, aiohttp_client=session)
        nothing = types.Content(parts=[])
        config = types.GenerateContentConfig(
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
            automatic_continuation=False,
            should_return_http_response=True,
        )

        async def ask() -> str:
            BODY.set(splice(gemini_body("\0")))
            reply = await client.aio.models.generate_content(model="bare", contents=nothing, config=config)
            return read_gemini(reply.sdk_http_response.body)

        yield ask
        await client.aio.aclose()


@asynccontextmanager
async def genai_middleware_inner(url: str, concurrency: int) -> AsyncIterator[Ask]:
    """The same behind the private door."""

    async def put_body(request: Any, send: Any) -> Any:
        await request.update_body(BODY.get())
        return await send(request)

    async with genai_session(concurrency, middlewares=(put_body,)) as session:
        client = open_genai(url, aiohttp_client=session)

        async def ask() -> str:
            BODY.set(splice(gemini_body("\0")))
            reply = await client._api_client.async_request("post", "models/bare:generateContent", {"contents": []})
            return read_gemini(reply.body)

        yield ask
        await client.aio.aclose()


DOORS: dict[str, tuple[str, Door]] = {
    "aiohttp": ("aiohttp, dict body: base64 and json in each call", aiohttp_chat),
    "aiohttp-bytes": ("aiohttp, body as bytes from cached base64", aiohttp_bytes),
    "openai": ("openai, chat.completions.create", openai_plain),
    "openai-raw": ("openai, with_raw_response", openai_raw),
    "openai-extra": ("openai, with_raw_response, messages by extra_body", openai_extra_body),
    "openai-post": ("openai, client.post(content=bytes, cast_to=Response)", openai_post),
    "openai-post-wide": ("the same, httpx2.AsyncClient(limits=…)", openai_post_wide),
    "openai-aiohttp": ("openai, create, DefaultAioHttpClient", openai_plain_aiohttp),
    "openai-post-aiohttp": ("openai, client.post, DefaultAioHttpClient", openai_post_aiohttp),
    "openai-post-own": ("openai, client.post, own transport over aiohttp", openai_post_own),
    "genai": ("google-genai, generate_content, Part.from_bytes", genai_plain),
    "genai-extra": ("google-genai, contents by extra_body, raw reply", genai_extra_body),
    "genai-inner": ("google-genai, _api_client.async_request (private)", genai_inner),
    "genai-middleware": ("google-genai, body as bytes by aiohttp middleware", genai_middleware),
    "genai-middleware-empty": ("the same, an empty content for the SDK", genai_middleware_empty),
    "genai-inner-middleware": ("the same by _api_client (private)", genai_middleware_inner),
}


# One door in a process of its own


async def go_through(door: Door, url: str, concurrency: int, requests: int, turns: int) -> dict[str, float]:
    """turns: how often the loop turns between the starts of two calls; 0: they start as they come."""
    semaphore = asyncio.Semaphore(concurrency)
    turn = asyncio.Lock()
    async with door(url, concurrency) as ask:

        async def one() -> None:
            async with semaphore:
                if turns:
                    async with turn:
                        for _ in range(turns):
                            await asyncio.sleep(0)
                assert await ask()

        await one()
        used, began_s = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        await asyncio.gather(*(one() for _ in range(requests)))
        now, span_s = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter() - began_s
    user_s, system_s = now.ru_utime - used.ru_utime, now.ru_stime - used.ru_stime
    return {"span_s": span_s, "user_s": user_s, "system_s": system_s}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", default="", help="doors whose name starts so")
    options = parser.parse_args()
    print(conditions())
    names = [name for name in DOORS if name.startswith(options.only)]
    ways = [(20, 0), (100, 0), (100, 3)]
    found: dict[tuple[str, int, int], list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory(prefix="vlures-doors-") as folder:
        for _ in range(options.repeats):
            for name in names:
                for way in ways:
                    found.setdefault((name, *way), []).append(_measure(Path(folder), name, *way, options.requests))
    print_table(_tell(names, found, options.requests))


def _measure(folder: Path, name: str, concurrency: int, turns: int, requests: int) -> dict[str, float]:
    with running_server(folder, Behaviour(latencies_s=(LATENCY_S,))) as server:
        child = run_script("doors.py", name, server.url, concurrency, requests, turns, folder=folder)
        seen = server.counts()
    assert seen["requests"] == requests + 1, seen
    told: dict[str, float] = json.loads(child.output.splitlines()[-1])
    return {**told, "server_s": seen["cpu_s"]}


def _tell(names: list[str], found: dict[tuple[str, int, int], list[dict[str, float]]], requests: int) -> Table:
    def cpu_ms(runs: list[dict[str, float]]) -> str:
        return f"{min(run['user_s'] + run['system_s'] for run in runs) / requests * 1e3:.2f}"

    def ideal(runs: list[dict[str, float]], concurrency: int) -> str:
        ideal_s = -(-requests // concurrency) * LATENCY_S
        return f"{min(run['span_s'] for run in runs) / ideal_s:.2f}"

    rows = []
    for name in names:
        slow, fast, turned = (found[name, *way] for way in ((20, 0), (100, 0), (100, 3)))
        system_ms = min(run["system_s"] for run in slow) / requests * 1e3
        server_ms = min(run["server_s"] for run in slow) / requests * 1e3
        costs = [cpu_ms(slow), cpu_ms(fast), f"{system_ms:.2f}", f"{server_ms:.2f}"]
        rows.append([DOORS[name][0], *costs, ideal(slow, 20), ideal(fast, 100), ideal(turned, 100)])
    headers = [
        "door",
        "CPU ms, 20",
        "CPU ms, 100",
        "of it system",
        "server ms",
        "× ideal, 20",
        "× 100",
        "× 100, in turns",
    ]
    notes = [
        f"{requests:,} requests, {IMAGE_BYTES / 1e3:.0f} KB image, {LATENCY_S * 1e3:.0f} ms; 20 and 100 at a time. The least of all runs; "
        "in turns: between the starts of two calls the loop turns three times.",
    ]
    return Table("The SDKs' doors, per request", headers, rows, notes)


def run_door() -> NoReturn:
    name, url, concurrency, requests, turns = sys.argv[1:]
    told = asyncio.run(go_through(DOORS[name][1], url, int(concurrency), int(requests), int(turns)))
    print(json.dumps(told), flush=True)
    os._exit(0)


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] in DOORS:
        run_door()
    main()
