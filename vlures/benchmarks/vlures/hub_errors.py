"""What the Hub's client raises, in one sentence each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from vlures.errors import Incomplete, UsageError, VluresError


@contextmanager
def translate_errors(
    repository: str, revision: str | None, endpoint: str, *, has_begun: bool = False
) -> Iterator[None]:
    """Turn what the Hub's client raises into a sentence. has_begun: files are here already, so the same command
    continues.

    Raises UsageError for a malformed name, Incomplete where a later try may help, VluresError otherwise.
    """
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        yield
    except HFValidationError as error:
        raise UsageError(f"{repository!r} cannot be a dataset's name; write it as the Hub does: owner/name.") from error
    except (HfHubHTTPError, httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError, KeyError, TypeError) as error:
        sentence, may_pass = _describe_failure(_find_cause(error), repository, revision, endpoint)
        if has_begun and may_pass:
            raise Incomplete(f"{sentence} What was fetched is kept.") from error
        raise VluresError(sentence) from error


def _find_cause(error: BaseException) -> BaseException:
    """The original error, where the client wraps it in one of its own."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    wraps = isinstance(error, LocalEntryNotFoundError) or type(error) is ValueError
    return _find_cause(error.__cause__) if wraps and error.__cause__ is not None else error


def _describe_failure(error: BaseException, repository: str, revision: str | None, endpoint: str) -> tuple[str, bool]:
    """A sentence, and whether a later try may help."""
    import httpx2
    from huggingface_hub import errors

    page = f"{endpoint}/datasets/{repository}"
    match error:
        case errors.OfflineModeIsEnabled():
            return "HF_HUB_OFFLINE is set, so nothing is fetched; remove it from the environment.", False
        case errors.GatedRepoError():
            return (
                f"{repository} is given only to users who agree to its terms: do so at {page}, and put HF_TOKEN=… "
                "into .env.",
                False,
            )
        case errors.RevisionNotFoundError():
            return f"{repository} has no revision {revision}; see those it has at {page}.", False
        case errors.RepositoryNotFoundError():
            return (
                f"There is no dataset {repository} at {endpoint}, or it is private: check its name; for a private one "
                "put HF_TOKEN=… into .env.",
                False,
            )
        case errors.FileMetadataError():
            return f"{endpoint} does not answer like the Hub ({_first_line(error)}); check HF_ENDPOINT.", False
        case errors.HfHubHTTPError():
            return _describe_status(error.response.status_code, endpoint)
        case httpx2.HTTPError():
            return f"{endpoint} cannot be reached ({_first_line(error)}); run the same command again when it can.", True
        case OSError() if error.errno is not None:
            return (
                f"{error.filename or 'The folder'} cannot be written ({error.strerror}); fix that and run again.",
                True,
            )
        case OSError():
            return f"A file arrived incomplete ({_first_line(error)}); run the same command again.", True
    return (
        f"{endpoint} does not answer like the Hub ({_first_line(error)}); check HF_ENDPOINT.",
        False,
    )


def _describe_status(status: int, endpoint: str) -> tuple[str, bool]:
    if status in (401, 403):
        return f"{endpoint} refuses the token ({status}); correct HF_TOKEN or remove it.", False
    if status == 429:
        return f"{endpoint} reports too many requests (429); run the same command again in a few minutes.", True
    if status >= 500:
        return f"{endpoint} fails ({status}); run the same command again later.", True
    return f"{endpoint} refused a request ({status}); check HF_ENDPOINT.", False


def _first_line(error: BaseException) -> str:
    return (str(error).strip().split("\n")[0] or type(error).__name__).rstrip(".")
