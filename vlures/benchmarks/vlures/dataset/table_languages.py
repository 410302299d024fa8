"""The languages that a table's rows name: a column that names them, and rows in no language or in none of ours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vlures.benchmarks.problems import ProblemList
from vlures.benchmarks.vlures.dataset.language_names import find_spoken_language
from vlures.benchmarks.vlures.languages import LANGUAGES, Language
from vlures.errors import UsageError, VluresError
from vlures.files.tables import read_rows

ROWS_TO_JUDGE = 20
COLUMNS_TO_JUDGE = 50
"""At most this many columns are checked for languages; each needs a reading of its own."""
LONGEST_WORD, MOST_WORDS = 60, 1_000


def language_word(value: Any, known: Mapping[str, int]) -> str:
    """The column's word. A column that holds no languages has as many words as rows: beyond MOST_WORDS all count as
    one."""
    short = "" if value is None else str(value).strip()[:LONGEST_WORD]
    return short if short in known or len(known) < MOST_WORDS else "…"


def refuse_unnamed_language_column(path: Path, encoding: str, columns: Sequence[str]) -> None:
    """Raises UsageError if one of a table's other columns holds our languages in at least half of its first rows."""
    counts = Counter(columns)
    others = [name for name in columns if counts[name] == 1][:COLUMNS_TO_JUDGE]
    values: dict[str, list[Any]] = {name: [] for name in others}
    for name in others:
        wanted = bytearray(b"\1" * (ROWS_TO_JUDGE + 2))
        try:
            values[name] = [value for _, (value,) in read_rows(path, encoding, [name], wanted) if value]
        except VluresError:  # a column of images
            continue
    for name, words in values.items():
        spoken = [word for word in words if isinstance(word, str) and find_spoken_language(word)]
        if spoken and len(spoken) * 2 >= len(words):
            raise UsageError(
                f"{path}: the column {name!r} seems to hold the language; confirm it with --columns language={name}, "
                "or deny it with --columns language="
            )


def check_languages(
    table_name: str, column: str | None, rows_by_word: Counter[str], language: Language, problems: ProblemList
) -> str | None:
    """Add the rows in no language, or in none of ours, to the problems. Returns None if some rows are in the wanted
    language, else how many rows are in which."""
    found: Counter[str] = Counter()
    for word, rows in rows_by_word.most_common():
        spoken = find_spoken_language(word)
        if spoken is not None:
            found[spoken.code] += rows
        elif word:
            ours = ", ".join(one.name for one in LANGUAGES.values())
            problems.add("language", (table_name,), f"{count_rows(rows)} in {_quote(word)}, which is not one of {ours}")
        else:
            problems.add("language", (table_name,), f"{count_rows(rows)} with no language in `{column}`")
    if found[language.code]:
        return None
    return (
        ", ".join((f"{LANGUAGES[code].name} {rows:,}") for code, rows in found.items()) or "nor in any of the languages"
    )


def describe_languages(rows_by_word: Mapping[str, int]) -> str:
    """The number of rows in each language: `En 10, others 2`."""
    languages: Counter[str] = Counter()
    for word, rows in rows_by_word.items():
        spoken = find_spoken_language(word)
        languages[spoken.code if spoken else "others"] += rows
    return ", ".join(f"{code} {languages[code]:,}" for code in (*LANGUAGES, "others") if languages[code])


def count_rows(rows: int) -> str:
    return f"{rows:,} row{'' if rows == 1 else 's'}"


def _quote(word: str) -> str:
    shown = repr(word)
    return shown if len(shown) <= 60 else f"{shown[:60]}…"
