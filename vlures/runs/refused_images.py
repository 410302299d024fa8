"""Images that a model is known to refuse, at no charge."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from vlures.backends.provider import Provider
from vlures.config.sections import Target
from vlures.errors import counted
from vlures.images import encoded_length
from vlures.records import Image


def why_refused(provider: Provider, target: Target, image: Image) -> str | None:
    """A sentence if the model is known to refuse the image."""
    return provider.describe_refusal(target.model, image.width, image.height, target.parameters)


def describe_limit(provider: Provider, target: Target, image: Image) -> str | None:
    """A sentence if the image is above a limit of the model or its provider, or may be."""
    if (refusal := why_refused(provider, target, image)) is not None:
        return refusal
    most = provider.largest_request_bytes
    if most is not None and encoded_length(image) > most:
        return (
            f"An image of {image.size_bytes:,} bytes has {encoded_length(image):,} in a request, and {provider.title} "
            f"takes no request of more than {most:,}; scale it down."
        )
    return provider.describe_doubt(target.model, image.width, image.height, target.parameters)


def find_refusals(provider: Provider, target: Target, images: Iterable[Image]) -> dict[Image, str]:
    """Images that the model is known to refuse, each with a sentence saying why."""
    reasons = {image: why_refused(provider, target, image) for image in images}
    return {image: why for image, why in reasons.items() if why is not None}


def describe_refusals(
    model: str, refusals: Mapping[Image, str], due: Mapping[Image, int], *, left_out: bool
) -> Iterator[str]:
    """What the run does with the images that the model refuses.

    due: how many due requests each of these images has. left_out: whether the run leaves them out.
    """
    if not refusals:
        return
    first = next(iter(refusals))
    more = f" and {len(refusals) - 1:,} more" if len(refusals) > 1 else ""
    if left_out:
        yield f"Left out: {first.path}{more}. {refusals[first]}"
    elif due:
        yield (
            f"{counted(sum(due.values()), 'due request')} will fail, at no charge, because {model} refuses the "
            f"images ({first.path}{more}); --skip-problems leaves them out. {refusals[first]}"
        )
