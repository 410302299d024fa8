"""Models as small as they can be, with random weights, that see street views: a DPT, a DETR and a SegFormer, each saved
with an image processor like those of the hub."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import (
    DetrConfig,
    DetrForObjectDetection,
    DPTConfig,
    DPTForDepthEstimation,
    PreTrainedModel,
    ResNetConfig,
    SegformerConfig,
    SegformerForSemanticSegmentation,
)

CITYSCAPES = (
    *("road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation"),
    *("terrain", "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle"),
)
OBJECTS = ("N/A", "person", "bicycle", "car", "traffic light", "bench")
IMAGENET: Mapping[str, Any] = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}


def scatter(model: PreTrainedModel, seed: int) -> None:
    """Weights that make the outputs differ from image to image, as those of a new model do not."""
    chance = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.3, generator=chance)
        if isinstance(model, DetrForObjectDetection):
            model.class_labels_classifier.weight.mul_(8)  # scores above 0.5


def save(model: PreTrainedModel, folder: Path, processor: Mapping[str, Any], *, seed: int) -> Path:
    scatter(model, seed)
    model.eval().save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(dict(processor)), encoding="utf-8")
    return folder


def save_dpt(folder: Path, seed: int = 0) -> Path:
    config = DPTConfig(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=32,
        patch_size=8,
        backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8,
    )
    torch.manual_seed(seed)
    model = DPTForDepthEstimation(config)
    torch.nn.init.constant_(model.head.head[4].bias, 8.0)  # the last step cuts off at 0
    processor = {"feature_extractor_type": "DPTFeatureExtractor", "size": 32, "resample": 3}
    return save(model, folder, processor | {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}, seed=seed)


def save_detr(folder: Path, seed: int = 0) -> Path:
    backbone = ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1], layer_type="basic", out_features=["stage4"]
    )
    config = DetrConfig(
        use_timm_backbone=False,
        backbone_config=backbone,
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        num_queries=8,
        id2label=dict(enumerate(OBJECTS)),
        label2id={name: number for number, name in enumerate(OBJECTS)},
    )
    torch.manual_seed(seed)
    model = DetrForObjectDetection(config)
    for none in (0, -1):  # everything is an object, and one that has a name
        torch.nn.init.constant_(model.class_labels_classifier.bias[none], -60.0)
    processor = {"image_processor_type": "DetrImageProcessor", "size": {"shortest_edge": 64, "longest_edge": 96}}
    return save(model, folder, processor | IMAGENET | {"format": "coco_detection"}, seed=seed)


def save_segformer(folder: Path, seed: int = 0, names: tuple[str, ...] = CITYSCAPES) -> Path:
    config = SegformerConfig(
        hidden_sizes=[8, 8, 8, 8],
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 1, 1, 1],
        mlp_ratios=[1, 1, 1, 1],
        decoder_hidden_size=8,
        id2label=dict(enumerate(names)),
        label2id={name: number for number, name in enumerate(names)},
    )
    torch.manual_seed(seed)
    model = SegformerForSemanticSegmentation(config)
    processor = {"feature_extractor_type": "SegformerFeatureExtractor", "size": 64, "resample": 2}
    return save(model, folder, processor | IMAGENET | {"reduce_labels": False}, seed=seed)
