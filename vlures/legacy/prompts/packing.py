"""Turns a script's prompts for a language into the content of a pack that gives the same prompts, letter by letter."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from vlures.benchmarks.vlures.prompts import packs
from vlures.benchmarks.vlures.prompts.packs import EXAMPLE_KEYS, SECTIONS, Template
from vlures.benchmarks.vlures.settings import Setting
from vlures.benchmarks.vlures.tasks import TASKS
from vlures.errors import UsageError
from vlures.legacy.prompts.dictionaries import FIELDS, Finding, LanguagePrompts
from vlures.legacy.prompts.static_values import Computed, Leaf
from vlures.legacy.prompts.template_usage import Usage
from vlures.legacy.prompts.value_flow import ROLES

RIGHT_TO_LEFT = frozenset({"Ur"})
KINDS = {n: SECTIONS[task.needs_text] for n, task in TASKS.items()}


@dataclass(slots=True)
class PackDraft:
    """A pack in the making."""

    prompts: LanguagePrompts
    usage: Usage
    setting: Setting = field(default_factory=Setting)
    example: tuple[str, ...] = ()
    """The parts of an example that the templates show."""
    texts: dict[str, str] = field(default_factory=dict)
    """By key: system, tasks.1 …"""
    templates: dict[str, Template] = field(default_factory=dict)
    """By key: image_only, image_text, templates.1 …"""
    examples: dict[int, dict[str, str]] = field(default_factory=dict)
    """By task."""
    findings: list[Finding] = field(default_factory=list)

    def say(self, line: int, text: str, harmless: bool = False) -> None:
        self.findings.append(Finding(line, text, harmless))

    @property
    def gaps(self) -> dict[str, list[int]]:
        """The keys that the pack lacks, with the tasks that need them."""
        found: dict[str, list[int]] = {} if "system" in self.texts else {"system": []}
        for n, kind in KINDS.items():
            if f"templates.{n}" not in self.templates and kind not in self.templates:
                found.setdefault(f"{kind}.{self.setting.label}", []).append(n)
        found |= {f"tasks.{n}": [n] for n in TASKS if f"tasks.{n}" not in self.texts}
        return found | {f"examples.{n}": [n] for n in TASKS if self.setting.shots and n not in self.examples}

    @property
    def whole_tasks(self) -> tuple[int, ...]:
        """The tasks that have all they need."""
        lacking = {n for numbers in self.gaps.values() for n in numbers}
        return tuple(n for n in TASKS if n not in lacking)


def begin_pack(prompts: LanguagePrompts, usage: Usage) -> PackDraft:
    """The templates of a pack; the findings name those that str.format would refuse."""
    draft = PackDraft(prompts, usage)
    for key, text in prompts.texts.items():
        if _is_template(key):
            try:
                draft.templates[key] = _read_template(text.text, usage.twice)
            except ValueError as error:
                draft.say(text.line, f"the template {key} {error}; left out")
    return draft


def choose_setting(script: str, drafts: Iterable[PackDraft], asked: Setting | None) -> Setting:
    """The setting of a script's prompts: as asked, else 1-shot with rationales if they show an example.

    Raises UsageError if that contradicts the templates or cannot be determined.
    """
    parts = [_shown_parts(template) for draft in drafts for template in draft.templates.values()]
    if not parts:
        return asked or Setting()
    setting = asked or Setting()
    if asked is None and not any(parts):
        raise UsageError(
            f"The templates of {script} show no example, so they are for 0 shots; say for which of the two with "
            "--setting 0shot_rationales or --setting 0shot_norationales."
        )
    if bool(setting.shots) != any(parts):
        shows = "an example" if any(parts) else "no example"
        raise UsageError(f"The templates of {script} show {shows}, so they cannot be for {setting.label}.")
    return setting


def complete_pack(draft: PackDraft, setting: Setting) -> None:
    """Add everything else that the script spells out; the findings name what could not be imported."""
    draft.setting, prompts, twice = setting, draft.prompts, draft.usage.twice
    shown = [_shown_parts(template) for template in draft.templates.values()] or [("answer",)]
    draft.example = max(shown, key=shown.count) if setting.shots else ()
    for key, template in list(draft.templates.items()):
        wanted = packs.wanted_placeholders(_kind(key) == SECTIONS[True], setting, draft.example)
        if why := packs.misfit(template, wanted):
            del draft.templates[key]
            draft.say(prompts.texts[key].line, f"the template {key}{why}; left out")
    for key, text in prompts.texts.items():
        if not _is_template(key):
            _put_in(draft, draft.texts, key, text, twice and key != "system" and _kind(key) == SECTIONS[True])
    for n, example in prompts.examples.items() if draft.example else ():
        parts: dict[str, str] = {}
        for role in draft.example:
            _put_in(draft, parts, role, _pick(n, example, role, draft.usage), twice and KINDS[n] == SECTIONS[True])
        if len(parts) == len(draft.example):
            draft.examples[n] = parts


def _is_template(key: str) -> bool:
    return key in SECTIONS.values() or key.startswith("templates.")


def _kind(key: str) -> str:
    """The section that a key's prompts belong to: `tasks.6` and `templates.6` → image_text"""
    return key if key in SECTIONS.values() else KINDS[int(key.partition(".")[2])]


def _shown_parts(template: Template) -> tuple[str, ...]:
    names = {name for _, name in template}
    return tuple(key for key in EXAMPLE_KEYS if key in names)


def _pick(n: int, example: Mapping[str, Leaf], role: str, usage: Usage) -> Leaf:
    """The text of an example that fills a placeholder, or why none is certain.

    That is the part that the script itself inserts or, if that is unknown, the part with a known name.
    """
    keys = sorted(usage.fields[role]) or [key for key in example if key in FIELDS[role]] or list(FIELDS[role][:1])
    if [*example] == [""] and role == "answer":
        keys = [""]
    part = example.get(keys[0], Computed(min(part.line for part in example.values()), f"has no {keys[0]!r}"))
    if len(keys) > 1:
        part = Computed(part.line, f"has both {' and '.join(map(repr, keys))}")
    return Computed(part.line, f"the example of task {n} {part.why}") if isinstance(part, Computed) else part


def _put_in(draft: PackDraft, texts: dict[str, str], key: str, text: Leaf, twice: bool) -> None:
    """Add a text as it appears in the prompt. twice: the script fills that prompt again, and parses its braces."""
    if isinstance(text, Computed):
        draft.say(text.line, f"{text.why}; left out")
        return
    try:
        [(shown, _)] = packs.split_template(text.text, doubled=True) if twice else [(text.text, None)]
        texts[key] = shown
    except ValueError:  # braces that str.format refuses, or a placeholder
        draft.say(text.line, "braces in this text are read again by the script's second filling; left out")


def _split(text: str) -> Template:
    try:
        return packs.split_template(text, doubled=True)
    except ValueError as error:
        raise ValueError(f"has braces that str.format rejects ({error})") from error


def _read_template(text: str, twice: bool) -> Template:
    """A template as a pack has it. twice: one with an article is filled a second time.

    Raises ValueError with the rest of a sentence for one that a pack cannot have.
    """
    template = _split(text)
    names = [name for _, name in template if name is not None]
    if unknown := [name for name in names if name not in ROLES]:
        raise ValueError(f"has the unknown placeholder {{{unknown[0]}}} (known: {', '.join(ROLES)})")
    if twice and "article" in map(ROLES.get, names):
        template = _split(packs.join_template(template, doubled=False))
        if Counter(name for _, name in template if name) != Counter(names):
            raise ValueError("has braces that the script's second filling reads as a placeholder")
    return tuple((text, ROLES.get(str(name))) for text, name in template)


def fill_gaps(draft: PackDraft) -> None:
    """Fill gaps from the package's own pack, as far as it fits the rest, and note it as a finding."""
    own_pack = resources.files("vlures.benchmarks.vlures.prompts") / f"{draft.prompts.language.name}.toml"
    own = tomllib.loads(own_pack.read_text(encoding="utf-8"))
    shown = EXAMPLE_KEYS if draft.setting.shots else ()
    fits = draft.example == shown or not draft.templates
    if fits and draft.example != shown:
        draft.example, draft.examples = shown, {}
    filled = []
    for key in draft.gaps:
        part, _, last = key.partition(".")
        if part in ("system", "tasks"):
            draft.texts[key] = own["tasks"][last] if last else own["system"]
        elif not fits:
            continue
        elif part == "examples":
            draft.examples[int(last)] = dict(own["examples"][last])
        else:
            draft.templates[part] = packs.split_template(own[part][last], doubled=False)
        filled.append(f"`{key}`")
    if filled:
        draft.say(draft.prompts.line, f"{', '.join(filled)}: the package's own", harmless=True)


def pack_content(draft: PackDraft) -> dict[str, Any]:
    """The pack as its TOML file holds it. A missing system prompt stays missing, so that the pack is refused."""
    language, whole, example = draft.prompts.language, draft.whole_tasks, draft.example
    plain = [*draft.texts.values(), *(text for parts in draft.examples.values() for text in parts.values())]
    single = {template: packs.join_template(template, doubled=False) for template in draft.templates.values()}
    doubled = any(map(packs.holds_placeholder, plain)) or any(
        packs.split_template(text, doubled=False) != template for template, text in single.items()
    )
    content: dict[str, Any] = {
        "language": language.name,
        "direction": "rtl" if language.code in RIGHT_TO_LEFT else "ltr",
        "braces": "doubled" if doubled else None,
        "system": draft.texts.get("system"),
        "has": {
            "settings": [draft.setting.label],
            "tasks": None if whole in ((), tuple(TASKS)) else list(whole),
            "example": None if example in ((), EXAMPLE_KEYS) else list(example),
        },
    }
    for key, template in sorted(draft.templates.items()):
        part, _, number = key.partition(".")
        table = content.setdefault(part, {}) if number else content
        table[number or part] = {draft.setting.label: packs.join_template(template, doubled)}
    content["tasks"] = {str(n): draft.texts.get(f"tasks.{n}") for n in TASKS}
    content["examples"] = {str(n): parts for n, parts in sorted(draft.examples.items())}
    return _without_gaps(content)


def _without_gaps(table: dict[str, Any]) -> dict[str, Any]:
    whole = {key: _without_gaps(value) if isinstance(value, dict) else value for key, value in table.items()}
    return {key: value for key, value in whole.items() if value not in (None, {})}
