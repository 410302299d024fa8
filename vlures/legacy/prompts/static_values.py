"""What a Python file says without being run: the texts and dictionaries that its top level spells out.

A text may be put together from other texts where the outcome is certain: `+`, implicit joining, names of other such
values, `.strip()`, `"".join([...])`, `textwrap.dedent`. Whatever would have to be computed is a `Computed` that says so.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vlures.errors import VluresError
from vlures.files.reading import UnusableFile, read_file

Key = str | int

LARGEST_SCRIPT_BYTES = 5_000_000
MOST_DEPTH = 50
"""How deep values may refer to one another; real scripts come to three."""

MOST_LETTERS = 1_000_000
"""Of one text. No prompt is that long, and a text that is added to itself again and again soon fills the memory."""


@dataclass(frozen=True, slots=True)
class Text:
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """A dictionary, in its order. lines: where each key stands. leftovers: what in it has no certain key."""

    line: int
    items: Mapping[Key, Value]
    lines: Mapping[Key, int]
    leftovers: tuple[Computed, ...] = ()


@dataclass(frozen=True, slots=True)
class Computed:
    """A value that is not a text or a dictionary as it stands. why: words that go on from "line 7".

    harmless: what Python makes of it is certain all the same.
    """

    line: int
    why: str
    harmless: bool = False


Value = Text | Table | Computed


@dataclass(frozen=True, slots=True)
class _Binding:
    """What a name of the top level stands for; patches: later lines such as `NAME["Urdu"]["tasks"][8] = …`."""

    node: ast.expr | None
    line: int
    patches: list[tuple[tuple[ast.expr, ...], ast.expr]] = field(default_factory=list)


@dataclass(frozen=True)
class Script:
    """A parsed script. name is how messages call it."""

    name: str
    tree: ast.Module
    bindings: Mapping[str, _Binding]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.bindings)

    def value(self, name: str) -> Value:
        """What the name stands for once the top level has run."""
        return _Evaluation(self).name(name, 0)

    def refers_to(self, name: str) -> set[str]:
        """The name, and all names that its value is made of."""
        found: set[str] = set()
        todo = [name]
        while todo:
            binding = self.bindings.get(current := todo.pop())
            if binding is None or current in found:
                continue
            found.add(current)
            nodes = [binding.node, *(value for _, value in binding.patches)]
            todo += [
                node.id for top in nodes if top is not None for node in ast.walk(top) if isinstance(node, ast.Name)
            ]
        return found


def read_script(path: Path) -> Script:
    """Parse a Python file. Nothing of it is run.

    Raises VluresError naming the line that Python itself would refuse.
    """
    try:
        data = read_file(path, LARGEST_SCRIPT_BYTES)
    except UnusableFile as error:
        raise VluresError(f"The script {path} {error}; name another one.") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an unknown escape such as "\d" is the script's affair
            tree = ast.parse(data, filename=str(path))
    except SyntaxError as error:
        where = f"{path}:{error.lineno}" if error.lineno else str(path)
        raise VluresError(
            f"{where}: this is not Python that can be read ({error.msg}); mend the line. Nothing was written."
        ) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise VluresError(f"{path} is not Python that can be read ({error}). Nothing was written.") from error
    return Script(path.name, tree, _bind(tree))


def _bind(tree: ast.Module) -> dict[str, _Binding]:
    bindings: dict[str, _Binding] = {}
    for statement in tree.body:
        for target, value in _assignments(statement):
            if isinstance(target, ast.Name):
                again = target.id in bindings
                bindings[target.id] = _Binding(None if again else value, statement.lineno)
            elif isinstance(target, ast.Subscript) and value is not None:
                root, keys = unfold(target)
                if isinstance(root, ast.Name) and root.id in bindings:
                    bindings[root.id].patches.append((keys, value))
    return bindings


def _assignments(statement: ast.stmt) -> Iterator[tuple[ast.expr, ast.expr | None]]:
    """(target, value) of a statement; the value is None where the name is set under a condition, in a loop, by `+=`."""
    match statement:
        case ast.Assign(targets=targets, value=value):
            yield from ((target, value) for target in targets)
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            yield target, value
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return
        case _:
            for node in ast.walk(statement):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    yield node, None


def unfold(node: ast.expr) -> tuple[ast.expr, tuple[ast.expr, ...]]:
    """`NAME["a"][1]` → NAME and its keys from left to right."""
    root, keys = node, list[ast.expr]()
    while isinstance(root, ast.Subscript):
        keys.insert(0, root.slice)
        root = root.value
    return root, tuple(keys)


class _Evaluation:
    """Works a value out. depth: how far it is from where it began, which ends what goes round in circles."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._known: dict[str, Value] = {}
        self._shared: list[Table] = []

    def name(self, name: str, depth: int, line: int | None = None) -> Value:
        if name not in self._known:
            self._known[name] = self._work_out(name, depth, line)
        return self._known[name]

    def _work_out(self, name: str, depth: int, line: int | None) -> Value:
        binding = self._script.bindings.get(name)
        if binding is None:
            return Computed(line or 0, f"needs {name}, which is not spelled out at the top level")
        if binding.node is None:
            return Computed(binding.line, f"sets {name} again, or under a condition")
        value = self.value(binding.node, depth + 1)
        for keys, node in binding.patches:
            self._shared += _find_shared([value, *self._known.values()])
            value = self._patched(value, keys, node, depth)
        return value

    def value(self, node: ast.expr, depth: int) -> Value:
        if depth > MOST_DEPTH:
            return Computed(node.lineno, "refers to itself, or lies too deep")
        match node:
            case ast.Constant(value=str(text)):
                return _text(node.lineno, text)
            case ast.Constant(value=other):
                return Computed(node.lineno, f"has {other!r} and not a text")
            case ast.Dict():
                return self._table(node, depth)
            case ast.JoinedStr(values=parts):
                if all(isinstance(part, ast.Constant) for part in parts):
                    return _text(
                        node.lineno, "".join(str(part.value) for part in parts if isinstance(part, ast.Constant))
                    )
                return Computed(node.lineno, "has an f-string")
            case ast.BinOp(op=ast.Add(), left=left, right=right):
                return self._put_together(node, [self.value(left, depth + 1), self.value(right, depth + 1)], "".join)
            case ast.Name(id=name):
                return self.name(name, depth + 1, node.lineno)
            case ast.Subscript():
                return self._looked_up(node, depth)
            case ast.Call():
                return self._called(node, depth)
            case ast.List() | ast.Tuple() | ast.Set():
                return Computed(node.lineno, "has a list, where a text or a dictionary is needed")
        return Computed(node.lineno, "has a value that is computed")

    def _table(self, node: ast.Dict, depth: int) -> Value:
        items: dict[Key, Value] = {}
        lines: dict[Key, int] = {}
        leftovers: list[Computed] = []
        for key_node, value_node in zip(node.keys, node.values, strict=True):
            value = self.value(value_node, depth + 1)
            if key_node is None:  # **other
                if early := self._is_changed_later(value_node):
                    leftovers.append(early)
                elif isinstance(value, Table):
                    items |= value.items
                    lines |= value.lines
                    leftovers += value.leftovers
                else:
                    leftovers.append(value if isinstance(value, Computed) else Computed(value.line, "unpacks a text"))
                continue
            key = self._key(key_node, depth)
            if key is None:
                leftovers.append(Computed(key_node.lineno, "has a key that is computed"))
                continue
            if key in items:
                leftovers.append(
                    Computed(key_node.lineno, f"has the key {key!r} a second time (the last one counts)", harmless=True)
                )
            items[key], lines[key] = value, key_node.lineno
        return Table(node.lineno, items, lines, tuple(leftovers))

    def _key(self, node: ast.expr, depth: int) -> Key | None:
        if isinstance(node, ast.Constant) and isinstance(node.value, int) and not isinstance(node.value, bool):
            return node.value
        value = self.value(node, depth + 1)
        return value.text if isinstance(value, Text) else None

    def _looked_up(self, node: ast.Subscript, depth: int) -> Value:
        root, keys = unfold(node)
        if early := self._is_changed_later(root):
            return early
        value = self.value(root, depth + 1)
        for key_node in keys:
            key = self._key(key_node, depth)
            if not isinstance(value, Table) or key is None or key not in value.items:
                return Computed(node.lineno, "looks something up that is not spelled out")
            value = value.items[key]
        return value

    def _is_changed_later(self, node: ast.expr) -> Computed | None:
        """Why a look-up or `**` here is not certain: it takes what is there by then, and a line below changes that."""
        for inner in ast.walk(node):
            if not isinstance(inner, ast.Name):
                continue
            for name in sorted(self._script.refers_to(inner.id)):
                for _, value in self._script.bindings[name].patches:
                    if value.lineno > node.lineno:
                        return Computed(node.lineno, f"takes {name} before it is changed in line {value.lineno}")
        return None

    def _patched(self, value: Value, keys: tuple[ast.expr, ...], node: ast.expr, depth: int) -> Value:
        if not keys:
            return self.value(node, depth + 1)
        key = self._key(keys[0], depth)
        if not isinstance(value, Table) or key is None or (len(keys) > 1 and key not in value.items):
            lost = Computed(node.lineno, "changes a dictionary in a way that is not followed")
            if isinstance(value, Table):
                return Table(value.line, value.items, value.lines, (*value.leftovers, lost))
            return lost
        if any(value is one for one in self._shared):
            lost = Computed(node.lineno, "changes a dictionary that stands in other places too, which is not followed")
            value = Table(value.line, value.items, value.lines, (*value.leftovers, lost))
            self._shared.append(value)  # for the next line that changes it
            return value
        inner = value.items.get(key, Computed(node.lineno, ""))
        items = {**value.items, key: self._patched(inner, keys[1:], node, depth)}
        return Table(value.line, items, {**value.lines, key: node.lineno}, value.leftovers)

    def _called(self, node: ast.Call, depth: int) -> Value:
        match node:
            case ast.Call(func=ast.Name(id="dict"), args=[], keywords=keywords) if self._is_builtin("dict"):
                keys = list[ast.expr | None]()
                for word in keywords:
                    keys.append(ast.copy_location(ast.Constant(word.arg), word.value) if word.arg else None)
                table = ast.Dict(keys=keys, values=[word.value for word in keywords])
                return self._table(ast.copy_location(table, node), depth)
            case ast.Call(func=ast.Attribute(value=inner, attr=("strip" | "lstrip" | "rstrip") as method), keywords=[]):
                texts = [self.value(part, depth + 1) for part in (inner, *node.args)]
                if len(texts) <= 2:
                    return self._put_together(node, texts, lambda parts: str(getattr(parts[0], method)(*parts[1:])))
            case ast.Call(
                func=ast.Attribute(value=inner, attr="join"), args=[ast.List() | ast.Tuple() as parts], keywords=[]
            ):
                texts = [self.value(part, depth + 1) for part in (inner, *parts.elts)]
                return self._put_together(node, texts, lambda parts: parts[0].join(parts[1:]))
            case ast.Call(func=function, args=[argument], keywords=[]):
                if clean := _CLEANERS.get(self._imported_as(function)):
                    return self._put_together(node, [self.value(argument, depth + 1)], lambda parts: clean(parts[0]))
        return Computed(node.lineno, "has a value that is computed")

    def _put_together(self, node: ast.expr, parts: list[Value], join: Callable[[list[str]], str]) -> Value:
        texts = []
        for part in parts:
            if isinstance(part, Computed):
                return part
            if isinstance(part, Table):
                return Computed(node.lineno, "has a value that is computed")
            texts.append(part.text)
        return _text(node.lineno, join(texts))

    def _is_builtin(self, name: str) -> bool:
        return not any(
            isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name
            for node in ast.walk(self._script.tree)
        )

    def _imported_as(self, function: ast.expr) -> str:
        """`textwrap.dedent` for `dedent` and `tw.dedent` too, where the script imports them so; empty for all else."""
        dotted = ast.unparse(function) if isinstance(function, ast.Name | ast.Attribute) else ""
        first, _, rest = dotted.partition(".")
        for node in self._script.tree.body:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    if first == (alias.asname or alias.name):
                        return f"{alias.name}.{rest}"
            elif isinstance(node, ast.ImportFrom) and not rest:
                for alias in node.names:
                    if first == (alias.asname or alias.name):
                        return f"{node.module}.{alias.name}"
        return ""


def _find_shared(values: list[Value]) -> list[Table]:
    """The tables that can be reached on two ways, each of them one dictionary in Python."""
    seen, shared = dict[int, Table](), dict[int, Table]()
    todo = list(values)
    while todo:
        value = todo.pop()
        if not isinstance(value, Table):
            continue
        if id(value) in seen:
            shared[id(value)] = value
        else:
            seen[id(value)] = value
            todo += value.items.values()
    return list(shared.values())


_CLEANERS: dict[str, Callable[[str], str]] = {"textwrap.dedent": textwrap.dedent, "inspect.cleandoc": inspect.cleandoc}


def _text(line: int, text: str) -> Value:
    if len(text) > MOST_LETTERS:
        return Computed(line, f"has a text of more than {MOST_LETTERS:,} letters")
    try:
        text.encode()
    except UnicodeEncodeError:
        return Computed(line, "has half of a character (a lone surrogate), which no provider takes")
    return Text(line, text)
