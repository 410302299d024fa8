"""The format of a request's key, which is also the provider's custom id: `Sw-t3-1shot-rationales-421`.

Cell, variant and sample's ID, joined by hyphens. The last hyphen always stands before the ID: those within it are
escaped.
"""

from __future__ import annotations

from vlures.records import Cell, Variant

LONGEST_ID = 200
"""Characters of a sample's ID, as written in a key."""


def request_key(cell: Cell, variant: Variant, sample_id: str) -> str:
    """The stable name of a request."""
    return key_prefix(cell, variant) + _escape(sample_id)


def key_prefix(cell: Cell, variant: Variant) -> str:
    """What the keys of a cell's requests begin with."""
    return f"{cell_group(cell, variant)}-"


def cell_group(cell: Cell, variant: Variant) -> str:
    """The name that a cell in one variant has in the ledger of its output folder."""
    return f"{cell}-{_written(variant)}"


def group_of(key: str) -> str:
    """The cell and the variant of a request's key, as cell_group writes them."""
    return key.rpartition("-")[0]


def cell_of_group(group: str, variant: Variant) -> Cell | None:
    """The cell of a group; None for one of another variant."""
    cell, separator, rest = group.rpartition(f"-{_written(variant)}")
    return Cell(cell) if separator and cell and not rest else None


def sample_of(key: str) -> str:
    """The sample's ID in a request's key."""
    return unescape(key.rpartition("-")[2])


def parse_key(key: str, variant: Variant) -> tuple[Cell, str]:
    """The cell and the sample's ID of a request's key. Raises ValueError for a key that is not of this variant."""
    cell = cell_of_group(group_of(key), variant)
    sample_id = sample_of(key)
    if cell is None or not variant.is_cell(cell) or not variant.is_sample_id(sample_id):
        raise ValueError(f"{key!r} is not the key of a request in the variant {variant.label}")
    return cell, sample_id


def _written(variant: Variant) -> str:
    return variant.label.replace("_", "-")


def _escape(sample_id: str) -> str:
    if "-" in sample_id or "%" in sample_id:
        return sample_id.replace("%", "%25").replace("-", "%2D")
    return sample_id


def unescape(written_id: str) -> str:
    """A sample's ID, from its escaped form in a key."""
    return written_id.replace("%2D", "-").replace("%25", "%") if "%" in written_id else written_id
