"""What OpenAI checks before it runs a batch: one error fails the whole batch, and nothing is executed."""

from collections.abc import Iterator
from dataclasses import dataclass

from vlures.sandbox.batches.batch import BatchErrorLine
from vlures.sandbox.batches.results import read_line
from vlures.sandbox.openai.responses import named_files

MAX_LINES = 50_000
MAX_ERRORS = 50


@dataclass(frozen=True)
class Validation:
    """What validation found."""

    total: int
    """Lines."""
    model: str | None
    """That of the first good line."""
    errors: tuple[BatchErrorLine, ...]


def validate_lines(
    lines: Iterator[bytes], endpoint: str, models: tuple[str, ...], *, file_ids: bool = True
) -> Validation:
    """Check the lines of an input file without executing them.

    models: those that exist (empty: all). file_ids: False refuses lines that name an image by the id of a file (the
    fault `no_file_ids_batch`).
    """
    errors: list[BatchErrorLine] = []
    custom_ids: set[str] = set()
    model: str | None = None
    total = 0
    for number, line in enumerate(lines, start=1):
        total = number
        if number > MAX_LINES or len(errors) >= MAX_ERRORS:
            break
        found = _check_line(line, endpoint, custom_ids, file_ids=file_ids)
        if isinstance(found, BatchErrorLine):
            errors.append(_at_line(found, number))
            continue
        model = found if model is None else model
        if found != model:
            message = (
                f"The model '{found}' for this request does not match the rest of the batch. Each batch must contain "
                "requests for a single model."
            )
            errors.append(BatchErrorLine("model_mismatch", message, number, "body.model"))
        elif models and found not in models:
            message = f"The provided model '{found}' is not supported by the Batch API."
            errors.append(BatchErrorLine("model_not_found", message, number, "body.model"))
    if total > MAX_LINES:
        message = f"The batch input file contains more than the maximum of {MAX_LINES} requests."
        errors = [BatchErrorLine("too_many_tasks", message)]
    if total == 0:
        errors = [BatchErrorLine("empty_file", "The batch input file is empty. Please ensure it is not empty.")]
    return Validation(total, model, tuple(errors))


def _at_line(error: BatchErrorLine, number: int) -> BatchErrorLine:
    return BatchErrorLine(error.code, error.message, number, error.param)


def _check_line(line: bytes, endpoint: str, custom_ids: set[str], *, file_ids: bool) -> str | BatchErrorLine:
    """The model of a good line, or the error of a bad one."""
    request = read_line(line)
    if request is None:
        return BatchErrorLine("invalid_json_line", "This line is not parseable as valid JSON.")
    for name in ("custom_id", "method", "url", "body"):
        if request.get(name) in (None, ""):
            return BatchErrorLine("missing_required_parameter", f"Missing required parameter: '{name}'.", param=name)
    custom_id, body = request["custom_id"], request["body"]
    if not isinstance(custom_id, str):
        return BatchErrorLine("invalid_type", "Invalid type for 'custom_id': expected a string.", param="custom_id")
    if custom_id in custom_ids:
        return BatchErrorLine(
            "duplicate_custom_id",
            f"The custom_id '{custom_id}' for this request is a duplicate of another request. The custom_id parameter "
            "must be unique for each request in a batch.",
            param="custom_id",
        )
    custom_ids.add(custom_id)
    if request["method"] != "POST":
        return BatchErrorLine("invalid_method", "The method of a batch request must be POST.", param="method")
    if request["url"] != endpoint:
        return BatchErrorLine(
            "url_mismatch",
            f"The URL provided for this request does not match the batch endpoint {endpoint}.",
            param="url",
        )
    model = body.get("model") if isinstance(body, dict) else None
    if not isinstance(model, str) or not model:
        return BatchErrorLine(
            "missing_required_parameter", "Missing required parameter: 'body.model'.", param="body.model"
        )
    named = None if file_ids else next(named_files(body), None)
    if named is not None:
        message = f"This line names the file {named}; a file_id is not supported for images in batch requests."
        return BatchErrorLine("invalid_request", message, param="body.input")
    return model
