"""What an answer used, as it is charged: providers count thinking in two ways, and their totals tell which."""

from __future__ import annotations

from vlures.records import MOST_COUNTED


def count_output(
    asked: int | None, answered: int | None, thought: int | None, total: int | None, *, apart: bool = False
) -> int | None:
    """Tokens of output with the thinking, which is charged as output, in them.

    asked: tokens of input. answered: of output, as the provider counts it. apart: whether it counts thinking beside the
    output where its total does not tell. xAI's total is input + output + reasoning, others' input + output:
    https://github.com/UKGovernmentBEIS/inspect_ai/issues/5528. None where nothing was counted.
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
    elif thought > answered:  # what is more than the whole is no part of it
        apart = True
    return together if apart else answered
