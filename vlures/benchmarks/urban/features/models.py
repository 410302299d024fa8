"""The three models: found and told apart by what they are, loaded into pipelines of transformers, and asked.

Only safetensors are loaded, and no code of a model's folder is ever run.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from vlures.benchmarks.urban.features.measures import Detection, Segmentation, missing_factors
from vlures.benchmarks.urban.synthesis.facts import DepthKind
from vlures.errors import VluresError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image as Picture

Task = Literal["depth", "detection", "segmentation"]
TASKS: tuple[Task, ...] = get_args(Task)
Dtype = Literal["float32", "bfloat16", "float16"]

PACKAGES = ("torch", "transformers")
SCORE_ABOVE = 0.5
"""Of a detection."""
METRIC_MODELS = frozenset({"depth_pro", "glpn", "zoedepth"})
READ_BYTES = 1_000_000

_HUB_NAME = re.compile(r"\w[\w.-]*(?:/\w[\w.-]*)?")
_LEFT_OUT = re.compile(r"neck\.fusion_stage\.layers\.0\.residual_layer1\.")
"""Weights that a DPT has and never uses, so that its files may lack them: the first layer of the fusion gets no
residual (transformers, DPTFeatureFusionLayer)."""
_PACKAGE = re.compile(r"requires the (\S+) library|No module named '(\w+)")
_OF_THE_HUB: tuple[tuple[frozenset[str], str], ...] = (
    (frozenset({"GatedRepoError"}), "is on the hub, which asks for an account with access to it"),
    (frozenset({"RepositoryNotFoundError"}), "is neither a folder here nor a model that the hub shows"),
    (frozenset({"RevisionNotFoundError"}), "is on the hub, but not in this revision"),
    (
        frozenset({"LocalEntryNotFoundError", "OfflineModeIsEnabled", "ConnectError"}),
        "is neither a folder here nor one of the hub's models on this machine, and the hub cannot be reached",
    ),
    (frozenset({"SafetensorError"}), "has weights that are no sound safetensors file"),
)
"""Names of errors, and what they say of a model."""
_COMMON_FAILURES = (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError)
"""What transformers raises for files that do not fit."""


@dataclass(frozen=True, slots=True)
class _TaskFacts:
    """What transformers calls a task."""

    pipeline: str
    tables: tuple[str, ...]
    """Its tables of the classes that can do it."""
    verb: str
    usual: str
    """The model by default: that of the benchmark's authors."""


_FACTS: Mapping[Task, _TaskFacts] = {
    "depth": _TaskFacts(
        "depth-estimation", ("MODEL_FOR_DEPTH_ESTIMATION_MAPPING_NAMES",), "estimate depth", "Intel/dpt-large"
    ),
    "detection": _TaskFacts(
        "object-detection",
        ("MODEL_FOR_OBJECT_DETECTION_MAPPING_NAMES",),
        "detect objects",
        "facebook/detr-resnet-50",
    ),
    "segmentation": _TaskFacts(
        "image-segmentation",
        ("MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING_NAMES", "MODEL_FOR_UNIVERSAL_SEGMENTATION_MAPPING_NAMES"),
        "tell the classes of pixels",
        "nvidia/segformer-b5-finetuned-cityscapes-1024-1024",
    ),
}
USUAL_MODELS: Mapping[Task, str] = {task: facts.usual for task, facts in _FACTS.items()}


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A model that is there and can do its task. Nothing of it but its configuration is loaded yet."""

    task: Task
    name: str
    """As the user gave it."""
    source: str
    """A folder, or an ID on the hub."""
    revision: str
    identity: str
    """`ID@commit` of the hub; of a folder the SHA-256 of its files. Another one is another model."""
    class_name: str
    config: Any

    @property
    def labels(self) -> frozenset[str]:
        """The names of its classes."""
        return frozenset(map(str, self.config.id2label.values()))


def check_packages() -> None:
    """Raises VluresError unless torch and transformers are installed."""
    if missing := [name for name in PACKAGES if find_spec(name) is None]:
        raise VluresError(
            f"Features need {' and '.join(missing)}, which {'are' if len(missing) > 1 else 'is'} not installed; run "
            "`pip install 'vlures[local]'`, then run again."
        )


def quieten() -> None:
    """Let transformers, and what it calls, say nothing: what matters is said by vlures."""
    import warnings

    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    warnings.simplefilter("ignore")


def choose_device(wanted: str) -> str:
    """The device that `auto` means here, or the wanted one. Raises VluresError if this machine has it not."""
    import torch

    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise VluresError(f"--device {wanted} is none that torch knows; name cpu, cuda, cuda:1 or mps.") from error
    there = {
        "cpu": lambda: True,
        "cuda": lambda: (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available,
    }
    if device.type not in there or not there[device.type]():
        raise VluresError(f"--device {wanted} is not on this machine, or not for its torch; name cpu, or leave it out.")
    return wanted


def find_model(task: Task, name: str) -> FoundModel:
    """A model by its folder, or by its ID on the hub, with `@` and a revision if not the usual one.

    Raises VluresError, in one sentence, for one that is not there, cannot be read, or does something else.
    """
    from transformers import AutoConfig
    from transformers.utils import cached_file

    source, _, revision = name.partition("@")
    folder = Path(name).expanduser()
    is_folder = folder.exists()
    if is_folder:
        source, revision = _check_folder(task, folder), ""
    elif not _HUB_NAME.fullmatch(source):
        raise VluresError(f"There is no folder {name}; name another with {_flag(task)}, or a model's ID on the hub.")
    revision = revision or "main"
    with _one_sentence(task, name):
        path = cached_file(source, "config.json", revision=revision)
        if path is None:
            raise VluresError(f"{name} has no config.json, so it is no model; name another with {_flag(task)}.")
        config = AutoConfig.from_pretrained(source, revision=revision, trust_remote_code=False)
        identity = f"sha256:{_digest(folder)}" if is_folder else f"{source}@{Path(path).parent.name}"
    found = FoundModel(task, name, source, revision, identity, _find_class(task, name, config), config)
    if task == "segmentation" and (missing := missing_factors(found.labels)):
        raise VluresError(
            f"{name} knows no class for {' and '.join(missing)}, so the view factors cannot be told; name a model "
            f"trained on Cityscapes or ADE20K with {_flag(task)}."
        )
    return found


def find_depth_kind(found: FoundModel, wanted: DepthKind | None) -> DepthKind:
    """In which direction a model's depths go. Raises VluresError where that is neither known nor told."""
    kind = wanted or _know_depth_kind(found.config)
    if kind is None:
        raise VluresError(
            f"It is not known whether {found.name} gives depths (smaller is nearer) or inverse depths (larger is "
            "nearer); say so with --depth-kind distance or --depth-kind inverse."
        )
    return kind


def _know_depth_kind(config: Any) -> DepthKind | None:
    if config.model_type == "depth_anything":
        return "distance" if config.depth_estimation_type == "metric" else "inverse"
    if config.model_type == "dpt":  # those of MiDaS; others were trained on metres
        return None if getattr(config.backbone_config, "model_type", "") == "dinov2" else "inverse"
    return "distance" if config.model_type in METRIC_MODELS else None


def load_pipeline(found: FoundModel, device: str, dtype: Dtype) -> Any:
    """The pipeline of a model. Raises VluresError, in one sentence."""
    import torch
    import transformers

    task, name = found.task, found.name
    with _one_sentence(task, name):
        model, info = getattr(transformers, found.class_name).from_pretrained(
            found.source,
            config=found.config,
            revision=found.revision,
            use_safetensors=True,
            dtype=getattr(torch, dtype),
            output_loading_info=True,
        )
        if missing := sorted(key for key in info["missing_keys"] if not _LEFT_OUT.search(key)):
            raise VluresError(
                f"{name} lacks {len(missing):,} of its weights, among them {missing[0]}; they would be random numbers. "
                f"Name a complete model with {_flag(task)}."
            )
        processor = transformers.AutoImageProcessor.from_pretrained(
            found.source, revision=found.revision, backend="pil", trust_remote_code=False
        )
        return transformers.pipeline(_FACTS[task].pipeline, model=model, image_processor=processor, device=device)


def estimate_depth(pipeline: Any, picture: Picture) -> NDArray[np.float32]:
    """Height × width. Not the pipeline's own last step: that needs float32 and scales the values to 0–1."""
    import numpy as np

    outputs = _run(pipeline, picture)
    size = (picture.height, picture.width)
    found = pipeline.image_processor.post_process_depth_estimation(outputs, [size])[0]["predicted_depth"]
    return np.asarray(found.numpy(), dtype=np.float32).reshape(size)


def detect_objects(pipeline: Any, picture: Picture) -> list[Detection]:
    found = pipeline.postprocess(_run(pipeline, picture), threshold=SCORE_ABOVE)
    return [
        Detection(
            str(each["label"]),
            float(each["score"]),
            (each["box"]["xmin"], each["box"]["ymin"], each["box"]["xmax"], each["box"]["ymax"]),
        )
        for each in found
    ]


def segment(pipeline: Any, picture: Picture) -> Segmentation:
    import numpy as np

    found = pipeline.postprocess(_run(pipeline, picture), subtask="semantic")
    indices = np.zeros((picture.height, picture.width), dtype=np.int16)
    for index, each in enumerate(found):
        indices[np.asarray(each["mask"]) > 0] = index
    return Segmentation(indices, tuple(str(each["label"]) for each in found))


def _run(pipeline: Any, picture: Picture) -> Any:
    """What a pipeline's model says, in float32 whatever it is computed in. Raises VluresError if memory runs out."""
    import torch

    try:
        outputs = pipeline.forward(pipeline.preprocess(picture))
    except torch.OutOfMemoryError as error:
        raise VluresError(
            f"{pipeline.device} has too little memory for {pipeline.model.config.name_or_path} and an image of "
            f"{picture.width} × {picture.height} pixels; free some, or add --dtype bfloat16 or --device cpu."
        ) from error
    for key, value in list(outputs.items()):
        if torch.is_tensor(value) and value.is_floating_point():
            outputs[key] = value.float()
    return outputs


def _flag(task: Task) -> str:
    return f"--{task}-model"


def _check_folder(task: Task, folder: Path) -> str:
    """A model's folder as transformers takes it."""
    if not folder.is_dir():
        raise VluresError(f"{folder} is no folder; name a model's folder with {_flag(task)}, or its ID on the hub.")
    if not (folder / "config.json").is_file():
        raise VluresError(
            f"{folder} has no config.json, so it is no model's folder; name another with {_flag(task)}, or a model's "
            "ID on the hub."
        )
    return str(folder)


def _find_class(task: Task, name: str, config: Any) -> str:
    """The class of transformers that a model's weights are for. Raises VluresError if it cannot do the task."""
    from transformers.models.auto import modeling_auto

    facts = _FACTS[task]
    able = [
        class_name
        for table in facts.tables
        for entry in [getattr(modeling_auto, table).get(config.model_type, ())]
        for class_name in ((entry,) if isinstance(entry, str) else entry)
    ]
    saved = list(config.architectures or able[:1])
    fitting = [class_name for class_name in able if class_name in saved]
    if not fitting:
        what = saved[0] if saved else f"of the type {config.model_type}"
        raise VluresError(
            f"{name} is a {what}, which does not {facts.verb}; name one that does with {_flag(task)}, such as "
            f"{facts.usual}."
        )
    return fitting[0]


def _digest(folder: Path) -> str:
    """Of the files that decide what a model answers."""
    digest = hashlib.sha256()
    for path in sorted([*folder.glob("*config.json"), *folder.glob("*.safetensors*")]):
        digest.update(f"{path.name} {path.stat().st_size}\n".encode())
        with path.open("rb") as file:
            while block := file.read(READ_BYTES):
                digest.update(block)
    return digest.hexdigest()


@contextmanager
def _one_sentence(task: Task, name: str) -> Iterator[None]:
    """Turns what transformers raises for a model into one sentence, a VluresError."""
    from huggingface_hub.errors import StrictDataclassError

    unsound = import_module("safetensors").SafetensorError
    try:
        yield
    except VluresError:
        raise
    except (*_COMMON_FAILURES, ImportError, StrictDataclassError, unsound) as error:
        advice = (
            f"install it, or name another model with {_flag(task)}"
            if _is_package_missing(error)
            else f"name another with {_flag(task)}, a folder or an ID on the hub"
        )
        raise VluresError(
            f"{name} {_describe(error, is_folder=Path(name).expanduser().is_dir())}; {advice}."
        ) from error


def _is_package_missing(error: Exception) -> bool:
    return isinstance(error, ImportError) and _PACKAGE.search(str(error)) is not None


def _describe(error: Exception, *, is_folder: bool) -> str:
    """What is wrong with a model, as the rest of a sentence that begins with its name."""
    text = str(error)
    if _is_package_missing(error) and (match := _PACKAGE.search(text)):
        return f"needs the package {match[1] or match[2]}, which is not installed"
    causes = {type(each).__name__ for each in _chain(error)}
    known = [words for names, words in _OF_THE_HUB if causes & names]
    if known:
        return known[0]
    if isinstance(error, OSError) and "safetensors" in text:
        where = "" if is_folder else " on this machine, and the hub gave none"
        return f"has no weights as safetensors{where}; other files, which may run code, are not loaded"
    if "preprocessor_config.json" in text:
        return "has no preprocessor_config.json, which says how an image goes in"
    if "trust_remote_code" in text:
        return "needs code of its own, which is not run"
    first = text.strip().split("\n")[0].rstrip(".:")
    return f"cannot be loaded ({first or type(error).__name__})"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and those that led to it."""
    each: BaseException | None = error
    while each is not None:
        yield each
        each = each.__cause__ or each.__context__
