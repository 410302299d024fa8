"""The output token limits (`max_output_tokens`) under which a folder's answers were given.

An answer that ended by itself is the same under a larger limit, though its digest contains the smaller one. So when
`--redo truncated` repeats only the answers that were cut, the others still answer the same question, and that is
recorded.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from vlures.config.sections import Target
from vlures.records import Request, digest_request

ALLOWANCE = "max_output_tokens"


def describe_allowances(target: Target, redo: Collection[str], run: Mapping[str, Any]) -> dict[str, list[int]]:
    """What run.json records. used: by all runs of the folder. same_question: those under which whole answers stay
    valid.

    run: the run.json of the last run.
    """
    today = target.parameters.get(ALLOWANCE)
    used = {*_used(run), *([today] if isinstance(today, int) else [])}
    return {"used": sorted(used), "same_question": sorted(same_question(target, redo, run))}


def same_question(target: Target, redo: Collection[str], run: Mapping[str, Any]) -> set[int]:
    """Limits below today's under which a whole answer still answers today's question."""
    known = _numbers(_recorded(run).get("same_question"))
    if "truncated" in redo:
        known |= _used(run)
    today = target.parameters.get(ALLOWANCE)
    return {allowance for allowance in known if today is None or allowance < today}


def is_only_raised(target: Target, run: Mapping[str, Any]) -> bool:
    """Whether today's options differ from the last run's only by a larger limit."""
    before, today = dict(run.get("parameters") or {}), dict(target.parameters)
    old, new = before.pop(ALLOWANCE, None), today.pop(ALLOWANCE, None)
    same = (run.get("provider"), run.get("model"), before) == (target.provider, target.model, today)
    return same and isinstance(old, int) and (new is None or new > old)


def is_answer_to(request: Request, provider: str, digest: str, allowances: Iterable[int]) -> bool:
    """Whether a digest is the request's under one of these limits."""
    asked = [{**request.parameters, ALLOWANCE: allowance} for allowance in allowances]
    prompt, image, schema = request.prompt, request.image, request.schema
    return any(
        digest == digest_request(provider, request.model, parameters, prompt, image, schema) for parameters in asked
    )


def _used(run: Mapping[str, Any]) -> set[int]:
    return _numbers(_recorded(run).get("used")) | _numbers([(run.get("parameters") or {}).get(ALLOWANCE)])


def _recorded(run: Mapping[str, Any]) -> Mapping[str, Any]:
    recorded = run.get("allowances")
    return recorded if isinstance(recorded, dict) else {}


def _numbers(values: Any) -> set[int]:
    return {value for value in values if isinstance(value, int)} if isinstance(values, list) else set()
