"""What a Python file spells out at its top level, read without running it.

Understood: texts, dictionaries, `+`, and names (in f-strings too) that the script sets once, above, at its top level.
Everything else is `Computed`, with its line and the reason.
"""

from __future__ import annotations

import ast
import hashlib
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vlures.errors import VluresError
from vlures.files.reading import UnusableFile, read_file

LARGEST_SCRIPT_BYTES = 5_000_000
MOST_LETTERS = 1_000_000
"""Of one text: one that is added to itself repeatedly would soon fill the memory."""
MOST_VALUES = 10_000
"""Of one dictionary: dictionaries that contain one another by name may expand to billions."""


@dataclass(frozen=True, slots=True)
class Text:
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Computed:
    """A value, or a use of one, that is not understood."""

    line: int
    why: str
    """The rest of a sentence: "is nested too deeply"."""


Leaf = Text | Computed
Steps = tuple[tuple[str | int, int], ...]
"""The keys that lead to a leaf, each with its line."""


class Script:
    """A parsed script and its names."""

    def __init__(self, path: Path, data: bytes) -> None:
        self.path = path
        self.digest = hashlib.sha256(data).hexdigest()
        self.tree = ast.parse(data, filename=str(path))
        self.nodes = list(ast.walk(self.tree))
        self.parents = {child: node for node in self.nodes for child in ast.iter_child_nodes(node)}
        self.read: dict[str, Leaf | ast.Dict] = {}  # the names that values were made of
        self.uses: set[ast.AST] = set()  # where they were
        self.bindings: dict[str, list[ast.AST]] = defaultdict(list)  # by name: what sets or deletes it, by line
        for node in self.nodes:
            for name in _bound_names(node):
                self.bindings[name].append(node)
        for nodes in self.bindings.values():
            nodes.sort(key=lambda node: (node.lineno, node.col_offset))  # type: ignore[attr-defined]

    @property
    def names(self) -> list[str]:
        """The names that are set at the top level."""
        tops = {*self.tree.body}
        return [name for name, nodes in self.bindings.items() if any(self.parents[node] in tops for node in nodes)]

    def find(self, names: Iterable[str]) -> str | None:
        """The first of these names, in any case, that is set at the top level, else elsewhere."""
        by_capitals = {name.upper(): name for name in sorted(self.names, reverse=True)}  # PROMPTS before prompts
        found = [by_capitals[name] for name in names if name in by_capitals]
        return next(iter(found or [name for name in names if name in self.bindings]), None)

    def around(self, node: ast.AST) -> Iterator[ast.AST]:
        """The nodes around a node, from the inside out."""
        while node in self.parents:
            yield (node := self.parents[node])

    def value(self, name: str, use: ast.Name | None = None) -> Leaf | ast.Dict:
        """The value of a name wherever the script uses it; Computed unless one plain line above sets it."""
        lines = [node.lineno for node in self.bindings.get(name, ())]  # type: ignore[attr-defined]
        here = use.lineno if use else 1
        if not lines:
            return Computed(here, f"is not certain: the script does not set {name}")
        if len(lines) > 1:
            return Computed(lines[1], f"is not certain: this line sets or changes {name} again")
        match self.parents[self.bindings[name][0]]:
            case ast.Assign(targets=[ast.Name()], value=value) | ast.AnnAssign(value=ast.expr() as value) as statement:
                if statement not in self.tree.body:
                    return Computed(lines[0], f"is not certain: {name} is not set at the top level")
            case _:
                return Computed(lines[0], f"is not certain: {name} is not set by a plain `{name} = …` at the top level")
        if use and (use.lineno, use.col_offset) < (statement.end_lineno, statement.end_col_offset):
            return Computed(here, f"is not certain: {name} is set only below")
        if name not in self.read:
            self.read[name] = self.evaluate(value)
        return self.read[name]

    def evaluate(self, node: ast.expr) -> Leaf | ast.Dict:
        match node:
            case ast.Dict():
                return node
            case ast.Name(id=name):
                self.uses.add(node)
                return self.value(name, node)
            case ast.FormattedValue(value=ast.Name() as inner, conversion=-1, format_spec=None):
                return self.evaluate(inner)
            case ast.Constant(value=str(text)):
                return _join(node.lineno, [Text(node.lineno, text)])
            case ast.Constant(value=other):
                return Computed(node.lineno, f"is of type {type(other).__name__}, not a text")
            case ast.BinOp(op=ast.Add(), left=left, right=right):
                return _join(node.lineno, map(self.evaluate, (left, right)))
            case ast.JoinedStr(values=parts):
                return _join(node.lineno, map(self.evaluate, parts))
        return Computed(node.lineno, "is computed when the script runs")

    def leaves(self, value: Leaf | ast.Dict) -> Iterator[tuple[Steps, Leaf]]:
        """All texts in a dictionary and in those that it holds; for anything else, itself, without steps."""
        todo: list[tuple[Steps, Leaf | ast.Dict]] = [((), value)]
        for _ in range(MOST_VALUES):
            if not todo:
                return
            steps, value = todo.pop()
            if not isinstance(value, ast.Dict):
                yield steps, value
                continue
            inner: dict[str | int, tuple[Steps, Leaf | ast.Dict]] = {}
            for key_node, value_node in zip(value.keys, value.values, strict=True):
                key = self._key(key_node)
                if key is None or key_node is None:
                    line = (key_node or value_node).lineno
                    why = "has `**` or a key that is computed when the script runs"
                    inner = {"": (steps, Computed(line, why))}
                    break
                inner[key] = (*steps, (key, key_node.lineno)), self.evaluate(value_node)
            todo += reversed(inner.values())
        yield (), Computed(1, f"holds more than {MOST_VALUES:,} values")

    def _key(self, node: ast.expr | None) -> str | int | None:
        if isinstance(node, ast.Constant) and type(node.value) is int:
            return node.value
        value = self.evaluate(node) if node else None
        return value.text if isinstance(value, Text) else None


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


def _join(line: int, parts: Iterable[Leaf | ast.Dict]) -> Leaf:
    text = ""
    for part in parts:
        if not isinstance(part, Text):
            return part if isinstance(part, Computed) else Computed(line, "is computed when the script runs")
        text += part.text
        if len(text) > MOST_LETTERS:
            return Computed(line, f"has more than {MOST_LETTERS:,} characters")
    try:
        text.encode()
    except UnicodeEncodeError:
        return Computed(line, "has half of a character (a lone surrogate), which no provider takes")
    return Text(line, text)
