"""The sandbox's check of an answer's schema, as the providers have it, and the answers that follow one."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from tests.sandbox.conftest import Sandbox
from tests.sandbox.questions import MARKS, SYSTEMS, chat_body
from vlures.sandbox.answers.phrases import bears_mark

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "reasons": {"type": "string"},
        "kind": {"type": "string", "enum": ["good", "bad"]},
        "marks": {"type": "array", "items": {"type": "integer"}},
    },
    "required": ["reasons", "kind", "marks"],
    "additionalProperties": False,
}


def form(schema: Any = SCHEMA, **changed: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema, **changed}}


def gemini_body(schema: Any, **config: Any) -> dict[str, Any]:
    form = {"responseMimeType": "application/json", **({} if schema is None else {"responseSchema": schema})}
    return {
        "contents": [{"role": "user", "parts": [{"text": "What is this?"}]}],
        "generationConfig": {**form, **config},
    }


@pytest.mark.parametrize("language", SYSTEMS)
def test_an_answer_follows_the_schema_is_marked_and_comes_again(sandbox: Sandbox, language: str) -> None:
    body = chat_body(system=SYSTEMS[language], response_format=form())
    said = [sandbox.openai.chat.completions.create(**body).choices[0].message.content or "" for _ in range(2)]
    assert said[0] == said[1]
    answer = json.loads(said[0])
    assert list(answer) == ["reasons", "kind", "marks"]
    assert answer["reasons"].startswith(MARKS[language])
    assert answer["kind"] in ("good", "bad")
    assert answer["marks"]
    assert all(type(mark) is int for mark in answer["marks"])
    assert bears_mark(said[0]), "a folder of such answers is known as a rehearsal's"


def test_a_response_follows_the_schema_of_its_text_format(sandbox: Sandbox) -> None:
    text = {"format": {"type": "json_schema", "name": "answer", "strict": True, "schema": SCHEMA}}
    reply = sandbox.openai.responses.create(model="gpt-6-luna", input="What is this?", text=text)  # type: ignore[arg-type]
    assert list(json.loads(reply.output_text)) == ["reasons", "kind", "marks"]


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({**SCHEMA, "additionalProperties": True}, "In context=(), 'additionalProperties' is required"),
        ({key: value for key, value in SCHEMA.items() if key != "additionalProperties"}, "'additionalProperties'"),
        ({**SCHEMA, "required": ["reasons"]}, "Missing 'kind'"),
        ({**SCHEMA, "required": [*SCHEMA["required"], "more"]}, "Extra required key 'more'"),
        ({key: value for key, value in SCHEMA.items() if key != "required"}, "'required' is required"),
        ({**SCHEMA, "$id": "x"}, "'$id' is not permitted"),
        ({**SCHEMA, "properties": {**SCHEMA["properties"], "kind": {}}}, "must have a 'type' key"),
        ({**SCHEMA, "properties": {**SCHEMA["properties"], "marks": {"type": "array"}}}, "missing items"),
        ({"type": "array", "items": {"type": "string"}}, "must be a JSON Schema of 'type: \"object\"'"),
    ],
)
def test_openai_refuses_what_strict_mode_does_not_take(sandbox: Sandbox, schema: Any, words: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        sandbox.openai.chat.completions.create(**chat_body(response_format=form(schema)))
    assert words in refused.value.message
    assert refused.value.param == "response_format"
    text = {"format": {"type": "json_schema", "name": "answer", "strict": True, "schema": schema}}
    with pytest.raises(openai.BadRequestError) as refused:
        sandbox.openai.responses.create(model="gpt-6-luna", input="What is this?", text=text)  # type: ignore[arg-type]
    assert words in refused.value.message
    assert refused.value.param == "text.format"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"type": "json"}, "Invalid value: 'json'"),
        ({"type": "json_schema"}, "Missing required parameter: 'response_format.json_schema'"),
        (form(name="an answer"), "Invalid 'response_format.json_schema.name'"),
        (form(more=1), "Unknown parameter: 'response_format.json_schema.more'"),
        ({"type": "json_object"}, "The sandbox writes JSON by a schema only"),
    ],
)
def test_openai_refuses_a_form_that_is_none(sandbox: Sandbox, wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        sandbox.openai.chat.completions.create(**chat_body(response_format=wrong))
    assert words in refused.value.message


def test_without_strict_the_schema_may_be_loose(sandbox: Sandbox) -> None:
    loose = form({"type": "object", "properties": {"score": {"type": "number"}}}, strict=False)
    reply = sandbox.openai.chat.completions.create(**chat_body(response_format=loose))
    assert isinstance(json.loads(reply.choices[0].message.content or "")["score"], float)


def test_gemini_follows_its_schema(sandbox: Sandbox) -> None:
    schema = {
        "type": "OBJECT",
        "properties": {"reasons": {"type": "STRING"}, "score": {"type": "INTEGER", "minimum": 3, "maximum": 3}},
        "required": ["reasons", "score"],
    }
    config = {"response_mime_type": "application/json", "response_schema": schema}
    reply = sandbox.gemini.models.generate_content(
        model="gemini-3.8-flash",
        contents=["What is this?"],
        config=config,  # type: ignore[arg-type]
    )
    answer = json.loads(reply.text or "")
    assert (list(answer), answer["score"]) == (["reasons", "score"], 3)
    assert answer["reasons"].startswith(MARKS["English"])


@pytest.mark.parametrize(
    ("schema", "config", "words"),
    [
        ({"type": "OBJECT", "properties": {"a": {"type": "STRING"}}, "additionalProperties": False}, {}, "Cannot find"),
        ({"type": "OBJECT", "properties": {"a": {"type": "STRING", "$id": "x"}}}, {}, "Cannot find field"),
        ({"type": "OBJECT", "properties": {}}, {}, "should be non-empty for OBJECT type"),
        ({"type": "OBJECT", "properties": {"a": {"type": "STRING"}}, "required": ["b"]}, {}, "property is not defined"),
        ({"type": "OBJECT", "properties": {"a": {"type": "INTEGER", "enum": ["1"]}}}, {}, "only allowed for STRING"),
        ({"type": "ARRAY"}, {}, "items: missing field"),
        ({"type": "TEXT"}, {}, "unknown type"),
        ({"type": "STRING"}, {"responseMimeType": "text/plain"}, "only allowed with response_mime_type"),
        ({"type": "STRING"}, {"responseMimeType": "text/html"}, "allowed mimetypes are"),
        (None, {}, "JSON by a schema only"),
    ],
)
def test_gemini_refuses_what_google_does(sandbox: Sandbox, schema: Any, config: dict[str, Any], words: str) -> None:
    body = json.dumps(gemini_body(schema, **config)).encode()
    path = "/gemini/v1beta/models/gemini-3.8-flash:generateContent"
    status, reply, _ = sandbox.send("POST", path, body, x_goog_api_key="any", Content_Type="application/json")
    assert status == 400, reply
    assert words in json.loads(reply)["error"]["message"]
