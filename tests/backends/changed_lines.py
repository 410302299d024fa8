"""Result lines with something in them changed."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
"""What JSON can hold."""


def changed(content: Any, *changes: tuple[str, Any]) -> Any:
    """A copy of the content with values put in at paths such as `response.body.choices.0.message`."""
    content = copy.deepcopy(content)
    for path, value in changes:
        *above, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        place = content
        for part in above:
            place = place[part]
        place[last] = value
    return content


def paths(content: Any, above: str = "") -> Iterator[str]:
    """Every path that `changed` takes."""
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in items:
        yield f"{above}{key}"
        yield from paths(value, f"{above}{key}.")
