"""The images of a folder, and their pixels as a model gets them."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vlures.benchmarks.urban.rows import stem_of
from vlures.errors import VluresError, counted
from vlures.files.names import path_as_text
from vlures.images import IMAGE_SUFFIXES, UnusableImage, decode_image, read_bytes
from vlures.records import Image

if TYPE_CHECKING:
    from PIL.Image import Image as Picture


@dataclass(frozen=True, slots=True)
class Listed:
    """An image file of the folder."""

    path: Path
    name: str
    """Of the file."""
    image_id: str
    """The name without its ending."""


def list_images(folder: Path) -> tuple[list[Listed], str]:
    """The images of a folder in the order of their names, and a sentence about what else is there ("" if nothing is).

    Raises VluresError where there is none, or two have one name but for their endings.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise VluresError(f"{folder} cannot be read ({error.strerror}); name another folder with --images.") from error
    folders = [path for path in paths if path.is_dir()]
    files = [path for path in paths if path not in set(folders)]
    images = [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES]
    if not images:
        inside = f", but {counted(len(folders), 'folder')}: name the one with the images" if folders else ""
        raise VluresError(
            f"There is no image ({', '.join(sorted(IMAGE_SUFFIXES))}) in {folder}{inside}; name a folder of images "
            "with --images."
        )
    listed = [Listed(path, path_as_text(Path(path.name)), stem_of(path_as_text(Path(path.name)))) for path in images]
    _refuse_doubles(folder, listed)
    return listed, " and ".join(_describe_rest(len(files) - len(images), len(folders)))


def _refuse_doubles(folder: Path, listed: Sequence[Listed]) -> None:
    seen: dict[str, Listed] = {}
    for each in listed:
        other = seen.setdefault(each.image_id, each)
        if other is not each:
            raise VluresError(
                f"{folder} has {other.name} and {each.name}, which would both be {each.image_id} in the metadata; "
                "rename one of them, or move it away."
            )


def _describe_rest(files: int, folders: int) -> Iterator[str]:
    if files:
        yield counted(files, "file") + " with other endings"
    if folders:
        yield counted(folders, "folder")


def read_picture(image: Image) -> Picture:
    """An image's pixels in RGB as the file has them, not turned by its EXIF data: so every provider gets them.

    Raises UnusableImage.
    """
    from PIL import Image as pillow  # noqa: N813

    decode_image(image.path)
    try:
        data = read_bytes(image)
    except VluresError as error:
        raise UnusableImage("has changed while it was read; run again") from error
    try:
        with pillow.open(io.BytesIO(data)) as opened:
            if opened.mode[0] in "IF":
                raise UnusableImage(f"has pixels of the mode {opened.mode}, deeper than 8 bits; save it with 8")
            picture = opened.convert("RGB")
    except (OSError, ValueError) as error:
        raise UnusableImage(f"is damaged: its pixels cannot be decoded ({error}); get it again") from error
    picture.info.clear()  # the image processors would turn it
    return picture
