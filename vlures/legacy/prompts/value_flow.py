"""Where a script's dictionaries, their texts and the prompts made of them go: into names, and through its functions.

A name has one meaning throughout the script. Only plain assignments and the script's own functions are followed; a use
that takes a value elsewhere is refused (see template_usage.py).
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from itertools import takewhile
from typing import Literal

from vlures.legacy.prompts.dictionaries import FIELDS, KEYS, plain_key
from vlures.legacy.prompts.static_values import Script

PLACEHOLDER_NAMES: dict[str, tuple[str, ...]] = {
    "task": ("task_description", "task", "task_prompt", "task_text", "instruction"),
    "article": ("text_content", "text", "article", "article_text"),
    "question": ("example_question", "question", "one_shot_question"),
    "rationale": ("example_rationale", "rationale", "example_reasoning", "reasoning"),
    "answer": ("example_response", "example_answer", "one_shot_example", "example", "response", "answer"),
}
"""Names of a pack's placeholders in scripts."""
ROLES = {name: role for role, names in PLACEHOLDER_NAMES.items() for name in names}
TABLE_KEYS = {*KEYS["tasks"], *KEYS["templates"]}
TEXT_KEYS = {*KEYS["system"], *KEYS["image_only"], *KEYS["image_text"]}
FIELD_KEYS = {name for names in FIELDS.values() for name in names}

Kind = Literal["table", "text", "bundle"]
"""Of a value: a dictionary or part of one; a text, a prompt, or a list or dictionary made of those; a list, tuple or
dictionary with a table in it, or a function that returns one of all these."""
Function = ast.FunctionDef | ast.AsyncFunctionDef


class Flow:
    """What the names of a script hold of its dictionaries.

    tables: the names of the dictionaries. functions: the script's own, by name: those that a call of the name reaches
    as they stand.
    """

    def __init__(self, script: Script) -> None:
        self._script = script
        self.tables = {name for name, value in script.read.items() if isinstance(value, ast.Dict)}
        self.functions = {node.name: node for node in script.nodes if isinstance(node, Function) and self._is_own(node)}
        self._given: dict[str, list[ast.AST]] = defaultdict(list)  # by name (a function's result: f()): its values
        self._explained = set[ast.AST]()  # the bindings with a value
        for node in script.nodes:
            self._note_assignment(node)
        calls = [node for node in script.nodes if isinstance(node, ast.Call)]
        for name, argument in [pair for call in calls for pair in self.arguments(call)]:
            self._given[name].append(argument)
        flow: list[tuple[str, ast.AST]] = [(name, one) for name, values in self._given.items() for one in values]
        flow += [pair for call in calls for pair in (*self.unpacked(call), *_appended(call))]
        self._kinds: dict[str, set[Kind]] = {name: {"table"} for name in self.tables}
        count = -1
        while count < (count := sum(map(len, self._kinds.values()))):
            for name, value in flow:
                self._kinds.setdefault(name, set()).update(self.kinds(value))

    def kinds(self, node: ast.AST) -> set[Kind]:
        """What a value may be; empty for one that has nothing to do with the dictionaries."""
        match node:
            case ast.Name(id=name):
                result: set[Kind] = {"bundle"} if self._kinds.get(f"{name}()") else set()
                return set() if node in self._script.uses else self._kinds.get(name, set()) | result
            case ast.Attribute(attr=name) if name in self.tables:
                return {"table"}
            case ast.Call() if is_fill(node):
                return {"text"}
            case ast.Subscript(value=whole) | ast.Call(func=ast.Attribute(value=whole, attr="get"), args=[_, *_]):
                return self._kinds_of_part(whole, key_of(node))
            case ast.Call():
                return set().union(*(self._kinds.get(f"{one.name}()", set()) for one in self.called(node)))
            case ast.BoolOp() | ast.BinOp() | ast.IfExp() | ast.NamedExpr() | ast.Await():
                return set().union(*map(self.kinds, ast.iter_child_nodes(node)))
            case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts) | ast.Dict(values=parts):
                kinds = set().union(*map(self.kinds, parts))
                return {"bundle"} if {"table", "bundle"} & kinds else kinds
        return set()

    def _kinds_of_part(self, whole: ast.AST, key: str | None) -> set[Kind]:
        kinds = self.kinds(whole)
        if key in TEXT_KEYS:
            return {"text"}
        if key in TABLE_KEYS:
            return {"table"}
        if "table" not in kinds:
            return kinds
        if key in KEYS["code"]:
            return set()
        return {"text"} if key in FIELD_KEYS or key_of(whole) in TABLE_KEYS else {"table"}

    def sources(self, node: ast.AST) -> list[ast.AST]:
        """All values that a name may stand for, through other names; a binding without a known value for itself."""
        found, todo, seen = list[ast.AST](), [node], set[str]()
        while todo:
            value = todo.pop()
            if not isinstance(value, ast.Name) or isinstance(value.ctx, ast.Store) or value.id in self.tables:
                found.append(value)
            elif value.id not in seen:
                seen.add(value.id)
                bindings = self._script.bindings.get(value.id, [ast.alias(value.id)])
                todo += [*self._given.get(value.id, []), *(one for one in bindings if one not in self._explained)]
        return found

    def called(self, call: ast.Call) -> list[Function]:
        """The script's own functions that a call may mean; none if it may mean another."""
        match call.func:
            case ast.Name(id=name) if name in self.functions:
                return [self.functions[name]]
            case ast.Name(id=name) if len(values := self._given.get(name, [])) == len(
                self._script.bindings.get(name, [])
            ):
                found = [self.functions.get(getattr(value, "id", "")) for value in values]
                return [one for one in found if one] if all(found) else []
        return []

    def arguments(self, call: ast.Call) -> Iterator[tuple[str, ast.expr]]:
        """The parameters that a call of the script's own functions sets, with the values, but not those of `*name`."""
        plain = list(takewhile(lambda value: not isinstance(value, ast.Starred), call.args))
        for function in self.called(call):
            names = _parameters(function)
            yield from zip(names, plain, strict=False)
            named = {*names, *(parameter.arg for parameter in function.args.kwonlyargs)}
            yield from ((word.arg, word.value) for word in call.keywords if word.arg in named)

    def unpacked(self, call: ast.Call) -> list[tuple[str, ast.expr]]:
        """The parameters that a last `*name` may set, with the parts of the tuples that the name is given."""
        match call.args:
            case [*before, ast.Starred(value=ast.Name(id=name))]:
                given = self._given.get(name, [])
                tuples = [value.elts for value in given if isinstance(value, ast.Tuple)]
                if len(tuples) == len(given) and not any(isinstance(value, ast.Starred) for value in before):
                    names = [_parameters(function)[len(before) :] for function in self.called(call)]
                    return [pair for some in names for parts in tuples for pair in zip(some, parts, strict=False)]
        return []

    def function_around(self, node: ast.AST) -> str | None:
        """The name of the function that a statement belongs to, if it is one of the script's own."""
        around = next((one for one in self._script.around(node) if isinstance(one, Function)), None)
        return around.name if around and self.functions.get(around.name) is around else None

    def _is_own(self, function: Function) -> bool:
        plain = not (function.decorator_list or function.args.vararg or function.args.kwarg)
        is_method = isinstance(self._script.parents[function], ast.ClassDef)
        return plain and not is_method and len(self._script.bindings[function.name]) == 1

    def _note_assignment(self, node: ast.AST) -> None:
        match node:
            case (
                ast.Assign(targets=[ast.Name() as name], value=value)
                | ast.AnnAssign(target=ast.Name() as name, value=ast.expr() as value)
                | ast.NamedExpr(target=name, value=value)
            ):
                self._given[name.id].append(value)
                self._explained.add(name)
            case ast.AugAssign(target=ast.Name() as name):
                self._given[name.id].append(node)
                self._explained.add(name)
            case ast.Return(value=ast.expr() as value) if function := self.function_around(node):
                self._given[f"{function}()"].append(value)


def _parameters(function: Function) -> list[str]:
    """Those that a value without a name can set, in their order."""
    return [parameter.arg for parameter in (*function.args.posonlyargs, *function.args.args)]


def _appended(call: ast.Call) -> list[tuple[str, ast.expr]]:
    match call:
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="append"), args=[value]):
            return [(name, value)]
    return []


def callee(call: ast.AST | None) -> str:
    """The last part of the called function's name."""
    function = getattr(call, "func", None)
    return str(getattr(function, "id", getattr(function, "attr", "")))


def is_fill(node: ast.AST | None) -> bool:
    """Whether this is a call of str.format that fills a template, not a text of the script's own."""
    match node:
        case ast.Call(func=ast.Attribute(value=template, attr="format"), keywords=words):
            return not isinstance(template, ast.Constant) and any(word.arg in ROLES for word in words)
    return False


def key_of(node: ast.AST) -> str | None:
    """`EXAMPLES[task]["answer"]` or `EXAMPLES[task].get("answer")` → answer"""
    match node:
        case ast.Subscript(slice=ast.Constant(value=str(key))):
            return plain_key(key)
        case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(value=str(key)), *_]):
            return plain_key(key)
    return None
