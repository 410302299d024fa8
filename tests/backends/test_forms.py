"""Requests with the schema of their answer, and requests without an image, by every way to every provider."""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from tests.backends.test_live_driver import Listener
from tests.conftest import Sandbox
from vlures.backends import Setup, connect
from vlures.backends.batch.shards import ShardLimits, cut_shards
from vlures.backends.gemini.batch import GeminiBatch
from vlures.backends.gemini.content import build_content
from vlures.backends.gemini.versions import ApiVersion
from vlures.backends.memory import Forgetful
from vlures.backends.openai.batch import write_line
from vlures.backends.openai.bodies import make_bodies
from vlures.backends.openai.schemas import close_objects
from vlures.benchmarks.vlures.settings import Setting, make_cell
from vlures.errors import VluresError
from vlures.images import read_image
from vlures.records import AskedModel, Image, Prompt, Request, Response, Schema, digest_request
from vlures.runs.config import RunConfig
from vlures.runs.prepare import check_addresses
from vlures.runs.upload_estimate import UploadEstimate
from vlures.store.checkpoints import CheckpointStore

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "reasons": {"type": "string"},
        "kind": {"type": "string", "enum": ["good", "bad"]},
        "items": {
            "type": "array",
            "items": {"type": "object", "properties": {"score": {"type": "integer"}}, "required": ["score"]},
        },
    },
    "required": ["reasons", "kind", "items"],
}
CELL = make_cell("En", 1)
WAYS: dict[str, dict[str, Any]] = {
    "chat": {"backend": "openai", "mode": "live"},
    "responses": {"backend": "openai", "mode": "live", "endpoint": "responses"},
    "files": {"backend": "openai", "mode": "live", "endpoint": "responses", "image_transport": "file"},
    "openai batch": {"backend": "openai", "mode": "batch"},
    "files in batches": {
        "backend": "openai",
        "mode": "batch",
        "endpoint": "responses",
        "image_transport": "file",
    },
    "gemini": {"backend": "gemini", "mode": "live"},
    "gemini batch": {"backend": "gemini", "mode": "batch"},
}


@pytest.fixture
def image(tmp_path: Path) -> Image:
    Pillow.new("RGB", (40, 20), (200, 30, 35)).save(tmp_path / "1.png")
    return read_image(tmp_path / "1.png")


def request(
    number: int, asked: AskedModel, image: Image | None, schema: Schema | None, text: str = "What is it?"
) -> Request:
    prompt = Prompt("You look at the picture and answer in English.", (text,))
    digest = digest_request(asked.provider, asked.name, asked.parameters, prompt, image, schema)
    key = f"En-t1-1shot-rationales-{number}"
    return Request(key, CELL, str(number), asked.name, asked.parameters, prompt, image, digest, schema=schema)


def ask(way: str, sandbox: Sandbox, folder: Path, requests: Iterable[Request]) -> dict[str, Response]:
    """The responses of a real backend, by sample."""
    config = RunConfig(**WAYS[way], poll_s=0.05)
    store = CheckpointStore(folder / "outputs", Setting())
    setup = Setup(config.backend_options, {}, sandbox.url, store, Listener(), lambda: True)

    async def collect() -> list[Any]:
        return [response async for response in connect(setup).generate(requests, store)]

    try:
        return {response.key.rpartition("-")[2]: response for response in asyncio.run(collect())}
    finally:
        store.close()


@pytest.mark.parametrize("way", WAYS)
def test_every_way_takes_a_schema_and_questions_without_an_image(
    way: str, shared_sandbox: Sandbox, tmp_path: Path, image: Image
) -> None:
    asked = RunConfig(**WAYS[way]).target.asked
    requests = [
        request(1, asked, image, SCHEMA),
        request(2, asked, None, SCHEMA),
        request(3, asked, None, None, 'base64,\x00"data":"\x00'),
        request(4, asked, image, None),
    ]
    found = ask(way, shared_sandbox, tmp_path, requests)
    assert {number: response.status for number, response in found.items()} == dict.fromkeys("1234", "ok"), found
    for number in "12":
        answer = json.loads(found[number].text or "")
        assert list(answer) == ["reasons", "kind", "items"]
        assert answer["kind"] in ("good", "bad")
        assert all(isinstance(item["score"], int) for item in answer["items"])
    # What was sent is what was seen: one image or none.
    seen = {entry["said"]: len(entry["images"]) for entry in shared_sandbox.ledger}
    assert sorted(seen.values()) == [0, 0, 1, 1]
    assert "40 by 20" in found["1"].text or "40 pixels wide" in found["1"].text  # type: ignore[operator]
    assert "No picture came" in (found["2"].text or "")
    assert "No picture came" in (found["3"].text or "")


@pytest.mark.parametrize("way", ["chat", "responses", "gemini"])
def test_json_that_is_cut_is_truncated(way: str, shared_sandbox: Sandbox, tmp_path: Path, image: Image) -> None:
    asked = RunConfig(**WAYS[way]).target.asked
    shared_sandbox.show("max_tokens:times=1")
    response = ask(way, shared_sandbox, tmp_path, [request(1, asked, image, SCHEMA)])["1"]
    assert response.status == "truncated"
    with pytest.raises(ValueError, match="Unterminated string"):
        json.loads(response.text or "")


@pytest.mark.parametrize("way", ["chat", "responses"])
def test_a_refusal_stays_a_refusal(way: str, shared_sandbox: Sandbox, tmp_path: Path, image: Image) -> None:
    asked = RunConfig(**WAYS[way]).target.asked
    shared_sandbox.show("refusal:times=1")
    response = ask(way, shared_sandbox, tmp_path, [request(1, asked, image, SCHEMA)])["1"]
    assert (response.status, response.text) == ("refused", "I'm sorry, but I can't help with that.")


@pytest.mark.parametrize(
    ("way", "said"),
    [
        ("chat", "'response_format' of type 'json_schema' is not supported with this model."),
        ("responses", "Invalid parameter: 'text.format' is not supported. Use 'other' instead."),
        ("gemini", "JSON mode is not enabled for models/gemini-x"),
    ],
)
def test_a_server_that_takes_no_schema_is_named(
    way: str, said: str, shared_sandbox: Sandbox, tmp_path: Path, image: Image
) -> None:
    asked = RunConfig(**WAYS[way]).target.asked
    place = {"chat": "chat", "responses": "responses", "gemini": "gemini"}[way]
    shared_sandbox.show(f"error@{place}:status=400,message={said}")
    with pytest.raises(VluresError, match="does not take the JSON schema that answers are to follow: 400 ") as stopped:
        ask(way, shared_sandbox, tmp_path, [request(1, asked, image, SCHEMA)])
    assert said.split(" is ")[0] in str(stopped.value)
    assert asked.name in str(stopped.value)
    # Without a schema the same words fail one request only.
    assert ask(way, shared_sandbox, tmp_path, [request(1, asked, image, None)])["1"].status == "failed"


def test_a_server_that_does_not_know_the_field_is_named(start_sandbox: Any, tmp_path: Path, image: Image) -> None:
    sandbox = start_sandbox("--plain-lacks", "response_format")
    config = RunConfig(backend="openai", mode="live", model="own", base_url=f"{sandbox.url}/plain/v1")
    store = CheckpointStore(tmp_path / "outputs", Setting())
    setup = Setup(config.backend_options, {}, None, store, Listener(), lambda: True)

    async def collect() -> list[Any]:
        asked = config.target.asked
        return [one async for one in connect(setup).generate([request(1, asked, image, SCHEMA)], store)]

    with pytest.raises(VluresError, match=r"own does not take the JSON schema .* 'response_format' is not known"):
        asyncio.run(collect())
    store.close()


# Bodies


def test_openai_gets_closed_objects_and_gemini_its_own_words() -> None:
    asked = AskedModel("openai", "m", {})
    blind = request(1, asked, None, SCHEMA)
    chat = make_bodies(RunConfig().backend_options).build(blind)
    assert [part["type"] for part in chat["messages"][1]["content"]] == ["text"]
    form = chat["response_format"]
    assert (form["type"], form["json_schema"]["strict"], form["json_schema"]["name"]) == ("json_schema", True, "answer")
    closed = form["json_schema"]["schema"]
    assert closed["additionalProperties"] is closed["properties"]["items"]["items"]["additionalProperties"] is False
    assert list(closed["properties"]) == ["reasons", "kind", "items"]
    responses = make_bodies(RunConfig(endpoint="responses").backend_options).build(blind)
    assert responses["text"]["format"] == {"type": "json_schema", "name": "answer", "strict": True, "schema": closed}
    content = build_content(blind)
    assert content["contents"][0]["parts"] == [{"text": "What is it?"}]
    config = content["generationConfig"]
    assert config["responseMimeType"] == "application/json"
    assert config["responseSchema"] == {
        "type": "OBJECT",
        "properties": {
            "reasons": {"type": "STRING"},
            "kind": {"type": "STRING", "enum": ["good", "bad"]},
            "items": {
                "type": "ARRAY",
                "items": {"type": "OBJECT", "properties": {"score": {"type": "INTEGER"}}, "required": ["score"]},
            },
        },
        "required": ["reasons", "kind", "items"],
    }


def test_a_property_may_have_the_name_of_a_keyword() -> None:
    schema = {"type": "object", "properties": {"type": {"type": "string"}, "items": {"type": "integer"}}}
    assert close_objects(schema)["properties"] == schema["properties"]
    gemini = build_content(request(1, AskedModel("gemini", "m", {}), None, schema))
    assert gemini["generationConfig"]["responseSchema"]["properties"] == {
        "type": {"type": "STRING"},
        "items": {"type": "INTEGER"},
    }


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
@example(text="base64,\x00")
@example(text='"data":"\x00"')
@settings(deadline=None)
def test_a_line_without_an_image_holds_any_text(text: str) -> None:
    blind = request(1, AskedModel("openai", "m", {}), None, SCHEMA, text)
    bodies = make_bodies(RunConfig().backend_options)
    version = ApiVersion("v1", Forgetful(), "", lambda _: None)
    gemini = GeminiBatch("key", None, version, "m", account="an account", summary=False)
    for line, sent in (
        (write_line(blind, bodies), lambda whole: whole["body"]["messages"][1]["content"][0]["text"]),
        (gemini.write_line(blind), lambda whole: whole["request"]["contents"][0]["parts"][0]["text"]),
    ):
        assert line.tail is None
        assert line.head.index(b"\n") == len(line.head) - 1 == line.size_bytes(None) - 1
        assert sent(json.loads(line.head)) == text


# Sizes


def test_without_an_image_nothing_is_counted_for_one(image: Image) -> None:
    asked = AskedModel("openai", "m", {})
    seeing, blind, formed = (
        request(1, asked, image, None),
        request(2, asked, None, None),
        request(3, asked, None, SCHEMA),
    )
    upload = UploadEstimate(batch_size=10, batch_bytes=10**6, inline=True)
    sizes = [upload.add(one) for one in (seeing, blind, formed)]
    assert sizes[0] > sizes[1]
    assert sizes[2] - sizes[1] == len(json.dumps(SCHEMA))
    assert list(upload.images) == [image.digest]
    assert upload.inline_bytes == sizes[0] - sizes[1]
    check_addresses("http://x/same", lambda *_: "http://x/same", [seeing, blind, formed])


def test_a_request_without_an_image_that_is_too_large_is_named() -> None:
    blind = request(1, AskedModel("openai", "m", {}), None, None, "x" * 1_000)
    bodies = make_bodies(RunConfig().backend_options)
    limits = ShardLimits(most_lines=10, most_bytes=500)
    with pytest.raises(VluresError, match=r"^The request En-t1-1shot-rationales-1 is 1,\d+ bytes.*make it shorter"):
        list(cut_shards([blind], lambda one: write_line(one, bodies), limits))


def test_ranks_share_questions_without_an_image(image: Image) -> None:
    from vlures.backends.local.grouping import group
    from vlures.backends.local.ranks import Meeting

    asked = AskedModel("local", "m", {})
    blind = [request(number, asked, None, None, f"Question {number}") for number in range(40)]
    ranks = [Meeting(rank, 2) for rank in range(2)]
    shares = [[one for one in blind if rank.is_ours(one)] for rank in ranks]
    assert all(shares)
    assert sum(map(len, shares)) == len(blind)
    seeing = [replace(one, image=image) for one in blind]
    assert sorted(len([one for one in seeing if rank.is_ours(one)]) for rank in ranks) == [0, 40]
    groups = list(group([*blind[:3], *seeing[:2]], most_rows=4))
    assert [[len(same) for same in one.images] for one in groups] == [[3], [2]]
