"""A model and its processor, loaded. What is wrong with the files becomes a sentence."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from vlures.backends.local.devices import as_torch, find_device
from vlures.backends.local.families import Loaded
from vlures.backends.local.model_files import ModelFiles
from vlures.backends.local.options import DtypeName, Options, Quantisation
from vlures.errors import VluresError

if TYPE_CHECKING:
    import torch

SHOWN_NAMES = 3
PROBE_SIZE = 64
"""Width of the layer with which quantisation is tried; a block of 4-bit weights has as many."""


def load(files: ModelFiles, dtype: DtypeName, own: Options) -> Loaded:
    """Load a model from safetensors alone.

    Raises UsageError or VluresError for files that are missing, cut off or of another kind of model.
    """
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    device = find_device(own)
    if own.quant:
        _check_quantises(own.quant, device)
    where = {"revision": files.revision, "trust_remote_code": own.trust_remote_code}
    with _described(files), _quiet():
        processor = transformers.AutoProcessor.from_pretrained(files.name, **where)
        model, report = transformers.AutoModelForImageTextToText.from_pretrained(
            files.name,
            dtype=as_torch(dtype),
            use_safetensors=True,
            output_loading_info=True,
            quantization_config=_quantisation(own.quant, as_torch(dtype)),
            device_map={"": device} if own.quant else None,
            **where,
        )
        _check_whole(files, report)
        if not own.quant:
            model = model.to(device)
        if files.adapter:
            model = _adapt(model, files)
    _check_processor(files, processor)
    return Loaded(model.eval(), processor, device, as_torch(dtype))


def _check_quantises(quant: Quantisation, device: torch.device) -> None:
    """Try a small layer. Raises VluresError where bitsandbytes does not work on this machine or device."""
    import torch

    # It warns in every layer of every answer, not only while loading.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    try:
        import bitsandbytes

        layer = (
            bitsandbytes.nn.Linear8bitLt(PROBE_SIZE, PROBE_SIZE, has_fp16_weights=False)
            if quant == "8bit"
            else bitsandbytes.nn.Linear4bit(PROBE_SIZE, PROBE_SIZE, quant_type="nf4")
        )
        with torch.inference_mode():
            layer.to(device)(torch.ones(1, PROBE_SIZE, device=device))
    except Exception as error:  # what a broken or unfit build raises is anything
        said = " ".join(str(error).split())[:300].rstrip(".") or type(error).__name__
        raise VluresError(
            f"--quant {quant} does not work on {device} here, because bitsandbytes fails ({said}); leave --quant out, "
            "or install a bitsandbytes that suits this machine."
        ) from error


def _quantisation(quant: Quantisation | None, dtype: torch.dtype) -> Any:
    if quant is None:
        return None
    from transformers import BitsAndBytesConfig

    if quant == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype)


def _adapt(model: Any, files: ModelFiles) -> Any:
    """The model with the adapter's layers in place. Raises VluresError for an adapter that would not change it."""
    from peft import PeftModel, get_peft_model_state_dict
    from safetensors import safe_open

    assert files.adapter is not None
    weights = files.adapter / "adapter_model.safetensors"
    if not weights.is_file():
        raise VluresError(
            f"The adapter {files.adapter} has no adapter_model.safetensors, the only format that is read; save it so."
        )
    adapted = PeftModel.from_pretrained(model, str(files.adapter))
    if adapted.active_peft_config.is_prompt_learning:
        raise VluresError(f"The adapter {files.adapter} learns prompts, which are not run here; take LoRA or the like.")
    with safe_open(weights, framework="pt") as file:
        unfit = set(file.keys()) ^ set(get_peft_model_state_dict(adapted))
    if unfit:
        raise VluresError(
            f"The adapter {files.adapter} does not fit its base model ({sorted(unfit)[0]} is in only one of them); "
            "name the base that it was trained on."
        )
    return adapted.get_base_model()


def _check_whole(files: ModelFiles, report: dict[str, Any]) -> None:
    """Raises VluresError where weights would be random, because the files lack them."""
    missing = sorted(report.get("missing_keys") or ())
    if missing:
        shown = ", ".join(missing[:SHOWN_NAMES]) + (" …" if len(missing) > SHOWN_NAMES else "")
        raise VluresError(
            f"{files.name} lacks {len(missing)} of the model's tensors ({shown}), which would be random; get its files "
            "again, or save the model with save_pretrained(save_original_format=False)."
        )


def _check_processor(files: ModelFiles, processor: Any) -> None:
    if getattr(processor, "image_processor", None) is None or getattr(processor, "tokenizer", None) is None:
        raise VluresError(
            f"{files.name} has no processor for images and text (preprocessor_config.json or processor_config.json, "
            "and a tokenizer's files); save the processor of its base model into the folder."
        )


@contextmanager
def _described(files: ModelFiles) -> Iterator[None]:
    """Turns what transformers raises for unfit files into a sentence."""
    try:
        yield
    except VluresError:
        raise
    except Exception as error:
        said = " ".join(str(error).split())[:300] or type(error).__name__
        raise VluresError(f"The model {files.name} cannot be loaded: {_explain(error, said)}") from error


def _explain(error: Exception, said: str) -> str:
    name = type(error).__name__
    if "Unrecognized configuration class" in said:
        return "it takes no images, or transformers has no model of its kind for images and text. Take another --model."
    if "trust_remote_code" in said:
        return "its repository brings code of its own. Read it, then add --trust-remote-code."
    if name == "SafetensorError" or "InvalidHeader" in said or "MetadataIncompleteBuffer" in said:
        return f"a file of weights is cut off or damaged ({said}). Get it again."
    if "safetensors" in said and ("does not appear" in said or "no file named" in said):
        return "it has no weights as safetensors, the only format that is read. Convert it with save_pretrained."
    if "out of memory" in said.lower():
        return "it does not fit into memory. Try --dtype bf16, --quant 8bit, or a smaller model."
    return f"{said.rstrip('.')}. Check that its folder is whole, with the files of its processor."


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings of the libraries' loggers, which would break the progress bar."""
    loggers = [logging.getLogger(name) for name in ("transformers", "peft", "accelerate", "bitsandbytes")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
