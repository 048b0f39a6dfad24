"""The typed schema of `conf/` and what follows from its values; imports neither Hydra nor TensorFlow."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from cvlib.config import limits
from cvlib.runtime import hardware

_MOST_DETECTED = 448  # pixels, the side of a detector's input where none is asked for


@dataclass
class ModelConfig:
    """An architecture and its choices; `conf/model/NAME.yaml` lists the ones that NAME has."""

    name: str = "cnn"
    task: str = "classification"
    # The smallest side in pixels that the architecture takes; smaller data is resized up to it.
    minimum_size: int = 1
    imagenet: bool = False  # whether ImageNet weights exist for it
    lr: float = 1e-3  # the rate that suits it from scratch; optimizers start from it
    batch_size: int = 32  # the one that suits it
    class_weights: str | None = None  # that suit it, see data.class_weights
    epochs: int = 20  # the length of training that suits it; equal for all regimes, so that they compare
    depth: int | None = 50  # null: the smallest that the base comes with
    dropout: float = 0.0
    filters: list[int] = field(default_factory=lambda: [32, 64])
    convolutions: int = 1  # cnn: before each pooling
    kernel: int = 3
    padding: str = "same"
    stride: int = 1
    dilation: int = 1
    pooling: str = "max"
    batch_norm: bool = False
    spatial_dropout: float = 0.0
    features: str = "flatten"
    dense: list[int] = field(default_factory=lambda: [128])
    auxiliary_weight: float = 0.3
    backbone: str | None = None  # detectors, fcn: the family that the base is of
    encoder: str | None = None  # segmenter: the same
    decoder: str = "interpolate"
    skip: bool = True
    decoder_filters: int = 128  # the most of a decoder's level; a level has no more than the encoder's
    interpolation: str = "bilinear"
    transpose_kernel: int = 2
    transpose_stride: int = 2
    transpose_padding: int = 0
    transpose_output_padding: int = 0
    prediction_stride: int = 8
    fc_kernel: int = 7
    fc_width: int = 4096
    loss: dict[str, float] = field(default_factory=lambda: {"cross_entropy": 1.0})  # segmentation: weights of a sum
    focal_gamma: float = 2.0
    head: str = "anchor_free"  # detectors: anchor_free | grid
    strides: list[int] | None = None  # anchor_free: pixels between points, by level; null: by the input's size
    neck: int = 64  # detectors: channels of the layers between base and predictions
    grid: int | None = None  # grid: cells a side; null: the coarsest grid of at least 7
    boxes_per_cell: int = 2  # grid
    nms_iou: float = 0.6  # detectors: of two boxes of one class that overlap by more, the better one stays


@dataclass
class ModeConfig:
    """Which weights a run starts from and which of them may change."""

    name: str = "scratch"
    weights: str | None = None  # imagenet | null | a weights file | a run's folder
    # How much of the base is frozen, from the input on: null (nothing), all, a layer's name (up to
    # and with it), a count of layers (int), a fraction of the layers (float).
    freeze: Any = None
    head_epochs: int = 0  # of trainer.epochs, the first ones that train the new head alone
    backbone_lr: float = 1.0  # multiplies the rate for the base
    head_lr: float = 1.0  # multiplies the rate for the head as long as it learns alone
    # BatchNorm in the unfrozen base: train (learns, follows the new data) | frozen (stays as loaded).
    batch_norm: str = "train"
    # Whether a base that is frozen whole runs once over the data and the head trains on what it gave: true | false |
    # auto (where it can be).
    cache_features: str = "auto"
    views: int = 5  # augmented views of every training image that are then kept
    cache_gb: float = 10.0  # the most that kept features take on disk


@dataclass
class DataConfig:
    """One dataset, its splits, and how it is fed."""

    name: str = "digits"
    tasks: list[str] = field(default_factory=lambda: ["classification"])
    path: str | None = None  # a folder, or a label file, of the user's
    layout: str | None = None  # folder | csv | voc | coco | yolo | masks; null: found out
    tfds: str | None = None  # a dataset's name in TensorFlow Datasets, used where no path is given
    on_error: str = "stop"  # what is wrong with files and labels: stop with the list | skip those samples and boxes
    image_size: int | None = None  # side in pixels; null: the data's own, raised to the model's least
    resize: str | None = None  # stretch | letterbox; null: letterbox for detection, else stretch
    cache: str | None = None  # memory | disk: resized images are kept after their first use; null: not
    cache_gb: float = 4.0  # the most that the cache takes; what goes beyond is read each time
    class_weights: str | None = None  # balanced: rare classes count as much as frequent ones; sqrt: half-way there
    channels: int | None = None  # 1 | 3; null: the data's own
    fraction: float = 1.0  # of the training split, stratified and nested
    classes: list[str] | None = None  # a subset, in this order, or names for the ids of unlabelled masks; null: all
    batch_size: int = 32
    val_fraction: float = 0.15  # taken from the training part where the data has no val split
    test_fraction: float = 0.15
    split_seed: int = 0
    samples: int | None = None  # how many images a generated dataset makes
    pretrain_on: str | None = None  # an embedded dataset that stands in for ImageNet offline
    pretrain_samples: int = 4000
    pretrain_epochs: int = 3


@dataclass
class AugmentConfig:
    """Random changes of the training images; every strength at its neutral value changes nothing."""

    name: str = "none"
    horizontal_flip: float = 0.0  # probability
    vertical_flip: float = 0.0  # probability
    rotation: float = 0.0  # degrees, up to this either way
    crop: float = 1.0  # the least share of the area that a random crop keeps
    zoom_out: float = 1.0  # the most that a view may show, in areas of the picture; above 1 it shrinks
    mosaic: float = 0.0  # probability of four pictures in one; detection only
    brightness: float = 0.0  # share of the range 0–255 added or taken, up to this
    contrast: float = 0.0  # factor within 1 ± this
    saturation: float = 0.0  # factor within 1 ± this
    hue: float = 0.0  # turns of the colour circle, up to this either way
    blur: float = 0.0  # sigma in pixels, up to this


@dataclass
class OptimizerConfig:
    """The update rule."""

    name: str = "adam"  # adam | adamw | sgd
    lr: float = 1e-3
    weight_decay: float = 0.0
    momentum: float = 0.9
    clipnorm: float | None = None


@dataclass
class ScheduleConfig:
    """How the learning rate goes over the epochs."""

    name: str = "constant"  # constant | cosine | step
    warmup_epochs: float = 0.0
    final: float = 0.0  # cosine: the rate at the end, as a share of the first
    every: int = 10  # step: epochs between drops
    factor: float = 0.1  # step: what a drop multiplies by


@dataclass
class TrainerConfig:
    """How long and how the loop runs."""

    epochs: int = 20
    patience: int | None = None  # epochs without a better monitor before stopping; null: never
    monitor: str | None = None  # what the best epoch is chosen by; null: the task's own
    precision: str = "float32"  # auto: what the hardware multiplies natively
    jit: bool = False
    deterministic: bool = False
    steps_per_epoch: int | None = None
    checkpoint_every: int | None = None  # steps between saves within an epoch; null: after five minutes
    profile_steps: list[int] | None = None  # the first and last of the steps whose time is recorded; null: none
    bn_momentum: float | None = 0.9  # of every BatchNorm that learns; null: the architecture's own


@dataclass
class Config:
    """One run, whole."""

    model: ModelConfig = field(default_factory=ModelConfig)
    mode: ModeConfig = field(default_factory=ModeConfig)
    data: DataConfig = field(default_factory=DataConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    seed: int = 0
    name: str | None = None
    output_root: str = "outputs"


def classifier_of(model: ModelConfig) -> ModelConfig:
    """The classifier that has the same base as a detector or segmenter: where its weights may come from."""
    family = model.encoder or model.backbone
    if family is None:
        return model
    return dataclasses.replace(
        model, name=family, task="classification", encoder=None, backbone=None,
        imagenet=family not in ("cnn", "darknet"), minimum_size={"cnn": 1, "inception": 75}.get(family, 32),
        depth=model.depth or {"vgg": 16}.get(family, 50),
    )  # fmt: skip


def input_side(config: Config, own: tuple[int, int]) -> int:
    """The side in pixels that images of `own` height and width are resized to.

    `data.image_size`, or else their longer side, raised to what the model needs. Detectors need a multiple of their
    strides; beyond the published 448 pixels they shrink images.
    """
    side = config.data.image_size or max(config.model.minimum_size, *own)
    if config.data.image_size or config.model.task != "detection":
        return side
    step = max([32, *(config.model.strides or [])])
    return max(step, min(-(-side // step), _MOST_DETECTED // step) * step)


def resolved(config: Config) -> Config:
    """The config with what `auto` comes to on this machine."""
    precision = hardware.precision(config.trainer.precision)
    return dataclasses.replace(config, trainer=dataclasses.replace(config.trainer, precision=precision))


# What changes how a run is done, and not what comes out.
_NO_RESULT = {"data": ("cache", "cache_gb"), "mode": ("cache_gb",), "trainer": ("checkpoint_every", "profile_steps")}


def identity(config: Config) -> str:
    """A hash of everything that decides a run's result; its name and place don't."""
    content = dataclasses.asdict(resolved(config))
    del content["name"], content["output_root"]
    for group, keys in _NO_RESULT.items():
        for key in keys:
            del content[group][key]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def monitor(config: Config) -> str:
    """What the best epoch is chosen by: `trainer.monitor`, or the task's own."""
    return config.trainer.monitor or limits.MONITORS[config.model.task][0]


def resize(config: Config) -> str:
    """How images get the network's size: `data.resize`, or what suits the task."""
    return config.data.resize or ("letterbox" if config.model.task == "detection" else "stretch")


def caches_features(config: Config) -> bool:
    """Whether the base is frozen whole from the first epoch to the last, and its features may be kept."""
    mode = config.mode
    whole = mode.name == "feature_extractor" and mode.freeze in ("all", True)
    return whole and config.model.task == "classification" and mode.cache_features.lower() != "false"
