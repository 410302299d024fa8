"""The facts that vlures needs of a provider: a Provider, as FACTS in its folder's `facts.py`, which loads no SDK."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, Literal, Protocol

from vlures.config.route import CERTIFICATES
from vlures.records import Image, Parameters, Request

if TYPE_CHECKING:
    from vlures.config.sections import BackendOptions, Mode

ImageTransport = Literal["inline", "file", "url"]

SAMPLING = frozenset({"temperature", "top_p", "max_output_tokens"})
"""Parameters that every provider has."""


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a family of models."""

    pattern: str
    """Matches its names, whole."""
    on: date
    """The first day without it."""
    instead: str
    """The nearest living model."""
    rerouted: bool = False
    """It does not fail: the other model answers, at its own price."""


@dataclass(frozen=True, slots=True)
class ListedPrice:
    """The price of a family of models that genai-prices lacks: USD per million tokens in standard live mode."""

    pattern: str
    """Matches its names, whole, without a snapshot's date."""
    input: float
    output: float
    cache_write: float
    """For input that is written into the provider's cache."""
    source: str
    """Where the price comes from, in words."""


class Helper(Protocol):
    """The work of a process that helps another one, which holds the run."""

    def help(
        self,
        options: BackendOptions,
        everything: Callable[[], Iterable[Request]],
        keep_going: Callable[[], bool],
        say: Callable[[str], None],
    ) -> Coroutine[Any, Any, None]:
        """everything: all requests of the run, in their order."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Provider:
    """Everything that vlures knows of one provider. A default means that it lacks the thing, or that it is unknown."""

    name: str
    """As in --backend."""
    title: str
    """As in sentences and stored jobs. In lower case it is the name, which tells whose a stored job is."""

    default_mode: Mode
    default_model: str
    """Its cheapest vision model that was alive on the day of its endings."""
    own_models: str
    """A pattern for the beginning of the names that only its own models have."""
    plain_model: Callable[[str], str] = lambda model: model
    """A model's name without what may stand before it."""

    # Reaching it

    connectors: Mapping[Mode, str]
    """Mode → `module:function` that takes a Setup and returns a Backend. Only this loads the SDK."""
    usual_address: str | None
    """None: it answers on this machine, and nothing is sent anywhere."""
    address_variable: str | None
    """The environment variable for an address other than the usual one."""
    key_variables: tuple[str, ...]
    """Environment variables of its key; the first that is set wins."""
    hosts: tuple[str, ...]
    """Suffixes of its own hosts' names, each with a leading dot."""
    sandbox_paths: tuple[str, ...]
    """First parts of the path in a sandbox's addresses for it; none: a sandbox cannot stand in for it."""
    meet: str | None = None
    """`module:function` of a context manager in which the processes of one run meet. Gives the Helper of a process that
    helps, None for the one that holds the run. None: a run is one process."""
    packages: Callable[[Any], tuple[str, ...]]
    """(own options) → names of the distributions that decide what is sent, for run.json."""
    serves_own: bool = False
    """Whether --base-url may point it at a server of the user's own."""
    certificate_variables: Callable[[Any], tuple[str, ...]] = lambda _: CERTIFICATES
    """(own options) → environment variables of the certificates that its SDK trusts; the first that is set wins."""
    check_installed: Callable[[BackendOptions], None] = lambda _: None
    """Raises VluresError for an SDK that is chosen and not installed."""

    # What may be asked

    parameters: frozenset[str]
    """Names that its API accepts. Whether a model accepts them is checked in check_model_parameters only."""
    implied_parameters: Callable[[str, Any, Parameters], Mapping[str, Any]] = lambda *_: {}
    """(model, own options, parameters) → what else decides an answer, though the user has not set it. Raises
    VluresError if the model cannot be found."""
    check_options: Callable[[BackendOptions], None]
    """Raises UsageError for options that the provider takes for no model."""
    check_model_parameters: Callable[[BackendOptions], None]
    """Raises UsageError for what is known to cause a 400 for every single request."""
    check_foreign_options: Callable[[Any, str, str], None] = lambda _own, _title, _name: None
    """(own options, title, name) → raises UsageError if they are set in a run of the provider with that title and
    name."""
    endings: tuple[Ending, ...] = ()
    """A model that is not listed is assumed to be alive."""
    listed_on: date
    """When the endings were read."""

    # Images

    image_transport: Callable[[BackendOptions], ImageTransport] = lambda _: "inline"
    """How images get to it: within requests, as files that are uploaded once, or by their addresses."""
    image_template: Callable[[BackendOptions], str | None] = lambda _: None
    """Of images' addresses, where they are named by them."""
    image_address: Callable[[str, Image, str], str] | None = None
    """(template, image, sample ID) → the image's address. Raises UsageError. None: it takes no image by address."""
    find_uploaded: str | None = None
    """`module:function` of (options, environment, journal) → a test whether the account already has an image as a file.
    None: it keeps no images as files."""

    # Tokens

    image_tokens: Callable[[str, int, int, Parameters], int | None]
    """(model, width, height, parameters) → tokens of an image of this size in pixels; None where no formula is
    published, 0 for an image that is refused and not charged."""
    largest_image_tokens: Callable[[int, int], int]
    """(width, height) → a likely upper bound for models without a formula."""
    describe_refusal: Callable[[str, int, int, Parameters], str | None] = lambda *_: None
    """(model, width, height, parameters) → a sentence if an image of this size is known to be refused."""
    describe_doubt: Callable[[str, int, int, Parameters], str | None] = lambda *_: None
    """(model, width, height, parameters) → a sentence if an image of this size may be refused, which is not known."""
    largest_request_bytes: int | None = None
    """Of a live request with its images."""
    thinking_tokens: Callable[[str, Parameters], int]
    """(model, parameters) → expected thinking tokens before one answer; 0 for a model not known to think."""
    language_factors: Mapping[str, float]
    """By language (BCP 47): tokens of a text per token of the same text in English."""
    characters_per_token: Mapping[str, float]
    """By language (BCP 47)."""
    load_vocabulary: Callable[[str], tuple[str, Callable[[str], int]] | None] = lambda _: None
    """(model) → the name of its vocabulary and its counter, where that is on this machine. Never downloads."""

    # Money

    price_table: str | None = None
    """Its name in genai-prices."""
    listed_prices: tuple[ListedPrice, ...] = ()
    """Of models that genai-prices lacks."""
    halved_ways: frozenset[str] = field(default=frozenset({"batch"}))
    """Service modes (batch, flex) that cost half where no table has their price."""
    cached_from_tokens: int = 0
    """Requests with at least so much input are written into its cache unasked."""
