"""What a script says of a language → the content of a pack that gives the same prompts, letter by letter."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vlures.benchmarks.vlures.prompts.packs import (
    EXAMPLE_KEYS,
    SECTIONS,
    Template,
    holds_placeholder,
    join_template,
    split_template,
    wanted_placeholders,
)
from vlures.benchmarks.vlures.settings import Setting
from vlures.benchmarks.vlures.tasks import TASKS
from vlures.errors import UsageError
from vlures.legacy.prompts.scripts import Finding, LanguagePrompts, ScriptPrompts, pick_field
from vlures.legacy.prompts.static_values import Computed, Text
from vlures.legacy.prompts.template_usage import ROLES, Filling

RIGHT_TO_LEFT = frozenset({"Ur"})
_MARK = "\ue000"


@dataclass(slots=True)
class PackDraft:
    """A pack in the making. example: the parts of an example that its templates show."""

    prompts: LanguagePrompts
    setting: Setting
    example: tuple[str, ...]
    system: str | None = None
    templates: dict[str | int, Template] = field(default_factory=dict)
    tasks: dict[int, str] = field(default_factory=dict)
    examples: dict[int, dict[str, str]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def say(self, line: int, text: str, harmless: bool = False) -> None:
        self.findings.append(Finding(line, text, harmless))

    def template(self, number: int) -> Template | None:
        return self.templates.get(number, self.templates.get(SECTIONS[TASKS[number].needs_text]))

    @property
    def whole_tasks(self) -> tuple[int, ...]:
        """The tasks that have all they need."""
        return tuple(
            number
            for number in TASKS
            if number in self.tasks and self.template(number) and (not self.example or number in self.examples)
        )


@dataclass(frozen=True, slots=True)
class _Shape:
    """A script's template taken apart. names: the script's placeholder for each of the pack's."""

    template: Template
    names: Mapping[str, str]
    twice: bool


def choose_setting(script: ScriptPrompts, asked: Setting | None) -> Setting:
    """The setting that a script's prompts are for: what the user says, else 1-shot with rationales if they show an example.

    Raises UsageError if that does not fit, or cannot be known.
    """
    texts = [text.text for prompts in script.languages for text in prompts.templates.values()]
    shapes = [shape for shape in (_read_template(text, script.filling) for text in texts) if isinstance(shape, _Shape)]
    if not shapes:
        return asked or Setting()
    shows_example = any(not set(EXAMPLE_KEYS).isdisjoint(shape.names) for shape in shapes)
    if asked is None and not shows_example:
        raise UsageError(
            f"The templates of {script.script} show no example, so they are for 0 shots; say for which of the two with --setting "
            "0shot_rationales or --setting 0shot_norationales."
        )
    setting = asked or Setting()
    if bool(setting.shots) != shows_example:
        shows = "an example" if shows_example else "no example"
        raise UsageError(f"The templates of {script.script} show {shows}, so they cannot be for {setting.label}.")
    return setting


def draft_pack(prompts: LanguagePrompts, filling: Filling, setting: Setting) -> PackDraft:
    """Everything of a pack that the script spells out; the findings say what of it could not be taken."""
    read = {slot: _read_template(text.text, filling) for slot, text in prompts.templates.items()}
    shapes = {slot: shape for slot, shape in read.items() if isinstance(shape, _Shape)}
    draft = PackDraft(prompts, setting, (), prompts.system.text if prompts.system else None)
    if setting.shots:
        draft.example = _choose_parts(prompts, shapes, filling)
    for slot, shape in read.items():
        if why := shape if isinstance(shape, str) else _misfit(slot, shape, draft):
            draft.say(prompts.templates[slot].line, f"the template {slot} {why}; left out")
        elif isinstance(shape, _Shape):
            draft.templates[slot] = shape.template
    _take_texts(draft, shapes, filling)
    return draft


def _choose_parts(prompts: LanguagePrompts, shapes: Mapping[str | int, _Shape], filling: Filling) -> tuple[str, ...]:
    """The parts of an example that the templates show; without templates, those that every example has."""
    shown = [tuple(key for key in EXAMPLE_KEYS if key in shape.names) for shape in shapes.values()]
    if shown:
        return max(shown, key=shown.count)
    examples = prompts.examples.values()
    return tuple(
        key
        for key in EXAMPLE_KEYS
        if examples and all(isinstance(pick_field(example, key, "", filling), Text) for example in examples)
    )


def _misfit(slot: str | int, shape: _Shape, draft: PackDraft) -> str:
    """Why a template cannot be one of the pack's; empty if it can."""
    needs_text = slot == SECTIONS[True] if isinstance(slot, str) else TASKS[slot].needs_text
    found = [name for _, name in shape.template if name is not None]
    wanted = wanted_placeholders(needs_text, draft.setting, draft.example)
    for name in sorted(wanted):
        if name not in found:
            return f"has no placeholder for the {name}"
        if found.count(name) > 1:
            return f"has {found.count(name)} placeholders for the {name}, where a pack can have one"
    if more := sorted(set(found) - wanted):
        return f"has a placeholder for the {more[0]}, which it cannot show"
    return ""


def _take_texts(draft: PackDraft, shapes: Mapping[str | int, _Shape], filling: Filling) -> None:
    names = {role: name for shape in shapes.values() for role, name in shape.names.items()}
    unused: dict[str, int] = {}
    for number, task in TASKS.items():
        shape = shapes.get(number if number in draft.templates else SECTIONS[task.needs_text])
        here = shape.names if shape else names
        article = here["article"] if shape and shape.twice else None
        if wording := draft.prompts.tasks.get(number):
            draft.tasks[number] = _put_in(draft, wording, article)
        example = draft.prompts.examples.get(number)
        if not draft.example or example is None:
            continue
        parts = {role: pick_field(example, role, here.get(role, ""), filling) for role in draft.example}
        for part in parts.values():
            if isinstance(part, Computed):
                draft.say(part.line, f"the example of task {number} {part.why}; left out")
        if all(isinstance(part, Text) for part in parts.values()):
            draft.examples[number] = {
                role: _put_in(draft, part, article) for role, part in parts.items() if isinstance(part, Text)
            }
            taken = [id(part) for part in parts.values()]
            unused = {key: value.line for key, value in example.items() if id(value) not in taken} | unused
    for key, line in unused.items():
        draft.say(line, f"no template shows the {key!r} of an example; left out", harmless=True)


def _put_in(draft: PackDraft, text: Text, article: str | None) -> str:
    """A text as it comes out of the prompt. article: the placeholder, where the prompt is filled a second time for it."""
    if article is None or not ("{" in text.text or "}" in text.text):
        return text.text
    try:
        pieces = split_template(text.text, doubled=True)
    except ValueError:
        pieces = (("", "?"),)
    names = [name for _, name in pieces if name is not None]
    if names:
        harmless = article not in names  # on any other the script fails, so there is no prompt that this should be like
        draft.say(
            text.line,
            "braces in this text are read again by the script's second filling; they stay as they stand",
            harmless,
        )
        return text.text
    return "".join(literal for literal, _ in pieces)


def _read_template(text: str, filling: Filling) -> _Shape | str:
    """A template as str.format reads it, or the end of a sentence on why it cannot be one of a pack's."""
    try:
        pieces = split_template(text, doubled=True)
        twice = any(name in filling.twice for _, name in pieces)
        if twice:
            pieces = _read_again(pieces, filling.twice)
    except ValueError as error:
        return f"has braces that str.format does not take ({error})"
    if unknown := [name for _, name in pieces if name is not None and name not in ROLES]:
        return f"has the placeholder {{{unknown[0]}}}, which is none of those that are known ({', '.join(ROLES)})"
    names = {ROLES[name]: name for _, name in pieces if name is not None}
    return _Shape(tuple((literal, None if name is None else ROLES[name]) for literal, name in pieces), names, twice)


def _read_again(pieces: Template, twice: frozenset[str]) -> Template:
    """What a second str.format makes of what the first has left. What the first has put in is set aside meanwhile, for it
    is read elsewhere."""
    put_in = {f"{_MARK}{number}{_MARK}": name for number, (_, name) in enumerate(pieces) if name not in (None, *twice)}
    left = "".join(
        literal + ("" if name is None else f"{{{name}}}" if name in twice else f"{_MARK}{number}{_MARK}")
        for number, (literal, name) in enumerate(pieces)
    )
    if left.count(_MARK) != 2 * len(put_in):
        raise ValueError("a character of the private area stands among them")
    found: list[tuple[str, str | None]] = []
    for literal, name in split_template(left, doubled=True):
        parts = re.split(f"({_MARK}[0-9]+{_MARK})", literal)
        found += [(parts[i], put_in[parts[i + 1]]) for i in range(0, len(parts) - 1, 2)]
        found.append((parts[-1], name))
    return tuple(found)


def fill_draft(draft: PackDraft, own: Mapping[str, Any]) -> None:
    """Take what is missing from the package's own pack, as far as it goes with the rest, and say so."""
    filled: list[str] = []
    if draft.system is None:
        draft.system = own["system"]
        filled.append("system")
    shown = EXAMPLE_KEYS if draft.setting.shots else ()
    fits = draft.example == shown or not draft.templates
    for number, task in TASKS.items():
        section = SECTIONS[task.needs_text]
        if fits and not draft.template(number):
            draft.templates[section] = split_template(own[section][draft.setting.label], doubled=False)
            filled.append(f"{section}.{draft.setting.label}")
        if number not in draft.tasks:
            draft.tasks[number] = own["tasks"][str(number)]
            filled.append(f"tasks.{number}")
    if fits and draft.example != shown:
        draft.example = shown
        draft.examples = {}
    for number in TASKS:
        if fits and shown and number not in draft.examples:
            draft.examples[number] = dict(own["examples"][str(number)])
            filled.append(f"examples.{number}")
    if filled:
        draft.say(draft.prompts.line, f"{_quoted(filled)}: the package's own", harmless=True)


def say_gaps(draft: PackDraft) -> None:
    if gaps := name_gaps(draft):
        draft.say(draft.prompts.line, f"{_quoted(gaps)}: missing")


def _quoted(keys: list[str]) -> str:
    return ", ".join(f"`{key}`" for key in keys)


def name_gaps(draft: PackDraft) -> list[str]:
    """The keys that the pack would need to be whole."""
    gaps = ["system"] if draft.system is None else []
    gaps += [
        f"{section}.{draft.setting.label}"
        for needs_text, section in SECTIONS.items()
        if any(TASKS[number].needs_text == needs_text and not draft.template(number) for number in TASKS)
    ]
    gaps += [f"tasks.{number}" for number in TASKS if number not in draft.tasks]
    if draft.setting.shots:
        gaps += [f"examples.{number}" for number in TASKS if number not in draft.examples]
    return gaps


def pack_content(draft: PackDraft) -> dict[str, Any]:
    """The pack as its TOML file holds it; a system prompt that is missing stays missing, so that the pack is refused."""
    language, label = draft.prompts.language, draft.setting.label
    plain = [
        draft.system or "",
        *draft.tasks.values(),
        *(text for example in draft.examples.values() for text in example.values()),
    ]
    doubled = any(map(holds_placeholder, plain)) or any(
        split_template(join_template(template, doubled=False), doubled=False) != template
        for template in draft.templates.values()
    )
    content: dict[str, Any] = {
        "language": language.name,
        "direction": "rtl" if language.code in RIGHT_TO_LEFT else "ltr",
        **({"braces": "doubled"} if doubled else {}),
        **({"system": draft.system} if draft.system is not None else {}),
        "has": _what_it_has(draft),
    }
    for slot, template in sorted(draft.templates.items(), key=str):
        table = content if isinstance(slot, str) else content.setdefault("templates", {})
        table[str(slot)] = {label: join_template(template, doubled)}
    if draft.tasks:
        content["tasks"] = {str(number): text for number, text in sorted(draft.tasks.items())}
    if draft.examples:
        content["examples"] = {str(number): example for number, example in sorted(draft.examples.items())}
    return content


def _what_it_has(draft: PackDraft) -> dict[str, list[Any]]:
    has: dict[str, list[Any]] = {"settings": [draft.setting.label]}
    if draft.whole_tasks not in ((), tuple(TASKS)):
        has["tasks"] = list(draft.whole_tasks)
    if draft.example not in ((), EXAMPLE_KEYS):
        has["example"] = list(draft.example)
    return has
