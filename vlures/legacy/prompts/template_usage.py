"""How a script fills its templates: which of an example's texts goes where, and whether anything is done on the way.

The dictionaries alone do not tell. One of the original scripts fills its templates for tasks 6-8 twice: first with the
task and the example, then with the article; so doubled braces in them are halved twice.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from vlures.legacy.prompts.static_values import Computed, Script, unfold

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
LOOKING = frozenset({"get", "items", "values", "keys", "setdefault", "copy"})
GOING_THROUGH = frozenset({"sorted", "enumerate", "list", "tuple", "reversed", "zip", "dict"})
REWRITING = frozenset(
    {
        "strip",
        "lstrip",
        "rstrip",
        "replace",
        "lower",
        "upper",
        "removeprefix",
        "removesuffix",
        "translate",
        "expandtabs",
    }
)
LOGGING = frozenset({"debug", "info", "warning", "error", "exception", "critical"})


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
    makers = _makers(script.tree)
    for scope in _scopes(script.tree):
        every = _set_in(scope)
        local = {name: values[0] for name, values in every.items() if len(values) == 1}
        doubts += _changed_after(scope, every, makers)
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
                        made_up = _made_up_values(word.value, every)
                        if _is_itself(str(word.arg), value) and ROLES[str(word.arg)] == "article":
                            twice.add(str(word.arg))
                        elif made_up:
                            doubts += [
                                Computed(one.lineno, f"fills {{{word.arg}}} with something that it makes up there")
                                for one in made_up
                            ]
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


def _inside(scope: ast.AST, past: Callable[[ast.AST], bool] | None = None) -> Iterator[ast.AST]:
    """All that is in a function, or at the top level, but not in the functions therein. past: what to go past."""
    for child in ast.iter_child_nodes(scope):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and not (past and past(child)):
            yield child
            yield from _inside(child, past)


def _set_in(scope: ast.AST) -> dict[str, list[ast.expr]]:
    """All that each name is set to; `name += more` counts as `name + more`."""
    found: dict[str, list[ast.expr]] = defaultdict(list)
    for node in _inside(scope):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                found[name].append(value)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                found[name].append(value)
            case ast.NamedExpr(target=ast.Name(id=name), value=value):
                found[name].append(value)
            case ast.AugAssign(target=ast.Name(id=name) as target, op=operator, value=value):
                found[name].append(ast.copy_location(ast.BinOp(target, operator, value), node))
    return found


def _made_up_values(value: ast.expr, every: Mapping[str, list[ast.expr]]) -> list[ast.expr]:
    """All that a name can stand for and that is put together or cut there. A name that begins empty is not."""
    found, seen = list[ast.expr](), set[str]()
    todo = [(value, False)]
    while todo:
        one, is_one_of_many = todo.pop()
        if isinstance(one, ast.Name) and one.id not in seen:
            seen.add(one.id)
            values = every.get(one.id, [])
            todo += [(each, len(values) > 1) for each in values]
        elif _is_made_up(one) and not (is_one_of_many and isinstance(one, ast.Constant) and not one.value):
            found.append(one)
    return found


def _is_filling(value: ast.expr, makers: Collection[str] = ()) -> bool:
    """Whether this is a filled template (with more put to it, perhaps), or a call of a function that returns one."""
    match value:
        case ast.Call(func=ast.Attribute(attr="format"), keywords=keywords) if any(w.arg in ROLES for w in keywords):
            return True
        case ast.Call(func=ast.Name(id=name)) | ast.Call(func=ast.Attribute(attr=name)):
            return name in makers
        case ast.Await(value=inner):
            return _is_filling(inner, makers)
        case ast.BinOp(left=left, right=right):
            return _is_filling(left, makers) or _is_filling(right, makers)
    return False


def _makers(tree: ast.Module) -> set[str]:
    """The functions that return a filled template."""
    found = set()
    for scope in _scopes(tree):
        if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
            every = _set_in(scope)
            for node in _inside(scope):
                if isinstance(node, ast.Return) and node.value is not None:
                    values = every.get(node.value.id, []) if isinstance(node.value, ast.Name) else [node.value]
                    if any(_is_filling(value) for value in values):
                        found.add(scope.name)
    return found


def _changed_after(scope: ast.AST, every: Mapping[str, list[ast.expr]], makers: set[str]) -> list[Computed]:
    """Lines that put something to a filled template, or cut it. What is only printed, logged or raised does not count."""
    filled = {name for name, values in every.items() if any(_is_filling(value, makers) for value in values)}

    def is_filled(value: ast.expr) -> bool:
        return value.id in filled if isinstance(value, ast.Name) else _is_filling(value, makers)

    lines = set()
    for node in _inside(scope, past=_is_said):
        match node:
            case ast.BinOp(left=left, right=right) if is_filled(left) or is_filled(right):
                lines.add(node.lineno)
            case ast.AugAssign(target=ast.Name(id=name)) if name in filled:
                lines.add(node.lineno)
            case ast.JoinedStr(values=[_, _, *_] as parts):
                if any(isinstance(part, ast.FormattedValue) and is_filled(part.value) for part in parts):
                    lines.add(node.lineno)
            case ast.Subscript(value=value, slice=ast.Slice()) if is_filled(value):
                lines.add(node.lineno)
            case ast.Call(func=ast.Attribute(attr="join"), args=[ast.List(elts=parts) | ast.Tuple(elts=parts)]):
                if any(is_filled(part) for part in parts):
                    lines.add(node.lineno)
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method)) if name in filled:
                if method in REWRITING:
                    lines.add(node.lineno)
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name in filled and not _is_filling(value):
                if any(isinstance(inner, ast.Name) and inner.id == name for inner in ast.walk(value)):
                    lines.add(node.lineno)
    return [Computed(line, "changes a prompt after it is filled") for line in sorted(lines)]


def _is_said(node: ast.AST) -> bool:
    match node:
        case ast.Raise() | ast.Assert() | ast.Call(func=ast.Name(id="print")):
            return True
        case ast.Call(func=ast.Attribute(attr=level)):
            return level in LOGGING
    return False


def _followed(value: ast.expr, local: Mapping[str, ast.expr]) -> ast.expr:
    seen: set[str] = set()
    while isinstance(value, ast.Name) and value.id in local and value.id not in seen:
        seen.add(value.id)
        value = local[value.id]
    return value


def find_changes(script: Script, names: set[str]) -> list[Computed]:
    """Lines that change one of these dictionaries while the script runs, in a way that is not followed."""
    followed = {
        id(target)
        for statement in script.tree.body
        if isinstance(statement, ast.Assign) and isinstance(target := statement.targets[0], ast.Subscript)
        if isinstance(root := unfold(target)[0], ast.Name) and root.id in names
    }
    found: dict[int, Computed] = {}
    for scope, known in _with_aliases(script.tree, names):
        for node in _inside(scope):
            name = _changed_name(node, names, known, followed)
            if name is not None:
                line: int = node.lineno  # type: ignore[attr-defined]
                found[line] = Computed(line, f"changes {name} while it runs, which is not followed")
    return list(found.values())


def _changed_name(node: ast.AST, names: set[str], known: Collection[str], followed: set[int]) -> str | None:
    """Which of the dictionaries (names), or of the names that stand for parts of them (known), this changes."""
    root: ast.expr | None = None
    match node:
        case ast.Subscript(ctx=ast.Store() | ast.Del()) if id(node) not in followed:
            root = unfold(node)[0]
        case ast.Call(func=ast.Attribute(value=changed, attr=method)) if method in CHANGING:
            root = unfold(changed)[0]
        case ast.AugAssign(target=ast.Name() as root):
            pass
        case ast.Global(names=[*taken]) if names.intersection(taken):
            return min(names.intersection(taken))
        case ast.For(iter=iterated) if _changes_something(node):
            mentioned = [inner for inner in ast.walk(iterated) if isinstance(inner, ast.Name) and inner.id in names]
            root = mentioned[0] if mentioned else None
    # `LANGUAGE_CONFIGS.get("English")["system_prompt"] = …` and the like
    name = root.id if isinstance(root, ast.Name) else next(iter(_looks_into(root)), "") if root is not None else ""
    return name if name in known or name in names else None


def _with_aliases(scope: ast.AST, known: set[str]) -> Iterator[tuple[ast.AST, set[str]]]:
    """Every scope with the names that stand there for one of the dictionaries, or for a part of one."""
    bound = list[tuple[str, set[str]]]()
    for node in _inside(scope):
        match node:
            case ast.Assign(targets=targets, value=value):
                pass
            case ast.AnnAssign(target=target, value=ast.expr() as value) | ast.NamedExpr(target=target, value=value):
                targets = [target]
            case ast.For(target=target, iter=value) | ast.AsyncFor(target=target, iter=value):
                targets = [target]
            case ast.comprehension(target=target, iter=value):
                targets = [target]
            case _:
                continue
        plain = [inner for target in targets for inner in ast.walk(target) if isinstance(inner, ast.Name)]
        bound += [(inner.id, _looks_into(value)) for inner in plain if isinstance(inner.ctx, ast.Store)]
    if not isinstance(scope, ast.Module):
        shared = {name for node in _inside(scope) if isinstance(node, ast.Global | ast.Nonlocal) for name in node.names}
        # a name that a function sets for itself is not the one outside
        known = known - ({name for name, _ in bound} - shared)
    else:
        known = set(known)
    while more := {name for name, roots in bound if name not in known and roots & known}:
        known |= more
    yield scope, known
    for child in _functions_in(scope):
        yield from _with_aliases(child, known)


def _functions_in(scope: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(scope):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
        else:
            yield from _functions_in(child)


def _looks_into(value: ast.expr) -> set[str]:
    """The names that a value is looked up in: `CONFIGS[x].get("tasks") or DEFAULTS` → CONFIGS, DEFAULTS."""
    match value:
        case ast.Name(id=name):
            return {name}
        case ast.Subscript(value=inner):
            return _looks_into(inner)
        case ast.Call(func=ast.Attribute(value=inner, attr=method)) if method in LOOKING:
            return _looks_into(inner)
        case ast.Call(func=ast.Name(id=function), args=parts) if function in GOING_THROUGH:
            return set().union(*map(_looks_into, parts))
        case ast.BoolOp(values=parts) | ast.Tuple(elts=parts):
            return set().union(*map(_looks_into, parts))
        case ast.IfExp(body=body, orelse=orelse):
            return _looks_into(body) | _looks_into(orelse)
    return set()


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
