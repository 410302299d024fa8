"""How a script uses its prompts: what fills each placeholder, and which lines may change a text or a dictionary.

The dictionaries alone do not show it. One of the public scripts fills its templates for tasks 6-8 twice, first with the
task and the example, then with the article, so doubled braces in them are halved twice. A name is assumed to have one
meaning throughout the script, and any use that is not among the few known ones is reported as a problem, not analysed.
"""

from __future__ import annotations

import ast
from collections import defaultdict

from vlures.legacy.prompts.dictionaries import KEYS, plain_key
from vlures.legacy.prompts.static_values import Computed, Script, callee

PLACEHOLDER_NAMES: dict[str, tuple[str, ...]] = {
    "task": ("task_description", "task", "task_prompt", "task_text", "instruction"),
    "article": ("text_content", "text", "article", "article_text"),
    "question": ("example_question", "question", "one_shot_question"),
    "rationale": ("example_rationale", "rationale", "example_reasoning", "reasoning"),
    "answer": ("example_response", "example_answer", "one_shot_example", "example", "response", "answer"),
}
"""Names of a pack's placeholders in scripts."""
ROLES = {name: role for role, names in PLACEHOLDER_NAMES.items() for name in names}
TEXT_KEYS = {word for part, words in KEYS.items() if part not in ("code", "examples") for word in words}
LOOKING = {"copy", "get", "items", "keys", "values"}
LISTING = {"enumerate", "len", "list", "print", "reversed", "set", "sorted", "tqdm", "tuple"}
COPYING = {"OrderedDict", "deepcopy", "dict"}
CHANGING = {"__delitem__", "__ior__", "__setitem__", "clear", "pop", "popitem", "setdefault", "update"}
REWRITING = {"cleandoc", "dedent", "format", "join", "lower", "replace", "sub", "title", "translate", "upper"}
SHOWING = {"critical", "debug", "error", "exception", "info", "print", "warning"}
DYNAMIC = {"*", "__builtins__", "__dict__", "__globals__", "exec", "globals", "locals", "setattr", "setitem"}
PASSING: tuple[type[ast.AST], ...] = (
    *(ast.AnnAssign, ast.Assign, ast.Await, ast.Call, ast.Compare, ast.Expr, ast.For, ast.If),
    *(ast.NamedExpr, ast.Return, ast.Starred, ast.UnaryOp, ast.While, ast.comprehension),
)
"""Nodes that may contain a text or a dictionary without changing it."""


class Usage:
    """What a script does with the dictionaries that were read of it.

    fields: for each part of an example, its keys in the script. twice: templates with an article are filled a second
    time, with the article alone. problems: lines that may change a dictionary or make other prompts than it shows.
    """

    def __init__(self, script: Script) -> None:
        self.fields: dict[str, set[str]] = defaultdict(set)
        self._script = script
        self._tables = {name for name, value in script.read.items() if isinstance(value, ast.Dict)}
        self._known = set(self._tables)  # names of dictionaries and of their parts, and of functions that return one
        count = 0
        while count < len(self._known):
            count = len(self._known)
            self._known.update(name for name in script.bindings if any(map(self._is_part, script.sources(name))))
        fills = [node for node in script.nodes if isinstance(node, ast.Call) and _is_fill(node)]
        self.twice = any(_is_itself(word) for fill in fills for word in fill.keywords)
        found = [(node, self._problem(node)) for node in script.nodes]
        self.problems = [Computed(node.lineno, why) for node, why in found if why]  # type: ignore[attr-defined]

    def shows(self, name: str | None) -> bool:
        """Whether the script itself looks into a dictionary, beside the places where another one takes it in."""
        loads = (node for node in self._script.nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load))
        return any(node.id == name and node not in self._script.uses for node in loads)

    def _is_part(self, node: ast.AST | None) -> bool:
        """Whether a value is a dictionary of prompts, part of one, or a text made of one."""
        while not isinstance(node, ast.Name):
            if _is_fill(node) or _key(node) in TEXT_KEYS:
                return True
            match node:
                case ast.Call(func=ast.Attribute(attr="keys")):
                    return False
                case ast.BinOp(left=left, right=right):
                    return self._is_part(left) or self._is_part(right)
                case ast.Call(args=[inner, *_]) if callee(node) in COPYING or (
                    callee(node) in LISTING and isinstance(inner, ast.Call)
                ):
                    node = inner
                case ast.Attribute(attr=attr) if f".{attr}" in self._known:
                    return True
                case ast.Subscript() | ast.Attribute() | ast.Call() | ast.Await() if _key(node) not in KEYS["code"]:
                    node = node.func if isinstance(node, ast.Call) else node.value
                case _:
                    return False
        return node.id in self._known

    def _problem(self, node: ast.AST) -> str:
        """Why a node may change the prompts, as the rest of a sentence."""
        match node:
            case ast.Name(id=name) | ast.alias(name=name) | ast.Attribute(attr=name) if name in DYNAMIC:
                return f"has `{name}`, which may set any name"
            case ast.Call(func=ast.Name(id="vars"), args=[]):
                return "has `vars()`, which may set any name"
            case ast.Attribute(attr=name, ctx=ast.Store() | ast.Del()) if name in self._script.read:
                return f"sets {name} through another name"
            case ast.Call(func=ast.Attribute(attr="format" | "format_map")) if _is_blind(node):
                return "fills a template in another way than by name"
            case ast.Call(func=ast.Attribute(attr="replace"), args=[ast.Constant(value=str(text)), *_]):
                if text[:1] == "{" and text.strip("{}") in ROLES:
                    return f"fills {text} in by `replace`, not by `format`"
        if self._is_part(node) and not self._is_known_use(node, self._script.parents[node]):
            return f"changes `{ast.unparse(node)[:60]}`, or uses it in a way that is not known"
        return self._fill_problem(node) if isinstance(node, ast.Call) and _is_fill(node) else ""

    def _is_known_use(self, node: ast.AST, parent: ast.AST) -> bool:
        outer = self._script.parents.get(parent)
        table = node.func.value if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else node
        whole = isinstance(table, ast.Name) and table.id in self._tables and node not in self._script.uses
        match node, parent:
            case (ast.Subscript(ctx=ast.Store() | ast.Del()), _) | (_, ast.Subscript(ctx=ast.Store() | ast.Del())):
                return False
            case _, ast.Attribute(attr=attr) if attr in LOOKING or attr in CHANGING:
                return attr in LOOKING
            case _, ast.Call() | ast.keyword() if whole and getattr(parent, "func", None) is not node:
                return callee(parent) in LISTING
            case _, ast.Dict() | ast.List() | ast.Tuple() | ast.Starred() | ast.arguments() if whole:
                return False
            case _ if any(callee(shown) in SHOWING for shown in self._script.around(node)):
                return True
            case _, ast.Attribute():
                return outer is not None and _is_fill(outer)
            case _, ast.Call(func=function) if function is not node:
                again = isinstance(outer, ast.Assign) and ast.unparse(outer.targets[0]) == ast.unparse(node)
                return not (again or _rewrites(parent))
            case _, ast.keyword() | ast.List() | ast.Tuple():
                return not _rewrites(outer)
            case _, ast.Subscript(value=value, slice=key):
                return value is not node or not isinstance(key, ast.Slice)
            case _, ast.Dict(keys=keys, values=values):
                return None not in [key for key, value in zip(keys, values, strict=True) if value is node]
        return isinstance(parent, PASSING)

    def _fill_problem(self, fill: ast.Call) -> str:
        """Note which keys a call of str.format puts in. Returns why it may not make the dictionaries' prompt."""
        template = fill.func.value  # type: ignore[attr-defined]
        before = [value for value in self._values(template) if isinstance(value, ast.Call) and _is_fill(value)]
        roles = {ROLES.get(str(word.arg)) for word in fill.keywords if not _is_itself(word)}
        if not self._is_plain(template):
            return "fills a template that it does not take straight from the dictionaries"
        if not all(any(map(_is_itself, one.keywords)) for one in before) or (
            self.twice and {"task", "article"} <= roles
        ):
            return "fills some prompts once and others twice"
        for word in fill.keywords:
            role, values = ROLES.get(str(word.arg)), self._values(word.value)
            is_article = role == "article" and not _is_itself(word)
            if (is_article and any(map(_is_made_up, values))) or (
                role not in (None, "article") and not self._is_plain(word.value)
            ):
                return f"fills {{{word.arg}}} with something that it makes up"
            self.fields[str(role)] |= {key for value in values if (key := _key(value))}
        return ""

    def _is_plain(self, node: ast.AST) -> bool:
        """Whether a value comes straight from the dictionaries, or into the function around it."""
        return all(isinstance(value, ast.arg) or self._is_part(value) for value in self._values(node))

    def _values(self, node: ast.AST) -> list[ast.AST]:
        """A value, or all that a name may stand for, through other names."""
        found, todo, seen = list[ast.AST](), [node], set[str]()
        while todo:
            value = todo.pop()
            if not isinstance(value, ast.Name) or isinstance(value.ctx, ast.Store) or value.id in self._tables:
                found.append(value)
            elif value.id not in seen:
                seen.add(value.id)
                todo += self._script.sources(value.id) or [ast.alias(value.id)]
        return found


def _key(node: ast.AST | None) -> str | None:
    """`EXAMPLES[task]["answer"]` or `EXAMPLES[task].get("answer")` → answer"""
    match node:
        case ast.Subscript(slice=ast.Constant(value=str(key))):
            return plain_key(key)
        case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(value=str(key)), *_]):
            return plain_key(key)
    return None


def _is_fill(node: ast.AST | None) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(value=template, attr="format"), keywords=words):
            return not isinstance(template, ast.Constant) and any(word.arg in ROLES for word in words)
    return False


def _rewrites(node: ast.AST | None) -> bool:
    """Whether this is a call that makes another text of those that it is given."""
    is_path = isinstance(node, ast.Call) and ast.unparse(node.func).endswith("path.join")
    return node is not None and callee(node) in REWRITING and not is_path and not _is_fill(node)


def _is_blind(fill: ast.Call) -> bool:
    """Whether a template is filled with values that the call does not name: `template.format(**values)`."""
    is_constant = isinstance(getattr(fill.func, "value", None), ast.Constant)
    return not is_constant and (callee(fill) == "format_map" or None in [word.arg for word in fill.keywords])


def _is_itself(word: ast.keyword) -> bool:
    """`text_content="{text_content}"`: the placeholder stays for a second filling."""
    return isinstance(word.value, ast.Constant) and word.value.value == f"{{{word.arg}}}"


def _is_made_up(value: ast.AST) -> bool:
    """Whether a script cuts an article or writes it itself; that it reads it from somewhere is expected."""
    if isinstance(value, ast.Constant):
        return bool(value.value)
    parts = (ast.BinOp, ast.BoolOp, ast.IfExp, ast.JoinedStr)
    is_cut = any(isinstance(part, ast.Slice) for part in ast.walk(value))
    return isinstance(value, parts) or is_cut or callee(value) in REWRITING
