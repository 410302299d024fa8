"""Output tokens as they are charged: providers count thinking in two ways, and their totals tell which."""

from __future__ import annotations

from vlures.records import MOST_COUNTED


def count_output(
    asked: int | None, answered: int | None, thought: int | None, total: int | None, *, apart: bool = False
) -> int | None:
    """Output tokens including those of thinking, which is charged as output. None where nothing was counted.

    asked: input tokens. answered: output tokens as the provider counts them. apart: whether it counts thinking beside
    the output, where its total does not tell. xAI's total is input + output + reasoning, others' input + output:
    https://github.com/UKGovernmentBEIS/inspect_ai/issues/5528.
    """
    if answered is None or not thought:
        return answered
    together = answered + thought
    if together > MOST_COUNTED:
        return None
    if total is not None and asked is not None:
        if total == asked + answered:
            return answered
        apart = apart or total >= asked + together
    elif thought > answered:  # a part cannot exceed the whole
        apart = True
    return together if apart else answered
