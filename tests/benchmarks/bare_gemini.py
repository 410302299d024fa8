"""The SDK in a plain loop: `python bare_gemini.py BASE_URL MODEL QUESTIONS CONCURRENCY LIMIT`. LIMIT 0: all questions."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from google import genai
from google.genai import types


async def main(base_url: str, model: str, questions: list[dict[str, str]], concurrency: int) -> None:
    client = genai.Client(api_key="dummy", http_options=types.HttpOptions(base_url=base_url))
    semaphore = asyncio.Semaphore(concurrency)

    async def ask(question: dict[str, str]) -> str | None:
        async with semaphore:
            picture = types.Part.from_bytes(data=Path(question["image"]).read_bytes(), mime_type=question["mime_type"])
            parts: list[types.PartUnionDict] = [question["text"], picture]
            reply = await client.aio.models.generate_content(
                model=model,
                contents=parts,
                config=types.GenerateContentConfig(system_instruction=question["system"]),
            )
            return reply.text

    answers = await asyncio.gather(*(ask(question) for question in questions))
    assert all(answers)
    await client.aio.aclose()


if __name__ == "__main__":
    asked = json.loads(Path(sys.argv[3]).read_text(encoding="utf-8"))
    asyncio.run(main(sys.argv[1], sys.argv[2], asked[: int(sys.argv[5]) or None], int(sys.argv[4])))
