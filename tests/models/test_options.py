"""Typed options from the `model` part of a config: used keys and errors."""

from __future__ import annotations

from typing import Any

import pytest

from cvlib.config.schema import as_mapping
from cvlib.models import heads
from cvlib.models.options import backbone_config, deciding, read_config, read_model
from cvlib.runtime.errors import UserError
from tests.configs import CONF, config, model_config

MODELS = sorted(path.stem for path in (CONF / "model").glob("*.yaml"))
ALWAYS = {"name", "task", "head", "lr", "batch_size", "epochs", "class_weights"}
CNN_MAPS = {
    "filters",
    "convolutions",
    "kernel",
    "padding",
    "stride",
    "dilation",
    "pooling",
    "batch_norm",
    "spatial_dropout",
}
CLASSIFIER = {"dropout", "label_smoothing", "thresholds", "temperature_scaling"}
DECODER = {"encoder", "decoder", "skip", "auxiliary_weight", "decoder_filters", "dropout", "loss", "focal_gamma",
           "backbone_lr"}  # fmt: skip
KERNELS = {"transpose_kernel", "transpose_stride", "transpose_padding", "transpose_output_padding"}
DETECTOR = {"backbone", "size", "neck_channels", "nms_iou", "warmup_epochs", "head_lr", "backbone_lr", "head_epochs"}
ANCHOR_FREE = {"strides", "bins", "neck_growth"}
YOLOV8 = {"backbone", "nms_iou", "head_lr", "warmup_epochs"}
FCN = {"backbone", "prediction_stride", "fc_kernel", "fc_width", "dropout", "loss", "focal_gamma"}


@pytest.mark.parametrize(("name", "changes", "keys"), [
    ("cnn", {}, CNN_MAPS | {"features", "dense"} | CLASSIFIER),
    ("alexnet", {}, {"dense", "batch_norm"} | CLASSIFIER),
    ("darknet", {}, {"filters", "size"} | CLASSIFIER),
    ("vgg", {}, {"depth", "convention"} | CLASSIFIER),
    ("resnet", {}, {"depth", "convention"} | CLASSIFIER),
    ("inception", {}, {"auxiliary_weight"} | CLASSIFIER),
    ("segmenter", {}, DECODER | CNN_MAPS | {"interpolation"}),
    ("segmenter", {"decoder": "unpool"}, DECODER | CNN_MAPS | {"unpool_convolution"}),
    ("segmenter", {"decoder": "transpose"}, DECODER | CNN_MAPS | KERNELS),
    ("segmenter", {"encoder": "resnet"}, DECODER | {"depth", "convention", "interpolation"}),
    ("segmenter", {"encoder": "inception"}, DECODER | {"interpolation"}),
    ("segmenter", {"encoder": "darknet"}, DECODER | {"filters", "size", "interpolation"}),
    ("fcn", {}, FCN | {"depth", "convention"}),
    ("fcn", {"backbone": "cnn"}, FCN | CNN_MAPS),
    ("yolo", {}, DETECTOR | ANCHOR_FREE | {"filters"}),
    ("yolo", {"head": "grid"}, DETECTOR | {"grid", "boxes_per_cell", "filters"}),
    ("yolo", {"backbone": "vgg"}, DETECTOR | ANCHOR_FREE | {"depth", "convention"}),
    ("yolo", {"backbone": "inception"}, DETECTOR | ANCHOR_FREE),
    ("yolov8", {}, YOLOV8 | {"size", "fpn_depth"}),
    ("yolov8_backbone", {}, {"size"} | CLASSIFIER),
])  # fmt: skip
def test_a_config_holds_exactly_the_keys_that_its_choices_use(
    name: str, changes: dict[str, Any], keys: set[str]
) -> None:
    mapping = as_mapping(config(name, **changes))["model"]
    assert set(mapping) == ALWAYS | keys
    given = {"name": name, **changes}
    assert {key: mapping[key] for key in given} == given


@pytest.mark.parametrize("name", MODELS)
def test_a_written_config_is_read_back_unchanged(name: str) -> None:
    before = config(name)
    assert read_config(as_mapping(before)) == before


def test_values_reach_the_options_that_declare_them() -> None:
    model = model_config("segmenter", encoder="cnn", filters=[8], decoder_filters=7, dropout=0.25, lr=0.5)
    assert model.backbone_options.filters == [8]
    assert model.backbone_options.dropout == 0.0  # for the dense layers of a classifier
    assert (model.head_options.decoder_filters, model.head_options.dropout) == (7, 0.25)
    assert (model.suited.lr, model.base_key, model.feature_levels) == (0.5, "encoder", True)
    # The weight belongs to the decoder's auxiliary classifier, not to Inception's.
    inception = model_config("segmenter", encoder="inception", auxiliary_weight=0.5)
    assert inception.head_options.auxiliary_weight == 0.5


def test_only_the_heads_own_key_selects_the_base() -> None:
    assert model_config("cnn", backbone="darknet").backbone == "cnn"
    assert model_config("yolo", encoder="cnn").backbone == "darknet"
    assert model_config("segmenter", backbone="vgg").backbone == "cnn"


def test_dropout_belongs_to_the_backbone_if_it_ends_in_dense_layers() -> None:
    assert model_config("cnn", dropout=0.5).backbone_options.dropout == 0.5
    assert model_config("resnet", dropout=0.5).head_options.dropout == 0.5


@pytest.mark.parametrize(("values", "message"), [
    ({"name": "resnest"}, "there is no backbone resnest: choose from resnet"),
    ({"name": "yolo", "backbone": "darkne", "head": "grid"}, "there is no backbone darkne: choose from darknet"),
    ({"head": "dens"}, "invalid model.head=dens: expected one of anchor_free, decoder, dense, fcn, grid"),
    ({"name": "segmenter", "encoder": "alexnet", "head": "decoder"}, "model.encoder=alexnet has no feature maps"),
    ({"name": "cnn", "filtres": [4]}, r"model.filtres: there is no such key; did you mean model.filters\?"),
    ({"name": "cnn", "filters": "many"}, "model.filters: "),
    ({"name": "cnn", "kernel": 0}, "invalid model.kernel=0: expected a value between 1 and 99"),
    ({"name": "cnn", "lr": 0}, "invalid model.lr=0.0: expected a value between 1e-12 and 1e"),
    ({"name": "cnn", "pooling": "median"}, "invalid model.pooling=median: expected one of max, average"),
    ({"name": "segmenter", "encoder": "cnn", "head": "decoder", "decoder": "up"},
     "invalid model.decoder=up: expected one of interpolate, unpool, transpose"),
    ({"name": "yolo", "backbone": "darknet", "head": "grid", "filters": []}, r"invalid model.filters=\[\]"),
])  # fmt: skip
def test_invalid_values_are_refused_in_one_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        read_model(values)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "base"), [("segmenter", "cnn"), ("yolo", "darknet"), ("fcn", "vgg")])
def test_backbone_config_is_a_classifier_with_the_same_base(name: str, base: str) -> None:
    model = model_config(name)
    classifier = backbone_config(model)
    assert (classifier.name, classifier.task, classifier.head, classifier.feature_levels) == (
        base,
        "classification",
        "dense",
        False,
    )
    assert classifier.backbone_options == model.backbone_options
    assert backbone_config(classifier) == classifier


def test_deciding_lists_the_keys_that_determine_the_used_keys() -> None:
    assert deciding({"name": "cnn"}) == {}
    found = deciding({"name": "segmenter", "head": "decoder"})
    assert {"cnn", "darknet", "vgg", "resnet", "inception"} <= set(found["encoder"])
    assert "alexnet" not in found["encoder"]
    assert found["decoder"] == ["interpolate", "unpool", "transpose"]
    assert "grid" in found["head"]


def test_every_head_is_found_by_its_file_name() -> None:
    assert heads.names() == ["anchor_free", "decoder", "dense", "fcn", "grid", "yolov8"]
    assert [heads.get(name).name for name in heads.names()] == heads.names()


def test_a_backbone_declares_depthwise_convolutions() -> None:
    assert model_config("efficientnet_lite").depthwise
    assert model_config("yolo", backbone="efficientnet_lite").depthwise
    assert not model_config("resnet").depthwise
