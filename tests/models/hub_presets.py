"""Small presets of keras-hub with random weights, written once per process. Tests skip where keras-hub is missing."""

from __future__ import annotations

import functools
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest

SIDE, PATCH, FEATURES, BLOCKS = 16, 8, 8, 2
SCALE, OFFSET = [0.01, 0.02, 0.04], [-1.0, -2.0, -0.5]  # of the ViT's pixels
_TRANSFORMER = {"num_layers": BLOCKS, "num_heads": 2, "hidden_dim": FEATURES}


def side(kind: str) -> int:
    """Return the side in pixels of a preset's images; a ResNet needs at least 32."""
    return 32 if kind == "resnet" else SIDE


def library() -> Any:
    """Return keras-hub, or skip the test."""
    from cvlib.models import keras_hub_presets
    from cvlib.runtime.errors import UserError

    try:
        keras_hub_presets.library()
    except UserError as error:
        pytest.skip(str(error))
    import keras_hub

    return keras_hub


@functools.cache
def folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="presets"))


@functools.cache
def preset(kind: str) -> str:
    """Return the folder of the preset vit, gap (a ViT without a class token), dinov2 or resnet."""
    hub, target = library(), folder() / kind
    if kind == "resnet":
        backbone = hub.models.ResNetBackbone(
            input_conv_filters=[64], input_conv_kernel_sizes=[3], stackwise_num_filters=[64, 8, 8, 8],
            stackwise_num_blocks=[1, 1, 1, 1], stackwise_num_strides=[1, 2, 2, 2], block_type="basic_block",
            image_shape=(None, None, 3),
        )  # fmt: skip
    elif kind == "dinov2":
        backbone = hub.models.DINOV2Backbone(
            **_TRANSFORMER, patch_size=PATCH, intermediate_dim=8, image_shape=(SIDE, SIDE, 3), num_register_tokens=1,
            position_embedding_shape=(2 * SIDE, 2 * SIDE, 3),
        )  # fmt: skip
    else:
        backbone = hub.models.ViTBackbone(
            **_TRANSFORMER, patch_size=PATCH, mlp_dim=8, image_shape=(SIDE, SIDE, 3), use_class_token=kind == "vit",
            dropout_rate=0.5,
        )  # fmt: skip
    backbone.save_to_preset(str(target))
    if kind == "vit":
        converter = hub.layers.ViTImageConverter(image_size=(SIDE, SIDE), scale=SCALE, offset=OFFSET)
        converter.save_to_preset(str(target))
    return str(target)


def original(kind: str) -> Any:
    """Return keras-hub's own backbone of a preset, with its weights."""
    return library().models.Backbone.from_preset(preset(kind))


def damaged(kind: str, file: str, **changes: Any) -> Path:
    """Return a new folder with a preset's configuration, in which entries of a file are changed."""
    target = Path(tempfile.mkdtemp(prefix="damaged"))
    for path in Path(preset(kind)).glob("*.json"):
        content = json.loads(path.read_text())
        (target / path.name).write_text(json.dumps(content | changes if path.name == file else content))
    return target
