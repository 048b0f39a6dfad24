"""Networks for tests: those of conf/, made small where the size doesn't matter."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from cvlib.config.schema import ModelConfig
from cvlib.data.input_spec import InputSpec
from cvlib.models import backbones, heads
from cvlib.models.applications import ApplicationBackbone
from cvlib.models.head import Output
from cvlib.models.network import Network, build
from tests.configs import model_config

_LARGE = ("inception", "mobilenet", "yolov8", "yolov8_backbone")  # yolov8: keras-cv's import takes seconds


def network(name: str, size: int | tuple[int, int] = 64, channels: int = 3, classes: int = 4,
            resize: str = "stretch", **changes: Any) -> Network:  # fmt: skip
    """Return the network of `model=name` with changes, for images of `size` (a side, or height and width)."""
    return network_of(model_config(name, **changes), size, channels, classes, resize)


def network_of(config: ModelConfig, size: int | tuple[int, int] = 64, channels: int = 3, classes: int = 4,
               resize: str = "stretch") -> Network:  # fmt: skip
    """Return the network of a typed config."""
    height, width = (size, size) if isinstance(size, int) else size
    return build(config, InputSpec(height, width, channels, resize), classes)


def shared(names: list[str]) -> list[str]:
    """Return the names without hub and most families of `keras.applications`; mobilenet represents them.

    tests/models/backbones/test_applications.py has their contract, and builds each of them once. hub has no network
    without a preset; tests/models/backbones/test_hub.py tests it.
    """
    families = {backbone.name for backbone in backbones.usable() if isinstance(backbone, ApplicationBackbone)}
    return [name for name in names if name not in {*families, "hub"} - {"mobilenet"}]


def large_ones_slow(names: list[str]) -> list[Any]:
    """Return the shared names as test parameters; networks that take seconds to build are marked as slow."""
    return [pytest.param(name, marks=pytest.mark.slow) if name in _LARGE else name for name in shared(names)]


def smallest_side(config: ModelConfig) -> int:
    """Return the smallest side in pixels that a network with this config accepts."""
    side = backbones.get(config.backbone).smallest_side(config.backbone_options, config.feature_levels)
    step = heads.get(config.head).side_step(config.head_options)
    return -(-side // step) * step


def seen_by_base(built: Network, image: np.ndarray) -> np.ndarray:
    """Return the base's input for raw images `(batch, height, width, channels)`."""
    node = built.base._inbound_nodes[-1]
    return np.asarray(keras.Model(built.model.inputs, node.input_tensors[0]).predict(image, verbose=0))


def assert_same_weights(first: keras.Model, second: keras.Model) -> None:
    """Assert that both models have identical weights in the same order."""
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def network_around(model: keras.Model) -> Network:
    """Return a classifier from a handmade model: its layer "backbone" is the base, and the rest is the head."""
    config, base = model_config("cnn"), model.get_layer("backbone")
    spec = InputSpec(*(side or 1 for side in (*model.input_shape[1:], 1, 1)[:3]))
    output = Output(model.output_names[0], model.output)
    return Network(model, base, backbones.get("cnn"), heads.get("dense"), config, spec, model.output_shape[-1],
                   (output,), (base.output,))  # fmt: skip
