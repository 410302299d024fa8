"""The files of a state folder by their names, for whoever removes one."""

import re
from collections.abc import Sequence

FOLDERS = ("files", "gemini_files", "gemini_uploads", "batches")
LOCK_FILE, LEDGER_FILE = "lock", "ledger.jsonl"
_OF_FOLDERS = re.compile(r"[\w-]+\.(json|data|part)")


def is_state_file(parts: Sequence[str]) -> bool:
    """Whether a sandbox writes files of this name. parts: the path below the state folder."""
    match tuple(parts):
        case (name,):
            return name in (LOCK_FILE, LEDGER_FILE)
        case (folder, name):
            return folder in FOLDERS and _OF_FOLDERS.fullmatch(name) is not None
    return False


def is_state_folder(parts: Sequence[str]) -> bool:
    """Whether a sandbox makes a folder of this name below its state folder."""
    return len(parts) == 1 and parts[0] in FOLDERS
