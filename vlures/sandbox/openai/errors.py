"""How OpenAI reports that a request cannot be served: `{"error": {message, type, param, code}}`."""

import math
from collections.abc import Mapping

from vlures.sandbox.exchange import ProviderError
from vlures.sandbox.faults.fault import Fault
from vlures.sandbox.faults.rate_limits import Allowance


class OpenAIError(ProviderError):
    """An error in OpenAI's format."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        retry_after_s: float | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        error = {"message": message, "type": kind, "param": param, "code": code}
        wait = {} if retry_after_s is None else {"Retry-After": f"{retry_after_s:g}"}
        super().__init__(status, {"error": error}, {**wait, **(headers or {})})


def check_key(headers: Mapping[str, str], api_key: str | None) -> None:
    """Raise OpenAI's 401 for a missing bearer key, or one that is not `api_key` (None: any key is right)."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise OpenAIError(
            401,
            "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer "
            "auth (i.e. Authorization: Bearer YOUR_KEY).",
        )
    if api_key is not None and key.strip() != api_key:
        raise OpenAIError(
            401,
            f"Incorrect API key provided: {_masked(key.strip())}. You can find your API key at "
            "https://platform.openai.com/account/api-keys.",
            code="invalid_api_key",
        )


def _masked(key: str) -> str:
    shown = 4
    return key[:shown] + "*" * max(0, len(key) - 2 * shown) + key[-shown:] if len(key) > 2 * shown else "*" * len(key)


def unknown_path(method: str, path: str) -> OpenAIError:
    """The 404 of a path that OpenAI does not serve."""
    return OpenAIError(404, f"Invalid URL ({method} {path})")


def unknown_model(model: str) -> OpenAIError:
    """The 404 of a model that does not exist or is not for this key."""
    return OpenAIError(
        404, f"The model `{model}` does not exist or you do not have access to it.", code="model_not_found"
    )


def unknown_file(file_id: str) -> OpenAIError:
    """The 404 of an unknown file id."""
    return OpenAIError(404, f"No such File object: {file_id}", param="id")


def blocked_prompt() -> OpenAIError:
    """The 400 of a prompt that may not be answered."""
    return OpenAIError(
        400,
        "Invalid prompt: your prompt was flagged as potentially violating our usage policy.",
        code="invalid_prompt",
    )


def flex_busy() -> OpenAIError:
    """The 429 of a request for flex processing without free capacity; it is not charged."""
    return OpenAIError(
        429,
        "Resource Unavailable: there is no capacity for flex processing of this model at the moment.",
        kind="resource_unavailable",
        code="resource_unavailable",
    )


def unknown_batch(batch_id: str) -> OpenAIError:
    """The 404 of an unknown batch id."""
    return OpenAIError(404, f"No batch found with id '{batch_id}'.")


def missing_parameter(name: str) -> OpenAIError:
    """The 400 of a missing parameter."""
    return OpenAIError(400, f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter")


def invalid_value(name: str, value: object, known: tuple[str, ...]) -> OpenAIError:
    """The 400 of a value that is not in a closed list."""
    listed = ", ".join(f"'{word}'" for word in known)
    return OpenAIError(
        400, f"Invalid value: '{value}'. Supported values are: {listed}.", param=name, code="invalid_value"
    )


def invalid_type(name: str, expected: str) -> OpenAIError:
    """The 400 of a value of the wrong type."""
    return OpenAIError(400, f"Invalid type for '{name}': expected {expected}.", param=name, code="invalid_type")


def struck_error(fault: Fault, path_values: Mapping[str, str]) -> OpenAIError:
    """The error that a fault of an HTTP request stands for. path_values: the ids in the path."""
    if fault.kind == "429":
        wait_s = fault.number("retry_after", -1.0)
        hint = f" Please try again in {wait_s:g}s." if wait_s >= 0 else ""
        period = "day (RPD)" if fault.number("per_day", 0) else "min (RPM)"
        return OpenAIError(
            429,
            f"Rate limit reached for requests in organization org-sandbox on requests per {period}.{hint}",
            kind="requests",
            code="rate_limit_exceeded",
            retry_after_s=wait_s if wait_s >= 0 else None,
        )
    if fault.kind == "503":
        wait_s = fault.number("retry_after", -1.0)
        return OpenAIError(
            503,
            "The engine is currently overloaded, please try again later",
            kind="service_unavailable",
            retry_after_s=wait_s if wait_s >= 0 else None,
        )
    if fault.kind == "not_found":
        return _struck_not_found(path_values)
    if fault.kind == "error":
        return OpenAIError(
            int(fault.number("status", 400)),
            fault.option("message", "The sandbox was asked for this error."),
            code=fault.option("code", "") or None,
        )
    return OpenAIError(
        500, "The server had an error while processing your request. Sorry about that!", kind="server_error"
    )


def limited_error(allowance: Allowance) -> OpenAIError:
    """The 429 of a request beyond a rate limit."""
    limit, window_s = allowance.limit, allowance.window_s
    what = {60.0: "min (RPM)", 1.0: "second"}.get(window_s, f"{window_s:g} s")
    hint = ""
    if allowance.tells:
        wait = format_duration(allowance.wait_s)
        hint = f": Limit {limit}, Used {limit}, Requested 1. Please try again in {wait}"
    wait_s = allowance.fault.number("retry_after", -1.0)
    return OpenAIError(
        429,
        f"Rate limit reached for requests in organization org-sandbox on requests per {what}{hint}.",
        kind="requests",
        code="rate_limit_exceeded",
        retry_after_s=wait_s if wait_s >= 0 else None,
        headers=limit_headers(allowance),
    )


def limit_headers(allowance: Allowance) -> dict[str, str]:
    """OpenAI's headers about the rate limit: the limit, what remains of it, when it is reset."""
    if not allowance.tells:
        return {}
    return {
        "x-ratelimit-limit-requests": str(allowance.limit),
        "x-ratelimit-remaining-requests": str(allowance.remaining),
        "x-ratelimit-reset-requests": format_duration(allowance.reset_s),
    }


def format_duration(seconds: float) -> str:
    """A duration as OpenAI writes it: 120ms, 7.66s, 1m30s; rounded up, so that waiting for it is enough."""
    milliseconds = math.ceil(seconds * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    return (f"{minutes}m" if minutes else "") + f"{rest / 1000:g}s"


def _struck_not_found(path_values: Mapping[str, str]) -> OpenAIError:
    if "batch" in path_values:
        return unknown_batch(path_values["batch"])
    if "file" in path_values:
        return unknown_file(path_values["file"])
    return OpenAIError(404, "The requested resource was not found.", code="not_found")


def line_error(fault: Fault) -> OpenAIError:
    """The error of one batch line, as the fault `line_error` describes it."""
    return OpenAIError(
        int(fault.number("status", 400)),
        fault.option("message", "The sandbox was asked to fail this line."),
        code=fault.option("code", "sandbox_line_error"),
    )
