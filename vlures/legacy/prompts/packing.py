"""Turns a script's prompts for a language into the content of a pack that gives the same prompts, letter by letter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vlures.benchmarks.vlures.prompts import packs
from vlures.benchmarks.vlures.prompts.packs import EXAMPLE_KEYS, SECTIONS, Template
from vlures.benchmarks.vlures.settings import Setting
from vlures.benchmarks.vlures.tasks import TASKS
from vlures.errors import UsageError
from vlures.legacy.prompts.dictionaries import FIELDS, Finding, LanguagePrompts
from vlures.legacy.prompts.static_values import Computed, Leaf, Text
from vlures.legacy.prompts.template_usage import Usage
from vlures.legacy.prompts.value_flow import ROLES

RIGHT_TO_LEFT = frozenset({"Ur"})
KINDS = {n: SECTIONS[task.needs_text] for n, task in TASKS.items()}


@dataclass(slots=True)
class PackDraft:
    """A pack in the making."""

    prompts: LanguagePrompts
    setting: Setting
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


def choose_setting(script: str, templates: Iterable[Template | str], asked: Setting | None) -> Setting:
    """The setting of a script's prompts: as asked, else 1-shot with rationales if they show an example.

    Raises UsageError if that contradicts the templates or cannot be determined.
    """
    parts = [
        {name for _, name in template} & {*EXAMPLE_KEYS} for template in templates if not isinstance(template, str)
    ]
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


def read_templates(prompts: LanguagePrompts, twice: bool) -> dict[str, Template | str]:
    """The templates by key; for one that a pack cannot have, the rest of a sentence saying why.

    twice: those with an article are filled a second time.
    """
    keys = [key for key in prompts.texts if key in SECTIONS.values() or key.startswith("templates.")]
    return {key: _read_template(prompts.texts[key].text, twice) for key in keys}


def draft_pack(
    prompts: LanguagePrompts, templates: Mapping[str, Template | str], usage: Usage, setting: Setting
) -> PackDraft:
    """Everything of a pack that the script spells out; the findings name what could not be imported."""
    draft = PackDraft(prompts, setting)
    names = [{name for _, name in template} for template in templates.values() if not isinstance(template, str)]
    shown = [tuple(key for key in EXAMPLE_KEYS if key in found) for found in names] or [("answer",)]
    draft.example = max(shown, key=shown.count) if setting.shots else ()
    for key, template in templates.items():
        kind = KINDS[int(key[10:])] if key not in SECTIONS.values() else key
        wanted = packs.wanted_placeholders(kind == SECTIONS[True], setting, draft.example)
        why = f" {template}" if isinstance(template, str) else packs.misfit(template, wanted)
        if isinstance(template, str) or why:
            draft.say(prompts.texts[key].line, f"the template {key}{why}; left out")
        else:
            draft.templates[key] = template
    for key, text in prompts.texts.items():
        if key not in templates:
            twice = usage.twice and key != "system" and KINDS[int(key[6:])] == SECTIONS[True]
            _put_in(draft, draft.texts, key, text, twice)
    for n, example in prompts.examples.items() if draft.example else ():
        parts: dict[str, str] = {}
        for role in draft.example:
            _put_in(draft, parts, role, _pick(n, example, role, usage), usage.twice and KINDS[n] == SECTIONS[True])
        if len(parts) == len(draft.example):
            draft.examples[n] = parts
    return draft


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
    template = _split(text.text) if twice and isinstance(text, Text) else ()
    if isinstance(text, Computed):
        draft.say(text.line, f"{text.why}; left out")
    elif isinstance(template, str) or len(template) > 1:
        draft.say(text.line, "braces in this text are read again by the script's second filling; left out")
    else:
        texts[key] = template[0][0] if template else text.text


def _split(text: str) -> Template | str:
    try:
        return packs.split_template(text, doubled=True)
    except ValueError as error:
        return f"has braces that str.format rejects ({error})"


def _read_template(text: str, twice: bool) -> Template | str:
    template = _split(text)
    names = [] if isinstance(template, str) else [name for _, name in template if name is not None]
    if unknown := [name for name in names if name not in ROLES]:
        return f"has the unknown placeholder {{{unknown[0]}}} (known: {', '.join(ROLES)})"
    if not isinstance(template, str) and twice and "article" in map(ROLES.get, names):
        template = _split(packs.join_template(template, doubled=False))
        if not isinstance(template, str) and Counter(name for _, name in template if name) != Counter(names):
            return "has braces that the script's second filling reads as a placeholder"
    return template if isinstance(template, str) else tuple((text, ROLES.get(str(name))) for text, name in template)


def fill_gaps(draft: PackDraft, own: Mapping[str, Any]) -> None:
    """Fill gaps from the package's own pack, as far as it fits the rest, and note it as a finding."""
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
