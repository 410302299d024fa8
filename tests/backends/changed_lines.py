"""Result lines with something in them changed."""

from __future__ import annotations

import copy
from typing import Any


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
