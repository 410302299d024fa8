"""A request to Gemini's generateContent, live or in a batch line, with the provider's checks."""

from dataclasses import dataclass
from typing import Any

from vlures.sandbox.answers.questions import Question
from vlures.sandbox.gemini.config import PART_RESOLUTIONS, Thinking, read_config, read_resolution
from vlures.sandbox.gemini.errors import bad_request
from vlures.sandbox.gemini.fields import pick, unknown_fields
from vlures.sandbox.images.inspection import ImageCache, InspectedImage
from vlures.sandbox.images.tokens import gemini_image_tokens

ACCEPTED_MIMES = ("image/png", "image/jpeg", "image/webp", "image/heic", "image/heif")
ROLES = (None, "user", "model", "function")
TIERS = ("standard", "flex", "priority")


@dataclass(frozen=True)
class GenerateRequest:
    """A request that passed all checks."""

    question: Question
    tokens_by_image: tuple[int, ...]
    limit: int | None
    """The most output tokens; None for no limit."""
    thinking: Thinking
    tier: str


SeenImages = list[tuple[InspectedImage, str]]
"""The images of a request, each with the media resolution that its part asks for (empty for none)."""


def read_generate(body: object, model: str, image_cache: ImageCache) -> GenerateRequest:
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
    texts: list[str] = []
    seen: SeenImages = []
    last = ""
    for index, content in enumerate(contents):
        if content.get("role") not in ROLES:
            raise bad_request("Please use a valid role: user, model.")
        text = _read_parts(content, f"contents[{index}]", image_cache, seen)
        texts.append(text)
        last = text if content.get("role") != "model" else last
    instruction = pick(body, "systemInstruction")
    system = _read_parts(instruction, "systemInstruction", image_cache, []) if instruction else ""
    config = read_config(pick(body, "generationConfig") or {}, model)
    images = tuple(image for image, _ in seen)
    question = Question(model, system, "\n".join(texts), last, images, config.schema)
    tokens = tuple(
        gemini_image_tokens(model, image.width, image.height, resolution or config.resolution)
        for image, resolution in seen
    )
    return GenerateRequest(question, tokens, config.limit, config.thinking, _read_tier(pick(body, "serviceTier")))


def _read_tier(tier: object) -> str:
    name = "standard" if tier in (None, "unspecified") else str(tier).lower()
    if name not in TIERS:
        raise bad_request(
            f"Invalid value at 'service_tier' (ServiceTier), \"{tier}\"", [("service_tier", "unknown tier")]
        )
    return name


def _read_parts(content: dict[str, Any], where: str, image_cache: ImageCache, seen: SeenImages) -> str:
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
            asked = pick(part, "mediaResolution") or {}
            level = asked.get("level") if isinstance(asked, dict) else asked
            resolution = read_resolution(level, f"{place}.media_resolution.level", PART_RESOLUTIONS)
            seen.append((_read_blob(blob, f"{place}.inline_data", image_cache), resolution))
        elif pick(part, "fileData") is not None:
            raise bad_request(f"The sandbox reads images inline only; '{place}' names a file.")
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


def _read_blob(blob: dict[str, Any], place: str, image_cache: ImageCache) -> InspectedImage:
    mime, data = pick(blob, "mimeType"), blob.get("data")
    if not isinstance(data, str):
        raise bad_request(f"Invalid value at '{place}.data' (TYPE_BYTES).", [(f"{place}.data", "no data")])
    if mime not in ACCEPTED_MIMES:
        raise bad_request(f"Unsupported MIME type: {mime}")
    image = image_cache.inspect_base64(data, url_safe=True)
    if image.flaw == "base64":
        message = f"Invalid value at '{place}.data' (TYPE_BYTES), Base64 decoding failed"
        raise bad_request(message, [(f"{place}.data", message)])
    if image.flaw or image.mime != mime:
        raise bad_request("Unable to process input image. Please retry or report in the troubleshooting guide.")
    return image
