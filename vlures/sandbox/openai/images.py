"""The images of a request to OpenAI: in the request itself, behind a local URL, or uploaded before."""

from dataclasses import dataclass

from vlures.sandbox.faults.active_faults import ActiveFaults
from vlures.sandbox.file_store import FileStore, StoredFile
from vlures.sandbox.images.fetching import FetchError, fetch_image, is_local
from vlures.sandbox.images.inspection import MIME_OF_FORMAT, ImageCache, InspectedImage
from vlures.sandbox.images.tokens import MAX_PATCHES, openai_image_tokens, patches
from vlures.sandbox.openai.errors import OpenAIError, invalid_value, missing_parameter

DETAILS = ("auto", "low", "high", "original")
ACCEPTED = "['image/png', 'image/jpeg', 'image/gif', 'image/webp']"
MAX_SHOWN_URL_LENGTH = 200


@dataclass(frozen=True)
class ImageSource:
    """Where the images of a request come from."""

    image_cache: ImageCache
    files: FileStore
    faults: ActiveFaults
    place: str
    """Where faults of files strike; empty for an estimate, which no fault may affect."""


@dataclass(frozen=True)
class RequestImage:
    """One image of a request with the detail asked for."""

    image: InspectedImage
    detail: str


def check_detail(detail: object, name: str) -> str:
    """The detail asked for."""
    if detail not in DETAILS:
        raise invalid_value(name, detail, DETAILS)
    return str(detail)


def read_image_url(url: object, name: str, source: ImageSource) -> InspectedImage:
    """The image of a data URL or a local URL. name: the parameter that contains it. Raises OpenAIError."""
    if not isinstance(url, str):
        raise missing_parameter(name)
    if url.startswith("data:"):
        return _read_data_url(url, name, source.image_cache)
    if not is_local(url):
        raise OpenAIError(
            400,
            f"Failed to download image from {url[:MAX_SHOWN_URL_LENGTH]}. (This is the sandbox's limit: it fetches "
            "images from http://127.0.0.1 and http://localhost, never from the internet.)",
            param=name,
            code="invalid_image_url",
        )
    try:
        data = fetch_image(url)
    except FetchError as error:
        message = f"Error while downloading {url[:MAX_SHOWN_URL_LENGTH]}: {error}."
        raise OpenAIError(400, message, param=name, code="invalid_image_url") from None
    image = source.image_cache.inspect_bytes(data)
    check_image(image, name)
    return image


def _read_data_url(url: str, name: str, image_cache: ImageCache) -> InspectedImage:
    comma = url.find(",", 0, 100)
    mime, _, encoding = url[: max(0, comma)].removeprefix("data:").partition(";")
    if encoding != "base64":
        raise OpenAIError(400, "Invalid base64 image_url.", param=name, code="invalid_base64_image")
    image = image_cache.inspect_base64(url[comma + 1 :])
    check_image(image, name, mime)
    return image


def read_image_file(file_id: object, name: str, source: ImageSource) -> InspectedImage:
    """The image of an uploaded file; the faults of files strike here, once for each time that a file is named."""
    if not isinstance(file_id, str):
        raise missing_parameter(name)
    for fault in source.faults.strikes("file", source.place) if source.place else ():
        if fault.kind == "no_file_ids":
            raise refused_file_id(file_id, name)
        source.files.delete(file_id)
    file = source.files.find(file_id)
    if file is None:
        raise _gone(file_id, name)
    if file.purpose == "batch":
        raise OpenAIError(400, f"The file {file_id} is not an image: its purpose is 'batch', not 'vision'.", param=name)
    try:
        image = inspect_upload(file, source.files, source.image_cache)
    except FileNotFoundError:  # deleted while this request was read
        raise _gone(file_id, name) from None
    check_image(image, name)
    return image


def inspect_upload(file: StoredFile, files: FileStore, image_cache: ImageCache) -> InspectedImage:
    """The image in a stored file; raises FileNotFoundError if it has been deleted."""
    return image_cache.inspect_named(file.id, lambda: files.read(file))


def _gone(file_id: str, name: str) -> OpenAIError:
    return OpenAIError(400, f"No such File object: {file_id}", param=name, code="file_not_found")


def refused_file_id(file_id: str, name: str) -> OpenAIError:
    """The error of a batch line under the fault `no_file_ids`."""
    message = f"A file_id ({file_id}) is not supported for images in batch requests. Use 'image_url' instead."
    return OpenAIError(400, message, param=name, code="unsupported_parameter")


def check_image(image: InspectedImage, name: str | None, mime: str | None = None) -> None:
    """Raise OpenAI's error unless the image is complete and of a format that OpenAI reads, the declared one if any."""
    if image.flaw == "base64":
        raise OpenAIError(400, "Invalid base64 image_url.", param=name, code="invalid_base64_image")
    if image.flaw == "broken":
        raise OpenAIError(
            400,
            "The image data you provided does not represent a valid image. Please check your input and try again with "
            f"one of the supported image formats: {ACCEPTED}.",
            param=name,
            code="image_parse_error",
        )
    if image.flaw or (mime is not None and mime not in MIME_OF_FORMAT.values()):
        raise OpenAIError(
            400,
            "You uploaded an unsupported image. Please make sure your image has of one the following formats: "
            "['png', 'jpeg', 'gif', 'webp'], and that a gif is not animated.",
            param=name,
            code="invalid_image_format",
        )
    if mime is not None and image.mime != mime:
        message = f"The image was declared as {mime}, but its data is {image.mime}."
        raise OpenAIError(400, message, param=name, code="invalid_image_format")


def count_image_tokens(model: str, images: list[RequestImage]) -> tuple[int, ...]:
    """The tokens of each image; raises OpenAI's error for one that is too large even after the model has resized it."""
    for image, detail in ((item.image, item.detail) for item in images):
        count = patches(model, image.width, image.height, detail)
        if count > MAX_PATCHES:
            message = f"The image requires {count} patches after processing, exceeding the limit of {MAX_PATCHES}."
            raise OpenAIError(400, message, code="image_too_large")
    return estimate_image_tokens(model, images)


def estimate_image_tokens(model: str, images: list[RequestImage]) -> tuple[int, ...]:
    """The tokens of each image, however large."""
    return tuple(openai_image_tokens(model, item.image.width, item.image.height, item.detail) for item in images)
