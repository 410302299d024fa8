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
from vlures.legacy.prompts.dictionaries import Finding, LanguagePrompts
from vlures.legacy.prompts.static_values import Computed, Leaf
from vlures.legacy.prompts.usage import FIELDS, ROLES, Usage

RIGHT_TO_LEFT = frozenset({"Ur"})


@dataclass(slots=True)
class PackDraft:
    """A pack in the making."""

    prompts: LanguagePrompts
    usage: Usage
    setting: Setting = field(default_factory=Setting)
    example: tuple[str, ...] = ()
    """The parts of an example that the templates show."""
    templates: dict[str, Template] = field(default_factory=dict)
    """By section."""
    texts: dict[str, str] = field(default_factory=dict)
    """By key: system, tasks.1, examples.1.answer …"""
    findings: list[Finding] = field(default_factory=list)

    @property
    def wanted(self) -> dict[str, list[int]]:
        """The keys of a whole pack, with the tasks that need each."""
        needing = {section: [n for n in TASKS if TASKS[n].needs_text == text] for text, section in SECTIONS.items()}
        tasks = {f"tasks.{n}": [n] for n in TASKS}
        return {
            "system": [],
            **needing,
            **tasks,
            **{f"examples.{n}.{part}": [n] for n in TASKS for part in self.example},
        }

    @property
    def gaps(self) -> list[str]:
        return [key for key in self.wanted if key not in self.texts and key not in self.templates]

    @property
    def whole_tasks(self) -> tuple[int, ...]:
        """The tasks that have all they need."""
        lacking = {n for key in self.gaps for n in self.wanted[key]}
        return tuple(n for n in TASKS if n not in lacking)

    def say(self, line: int, text: str, harmless: bool = False) -> None:
        self.findings.append(Finding(line, text, harmless))


def begin_pack(prompts: LanguagePrompts, usage: Usage) -> PackDraft:
    """The templates of a pack; the findings name those that str.format would refuse."""
    draft = PackDraft(prompts, usage)
    for section in SECTIONS.values():
        if text := prompts.texts.get(section):
            try:
                draft.templates[section] = _read_template(text.text, usage.twice)
            except ValueError as error:
                draft.say(text.line, f"the template {section} {error}; left out")
    return draft


def choose_setting(script: str, drafts: Iterable[PackDraft], asked: Setting | None) -> Setting:
    """The setting of a script's prompts: as asked, else 1-shot with rationales if they show an example.

    Raises UsageError if that contradicts the templates or cannot be determined.
    """
    parts = [_shown_parts(template) for draft in drafts for template in draft.templates.values()]
    setting = asked or Setting()
    if parts and asked is None and not any(parts):
        raise UsageError(
            f"The templates of {script} show no example, so they are for 0 shots; say for which of the two with "
            "--setting 0shot_rationales or --setting 0shot_norationales."
        )
    if parts and bool(setting.shots) != any(parts):
        shows = "an example" if any(parts) else "no example"
        raise UsageError(f"The templates of {script} show {shows}, so they cannot be for {setting.label}.")
    return setting


def complete_pack(draft: PackDraft, setting: Setting) -> None:
    """Add everything else that the script spells out; the findings name what could not be imported."""
    draft.setting, prompts = setting, draft.prompts
    shown = [_shown_parts(template) for template in draft.templates.values()] or [("answer",)]
    draft.example = max(shown, key=shown.count) if setting.shots else ()
    for section, template in list(draft.templates.items()):
        wanted = packs.wanted_placeholders(section == SECTIONS[True], setting, draft.example)
        if why := packs.misfit(template, wanted):
            del draft.templates[section]
            draft.say(prompts.texts[section].line, f"the template {section}{why}; left out")
    _put_in(draft, "system", prompts.texts.get("system"), twice=False)
    for n, task in TASKS.items():
        twice = draft.usage.twice and task.needs_text
        _put_in(draft, f"tasks.{n}", prompts.texts.get(f"tasks.{n}"), twice)
        for role in draft.example if n in prompts.examples else ():
            _put_in(draft, f"examples.{n}.{role}", _pick(n, prompts.examples[n], role, draft), twice)


def _shown_parts(template: Template) -> tuple[str, ...]:
    names = {name for _, name in template}
    return tuple(key for key in EXAMPLE_KEYS if key in names)


def _pick(n: int, example: Mapping[str, Leaf], role: str, draft: PackDraft) -> Leaf:
    """The part of an example that the script itself puts in for a placeholder or, if that is unknown, the usual one;
    or why none is certain."""
    keys = sorted(draft.usage.fields[role]) or [FIELDS[role]]
    line = min((part.line for part in example.values()), default=draft.prompts.line)
    part = example.get(keys[0], Computed(line, f"has no {keys[0]!r}"))
    if len(keys) > 1:
        part = Computed(part.line, f"is filled in by its {' and its '.join(map(repr, keys))}")
    return Computed(part.line, f"the example of task {n} {part.why}") if isinstance(part, Computed) else part


def _put_in(draft: PackDraft, key: str, text: Leaf | None, twice: bool) -> None:
    """Add a text as it appears in the prompt. twice: the script fills that prompt again, and parses its braces."""
    if isinstance(text, Computed):
        draft.say(text.line, f"{text.why}; left out")
    elif text:
        try:
            [(shown, _)] = packs.split_template(text.text, doubled=True) if twice else [(text.text, None)]
            draft.texts[key] = shown
        except ValueError:  # braces that str.format refuses, or a placeholder
            draft.say(text.line, "braces in this text are read again by the script's second filling; left out")


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


def _split(text: str) -> Template:
    try:
        return packs.split_template(text, doubled=True)
    except ValueError as error:
        raise ValueError(f"has braces that str.format rejects ({error})") from error


def fill_gaps(draft: PackDraft) -> None:
    """Fill gaps from the package's own pack, as far as it fits the rest, and note it as a finding."""
    own_pack = resources.files("vlures.benchmarks.vlures.prompts") / f"{draft.prompts.language.name}.toml"
    own = tomllib.loads(own_pack.read_text(encoding="utf-8"))
    shown = EXAMPLE_KEYS if draft.setting.shots else ()
    fits = draft.example == shown or not draft.templates
    if fits and draft.example != shown:
        draft.example = shown
        draft.texts = {key: text for key, text in draft.texts.items() if not key.startswith("examples.")}
    filled = [key for key in draft.gaps if fits or key == "system" or key.startswith("tasks.")]
    for key in filled:
        text: Any = own
        for step in (key, draft.setting.label) if key in SECTIONS.values() else key.split("."):
            text = text[step]
        if key in SECTIONS.values():
            draft.templates[key] = packs.split_template(text, doubled=False)
        else:
            draft.texts[key] = text
    if filled:
        draft.say(draft.prompts.line, f"{', '.join(f'`{key}`' for key in filled)}: the package's own", harmless=True)


def pack_content(draft: PackDraft) -> dict[str, Any]:
    """The pack as its TOML file holds it. A missing system prompt stays missing, so that the pack is refused."""
    whole, example = draft.whole_tasks, draft.example
    doubled = any(map(packs.holds_placeholder, draft.texts.values())) or any(
        packs.split_template(packs.join_template(template, doubled=False), doubled=False) != template
        for template in draft.templates.values()
    )
    has = {
        "settings": [draft.setting.label],
        "tasks": None if whole in ((), tuple(TASKS)) else list(whole),
        "example": None if example in ((), EXAMPLE_KEYS) else list(example),
    }
    content: dict[str, Any] = {
        "language": draft.prompts.language.name,
        "direction": "rtl" if draft.prompts.language.code in RIGHT_TO_LEFT else "ltr",
        **({"braces": "doubled"} if doubled else {}),
        **({"system": draft.texts["system"]} if "system" in draft.texts else {}),
        "has": {key: value for key, value in has.items() if value is not None},
    }
    for key, template in sorted(draft.templates.items()):
        content[key] = {draft.setting.label: packs.join_template(template, doubled)}
    for key in draft.wanted:
        if key in draft.texts:
            *tables, last = key.split(".")
            table = content
            for name in tables:
                table = table.setdefault(name, {})
            table[last] = draft.texts[key]
    return content
