"""Tables on screens of several widths."""

from __future__ import annotations

import pytest

from vlures.runs.table_text import fit

HEADERS = ["run", "ok", "failed", "refused", "due", "spent"]
ROWS = [["outputs/gpt-6-luna", "212", "0", "0", "0", "$0.02"], ["outputs/other", "12", "0", "3", "0", "$0.00"]]


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (None, HEADERS),
        (80, HEADERS),
        (50, ["run", "ok", "failed", "refused", "spent"]),
        (42, ["run", "ok", "refused", "spent"]),
        (20, ["run", "ok", "refused", "spent"]),  # nothing that says something is left out
    ],
)
def test_only_columns_that_say_nothing_are_left_out(width: int | None, shown: list[str]) -> None:
    assert [HEADERS[column] for column in fit(HEADERS, ROWS, width)] == shown
