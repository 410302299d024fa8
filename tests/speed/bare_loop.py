"""The obvious loop: `python bare_loop.py CLIENT URL QUESTIONS CONCURRENCY LIMIT`. LIMIT 0: all questions.

CLIENT is openai or gemini, their SDKs in a loop over a semaphore; or aiohttp, the same without an SDK; all with a body
built for each call from the file. After a 429 all try again, at most MOST_TRIES times. Prints what was lost, as JSON.
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

MOST_TRIES = 6
LONGEST_WAIT_S = 60.0
TOO_MANY = 429

Question = dict[str, str]
Ask = Callable[[Question], Awaitable[str | None]]


@asynccontextmanager
async def ask_openai(url: str, concurrency: int) -> AsyncIterator[Ask]:
    """The SDK waits and tries again by itself."""
    from openai import AsyncOpenAI

    async with AsyncOpenAI(api_key="dummy", base_url=f"{url}/openai/v1", max_retries=MOST_TRIES - 1) as client:

        async def ask(question: Question) -> str | None:
            messages: Any = chat_messages(question)
            reply = await client.chat.completions.create(model=question["model"], messages=messages)
            return reply.choices[0].message.content

        yield ask


@asynccontextmanager
async def ask_gemini(url: str, concurrency: int) -> AsyncIterator[Ask]:
    """The SDK waits and tries again by itself, once it is told to."""
    from google import genai
    from google.genai import types

    retry = types.HttpRetryOptions(attempts=MOST_TRIES)
    client = genai.Client(api_key="dummy", http_options=types.HttpOptions(base_url=url, retry_options=retry))

    async def ask(question: Question) -> str | None:
        image = types.Part.from_bytes(data=Path(question["image"]).read_bytes(), mime_type=question["mime_type"])
        parts: list[types.PartUnionDict] = [question["text"], image]
        config = types.GenerateContentConfig(system_instruction=question["system"])
        reply = await client.aio.models.generate_content(model=question["model"], contents=parts, config=config)
        return reply.text

    yield ask
    await client.aio.aclose()


@asynccontextmanager
async def ask_aiohttp(url: str, concurrency: int) -> AsyncIterator[Ask]:
    import aiohttp

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=concurrency)) as session:

        async def ask(question: Question) -> str | None:
            body = {"model": question["model"], "messages": chat_messages(question)}
            for attempt in range(MOST_TRIES):
                async with session.post(f"{url}/openai/v1/chat/completions", json=body) as reply:
                    if reply.status != TOO_MANY:
                        answer = await reply.json()
                        return str(answer["choices"][0]["message"]["content"])
                    after = reply.headers.get("retry-after")
                usual_s = 0.5 * 2**attempt * random.uniform(0.75, 1.25)
                await asyncio.sleep(float(after) if after else min(usual_s, LONGEST_WAIT_S))
            return None

        yield ask


def chat_messages(question: Question) -> list[dict[str, Any]]:
    image = base64.b64encode(Path(question["image"]).read_bytes()).decode()
    image_url = {"url": f"data:{question['mime_type']};base64,{image}"}
    content = [{"type": "text", "text": question["text"]}, {"type": "image_url", "image_url": image_url}]
    return [{"role": "system", "content": question["system"]}, {"role": "user", "content": content}]


CLIENTS = {"openai": ask_openai, "gemini": ask_gemini, "aiohttp": ask_aiohttp}


async def main(client: str, url: str, questions: list[Question], concurrency: int) -> None:
    semaphore = asyncio.Semaphore(concurrency)
    async with CLIENTS[client](url, concurrency) as ask:

        async def one(question: Question) -> bool:
            async with semaphore:
                return bool(await ask(question))

        answered = await asyncio.gather(*map(one, questions), return_exceptions=True)
    lost = [outcome for outcome in answered if outcome is not True]
    print(json.dumps({"lost": len(lost), "first": str(lost[0]) if lost else None}))


if __name__ == "__main__":
    asked = json.loads(Path(sys.argv[3]).read_text(encoding="utf-8"))
    asyncio.run(main(sys.argv[1], sys.argv[2], asked[: int(sys.argv[5]) or None], int(sys.argv[4])))
