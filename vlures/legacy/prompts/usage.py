"""How a script uses its prompts: which lines may change them, and what fills each placeholder.

The rule is strict. What the dictionaries hold, and the prompts made of it, is followed through plain names and the
script's own functions. It may be used in the few ways in which the public scripts read and send it; any other use is a
problem, named with its line and not analysed. A name has one meaning throughout the script.

What fills the templates counts as well. One of the public scripts fills those for tasks 6-8 twice, first with the task
and the example, then with the article, so doubled braces in them are halved twice.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from itertools import takewhile

from vlures.legacy.prompts.dictionaries import TEXTS
from vlures.legacy.prompts.static_values import Computed, Script

ROLES = {
    "task_description": "task",
    "text_content": "article",
    "example_question": "question",
    "example_response": "answer",
    "one_shot_example": "answer",
}
"""A pack's placeholder for each of the scripts'."""
FIELDS = {"question": "question", "answer": "example_response"}
"""The key of each part of an example, unless the script fills in another."""
DYNAMIC = {"*", "__builtins__", "__dict__", "__globals__", "eval", "exec", "globals", "locals", "setattr", "vars"}
SHOWING = {"critical", "debug", "error", "exception", "info", "print", "warning"}
SHOWN_IN = (ast.BinOp, ast.FormattedValue, ast.JoinedStr, ast.Subscript)
SENDING = {"create", "dumps", "generate_content", "GenerativeModel", "to_thread"}
REWRITING = {"cleandoc", "dedent", "format", "join", "lower", "replace", "sub", "title", "translate", "upper"}

TASK, PROMPT = "task", "prompt"
"""What a value is, beside "table", a dictionary that was read or a part of one, and the last key that led to it."""
SENT = {PROMPT, "system_prompt"}
"""What a request may hold."""
Function = ast.FunctionDef | ast.AsyncFunctionDef


class Usage:
    """What a script does with the dictionaries that were read of it.

    fields: for each part of an example, its keys in the script. twice: templates with an article are filled a second
    time, with the article alone. problems: lines that may change a dictionary or make other prompts than it shows.
    """

    def __init__(self, script: Script) -> None:
        self.fields: dict[str, set[str]] = defaultdict(set)
        self.problems: list[Computed] = []
        self._script = script
        self._tables = {name for name, value in script.read.items() if isinstance(value, ast.Dict)}
        functions = [node for node in script.nodes if isinstance(node, Function) and _is_plain(script, node)]
        self._functions = {function.name: function for function in functions}
        self._given: dict[str, list[ast.AST]] = defaultdict(list)  # by name: what plain lines and calls set it to
        self._loads: dict[str, list[ast.Name]] = defaultdict(list)
        self._followed = set[tuple[ast.AST, str]]()
        self._known = set[ast.AST]()  # the values that a way led to
        self._note_values()
        fills = [node for node in script.nodes if isinstance(node, ast.Call) and _is_fill(node)]
        self.twice = any(_stays(word) for fill in fills for word in fill.keywords)
        self._names: dict[str, set[str]] = defaultdict(set, {name: set() for name in self._tables})
        for name in self._tables:
            self._mean(name, "table")
        for node in script.nodes:
            self._check(node)
            if (key := _key_of(node)) in {*TEXTS, "tasks", "examples"}:
                self._follow(node, _part("table", ast.Constant(key)))
        for fill in fills:
            self._follow(fill, PROMPT)
        for name in self._names.keys() - self._tables:
            self._check_values(name)
        for fill in fills:
            self._check_fill(fill)

    def _note_values(self) -> None:
        """Note where each name is used, and what plain lines and calls set it to."""
        for node in self._script.nodes:
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node not in self._script.uses:
                self._loads[node.id].append(node)
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and len(node.targets) == 1:
                self._given[node.targets[0].id].append(node.value)
        for call in [node for node in self._script.nodes if isinstance(node, ast.Call)]:
            for function in self._called(call):
                plain = takewhile(lambda value: not isinstance(value, ast.Starred), call.args)
                values = [
                    *zip(_parameters(function), plain, strict=False),
                    *((word.arg, word.value) for word in call.keywords),
                ]
                for name, value in values:
                    self._given[str(name)].append(value)

    def _say(self, node: ast.AST, why: str) -> None:
        self.problems.append(Computed(node.lineno, why))  # type: ignore[attr-defined]

    def _mean(self, name: str, what: str) -> None:
        """Follow a name wherever the script uses it."""
        self._names[name].add(what)
        for load in self._loads[name]:
            self._follow(load, what)

    def _follow(self, node: ast.AST, what: str) -> None:
        """Go from a value to the place that uses it, over what is looked up in it, filled in it or made of it."""
        while what != "code" and (node, what) not in self._followed:
            self._followed.add((node, what))
            parent = self._script.parents[node]
            call = self._script.parents.get(parent)
            match parent:
                case ast.Subscript(value=value, slice=key, ctx=ast.Load()) if value is node and not isinstance(
                    key, ast.Slice
                ):
                    node, what = parent, _part(what, key)
                case ast.Attribute(attr="get") if isinstance(call, ast.Call) and call.func is parent and call.args:
                    node, what = call, _part(what, call.args[0])
                case ast.Attribute(attr="format") if call and _is_fill(call):
                    self._known.add(node)
                    node, what = call, PROMPT
                case ast.List() | ast.Dict() if what in SENT and node not in getattr(parent, "keys", ()):
                    node = parent
                case _:
                    self._known.add(node)
                    if not self._is_used_well(node, what):
                        self._say(node, f"changes `{ast.unparse(node)[:60]}`, or uses it in a way that is not known")
                    return

    def _is_used_well(self, node: ast.AST, what: str) -> bool:
        """Whether the place where a value ends up leaves it as it is, or hands it to a name that is followed."""
        parent = self._script.parents[node]
        outer = self._script.parents.get(parent)
        match parent, outer:
            case ast.Assign(targets=[ast.Name(id=name)], value=value), _ if value is node:
                self._mean(name, what)
                return not isinstance(outer, ast.ClassDef)
            case ast.Tuple(), ast.Assign(targets=[ast.Name(id=name)]):
                place = [*ast.iter_child_nodes(parent)].index(node)
                return all(self._unpack(load, place, what) for load in self._loads[name])
            case ast.keyword(arg=str(word)), ast.Call():
                return self._take(outer, word, what) or self._is_shown(node)
            case ast.Call(args=[*values]), _ if node in values:
                return self._take(parent, values.index(node), what) or self._is_shown(node)
            case ast.Attribute(attr=method), ast.Call(func=function) if function is parent:
                return method == "keys" or (method == "append" and what in SENT)  # an image beside the prompt
            case (ast.Compare() | ast.Expr() | ast.If() | ast.UnaryOp(), _):
                return True
            case ast.For(iter=whole), _ if whole is node:
                return getattr(node, "id", "") in self._tables  # its keys
        return self._is_shown(node)

    def _take(self, call: ast.Call, place: int | str, what: str) -> bool:
        """Whether a function leaves what it is given as it is, or is followed."""
        if _is_fill(call):
            role = ROLES.get(str(place))
            if role in FIELDS:
                self.fields[role].add(what)
            return what != PROMPT and role in (("task",) if what == TASK else (*FIELDS, "task"))
        for function in (found := self._called(call)):
            names = _parameters(function)
            if place not in (names if isinstance(place, str) else range(len(names))):
                return False
            self._mean(place if isinstance(place, str) else names[place], what)
        is_own = _callee(call) in self._script.bindings
        return bool(found) or (not is_own and (_callee(call) == "len" or (_callee(call) in SENDING and what in SENT)))

    def _unpack(self, load: ast.Name, place: int, what: str) -> bool:
        """Whether a tuple is handed to a function of the script by `*name`, and nothing else."""
        star = self._script.parents[load]
        match self._script.parents[star]:
            case ast.Call(args=[*before, last]) as call if last is star and isinstance(star, ast.Starred):
                is_plain = not any(isinstance(one, ast.Starred) for one in before)
                return is_plain and bool(self._called(call)) and self._take(call, len(before) + place, what)
        return False

    def _called(self, call: ast.Call) -> list[Function]:
        """The script's own functions that a call may mean, also by another name; none if it may mean yet others."""
        name, bindings = getattr(call.func, "id", ""), self._script.bindings
        values = self._given[name] if len(self._given[name]) == len(bindings.get(name, ())) else []
        names = [name] if name in self._functions else [getattr(value, "id", "") for value in values]
        return [self._functions[name] for name in names] if self._functions.keys() >= {*names} else []

    def _is_shown(self, node: ast.AST) -> bool:
        """Whether a value is only printed or logged, in whole or in part."""
        parent = self._script.parents[node]
        while isinstance(parent, SHOWN_IN):
            parent = self._script.parents[parent]
        return isinstance(parent, ast.Call) and _callee(parent) in SHOWING

    def _check(self, node: ast.AST) -> None:
        """Refuse what may change the prompts without naming them as variables."""
        read = self._script.read
        match node:
            case ast.Name(id=name) | ast.alias(name=name) | ast.Attribute(attr=name) if name in DYNAMIC:
                self._say(node, f"has `{name}`, which may set any name")
            case ast.alias(name=name) | ast.Attribute(attr=name) | ast.Constant(value=str(name)) if name in read:
                self._say(node, f"has `{name}` in another way than as a variable, which may be a way to change it")
            case ast.Call(func=ast.Attribute(value=template, attr="format" | "format_map" as method), keywords=words):
                is_blind = method == "format_map" or None in [word.arg for word in words]
                if is_blind and not isinstance(template, ast.Constant):
                    self._say(node, "fills a template in another way than by name")
            case ast.Call(func=ast.Attribute(attr="replace"), args=[ast.Constant(value=str(text)), *_]):
                if text[:1] == "{" and text.strip("{}") in ROLES:
                    self._say(node, f"fills {text} in by `replace`, not by `format`")

    def _check_values(self, name: str) -> None:
        """Refuse a name that stands for a prompt, or for a part of one, and may stand for something else as well."""
        bindings = [node for node in self._script.bindings[name] if not isinstance(node, ast.arg)]
        others = [node for node in bindings if not isinstance(self._script.parents[node], ast.Assign)]
        others += [value for value in self._given[name] if value not in self._known and not _is_empty(value)]
        for node in others:
            self._say(node, f"changes `{name}`, or sets it to something that is not in the dictionaries")

    def _check_fill(self, fill: ast.Call) -> None:
        """Refuse a call of str.format that may not make the dictionaries' prompt."""
        roles = {ROLES.get(str(word.arg)) for word in fill.keywords if not _stays(word)}
        template = fill.func.value  # type: ignore[attr-defined]
        is_second = (template, PROMPT) in self._followed
        if not self._is_given(template):
            self._say(fill, "fills a template that it does not take straight from the dictionaries")
        if (is_second and (not self.twice or roles != {"article"})) or (self.twice and {"task", "article"} <= roles):
            self._say(fill, "fills some prompts once and others twice")
        for word in fill.keywords:
            is_article = ROLES.get(str(word.arg)) == "article"
            is_good = self._is_article(word.value) if is_article else self._is_given(word.value)
            if not is_good and not _stays(word):
                self._say(fill, f"fills {{{word.arg}}} with something that it makes up")

    def _is_given(self, value: ast.AST) -> bool:
        """Whether a value comes from the dictionaries, or into the function around it."""
        bindings = self._script.bindings.get(getattr(value, "id", ""), [])
        return value in self._known or (bool(bindings) and all(isinstance(node, ast.arg) for node in bindings))

    def _is_article(self, value: ast.AST, seen: frozenset[str] = frozenset()) -> bool:
        """Whether a value is what a loop, a caller or a function gives, rather than cut or written by the script."""
        match value:
            case ast.Name(id=name):
                nodes = [self._script.parents[node] for node in self._script.bindings.get(name, [])]
                is_changed = name in self._names or any(isinstance(node, ast.AugAssign) for node in nodes)
                values = self._given[name] if name not in seen else []
                return not is_changed and all(self._is_article(one, seen | {name}) for one in values)
            case ast.Call() | ast.Subscript():
                is_cut = any(isinstance(part, ast.Slice) for part in ast.walk(value))
                return not is_cut and _callee(value) not in REWRITING
        return _is_empty(value)


def _is_plain(script: Script, function: Function) -> bool:
    """Whether a call of its name reaches a function as it stands."""
    is_altered = function.decorator_list or function.args.vararg or function.args.kwarg
    is_method = isinstance(script.parents[function], ast.ClassDef)
    return not is_altered and not is_method and len(script.bindings[function.name]) == 1


def _parameters(function: Function) -> list[str]:
    return [parameter.arg for parameter in (*function.args.posonlyargs, *function.args.args)]


def _part(what: str, key: ast.AST) -> str:
    """What is looked up in a value: by a key that is spelled out, or else by a task or a language."""
    if what in SENT:
        return what
    match key:
        case ast.Constant(value=str(word)):
            return "table" if word == "examples" else word
    return TASK if what == "tasks" else what


def _stays(word: ast.keyword) -> bool:
    """`text_content="{text_content}"`: the placeholder of the article stays for a second filling."""
    is_article = ROLES.get(str(word.arg)) == "article"
    return is_article and isinstance(word.value, ast.Constant) and word.value.value == f"{{{word.arg}}}"


def _is_empty(value: ast.AST) -> bool:
    return ast.unparse(value) in ("''", "None", "[]")


def _callee(call: ast.AST) -> str:
    """The last part of the called function's name."""
    function = getattr(call, "func", None)
    return str(getattr(function, "id", getattr(function, "attr", "")))


def _is_fill(node: ast.AST) -> bool:
    """Whether this is a call of str.format that fills a template, not a text of the script's own."""
    match node:
        case ast.Call(func=ast.Attribute(value=template, attr="format"), keywords=words):
            return not isinstance(template, ast.Constant) and any(word.arg in ROLES for word in words)
    return False


def _key_of(node: ast.AST) -> str | None:
    """`EXAMPLES[task]["question"]` or `EXAMPLES[task].get("question")` → question"""
    match node:
        case (
            ast.Subscript(slice=ast.Constant(value=str(key)))
            | ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(value=str(key)), *_])
        ):
            return key
    return None
