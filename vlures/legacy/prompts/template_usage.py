"""How a script uses its prompts: which lines may change them, and what fills each placeholder.

The rule is strict. Dictionaries, their texts and the prompts made of them are used in the few ways that are known to
only read them; any other use is a problem, named with its line and not analysed.

What fills the templates counts as well. One of the public scripts fills those for tasks 6-8 twice, first with the task
and the example, then with the article, so doubled braces in them are halved twice.
"""

from __future__ import annotations

import ast
from collections import defaultdict

from vlures.legacy.prompts.static_values import Computed, Script
from vlures.legacy.prompts.value_flow import ROLES, Flow, Kind, callee, is_fill, key_of

DYNAMIC = {"*", "__builtins__", "__dict__", "__globals__", "eval", "exec", "globals", "locals", "setattr", "vars"}
SHOWING = {"critical", "debug", "error", "exception", "info", "print", "warning"}
REWRITING = {"cleandoc", "dedent", "format", "join", "lower", "replace", "sub", "title", "translate", "upper"}
METHODS: dict[Kind, set[str]] = {"table": {"get", "keys"}, "text": {"append"}}
FUNCTIONS: dict[Kind, set[str]] = {
    "table": {"bool", "len", "list", "set", "sorted", "tuple"},
    "text": {"append", "create", "dumps", "generate_content", "GenerativeModel", "len", "send_message", "to_thread"},
    "bundle": set(),
}
"""Those that leave what they are given as it is: they look at the keys, or send a prompt on its way."""
HOLDING: tuple[type[ast.AST], ...] = (
    *(ast.Await, ast.BoolOp, ast.Compare, ast.Dict, ast.Expr, ast.If, ast.IfExp),
    *(ast.List, ast.NamedExpr, ast.Tuple, ast.UnaryOp, ast.While),
)
"""Nodes that a value may stand in without being changed."""
SHOWN_IN = (ast.BinOp, ast.FormattedValue, ast.JoinedStr, ast.Subscript)


class Usage:
    """What a script does with the dictionaries that were read of it.

    fields: for each part of an example, its keys in the script. twice: templates with an article are filled a second
    time, with the article alone. problems: lines that may change a dictionary or make other prompts than it shows.
    """

    def __init__(self, script: Script) -> None:
        self.fields: dict[str, set[str]] = defaultdict(set)
        self._script = script
        self._flow = Flow(script)
        fills = [node for node in script.nodes if isinstance(node, ast.Call) and is_fill(node)]
        self.twice = any(_stays(word) for fill in fills for word in fill.keywords)
        found = [(node, self._problem(node)) for node in script.nodes]
        self.problems = [Computed(node.lineno, why) for node, why in found if why]  # type: ignore[attr-defined]

    def shows(self, name: str | None) -> bool:
        """Whether the script itself looks into a dictionary, beside the places where another one takes it in."""
        loads = (node for node in self._script.nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load))
        return any(node.id == name and node not in self._script.uses for node in loads)

    def _problem(self, node: ast.AST) -> str:
        """Why a node may change the prompts, as the rest of a sentence."""
        match node:
            case ast.Name(id=name) | ast.alias(name=name) | ast.Attribute(attr=name) if name in DYNAMIC:
                return f"has `{name}`, which may set any name"
            case ast.alias(name=name) if name in self._script.read:
                return f"has another name for `{name}`"
            case ast.Constant(value=str(name)) if name in self._script.read:
                return f"has the name `{name}` in a text, which may be a way to change it"
            case ast.Attribute(attr=name, ctx=ast.Store() | ast.Del()) if name in self._script.read:
                return f"sets {name} through another name"
            case ast.Call(func=ast.Attribute(attr="format" | "format_map")) if _is_blind(node):
                return "fills a template in another way than by name"
            case ast.Call(func=ast.Attribute(attr="replace"), args=[ast.Constant(value=str(text)), *_]):
                if text[:1] == "{" and text.strip("{}") in ROLES:
                    return f"fills {text} in by `replace`, not by `format`"
        if not all(self._is_read(node, kind) for kind in self._flow.kinds(node)):
            return f"changes `{ast.unparse(node)[:60]}`, or uses it in a way that is not known"
        return self._fill_problem(node) if isinstance(node, ast.Call) and is_fill(node) else ""

    def _is_read(self, node: ast.AST, kind: Kind) -> bool:
        """Whether a value is used in one of the ways that leave it as it is."""
        parent = self._script.parents[node]
        outer = self._script.parents.get(parent)
        call = outer if isinstance(outer, ast.Call) else None
        if not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
            return isinstance(node, ast.Name) and not isinstance(parent, ast.AugAssign)  # a new value
        match parent:
            case ast.Assign(targets=[ast.Name()]) | ast.AnnAssign(target=ast.Name()):
                return not isinstance(outer, ast.ClassDef)
            case ast.Call(func=function) if function is node:
                return bool(self._flow.called(parent))
            case ast.Starred():
                return call is not None and call.args[-1] is parent and bool(self._flow.unpacked(call))
            case ast.Call() | ast.keyword():
                return self._is_taken(node, kind, parent if isinstance(parent, ast.Call) else call)
            case ast.Return():
                return kind != "bundle" and self._flow.function_around(parent) is not None
            case ast.Subscript(value=value, slice=key) if value is not node or not isinstance(key, ast.Slice):
                return value is not node or (kind != "bundle" and isinstance(parent.ctx, ast.Load))
            case ast.Attribute(attr=method) if call and call.func is parent:
                return kind != "bundle" and (method in METHODS[kind] or is_fill(call))
            case ast.For() | ast.comprehension():
                return kind == "table"  # its keys
            case ast.BinOp() if isinstance(node, ast.List):
                return True
        return (kind != "bundle" and isinstance(parent, HOLDING)) or self._is_shown(node)

    def _is_taken(self, node: ast.AST, kind: Kind, call: ast.Call | None) -> bool:
        """Whether the function that a value is given to leaves it as it is, or is followed."""
        if call is None or self._flow.called(call):
            return call is not None and any(value is node for _, value in self._flow.arguments(call))
        name, is_method = callee(call), isinstance(call.func, ast.Attribute)
        is_known = (
            name in FUNCTIONS[kind] and (name not in self._script.bindings) and not (is_method and kind == "table")
        )
        is_request = kind == "text" and isinstance(node, ast.Dict | ast.List | ast.Tuple) and name not in REWRITING
        return is_known or is_request or (kind != "bundle" and (is_fill(call) or self._is_shown(node)))

    def _is_shown(self, node: ast.AST) -> bool:
        """Whether a value is only printed or logged, in whole or in part."""
        parent = self._script.parents[node]
        while isinstance(parent, SHOWN_IN):
            parent = self._script.parents[parent]
        return isinstance(parent, ast.Call) and callee(parent) in SHOWING

    def _fill_problem(self, fill: ast.Call) -> str:
        """Note which keys a call of str.format puts in. Returns why it may not make the dictionaries' prompt."""
        template = fill.func.value  # type: ignore[attr-defined]
        roles = {ROLES.get(str(word.arg)) for word in fill.keywords if not _stays(word)}
        first = [value for value in self._flow.sources(template) if isinstance(value, ast.Call) and is_fill(value)]
        if not self._is_plain(template):
            return "fills a template that it does not take straight from the dictionaries"
        if not all(any(map(_stays, one.keywords)) for one in first) or (self.twice and {"task", "article"} <= roles):
            return "fills some prompts once and others twice"
        for word in fill.keywords:
            role, values = ROLES.get(str(word.arg)), self._flow.sources(word.value)
            is_made_up = any(map(_is_made_up, values)) if role == "article" else not self._is_plain(word.value)
            if is_made_up and not _stays(word):
                return f"fills {{{word.arg}}} with something that it makes up"
            self.fields[str(role)] |= {key for value in values if (key := key_of(value))}
        return ""

    def _is_plain(self, node: ast.AST) -> bool:
        """Whether a value comes straight from the dictionaries, or into the function around it."""
        return all(isinstance(one, ast.arg) or self._flow.kinds(one) for one in self._flow.sources(node))


def _is_blind(fill: ast.Call) -> bool:
    """Whether a template is filled with values that the call does not name: `template.format(**values)`."""
    is_constant = isinstance(fill.func.value, ast.Constant)  # type: ignore[attr-defined]
    return not is_constant and (callee(fill) == "format_map" or None in [word.arg for word in fill.keywords])


def _stays(word: ast.keyword) -> bool:
    """`text_content="{text_content}"`: the placeholder of the article stays for a second filling."""
    is_article = ROLES.get(str(word.arg)) == "article"
    return is_article and isinstance(word.value, ast.Constant) and word.value.value == f"{{{word.arg}}}"


def _is_made_up(value: ast.AST) -> bool:
    """Whether a script cuts an article or writes it itself; that it reads it from somewhere is expected."""
    if isinstance(value, ast.Constant):
        return bool(value.value)
    is_cut = any(isinstance(part, ast.Slice) for part in ast.walk(value))
    parts = (ast.AugAssign, ast.BinOp, ast.BoolOp, ast.IfExp, ast.JoinedStr)
    return isinstance(value, parts) or is_cut or callee(value) in REWRITING
