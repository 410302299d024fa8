"""How Gemini reports that a request cannot be served: `{"error": {code, message, status, details}}`."""

from collections.abc import Mapping
from typing import Any

from vlures.sandbox.exchange import ProviderError
from vlures.sandbox.faults.fault import Fault

STATUS_NAMES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
RPC_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 409: 10, 429: 8, 499: 1, 500: 13, 501: 12, 503: 14, 504: 4}
"""HTTP status -> the number of google.rpc.Code that a batch reports in its place."""
CANCELLED_CODE, DEADLINE_CODE, INTERNAL_CODE = 1, 4, 13
_RPC = "type.googleapis.com/google.rpc."


_HELP = {
    "@type": _RPC + "Help",
    "links": [
        {
            "description": "Learn more about Gemini API quotas",
            "url": "https://ai.google.dev/gemini-api/docs/rate-limits",
        }
    ],
}


class GeminiError(ProviderError):
    """An error in Google's format."""

    def __init__(
        self, status: int, message: str, *, name: str | None = None, details: list[dict[str, Any]] | None = None
    ) -> None:
        error: dict[str, Any] = {
            "code": status,
            "message": message,
            "status": name or STATUS_NAMES.get(status, "UNKNOWN"),
        }
        if details:
            error["details"] = details
        super().__init__(status, {"error": error})

    def rpc_status(self) -> dict[str, Any]:
        """The error as a batch's line has it: with the number of google.rpc.Code instead of the HTTP status."""
        error = self.document["error"]
        details = {"details": error["details"]} if "details" in error else {}
        return {"code": RPC_CODES.get(self.status, INTERNAL_CODE), "message": error["message"], **details}


def rpc_code(word: str) -> int:
    """The number of google.rpc.Code for a number or a name such as NOT_FOUND."""
    if word.isdecimal():
        return int(word)
    named = {name: RPC_CODES[status] for status, name in STATUS_NAMES.items()}
    return named.get(word.upper(), INTERNAL_CODE)


def struck_status(fault: Fault) -> dict[str, Any]:
    """The error that a fault writes into a batch's line: its `code`, else that of its HTTP `status`."""
    by_status = RPC_CODES.get(int(fault.number("status", 500)), INTERNAL_CODE)
    code = rpc_code(fault.option("code", str(by_status)))
    return {"code": code, "message": fault.option("message", "The sandbox was asked for this error.")}


def check_key(headers: Mapping[str, str], query: Mapping[str, str], api_key: str | None) -> None:
    """Raise Google's error for a missing key, or one that is not `api_key` (None: any key is right)."""
    key = headers.get("x-goog-api-key") or query.get("key")
    if not key:
        raise GeminiError(
            403,
            "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or "
            "other form of API consumer identity to call this API.",
        )
    if api_key is not None and key != api_key:
        message = "API key not valid. Please pass a valid API key."
        info = {
            "@type": _RPC + "ErrorInfo",
            "reason": "API_KEY_INVALID",
            "domain": "googleapis.com",
            "metadata": {"service": "generativelanguage.googleapis.com"},
        }
        localized = {"@type": _RPC + "LocalizedMessage", "locale": "en-US", "message": message}
        raise GeminiError(400, message, details=[info, localized])


def unknown_model(model: str, version: str) -> GeminiError:
    """The 404 of a model that does not exist."""
    return GeminiError(
        404,
        f"models/{model} is not found for API version {version}, or is not supported for generateContent. Call "
        "ListModels to see the list of available models and their supported methods.",
    )


def unknown_batch() -> GeminiError:
    """The 404 of a batch that does not exist."""
    return GeminiError(404, "Requested entity was not found.")


def file_gone(file_id: str) -> GeminiError:
    """The 403 of a file that does not exist or has been deleted: Google does not distinguish the two."""
    return GeminiError(403, f"You do not have permission to access the File {file_id} or it may not exist.")


def enqueued_quota(model: str) -> GeminiError:
    """The 429 of a batch beyond the limit on enqueued tokens; it has no retry delay."""
    message = (
        f"You exceeded your current quota: too many tokens of {model} are enqueued in batches, or too many batches."
    )
    return GeminiError(429, message, details=[_HELP])


def unknown_path(method: str, path: str) -> GeminiError:
    """The 404 of a path that Google does not serve."""
    return GeminiError(404, f"Requested entity was not found: {method} {path}")


def bad_request(message: str, violations: list[tuple[str, str]] | None = None) -> GeminiError:
    """A 400. violations: paths of fields, each with what is wrong with it."""
    listed = [{"field": field, "description": text} for field, text in violations or []]
    details = [{"@type": _RPC + "BadRequest", "fieldViolations": listed}] if listed else None
    return GeminiError(400, message, details=details)


def struck_error(fault: Fault, path_values: Mapping[str, str]) -> GeminiError:
    """The error that a fault of an HTTP request stands for. path_values: the model and API version in the path."""
    if fault.kind in ("429", "limit"):
        return _quota_error(fault, path_values.get("model", "gemini"))
    if fault.kind == "503":
        return GeminiError(503, "The model is overloaded. Please try again later.", details=_retry_info(fault))
    if fault.kind == "not_found":
        if "model" not in path_values:
            return unknown_batch()
        return unknown_model(path_values["model"], path_values.get("version", "v1"))
    if fault.kind == "error":
        status = int(fault.number("status", 400))
        message = fault.option("message", "The sandbox was asked for this error.")
        return GeminiError(status, message, name=fault.option("code", "") or None)
    return GeminiError(500, "An internal error has occurred. Please retry later.")


def _retry_info(fault: Fault) -> list[dict[str, Any]]:
    wait_s = fault.number("retry_after", -1.0)
    return [{"@type": _RPC + "RetryInfo", "retryDelay": f"{wait_s:g}s"}] if wait_s >= 0 else []


def _tells_limit(fault: Fault) -> bool:
    """Whether the error names the limit: it must be one by the minute, and not `silent`."""
    if fault.kind == "limit":
        return fault.number("silent", 0) == 0 and fault.number("per_second", 0) == 0
    return "per_minute" in dict(fault.values)


def _quota_error(fault: Fault, model: str) -> GeminiError:
    """Google's 429: a per-minute or per-day quota, with or without a retry delay."""
    per_day = fault.number("per_day", 0) > 0
    quota = f"GenerateRequestsPer{'Day' if per_day else 'Minute'}PerProjectPerModel"
    metric = "generativelanguage.googleapis.com/generate_content_requests"
    limit = fault.option("per_minute", "600") if fault.kind == "limit" else "10"
    message = (
        "You exceeded your current quota, please check your plan and billing details.\n"
        f"* Quota exceeded for metric: {metric}, limit: {limit}"
    )
    wait_s = fault.number("retry_after", -1.0)
    if wait_s < 0 and not per_day and not _tells_limit(fault):
        return GeminiError(429, "Resource has been exhausted (e.g. check quota).")
    if wait_s >= 0:
        message += f"\nPlease retry in {wait_s:g}s."
    violation = {
        "quotaMetric": metric,
        "quotaId": quota,
        "quotaDimensions": {"location": "global", "model": model},
        "quotaValue": limit,
    }
    failure = {"@type": _RPC + "QuotaFailure", "violations": [violation]}
    return GeminiError(429, message, details=[failure, _HELP, *_retry_info(fault)])
