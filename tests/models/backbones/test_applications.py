"""The contract of the families of `keras.applications`, which are found automatically. Each network is built once."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from cvlib import tasks
from cvlib.config.schema import Config, Finetune
from cvlib.inspection import layers as inspection
from cvlib.models import backbones
from cvlib.models.applications import ApplicationBackbone, build
from cvlib.models.backbone import WeightsUnavailable
from cvlib.models.network import Network
from cvlib.runtime.errors import UserError
from cvlib.transfer import freezing, regimes, weights
from tests.configs import model_config
from tests.networks import network, network_of, seen_by_base

pytestmark = pytest.mark.usefixtures("eager")

FAMILIES = [name for name in backbones.names() if isinstance(backbones.get(name), ApplicationBackbone)]
# The default suite builds the families that need a change of Keras' graph: operations that become layers, preprocessing
# that is left out, layers of its own. The others differ from these only in their declaration.
BUILT = [name if name in ("convnext", "efficientnet", "mobilenet") else pytest.param(name, marks=pytest.mark.slow)
         for name in FAMILIES]  # fmt: skip
SMALL: dict[str, dict[str, Any]] = {"mobilenet": {"variant": "v3_small", "alpha": 0.75}}  # others: the default variant
# The module of Keras' own preprocessing, the parameters with 1,000 classes as Keras counts them, and those of the top.
PUBLISHED: dict[str, dict[Any, tuple[str, int, int]]] = {
    "efficientnet": {variant: ("efficientnet", count, 7 + (features + 1) * 1000) for variant, count, features in (
        ("b0", 5_330_571, 1280), ("b1", 7_856_239, 1280), ("b2", 9_177_569, 1408), ("b3", 12_320_535, 1536),
        ("b4", 19_466_823, 1792), ("b5", 30_562_527, 2048), ("b6", 43_265_143, 2304), ("b7", 66_658_687, 2560))},
    "efficientnet_v2": {variant: ("efficientnet_v2", count, (features + 1) * 1000) for variant, count, features in (
        ("b0", 7_200_312, 1280), ("b1", 8_212_124, 1280), ("b2", 10_178_374, 1408), ("b3", 14_467_622, 1536),
        ("s", 21_612_360, 1280), ("m", 54_431_388, 1280), ("l", 119_027_848, 1280))},
    "mobilenet": {"v1": ("mobilenet", 4_253_864, 1025 * 1000), "v2": ("mobilenet_v2", 3_538_984, 1281 * 1000),
                  "v3_small": ("mobilenet_v3", 2_554_968, 577 * 1024 + 1025 * 1000),
                  "v3_large": ("mobilenet_v3", 5_507_432, 961 * 1280 + 1281 * 1000)},
    "convnext": {variant: ("convnext", count, (features + 1) * 1000) for variant, count, features in (
        ("tiny", 28_589_128, 768), ("small", 50_223_688, 768), ("base", 88_591_464, 1024),
        ("large", 197_767_336, 1536), ("xlarge", 350_196_968, 2048))},
    "densenet": {121: ("densenet", 8_062_504, 1025 * 1000), 169: ("densenet", 14_307_880, 1665 * 1000),
                 201: ("densenet", 20_242_984, 1921 * 1000)},
    "xception": {None: ("xception", 22_910_480, 2049 * 1000)},
    "resnet_v2": {50: ("resnet_v2", 25_613_800, 2049 * 1000), 101: ("resnet_v2", 44_675_560, 2049 * 1000),
                  152: ("resnet_v2", 60_380_648, 2049 * 1000)},
}  # fmt: skip
VARIANTS = [(name, variant) for name in FAMILIES for variant in PUBLISHED[name]]


@dataclass(frozen=True)
class Family:
    """A classifier of one family, the same network of Keras, and a file with the weights of the latter."""

    name: str
    network: Network
    theirs: keras.Model  # pixels as Keras' preprocess_input returns them → features
    weights: Path

    @property
    def published(self) -> tuple[str, int, int]:
        variant = getattr(self.network.config.backbone_options, "variant", None)
        return PUBLISHED[self.name][variant]

    @functools.cached_property
    def images(self) -> np.ndarray:
        shape = (2, *self.network.spec.shape)
        return np.random.default_rng(0).integers(0, 256, shape).astype(np.float32)


def keras_network(name: str, side: int, weights: str | None) -> keras.Model:
    """Return Keras' network with its own preprocessing. ConvNeXt's published features are pooled."""
    backbone, config = backbones.get(name), model_config(name, **SMALL.get(name, {}))
    assert isinstance(backbone, ApplicationBackbone)
    asked = backbone.application(config.backbone_options, False)
    arguments = {key: value for key, value in asked.arguments.items() if key in ("alpha", "pooling")}
    return getattr(keras.applications, asked.function)(include_top=False, weights=weights,
                                                       input_shape=(side, side, 3), **arguments)  # fmt: skip


def randomize(model: keras.Model) -> None:
    """Give every normalization other values than the initial ones; EfficientNet's own gets ImageNet's."""
    random = np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([random.uniform(0.5, 1.5, weight.shape) for weight in layer.weights])
        if type(layer).__name__ == "LayerScale":
            layer.set_weights([random.uniform(0.1, 0.2, weight.shape) for weight in layer.weights])
        if isinstance(layer, keras.layers.Normalization) and layer.weights:
            layer.set_weights([np.array(values) for values in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225], 0)])


def downloads(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    """Let Keras find `file` instead of downloading its own."""
    monkeypatch.setattr("keras.src.utils.file_utils.get_file", lambda *names, **options: str(file))


@pytest.fixture(scope="module", params=BUILT)
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Family]:
    name, folder = request.param, tmp_path_factory.mktemp("weights")
    side = backbones.get(name).smallest_side(None, False)
    theirs = keras_network(name, side, None)
    randomize(theirs)
    theirs.save_weights(folder / "theirs.weights.h5")
    if name == "efficientnet":  # Keras adds a layer for the published weights
        with pytest.MonkeyPatch.context() as monkeypatch:
            downloads(monkeypatch, folder / "theirs.weights.h5")
            theirs = keras_network(name, side, "imagenet")
    yield Family(name, network_of(model_config(name, **SMALL.get(name, {})), side), theirs,
                 folder / "theirs.weights.h5")  # fmt: skip


def features(family: Family) -> tuple[np.ndarray, np.ndarray]:
    """Return our features and Keras' features of the same raw images."""
    preprocess = getattr(keras.applications, family.published[0]).preprocess_input
    node = family.network.base._inbound_nodes[-1]
    ours = keras.Model(family.network.model.input, node.outputs[0])
    return np.asarray(ours(family.images)), np.asarray(family.theirs(preprocess(family.images.copy())))


def test_it_computes_the_same_as_keras_with_weights_from_a_file(family: Family) -> None:
    before, expected = features(family)
    assert np.abs(before - expected).max() > 1e-3
    loaded = weights.load_into(family.network.base, family.network.config, str(family.weights))
    assert loaded.matched == family.network.base.count_params()
    np.testing.assert_allclose(features(family)[0], expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_it_has_the_published_parameter_count(family: Family) -> None:
    if family.name in SMALL:
        pytest.skip("the published counts are those of wider networks")
    assert family.network.base.count_params() == family.published[1] - family.published[2]


def test_its_blocks_are_in_order_and_each_layer_has_a_stable_name(family: Family) -> None:
    base = family.network.base
    blocks = family.network.backbone.blocks(base)
    assert [layer.name for block in blocks for layer in block.layers] == [
        layer.name for layer in base.layers if layer.count_params()
    ]
    assert len({block.name for block in blocks}) == len(blocks) > 4
    with keras.StatelessScope(initialize_variables=False):
        options = family.network.config.backbone_options
        again = family.network.backbone.build(options, family.network.spec.shape, False)
    assert [layer.name for layer in again.layers] == [layer.name for layer in base.layers]
    assert [weight.path for weight in again.weights] == [weight.path for weight in base.weights]


def test_half_of_it_can_be_frozen_while_the_rest_is_trained(family: Family) -> None:
    built, mode = family.network, Finetune(weights="x", freeze=0.5, head_epochs=0)
    freezing.apply(built, regimes.phases(mode, 1)[0])
    try:
        arguments = tasks.of("classification").compile_arguments(built, Config(built.config, mode))
        built.model.compile(keras.optimizers.SGD(1e-6), **arguments)
        before = freezing.frozen_hashes(built)
        trained = [np.asarray(weight) for weight in built.model.trainable_weights]
        assert np.isfinite(built.model.train_on_batch(family.images, np.array([0, 1]), return_dict=True)["loss"])
        assert freezing.verify_frozen(before, freezing.frozen_hashes(built)) > 10
        assert any((np.asarray(weight) != old).any()
                   for weight, old in zip(built.model.trainable_weights, trained, strict=True))  # fmt: skip
    finally:
        freezing.apply(built, regimes.Phase(0, 1))


def test_the_saved_network_predicts_the_same(family: Family, tmp_path: Path) -> None:
    saved = tasks.of("classification").inference(family.network)
    saved.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    expected = np.asarray(saved(family.images))
    np.testing.assert_allclose(np.asarray(loaded(family.images)), expected, atol=1e-6)


def test_every_layer_of_it_can_be_inspected(family: Family) -> None:
    rows = inspection.describe(family.network.model)
    assert inspection.miscounted(rows) == []
    assert sum(row.parameters for row in rows) == family.network.model.count_params()
    assert all(row.formula is not None for row in rows if row.parameters)


def assert_levels(name: str, options: Any) -> keras.Model:
    """Assert that the levels of a variant are as declared, without creating its variables; return its base."""
    backbone = backbones.get(name)
    side = 64 * -(-backbone.smallest_side(options, True) // 64)
    with keras.StatelessScope(initialize_variables=False):
        base = backbone.build(options, (side, side + 64, 3), True)
    for level in backbone.feature_levels(options):
        rows, columns, channels = base.get_layer(level.layer).output.shape[1:]
        assert channels == level.channels, level
        assert columns - rows == 64 / level.stride, level
        assert 0 <= side // level.stride - rows <= 4, level  # Xception has convolutions without padding
    return base


@pytest.mark.parametrize("name", FAMILIES)
def test_its_levels_have_the_declared_strides_and_channels(name: str) -> None:
    assert_levels(name, model_config(name, **SMALL.get(name, {})).backbone_options)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_every_variant_has_the_declared_levels_and_the_published_count(name: str, variant: Any) -> None:
    options = model_config(name, **({} if variant is None else {"variant": variant})).backbone_options
    _, count, top = PUBLISHED[name][variant]
    assert assert_levels(name, options).count_params() == count - top


@pytest.mark.slow
@pytest.mark.parametrize(("variant", "alpha"), [("v1", 0.25), ("v2", 0.35), ("v2", 1.4), ("v3_large", 0.75)])
def test_levels_of_wider_and_narrower_mobilenets(variant: str, alpha: float) -> None:
    assert_levels("mobilenet", model_config("mobilenet", variant=variant, alpha=alpha).backbone_options)


@pytest.mark.parametrize(("variant", "module"), [("v1", "mobilenet"), ("v2", "mobilenet_v2")])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_input_of_mobilenets_base_equals_keras_preprocessing(variant: str, module: str, channels: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (1, 32, 32, channels)).astype(np.float32)
    expected = getattr(keras.applications, module).preprocess_input(np.repeat(image, 3 // channels, axis=-1))
    built = network("mobilenet", 32, channels, 2, variant=variant, alpha={"v1": 0.25, "v2": 0.35}[variant])
    np.testing.assert_allclose(seen_by_base(built, image), expected, atol=1e-5)


def mobilenet() -> Network:
    return network("mobilenet", 32, 3, 2, **SMALL["mobilenet"])


def test_published_weights_are_those_that_keras_downloads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    theirs, ours = keras_network("mobilenet", 32, None), mobilenet()
    randomize(theirs)
    theirs.save_weights(tmp_path / "theirs.weights.h5")
    downloads(monkeypatch, tmp_path / "theirs.weights.h5")
    loaded = weights.load_into(ours.base, ours.config, "imagenet")
    assert loaded == weights.Loaded("imagenet", ours.base.count_params(), [])
    for array, wanted in zip(ours.base.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(array, wanted)


def test_a_failed_download_is_reported_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*names: Any, **options: Any) -> str:
        raise Exception("URL fetch failure on https://example.org/weights.h5: None -- no route")

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", fails)
    built = mobilenet()
    with pytest.raises(WeightsUnavailable, match=r"weights of mobilenet can't be downloaded from https://example.org"):
        weights.load_into(built.base, built.config, "imagenet")


def test_the_efficientnet_of_published_weights_has_the_same_layers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Keras adds a layer of preprocessing for them; ours would be lost when only weights are copied."""
    theirs = keras_network("efficientnet", 32, None)
    randomize(theirs)
    theirs.save_weights(tmp_path / "theirs.weights.h5")
    downloads(monkeypatch, tmp_path / "theirs.weights.h5")
    backbone = backbones.get("efficientnet")
    options = backbone.options()
    source = backbone.source("imagenet")
    assert isinstance(backbone, ApplicationBackbone) and source is not None
    loaded = source.load(options, (32, 32, 3))
    random = build(backbone.application(options, False), (32, 32, 3))
    assert [layer.name for layer in loaded.layers] == [layer.name for layer in random.layers]
    assert loaded.layers[1].name == "stem_conv_pad"


@pytest.mark.parametrize(("name", "changes", "message"), [
    ("efficientnet", {"variant": "b8"}, "invalid model.variant=b8: expected one of b0, b1"),
    ("efficientnet_v2", {"variant": "xl"}, "invalid model.variant=xl: expected one of b0, b1"),
    ("convnext", {"variant": "huge"}, "invalid model.variant=huge: expected one of tiny, small"),
    ("densenet", {"variant": 161}, "invalid model.variant=161: expected one of 121, 169, 201"),
    ("resnet_v2", {"variant": 34}, "invalid model.variant=34: expected one of 50, 101, 152"),
    ("mobilenet", {"variant": "v4"}, "invalid model.variant=v4: expected one of v1, v2"),
    ("mobilenet", {"variant": "v3_small", "alpha": 0.5},
     r"invalid model.alpha=0.5: expected one of 0.75, 1.0 for model.variant=v3_small"),
])  # fmt: skip
def test_a_variant_that_does_not_exist_is_refused(name: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        model_config(name, **changes)


@pytest.mark.parametrize("name", FAMILIES)
def test_detectors_and_segmenters_take_the_default_variant(name: str) -> None:
    assert model_config("yolo", backbone=name).backbone_options == backbones.get(name).options()
    assert model_config("segmenter", encoder=name).backbone_options == backbones.get(name).options()


def test_a_segmenter_and_a_detector_are_trained_on_convnext_maps_that_start_at_stride_4() -> None:
    """No other family has a graph of its own for maps, or lacks a map at stride 2."""
    segmenter = network("segmenter", 32, 3, 2, encoder="convnext", decoder_filters=8)
    assert segmenter.predictive().output_shape == (None, 32, 32, 2)
    assert [tuple(output.shape[1:]) for output in segmenter.base.outputs] == [
        (8, 8, 96), (4, 4, 192), (2, 2, 384), (1, 1, 768)
    ]  # fmt: skip
    assert segmenter.base.count_params() == 28_589_128 - 769 * 1000
