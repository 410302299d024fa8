"""What one running sandbox owns: files, batches and ledger on disk, its faults, the images it has seen, its counts."""

import threading
from collections import Counter
from pathlib import Path

from filelock import FileLock, Timeout

from vlures.errors import UsageError
from vlures.sandbox.answers.prompt_cache import PromptCache
from vlures.sandbox.batches.batch import Provider
from vlures.sandbox.batches.spent_uploads import SpentUploads
from vlures.sandbox.batches.store import BatchStore
from vlures.sandbox.faults.active_faults import ActiveFaults
from vlures.sandbox.file_store import FileStore
from vlures.sandbox.gemini.uploads import UploadSessions
from vlures.sandbox.images.inspection import ImageCache
from vlures.sandbox.ledger import Ledger
from vlures.sandbox.settings import RequestKind, SandboxSettings
from vlures.sandbox.state_files import LEDGER_FILE, LOCK_FILE

LOCK_WAIT_S = 10.0


class Counts:
    """What the sandbox counts while it runs; forgotten when it ends."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.bytes_received = 0
        self.held = 0
        self.images_seen = 0
        self.vision_uploads = 0
        self.bytes_uploaded = 0
        self.live_now = 0
        self.live_peak = 0
        self.spec_violations: list[dict[str, str]] = []
        self._lock = threading.Lock()

    def begin_live(self) -> None:
        """A live request has arrived."""
        self.live_now += 1
        self.live_peak = max(self.live_peak, self.live_now)

    def end_live(self) -> None:
        """A live request has been served."""
        self.live_now -= 1

    def add_images(self, number: int) -> None:
        """Count the images of an accepted request, repeated ones too."""
        with self._lock:
            self.images_seen += number

    def add_upload(self, purpose: str, size: int) -> None:
        """Count an uploaded file. size: its bytes, without the form around it."""
        self.vision_uploads += purpose == "vision"
        self.bytes_uploaded += size

    def add_violation(self, label: str, violation: str) -> None:
        """A request that `check_request` objects to."""
        with self._lock:
            self.spec_violations.append({"request": label, "violation": violation})


class State:
    """What the handlers of one sandbox share. Holds the lock on the state folder; raises UsageError if another does."""

    def __init__(self, settings: SandboxSettings, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(str(folder / LOCK_FILE), timeout=LOCK_WAIT_S)
        try:
            self._lock.acquire()
        except Timeout:
            sentence = f"Another sandbox is using the state folder {folder}; stop it or choose another folder."
            raise UsageError(sentence) from None
        self.settings = settings
        self.faults = ActiveFaults(settings.faults, settings.seed)
        self.files = FileStore(folder / "files")
        self.gemini_files = FileStore(folder / "gemini_files")
        self.gemini_uploads = UploadSessions(folder / "gemini_uploads")
        self.batches = BatchStore(folder / "batches")
        self.spent_uploads = SpentUploads(
            {"openai": self.files, "gemini": self.gemini_files}, self.batches, keeps_all=settings.keep_uploads
        )
        self.ledger = Ledger(folder / LEDGER_FILE)
        self.image_cache = ImageCache()
        self.prompt_cache = PromptCache()
        self.counts = Counts()
        self.stopping = threading.Event()

    def files_of(self, provider: Provider) -> FileStore:
        """This provider's files."""
        return self.files if provider == "openai" else self.gemini_files

    def violation(self, kind: RequestKind, body: object, label: str) -> str | None:
        """The sentence `spec violation: …` if the settings' own check objects to this body; counts it."""
        check = self.settings.check_request
        found = check(kind, body) if check else None
        if found is None:
            return None
        self.counts.add_violation(label, found)
        return f"spec violation: {found}"

    def close(self) -> None:
        """Close the ledger and release the state folder."""
        self.ledger.close()
        self._lock.release()
