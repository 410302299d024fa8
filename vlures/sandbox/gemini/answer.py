"""The answer to a checked generateContent request, in Google's format."""

import secrets

from vlures.sandbox.answers.compose import Answer, answer_question, answering_model, reported_usage
from vlures.sandbox.answers.phrases import PHRASES
from vlures.sandbox.faults.fault import Fault
from vlures.sandbox.gemini.generate import GenerateRequest

FINISH_REASONS = {"length": "MAX_TOKENS", "safety": "SAFETY", "refusal": "PROHIBITED_CONTENT"}
"""How an answer ended -> `finishReason`; the others are STOP. Gemini has no refusals like OpenAI's."""
WITHHELD = ("safety", "refusal")


def generate_content(
    request: GenerateRequest, seed: int, fault: Fault | None, cached_tokens: int
) -> tuple[Answer, dict[str, object]]:
    """Answer a checked request; returns the answer and the reply."""
    answer = answer_question(request.question, seed, request.limit, fault, request.thinking.tokens)
    document: dict[str, object] = {
        "usageMetadata": reported_usage(_usage(request, answer, cached_tokens), answer.usage_form),
        "modelVersion": answering_model(request.question.model, fault),
        "responseId": secrets.token_urlsafe(16),
    }
    if answer.finish == "blocked":
        return answer, {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, **document}
    return answer, {"candidates": [_candidate(request, answer)], **document}


def _candidate(request: GenerateRequest, answer: Answer) -> dict[str, object]:
    candidate: dict[str, object] = {"finishReason": _reason(answer), "index": 0}
    if answer.error_message:
        candidate["finishMessage"] = answer.error_message
    if answer.finish in WITHHELD:
        if answer.finish == "safety":
            rating = {"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "HIGH", "blocked": True}
            candidate["safetyRatings"] = [rating]
        return candidate
    parts: list[dict[str, object]] = []
    if request.thinking.shown and answer.thought_tokens:
        mark = PHRASES[request.question.language()].mark
        parts.append({"text": f"**{mark}**\n\n{len(request.question.images)} × …", "thought": True})
    if answer.thoughts:
        parts.append({"text": answer.thoughts, "thought": True})
    if answer.text:
        parts.append({"text": answer.text})
    return {"content": {**({"parts": parts} if parts else {}), "role": "model"}, **candidate}


def _reason(answer: Answer) -> str:
    """The finish reason; faults say `length` for every provider."""
    return FINISH_REASONS.get(answer.reason, answer.reason) or FINISH_REASONS.get(answer.finish, "STOP")


def _usage(request: GenerateRequest, answer: Answer, cached_tokens: int) -> dict[str, object]:
    image_tokens = sum(request.tokens_by_image)
    prompt_tokens = answer.text_tokens + image_tokens
    details = [{"modality": "TEXT", "tokenCount": answer.text_tokens}]
    if image_tokens:
        details.append({"modality": "IMAGE", "tokenCount": image_tokens})
    usage: dict[str, object] = {
        "promptTokenCount": prompt_tokens,
        "totalTokenCount": prompt_tokens + answer.output_tokens + answer.thought_tokens,
        "promptTokensDetails": details,
        "serviceTier": request.tier,
    }
    if answer.output_tokens:
        usage["candidatesTokenCount"] = answer.output_tokens
    if answer.thought_tokens:
        usage["thoughtsTokenCount"] = answer.thought_tokens
    if cached_tokens:
        usage["cachedContentTokenCount"] = cached_tokens
        usage["cacheTokensDetails"] = [{"modality": "IMAGE", "tokenCount": cached_tokens}]
    return usage
