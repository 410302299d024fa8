"""Turns a script into packs, with the modules beside this one. Writes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vlures.benchmarks.vlures.languages import LANGUAGES, Language
from vlures.benchmarks.vlures.prompts.packs import read_pack
from vlures.benchmarks.vlures.prompts.writing import write_toml
from vlures.benchmarks.vlures.settings import Setting
from vlures.benchmarks.vlures.tasks import TASKS
from vlures.errors import VluresError
from vlures.legacy.prompts import packing
from vlures.legacy.prompts.dictionaries import Finding, read_dictionaries
from vlures.legacy.prompts.static_values import Script, read_script
from vlures.legacy.prompts.usage import Usage


@dataclass(frozen=True, slots=True)
class ImportedPack:
    """A pack made from a script."""

    language: Language
    text: str
    """Of its TOML file."""
    tasks: tuple[int, ...]
    example: tuple[str, ...]
    """The parts of an example that it shows."""
    refusal: str | None
    """Why a run would refuse it."""

    @property
    def file_name(self) -> str:
        return f"{self.language.name}.toml"


@dataclass(frozen=True, slots=True)
class Imported:
    """The result of importing a script."""

    setting: Setting
    packs: tuple[ImportedPack, ...]
    findings: tuple[tuple[tuple[str, ...], Finding], ...]
    """Each with the names of its languages, by line."""
    absent: tuple[Language, ...]

    @property
    def is_whole(self) -> bool:
        """Whether the packs give exactly the script's prompts, as far as can be known without running it."""
        return all(finding.harmless for _, finding in self.findings) and self.is_usable

    @property
    def is_usable(self) -> bool:
        """Whether every pack has every task of the setting."""
        return all(pack.tasks == tuple(TASKS) and not pack.refusal for pack in self.packs)


def import_script(path: Path, setting: Setting | None = None, fill: bool = False) -> Imported:
    """Read a copy of one of the public scripts. The script is not run, and nothing is written.

    setting: of its prompts; without it, 1-shot with rationales if they show an example. fill: take what the script
    lacks from the package's own packs. Raises VluresError for a script that cannot be read, has no prompts or may
    change them, UsageError for a setting that cannot be determined.
    """
    try:
        return _import(read_script(path), setting, fill)
    except RecursionError as error:
        raise VluresError(f"{path} is nested too deeply to be read. Nothing was written.") from error


def _import(script: Script, setting: Setting | None, fill: bool) -> Imported:
    languages, noted = read_dictionaries(script)
    usage = Usage(script)
    for problem in sorted(usage.problems, key=lambda problem: problem.line)[:1]:
        raise VluresError(
            f"{script.path}:{problem.line}: the script {problem.why}; write the change into the dictionaries, or take "
            "the line out of the copy if no prompt needs it. Nothing was written."
        )
    drafts = [packing.begin_pack(prompts, usage) for prompts in languages.values()]
    setting = packing.choose_setting(script.path.name, drafts, setting)
    found: dict[Finding, list[str]] = {finding: [] for finding in noted}
    for draft in drafts:
        packing.complete_pack(draft, setting)
        if fill:
            packing.fill_gaps(draft)
        if draft.gaps:
            draft.say(draft.prompts.line, f"{', '.join(f'`{gap}`' for gap in draft.gaps)}: missing")
        for finding in dict.fromkeys(draft.findings):
            found.setdefault(finding, []).append(draft.prompts.language.name)
    packs = [_as_pack(draft, f"{script.path.name} (SHA-256 {script.digest})") for draft in drafts]
    findings = tuple((tuple(found[finding]), finding) for finding in sorted(found, key=lambda finding: finding.line))
    absent = tuple(language for code, language in LANGUAGES.items() if code not in languages)
    return Imported(setting, tuple(packs), findings, absent)


def _as_pack(draft: packing.PackDraft, source: str) -> ImportedPack:
    language, refusal = draft.prompts.language, None
    missing = [f"Missing: {', '.join(draft.gaps)}"] if draft.gaps else []
    text = write_toml(packing.pack_content(draft), [f"Taken from {source} by `vlures prompts import`.", *missing])
    try:
        read_pack(text.encode(), f"{language.name}.toml", language)
    except VluresError as error:
        refusal = str(error)
    return ImportedPack(language, text, draft.whole_tasks, draft.example, refusal)
