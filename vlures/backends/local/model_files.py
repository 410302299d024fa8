"""A model's files: a folder, or a repository of the Hugging Face Hub at one commit; with an adapter or without."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from vlures.errors import UsageError, VluresError

REPOSITORY = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")
"""`owner/name`, with a branch, tag or commit or without."""
READ_SUFFIXES = frozenset({".safetensors", ".json", ".jinja", ".txt", ".model", ".py"})
"""Of the files in a model's folder that loading may read."""
LEFT_BY_TRAINING = re.compile(r"(checkpoint-\d+|runs|logs|\..*)")
"""Folders of a model's folder that loading does not read."""
NOT_READ = frozenset({"trainer_state.json", "all_results.json", "train_results.json", "eval_results.json"})
HASHED_AT_A_TIME = 4


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """Where a model's files are."""

    name: str
    """Its folder, or its repository on the hub."""
    revision: str | None
    """The commit; None for a folder."""
    digest: str
    """Of the folder's files; the commit for a repository."""
    adapter: Path | None = None
    """A peft adapter's folder, whose base the model is."""
    adapter_digest: str = ""

    @property
    def identity(self) -> str:
        """What changes when any file changes that decides an answer."""
        return f"{self.digest}+{self.adapter_digest}" if self.adapter else self.digest


def find_model(name: str) -> ModelFiles:
    """Find a model by its folder or its name on the hub. A folder with an adapter stands for its base model with it.

    Raises UsageError if there is none, VluresError if the hub cannot be asked.
    """
    folder = Path(name)
    if not folder.is_dir():
        return _find_repository(name)
    if (folder / "adapter_config.json").is_file():
        base = find_model(_base_of(folder))
        if base.adapter:
            raise UsageError(f"{folder} is an adapter of another adapter, {base.adapter}; merge that one first.")
        return replace(base, adapter=folder, adapter_digest=digest_folder(folder))
    if not (folder / "config.json").is_file():
        raise UsageError(
            f"The folder {folder} holds no model: it has neither config.json nor adapter_config.json; name the folder "
            "that save_pretrained wrote, or a model of the Hugging Face Hub (owner/name)."
        )
    return ModelFiles(name, None, digest_folder(folder))


def _base_of(adapter: Path) -> str:
    path = adapter / "adapter_config.json"
    try:
        base = json.loads(path.read_bytes())["base_model_name_or_path"]
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise UsageError(f"{path} does not say which model it adapts ({error}); save the adapter again.") from error
    if not isinstance(base, str) or not base:
        raise UsageError(f"{path} does not say which model it adapts; fill in base_model_name_or_path.")
    beside = adapter / base
    return str(beside) if not Path(base).is_dir() and beside.is_dir() else base


def _find_repository(name: str) -> ModelFiles:
    match = REPOSITORY.fullmatch(name)
    if match is None or name.startswith("."):
        raise UsageError(
            f"There is no model {name!r}: no folder has that name, and on the Hugging Face Hub a model's name is "
            "owner/name. Short names: blip2, instructblip, llava."
        )
    return _find_commit(match["name"], match["revision"] or "main")


@cache
def _find_commit(repository: str, revision: str) -> ModelFiles:
    """The commit that is in the hub's cache on this machine, else the hub's own."""
    from huggingface_hub import HfApi, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled, RepositoryNotFoundError

    cached = try_to_load_from_cache(repository, "config.json", revision=revision)
    if isinstance(cached, str):
        commit = Path(cached).parent.name
        return ModelFiles(repository, commit, commit)
    try:
        found = HfApi().model_info(repository, revision=revision, timeout=15).sha
    except RepositoryNotFoundError as error:
        raise UsageError(
            f"The Hugging Face Hub has no model {repository} at {revision}, or only for those it is shared with (set "
            "HF_TOKEN then); no folder has that name either."
        ) from error
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError, RuntimeError) as error:
        said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise VluresError(
            f"{repository} is not on this machine, and the Hugging Face Hub cannot be asked ({said}); connect, or name "
            "a model's folder."
        ) from error
    return ModelFiles(repository, found, found or revision)


def digest_folder(folder: Path) -> str:
    """Digest of all files that loading a model from the folder may read: 32 hexadecimal digits of a SHA-256."""
    paths = sorted(_files_read(folder))
    stats = tuple((str(path.relative_to(folder)), path.stat().st_mtime_ns, path.stat().st_size) for path in paths)
    return _digest(folder, stats)


def _files_read(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.is_dir():
            if not LEFT_BY_TRAINING.fullmatch(path.name):
                yield from _files_read(path)
        elif path.suffix in READ_SUFFIXES and path.name not in NOT_READ:
            yield path


@cache
def _digest(folder: Path, stats: tuple[tuple[str, int, int], ...]) -> str:
    """stats: the files' names, times and sizes, which tell whether they have been read before."""
    sha = hashlib.sha256()
    with ThreadPoolExecutor(HASHED_AT_A_TIME) as pool:
        digests = pool.map(lambda stat: _digest_file(folder / stat[0]), stats)
        for (name, _, _), digest in zip(stats, digests, strict=True):
            sha.update(f"{name}\0{digest}\n".encode())
    return sha.hexdigest()[:32]


def _digest_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise VluresError(f"{path} cannot be read ({error.strerror}); mend that and run again.") from error
