"""A script → packs: the way through the rooms beside this one. Writes nothing."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from vlures.benchmarks.vlures.languages import LANGUAGES, Language
from vlures.benchmarks.vlures.prompts.packs import read_pack
from vlures.benchmarks.vlures.settings import Setting
from vlures.benchmarks.vlures.tasks import TASKS
from vlures.errors import VluresError
from vlures.legacy.prompts.packing import (
    PackDraft,
    choose_setting,
    draft_pack,
    fill_draft,
    name_gaps,
    pack_content,
    say_gaps,
)
from vlures.legacy.prompts.scripts import Finding, read_prompts
from vlures.legacy.prompts.static_values import read_script
from vlures.legacy.prompts.writing import write_toml


@dataclass(frozen=True, slots=True)
class ImportedPack:
    """A pack that came of a script. text: of its TOML file. refusal: why a run would refuse it, if it would."""

    language: Language
    text: str
    tasks: tuple[int, ...]
    example: tuple[str, ...]
    refusal: str | None

    @property
    def file_name(self) -> str:
        return f"{self.language.name}.toml"


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of a script. findings: (languages, finding), by line. absent: languages that it does not have."""

    setting: Setting
    packs: tuple[ImportedPack, ...]
    findings: tuple[tuple[tuple[str, ...], Finding], ...]
    absent: tuple[Language, ...]

    @property
    def is_whole(self) -> bool:
        """Whether the packs give the very prompts of the script, as far as can be known without running it."""
        return all(finding.harmless for _, finding in self.findings) and self.is_usable

    @property
    def is_usable(self) -> bool:
        """Whether every pack has every task of the setting."""
        return all(pack.tasks == tuple(TASKS) and not pack.refusal for pack in self.packs)


def import_script(path: Path, setting: Setting | None = None, fill: bool = False) -> Imported:
    """Read a copy of one of the original scripts. Nothing of it is run.

    setting: what its prompts are for; without it, 1-shot with rationales if they show an example. fill: take what the script
    lacks from the package's own packs.
    Raises VluresError for a script that cannot be read or has no prompts, UsageError for a setting that cannot be known.
    """
    script = read_script(path)
    prompts = read_prompts(script)
    if not prompts.languages:
        raise VluresError(f"{path} spells out the prompts of no language; nothing was written.")
    setting = choose_setting(prompts, setting)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    packs, drafts = [], []
    for language_prompts in prompts.languages:
        draft = draft_pack(language_prompts, prompts.filling, setting)
        if fill:
            fill_draft(draft, _own_content(draft.prompts.language))
        drafts.append(draft)
        say_gaps(draft)
        packs.append(_as_pack(draft, [f"Taken from {path.name} (SHA-256 {digest}) by `vlures prompts import`."]))
    there = {pack.language.code for pack in packs}
    return Imported(
        setting,
        tuple(packs),
        _gathered(prompts.findings, drafts),
        tuple(language for code, language in LANGUAGES.items() if code not in there),
    )


def _as_pack(draft: PackDraft, remarks: list[str]) -> ImportedPack:
    language = draft.prompts.language
    if gaps := name_gaps(draft):
        remarks.append(f"Missing: {', '.join(gaps)}")
    text = write_toml(pack_content(draft), remarks)
    refusal = None
    try:
        read_pack(text.encode(), f"{language.name}.toml", language)
    except VluresError as error:
        refusal = str(error)
    return ImportedPack(language, text, draft.whole_tasks, draft.example, refusal)


def _gathered(general: Iterable[Finding], drafts: Iterable[PackDraft]) -> tuple[tuple[tuple[str, ...], Finding], ...]:
    """The findings by line; one that several languages share (an example, often) is said once."""
    languages: dict[Finding, list[str]] = {finding: [] for finding in general}
    for draft in drafts:
        for finding in dict.fromkeys(draft.findings):
            languages.setdefault(finding, []).append(draft.prompts.language.name)
    return tuple(
        (tuple(languages[finding]), finding) for finding in sorted(languages, key=lambda finding: finding.line)
    )


def _own_content(language: Language) -> dict[str, Any]:
    return tomllib.loads(
        (resources.files("vlures.benchmarks.vlures.prompts") / f"{language.name}.toml").read_text(encoding="utf-8")
    )
