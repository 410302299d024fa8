"""Gemini's generateContent: the checks that the provider makes, and the answer in its shape."""

import secrets
from dataclasses import dataclass
from typing import Any

from vlures.sandbox.answers import Answer, answer_question
from vlures.sandbox.faults import Fault
from vlures.sandbox.gemini_errors import GeminiError, bad_request
from vlures.sandbox.gemini_fields import pick, unknown_fields
from vlures.sandbox.image_tokens import gemini_image_tokens
from vlures.sandbox.pictures import Gallery, Picture
from vlures.sandbox.questions import Question

ACCEPTED_MIMES = ("image/png", "image/jpeg", "image/webp", "image/heic", "image/heif")
ROLES = (None, "user", "model", "function")


@dataclass(frozen=True)
class GenerateRequest:
    """A request that passed all checks."""

    question: Question
    image_tokens: int
    limit: int | None


def read_generate(body: object, model: str, gallery: Gallery) -> GenerateRequest:
    """Check a request body as Google does; raises GeminiError."""
    if not isinstance(body, dict):
        raise bad_request("Invalid JSON payload received. Expected an object at the top.")
    unknown = unknown_fields(body)
    if unknown:
        raise bad_request("\n".join(sentence for _, sentence in unknown), unknown)
    contents = body.get("contents")
    contents = [contents] if isinstance(contents, dict) else contents
    if not isinstance(contents, list) or not contents:
        raise bad_request(
            "* GenerateContentRequest.contents: contents is not specified\n",
            [("contents", "contents is not specified")],
        )
    spoken: list[str] = []
    pictures: list[Picture] = []
    last = ""
    for index, content in enumerate(contents):
        if content.get("role") not in ROLES:
            raise bad_request("Please use a valid role: user, model.")
        text = _read_parts(content, f"contents[{index}]", gallery, pictures)
        spoken.append(text)
        last = text if content.get("role") != "model" else last
    instruction = pick(body, "systemInstruction")
    system = _read_parts(instruction, "systemInstruction", gallery, []) if instruction else ""
    question = Question(model, system, "\n".join(spoken), last, tuple(pictures))
    tokens = sum(gemini_image_tokens(model, picture.width, picture.height) for picture in pictures)
    return GenerateRequest(question, tokens, _read_config(pick(body, "generationConfig") or {}))


def _read_parts(content: dict[str, Any], where: str, gallery: Gallery, pictures: list[Picture]) -> str:
    parts = content.get("parts")
    parts = [parts] if isinstance(parts, dict) else parts
    if not parts or not isinstance(parts, list):
        raise bad_request(
            f"* GenerateContentRequest.{where}.parts: contents.parts must not be empty.\n",
            [(f"{where}.parts", "contents.parts must not be empty.")],
        )
    texts: list[str] = []
    for index, part in enumerate(parts):
        place = f"{where}.parts[{index}]"
        blob = pick(part, "inlineData")
        if blob is not None:
            pictures.append(_read_blob(blob, f"{place}.inline_data", gallery))
        elif isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif not part.keys() - {"thought", "mediaResolution", "media_resolution"}:
            message = (
                f"* GenerateContentRequest.{place}.data: required oneof field 'data' must have one initialized field\n"
            )
            raise bad_request(
                message, [(f"{place}.data", "required oneof field 'data' must have one initialized field")]
            )
    return "\n".join(texts)


def _read_blob(blob: dict[str, Any], place: str, gallery: Gallery) -> Picture:
    mime, data = pick(blob, "mimeType"), blob.get("data")
    if not isinstance(data, str):
        raise bad_request(f"Invalid value at '{place}.data' (TYPE_BYTES).", [(f"{place}.data", "no data")])
    if mime not in ACCEPTED_MIMES:
        raise bad_request(f"Unsupported MIME type: {mime}")
    picture = gallery.look(data, url_safe=True)
    if picture.flaw == "base64":
        message = f"Invalid value at '{place}.data' (TYPE_BYTES), Base64 decoding failed"
        raise bad_request(message, [(f"{place}.data", message)])
    if picture.flaw or picture.mime != mime:
        raise bad_request("Unable to process input image. Please retry or report in the troubleshooting guide.")
    return picture


def _read_config(config: dict[str, Any]) -> int | None:
    temperature = config.get("temperature")
    if temperature is not None and (not isinstance(temperature, int | float) or not 0 <= temperature <= 2):
        message = (
            "* GenerateContentRequest.generation_config.temperature: temperature must be in the range [0.0, 2.0].\n"
        )
        raise bad_request(message, [("generation_config.temperature", message.strip())])
    limit = pick(config, "maxOutputTokens")
    if limit is None:
        return None
    if not isinstance(limit, int) or isinstance(limit, bool):
        raise bad_request(f"Invalid value at 'generation_config.max_output_tokens' (TYPE_INT32), \"{limit}\"")
    if limit < 1:
        message = "* GenerateContentRequest.generation_config.max_output_tokens: max_output_tokens must be positive.\n"
        raise bad_request(message, [("generation_config.max_output_tokens", message.strip())])
    return limit


def generate_content(request: GenerateRequest, seed: int, fault: Fault | None) -> tuple[Answer, dict[str, object]]:
    """Answer a checked request: the answer and Google's document of it."""
    answer = answer_question(request.question, seed, request.limit, fault)
    prompt_tokens = answer.text_tokens + request.image_tokens
    details = [{"modality": "TEXT", "tokenCount": answer.text_tokens}]
    if request.image_tokens:
        details.append({"modality": "IMAGE", "tokenCount": request.image_tokens})
    usage: dict[str, object] = {
        "promptTokenCount": prompt_tokens,
        "totalTokenCount": prompt_tokens + answer.output_tokens + answer.thought_tokens,
        "promptTokensDetails": details,
    }
    if answer.output_tokens:
        usage["candidatesTokenCount"] = answer.output_tokens
    if answer.thought_tokens:
        usage["thoughtsTokenCount"] = answer.thought_tokens
    document: dict[str, object] = {
        "usageMetadata": usage,
        "modelVersion": request.question.model,
        "responseId": secrets.token_urlsafe(16),
    }
    if answer.finish == "blocked":
        return answer, {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, **document}
    candidate: dict[str, object] = {
        "finishReason": {"length": "MAX_TOKENS", "safety": "SAFETY"}.get(answer.finish, "STOP"),
        "index": 0,
    }
    candidate["content"] = {"parts": [{"text": answer.text}], "role": "model"} if answer.text else {"role": "model"}
    if answer.finish == "safety":
        rating = {"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "HIGH", "blocked": True}
        candidate["safetyRatings"] = [rating]
        del candidate["content"]
    return answer, {"candidates": [candidate], **document}


def unreadable_body() -> GeminiError:
    """The 400 of a body that is not JSON."""
    return bad_request("Invalid JSON payload received. Unexpected end of string.")
