"""What a Python file spells out at its top level, read without running it.

Understood: texts, dictionaries, `+`, and names that the script sets once, above, at its top level. Everything else is
`Computed`, with its line and the reason.
"""

from __future__ import annotations

import ast
import hashlib
import warnings
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from vlures.errors import VluresError
from vlures.files.reading import UnusableFile, read_file

LARGEST_SCRIPT_BYTES = 5_000_000
MOST_LETTERS = 1_000_000
"""Of one text: one that is added to itself repeatedly would soon fill the memory."""


@dataclass(frozen=True, slots=True)
class Text:
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Computed:
    """A value, or a use of one, that is not understood."""

    line: int
    why: str
    """The rest of a sentence: "is computed when the script runs"."""


Leaf = Text | Computed
Value = Leaf | ast.Dict
Entry = tuple[str | int, int, Value]
"""Of a dictionary: the key, its line, the value."""


class Script:
    """A parsed script and its names."""

    def __init__(self, path: Path, data: bytes) -> None:
        self.path = path
        self.digest = hashlib.sha256(data).hexdigest()
        tree = ast.parse(data, filename=str(path))
        self.nodes = list(ast.walk(tree))
        self.parents = {child: node for node in self.nodes for child in ast.iter_child_nodes(node)}
        self.read: dict[str, Value] = {}  # the names that values were made of
        self.uses: set[ast.AST] = set()  # where they were
        self.bindings: dict[str, list[ast.AST]] = defaultdict(list)  # by name: what sets or deletes it, by line
        for node in self.nodes:
            for name in _bound_names(node):
                self.bindings[name].append(node)
        for nodes in self.bindings.values():
            nodes.sort(key=lambda node: (node.lineno, node.col_offset))  # type: ignore[attr-defined]
        self._top_level = set(tree.body)

    def value(self, name: str, use: ast.Name | None = None) -> Value:
        """The value of a name wherever the script uses it; Computed unless one plain line above sets it."""
        lines = [node.lineno for node in self.bindings.get(name, ())]  # type: ignore[attr-defined]
        here = use.lineno if use else 1
        if not lines:
            return Computed(here, f"is not certain: the script does not set {name}")
        if len(lines) > 1:
            return Computed(lines[1], f"is not certain: this line sets or changes {name} again")
        match statement := self.parents[self.bindings[name][0]]:
            case ast.Assign(targets=[ast.Name()], value=value) if statement in self._top_level:
                if use and (use.lineno, use.col_offset) < (statement.end_lineno, statement.end_col_offset):
                    return Computed(here, f"is not certain: {name} is set only below")
                if name not in self.read:
                    self.read[name] = self.evaluate(value)
                return self.read[name]
        return Computed(lines[0], f"is not certain: {name} is not set by a plain `{name} = …` at the top level")

    def evaluate(self, node: ast.expr) -> Value:
        match node:
            case ast.Dict():
                return node
            case ast.Name(id=name):
                self.uses.add(node)
                return self.value(name, node)
            case ast.Constant(value=str(text)):
                return _checked(node.lineno, text)
            case ast.Constant(value=other):
                return Computed(node.lineno, f"is of type {type(other).__name__}, not a text")
            case ast.BinOp(op=ast.Add(), left=left, right=right):
                match self.evaluate(left), self.evaluate(right):
                    case (Computed() as computed, _) | (_, Computed() as computed):
                        return computed
                    case Text(text=first), Text(text=second):
                        return _checked(node.lineno, first + second)
        return Computed(node.lineno, "is computed when the script runs")

    def entries(self, table: ast.Dict) -> list[Entry] | Computed:
        """A dictionary's entries, in order; of two with one key, Python keeps the last."""
        found: dict[str | int, Entry] = {}
        for node, value in zip(table.keys, table.values, strict=True):
            match node:
                case ast.Constant(value=str() | int() as key) if not isinstance(key, bool):
                    found[key] = (key, node.lineno, self.evaluate(value))
                case _:
                    line = (node or value).lineno
                    return Computed(line, "has `**` or a key that is computed when the script runs")
        return list(found.values())


def read_script(path: Path) -> Script:
    """Parse a Python file without running it.

    Raises VluresError naming the line that Python itself would refuse.
    """
    try:
        data = read_file(path, LARGEST_SCRIPT_BYTES)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # unknown escapes such as "\d" do not matter here
            return Script(path, data)
    except UnusableFile as error:
        raise VluresError(f"The script {path} {error}; name another one.") from error
    except SyntaxError as error:
        where = f"{path}:{error.lineno}" if error.lineno else str(path)
        raise VluresError(
            f"{where}: this is not valid Python ({error.msg}); correct it. Nothing was written."
        ) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise VluresError(f"{path} is not Python that can be read ({error}). Nothing was written.") from error


def _bound_names(node: ast.AST) -> list[str]:
    """The names that a node sets, deletes, or takes from another scope."""
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
            return [name]
        case ast.alias(name=name, asname=other):
            return [(other or name).partition(".")[0]]
        case ast.Global(names=names) | ast.Nonlocal(names=names):
            return list(names)
    given = (getattr(node, "name", None), getattr(node, "rest", None))  # functions, classes, `except … as`, patterns
    return [name for name in given if isinstance(name, str)]


def _checked(line: int, text: str) -> Leaf:
    if len(text) > MOST_LETTERS:
        return Computed(line, f"has more than {MOST_LETTERS:,} characters")
    try:
        text.encode()
    except UnicodeEncodeError:
        return Computed(line, "has half of a character (a lone surrogate), which no provider takes")
    return Text(line, text)
