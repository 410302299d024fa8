"""How a script fills its templates: which of an example's texts goes where, and whether anything is done on the way.

The dictionaries alone do not tell. One of the original scripts fills its templates for tasks 6-8 twice: first with the
task and the example, then with the article; so doubled braces in them are halved twice.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from vlures.prompts.literals import Computed, Script, unfold

PLACEHOLDER_NAMES: dict[str, tuple[str, ...]] = {
    "task": ("task_description", "task", "task_prompt", "task_text", "instruction"),
    "article": ("text_content", "text", "article", "article_text"),
    "question": ("example_question", "question", "one_shot_question"),
    "rationale": ("example_rationale", "rationale", "example_reasoning", "reasoning"),
    "answer": ("example_response", "example_answer", "one_shot_example", "example", "response", "answer"),
}
"""What scripts may call a pack's placeholders."""

ROLES = {name: role for role, names in PLACEHOLDER_NAMES.items() for name in names}
CHANGING = frozenset({"update", "pop", "popitem", "clear", "setdefault", "__setitem__", "__delitem__"})


@dataclass(frozen=True, slots=True)
class Filling:
    """fields: placeholder → the example's keys that are put in for it. roots: the names whose examples are put in.
    twice: placeholders for the article that first stand for themselves. doubts: lines that do something to a prompt that the dictionaries do
    not show."""

    fields: Mapping[str, frozenset[str]]
    roots: frozenset[str]
    twice: frozenset[str]
    doubts: tuple[Computed, ...]


def read_filling(script: Script) -> Filling:
    fields: dict[str, set[str]] = defaultdict(set)
    roots: set[str] = set()
    twice: set[str] = set()
    doubts: list[Computed] = []
    for scope in _scopes(script.tree):
        local = _set_once(scope)
        for node in _inside(scope):
            match node:
                case ast.Call(func=ast.Attribute(attr="format", value=template), keywords=keywords):
                    known = [word for word in keywords if word.arg in ROLES]
                    if any(word.arg is None for word in keywords) and not isinstance(template, ast.Constant):
                        doubts.append(Computed(node.lineno, "fills a template with `**`, whatever is in it"))
                    if known and isinstance(template, ast.Call):
                        doubts.append(Computed(node.lineno, "changes a template before it is filled"))
                    for word in known:
                        value = _followed(word.value, local)
                        if _is_itself(str(word.arg), value) and ROLES[str(word.arg)] == "article":
                            twice.add(str(word.arg))
                        elif _is_made_up(value):
                            doubts.append(
                                Computed(value.lineno, f"fills {{{word.arg}}} with something that it makes up there")
                            )
                        elif ROLES[str(word.arg)] not in ("task", "article") and (key := _last_key(value)) is not None:
                            fields[str(word.arg)].add(key)
                            roots.add(_root(value, local))
                case ast.Call(
                    func=ast.Attribute(value=ast.Call(func=ast.Attribute(attr="format"), keywords=keywords))
                ) if any(word.arg in ROLES for word in keywords):
                    doubts.append(Computed(node.lineno, "changes a prompt after it is filled"))
                case ast.Call(func=ast.Attribute(attr="replace"), args=[ast.Constant(value=str(text)), _]):
                    if text.strip("{}") in ROLES and text.startswith("{"):
                        doubts.append(Computed(node.lineno, f"fills {text} in by replace, not by format"))
    told = {name: frozenset(keys) for name, keys in fields.items()}
    return Filling(told, frozenset(roots), frozenset(twice), tuple(doubts))


def _is_itself(name: str, value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value == f"{{{name}}}"


def _is_made_up(value: ast.expr) -> bool:
    made_up = isinstance(value, ast.JoinedStr | ast.BinOp | ast.Constant | ast.IfExp)
    return made_up or any(isinstance(node, ast.Slice) for node in ast.walk(value))


def _root(value: ast.expr, local: Mapping[str, ast.expr]) -> str:
    """The name that a look-up begins with, after all names that stand for parts of it."""
    for _ in range(len(local) + 1):
        while isinstance(value, ast.Subscript | ast.Attribute | ast.Call):
            value = value.func if isinstance(value, ast.Call) else value.value
        value, before = _followed(value, local), value
        if value is before:
            break
    return value.id if isinstance(value, ast.Name) else ""


def _last_key(value: ast.expr) -> str | None:
    """`EXAMPLES[task]["answer"]` or `EXAMPLES[task].get("answer")` → answer"""
    match value:
        case ast.Subscript():
            key = unfold(value)[1][-1]
        case ast.Call(func=ast.Attribute(attr="get"), args=[key, *_]):
            pass
        case _:
            return None
    return key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else None


def _scopes(tree: ast.Module) -> Iterator[ast.AST]:
    yield tree
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield node


def _inside(scope: ast.AST) -> Iterator[ast.AST]:
    """All that is in a function, or at the top level, but not in the functions therein."""
    for child in ast.iter_child_nodes(scope):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from _inside(child)


def _set_once(scope: ast.AST) -> dict[str, ast.expr]:
    found: dict[str, list[ast.expr]] = defaultdict(list)
    for node in _inside(scope):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id].append(node.value)
    return {name: values[0] for name, values in found.items() if len(values) == 1}


def _followed(value: ast.expr, local: Mapping[str, ast.expr]) -> ast.expr:
    seen: set[str] = set()
    while isinstance(value, ast.Name) and value.id in local and value.id not in seen:
        seen.add(value.id)
        value = local[value.id]
    return value


def find_changes(script: Script, names: set[str]) -> list[Computed]:
    """Lines that change one of these dictionaries while the script runs, in a way that is not followed."""
    followed = {
        id(statement.targets[0])
        for statement in script.tree.body
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Subscript)
    }
    found = {}
    for node in ast.walk(script.tree):
        root: ast.expr | None = None
        match node:
            case ast.Subscript(ctx=ast.Store() | ast.Del()) if id(node) not in followed:
                root = unfold(node)[0]
            case ast.Call(func=ast.Attribute(value=changed, attr=method)) if method in CHANGING:
                root = unfold(changed)[0]
            case ast.AugAssign(target=ast.Name() as root):
                pass
            case ast.Global(names=[*taken]) if names.intersection(taken):
                root = ast.Name(min(names.intersection(taken)))
            case ast.For(iter=iterated) if _changes_something(node):
                mentioned = [inner for inner in ast.walk(iterated) if isinstance(inner, ast.Name) and inner.id in names]
                root = mentioned[0] if mentioned else None
        if isinstance(root, ast.Name) and root.id in names:
            found[node.lineno] = Computed(  # type: ignore[attr-defined]
                node.lineno,  # type: ignore[attr-defined]
                f"changes {root.id} while it runs, which is not followed",
            )
    return list(found.values())


def _changes_something(loop: ast.For) -> bool:
    """Whether a loop over a dictionary's parts writes into the parts it is given."""
    given = {node.id for node in ast.walk(loop.target) if isinstance(node, ast.Name)}
    for node in ast.walk(loop):
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            root = unfold(node)[0]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGING:
            root = unfold(node.func.value)[0]
        else:
            continue
        if isinstance(root, ast.Name) and root.id in given:
            return True
    return False
