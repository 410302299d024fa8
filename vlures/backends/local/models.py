"""Which local model is meant, and which options local models take."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlures.backends.local.model_files import find_model
from vlures.backends.local.options import Options
from vlures.backends.provider import SAMPLING
from vlures.errors import UsageError, VluresError
from vlures.records import Parameters

if TYPE_CHECKING:
    from vlures.config.sections import BackendOptions

ALIASES = {
    "blip2": "Salesforce/blip2-flan-t5-xl",
    "instructblip": "Salesforce/instructblip-flan-t5-xl",
    "llava": "llava-hf/llava-1.5-7b-hf",
}
"""Short names of the models that the benchmarks' papers asked → their names on the Hugging Face Hub."""

MOST_OUTPUT_TOKENS = 512
"""Of an answer, unless --max-output-tokens says otherwise. A model that never ends would go on to its context's end."""

PARAMETERS = SAMPLING | {"seed", "model_files", "dtype", "quant", "image_backend", "trust_remote_code"}
PACKAGES = ("accelerate", "bitsandbytes", "peft", "tokenizers", "torch", "transformers")
NEEDED = ("torch", "transformers", "accelerate", "peft")


def full_name(model: str) -> str:
    """A model's name without an alias; a folder's without what the shell may have added."""
    return ALIASES.get(model) or (os.path.normpath(model) if Path(model).is_dir() else model)


def implied_parameters(model: str, own: Options, parameters: Parameters) -> Mapping[str, Any]:
    """What decides an answer beside the parameters that the user has set: the model's files, the type of its numbers
    and their quantisation, what scales images, and the longest answer.

    Raises VluresError if the model cannot be found or its packages are not installed.
    """
    require_packages()
    from vlures.backends.local.devices import find_dtype

    implied: dict[str, Any] = {"model_files": find_model(model).identity, "dtype": find_dtype(own)}
    # Pillow and torchvision scale images to slightly different pixels; transformers takes what is installed.
    implied["image_backend"] = "torchvision" if find_spec("torchvision") else "pil"
    if own.quant:
        implied["quant"] = own.quant
    if own.trust_remote_code:
        implied["trust_remote_code"] = True
    if "max_output_tokens" not in parameters:
        implied["max_output_tokens"] = MOST_OUTPUT_TOKENS
    return implied


def require_packages() -> None:
    """Raises VluresError if one that runs models is not installed."""
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise VluresError(
            f"Local models need {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed; get "
            "everything with `pip install 'vlures[local]'`."
        )


def check_installed(options: BackendOptions) -> None:
    """Raises VluresError if a package that the options need is not installed."""
    require_packages()
    if options.provider.quant and find_spec("bitsandbytes") is None:
        raise VluresError(
            "--quant needs bitsandbytes, which is not installed; get it with `pip install 'vlures[local-quantized]'`."
        )


def check_options(options: BackendOptions) -> None:
    """Raises UsageError for options that are about a provider's server."""
    live, target = options.live, options.target
    others = {
        "--base-url": target.base_url,
        "--service-tier": target.service_tier,
        "--rpm": live.rpm,
        "--tpm": live.tpm,
        "--timeout-s": live.timeout_s,
        "--thinking-summary": options.generation.thinking_summary,
    }
    if given := [name for name, value in others.items() if value]:
        raise UsageError(f"{given[0]} is about a provider's server, and a local model has none; leave it out.")


def check_model_parameters(options: BackendOptions) -> None:
    """Raises UsageError for parameters that have no effect."""
    parameters = options.target.parameters
    if not parameters.get("temperature") and (given := [name for name in ("top_p", "seed") if name in parameters]):
        raise UsageError(
            f"--{given[0].replace('_', '-')} has no effect while a local model always takes the likeliest token; add "
            "--temperature, or leave it out."
        )


def check_foreign_options(own: Options, title: str, name: str) -> None:
    """Raises UsageError for options of local models in a run of the provider with this title and name."""
    plain = Options()
    for option in ("device", "dtype", "quant", "rows", "trust_remote_code"):
        if getattr(own, option) != getattr(plain, option):
            raise UsageError(
                f"--{option.replace('_', '-')} is for local models, and {title} would be asked; leave it out with "
                f"--backend {name}."
            )


def installed_packages(_own: Options) -> tuple[str, ...]:
    """Those of PACKAGES that are here."""
    return tuple(name for name in PACKAGES if _is_installed(name))


def _is_installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True
