"""The typed schema of `conf/`: one dataclass for each answer, its bounds beside its fields. No Hydra, no Keras."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from cvlib.config.fields import Options, option


@dataclass
class ModelConfig:
    """A network: a backbone with a head, and how it is best trained.

    `backbone_options` and `head_options` are the dataclasses that the backbone's and the head's own files declare.
    """

    name: str  # the answer to `model=`
    task: str
    backbone: str  # the name of the file in cvlib/models/backbones
    backbone_options: Options
    head: str  # the name of the file in cvlib/models/heads
    head_options: Options
    base_key: str | None = None  # the key that names the backbone in `model`: backbone | encoder; None: name does
    feature_levels: bool = False  # whether the head builds on feature maps of several resolutions
    suited: Suited = field(default_factory=lambda: Suited())
    depthwise: bool = False  # whether the backbone consists of depthwise convolutions; trainer.precision=auto asks

    @property
    def used_backbone_options(self) -> dict[str, Any]:
        """The backbone's options that matter to this head."""
        return {one.name: getattr(self.backbone_options, one.name) for one in dataclasses.fields(self.backbone_options)
                if not (self.feature_levels and one.metadata.get("classifier_only"))}  # fmt: skip


@dataclass
class Suited(Options):
    """What suits a network where nothing else is asked for; other answers take their defaults from here."""

    lr: float = option(1e-3, low=1e-12, high=1e30)  # from scratch
    batch_size: int = option(32, low=1, high=1e6)
    class_weights: str | None = option(None, choices=(None, "balanced", "sqrt"))
    epochs: int = option(20, low=1, high=1e6)
    largest_side: int | None = option(None, low=1, high=1e5)  # pixels; larger images are shrunk to it; null: no limit
    # What the mode and the schedule take by default; null: their own defaults.
    head_lr: float | None = option(None, low=0)  # times optimizer.lr, where the head learns alone
    head_epochs: int | None = option(None, low=0)
    backbone_lr: float | None = option(None, low=0)  # times optimizer.lr
    views: int | None = option(None, low=0)
    warmup_epochs: float | None = option(None, low=0)
    kept_epoch: str | None = option(None, choices=(None, "best", "last"))

    def unused(self) -> set[str]:
        """What the model leaves to others."""
        return {name for name, value in vars(self).items() if value is None and name != "class_weights"}


# The regimes.


@dataclass
class ModeConfig(Options):
    """Which weights a run starts from and which of them may change."""

    name: str = "scratch"


@dataclass
class Scratch(ModeConfig):
    """Random weights; everything learns."""


@dataclass
class FeatureExtractor(ModeConfig):
    """Loaded weights; the whole base is frozen, and only the new head learns."""

    name: str = "feature_extractor"
    weights: str | None = "imagenet"  # imagenet | a weights file | a run's folder
    head_lr: float = option(10.0, low=0)  # times optimizer.lr
    # Whether the base runs once over the data and the head trains on its features: true | false | auto (if it can).
    cache_features: str = option("auto", choices=("auto", "true", "false", "True", "False"))
    # Augmented views of every training image that are then cached; 0: the images as they are, cached or not.
    views: int = option(5, low=0)
    cache_gb: float = option(10.0, low=0)  # the most that cached features take on disk


@dataclass
class Finetune(ModeConfig):
    """Loaded weights; the head learns alone at first, then the base from `freeze` on learns with it."""

    name: str = "finetune"
    weights: str | None = "imagenet"  # imagenet | a weights file | a run's folder
    # How much of the base stays frozen, from the input on: null (nothing), all, a layer's or a block's name (up to and
    # with it), a count of layers (int), a fraction of the layers (float).
    freeze: Any = None
    head_epochs: int = option(1, low=0)  # of trainer.epochs, the first ones that train the new head alone
    backbone_lr: float = option(0.1, low=0)  # times optimizer.lr, for the base
    head_lr: float = option(10.0, low=0)  # times optimizer.lr, for the head as long as it learns alone
    # BatchNorm in the unfrozen base: train (learns, follows the new data) | frozen (stays as loaded).
    batch_norm: str = option("train", choices=("train", "frozen"))


MODES: dict[str, type[ModeConfig]] = {
    "scratch": Scratch, "feature_extractor": FeatureExtractor, "finetune": Finetune,
}  # fmt: skip


# The update rules.


@dataclass
class OptimizerConfig(Options):
    """An update rule."""

    name: str = "adam"
    lr: float = option(1e-3, low=1e-12, high=1e30)
    weight_decay: float = option(0.0, low=0, high=1e3)
    clipnorm: float | None = option(None, low=1e-12)


@dataclass
class Adam(OptimizerConfig):
    """Kingma & Ba 2015."""


@dataclass
class AdamW(OptimizerConfig):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

    name: str = "adamw"
    weight_decay: float = option(0.01, low=0, high=1e3)


@dataclass
class Sgd(OptimizerConfig):
    """Stochastic gradient descent with Nesterov momentum."""

    name: str = "sgd"
    lr: float = option(0.01, low=1e-12, high=1e30)
    momentum: float = option(0.9, low=0, high=1)


OPTIMIZERS: dict[str, type[OptimizerConfig]] = {"adam": Adam, "adamw": AdamW, "sgd": Sgd}


# The learning rate over the epochs.


@dataclass
class ScheduleConfig(Options):
    """How the learning rate changes over the epochs, after a linear warm-up."""

    name: str = "constant"
    warmup_epochs: float = option(0.0, low=0)


@dataclass
class Constant(ScheduleConfig):
    """The same rate all the time."""


@dataclass
class Cosine(ScheduleConfig):
    """Half a cosine, from the full rate down."""

    name: str = "cosine"
    final: float = option(0.0, low=0, high=1)  # the rate at the end, as a share of the first


@dataclass
class Step(ScheduleConfig):
    """Drops at regular intervals."""

    name: str = "step"
    every: int = option(10, low=1)  # epochs between drops
    factor: float = option(0.1, low=0, high=1)  # what a drop multiplies the rate by


SCHEDULES: dict[str, type[ScheduleConfig]] = {"constant": Constant, "cosine": Cosine, "step": Step}


@dataclass
class DataConfig(Options):
    """One dataset, its splits, and how it is fed."""

    name: str = "digits"
    tasks: list[str] = option(["classification"])  # what it has labels for
    path: str | None = None  # a folder, or a label file, of the user's
    layout: str | None = None  # the name of a layout in cvlib/data/layouts; null: detected
    tfds: str | None = None  # a dataset's name in TensorFlow Datasets, used where no path is given
    on_error: str = option(
        "stop", choices=("stop", "skip")
    )  # stop with a list of errors | skip those samples and boxes
    image_size: Any = None  # side in pixels, or [height, width]; null: the data's own, raised to the model's least
    resize: str | None = option(None, choices=(None, "stretch", "letterbox"))  # null: what suits the task
    cache: str | None = option(None, choices=(None, "memory", "disk"))  # keeps resized images after their first use
    cache_gb: float = option(4.0, low=0)  # the most that the cache takes; what goes beyond is read each time
    # balanced: rare classes count as much as frequent ones; sqrt: half-way there
    class_weights: str | None = option(None, choices=(None, "balanced", "sqrt"))
    channels: int | None = None  # 1, 3, or the number of bands; null: the data's own
    # [low, high]: the values that become 0 and 255 in images of more than 8 bits; null: the training images' own range
    range: list[float] | None = None
    fraction: float = option(1.0, low=1e-9, high=1)  # of the training split, stratified and nested
    classes: list[str] | None = None  # a subset, in this order, or names for the ids of unlabelled masks; null: all
    batch_size: int = option(32, low=1, high=1e6)  # beyond, drawing an epoch's order takes too long
    val_fraction: float = option(0.15, low=0, high=0.9)  # taken from the training part where there is no val split
    test_fraction: float = option(0.15, low=0, high=0.9)
    split_seed: int = option(0, low=0)
    folds: int | None = option(None, low=2)  # cross-validation: divide all images into so many folds
    fold: int = option(0, low=0)  # the fold that is the test split
    # Samples that stay in one split: a table's column, a level of folders, or an expression for names; null: none
    group: Any = None
    merge: dict[str, list[str]] | None = None  # new class → the classes that it replaces
    sampling: str = option("all", choices=("all", "balanced"))
    samples: int | None = option(None, low=1)  # how many images a generated dataset makes
    pretrain_on: str | None = None  # an embedded dataset that stands in for ImageNet offline
    pretrain_samples: int = option(4000, low=1)
    pretrain_epochs: int = option(3, low=1)


@dataclass
class AugmentConfig(Options):
    """Random changes of the training images; every strength at its neutral value changes nothing."""

    name: str = "none"
    horizontal_flip: float = option(0.0, low=0, high=1)  # probability
    vertical_flip: float = option(0.0, low=0, high=1)  # probability
    rotation: float = option(0.0, low=0, high=180)  # degrees, up to this either way
    crop: float = option(1.0, low=0.01, high=1)  # the least share of the area that a random crop keeps
    zoom_out: float = option(1.0, low=1, high=16)  # the most that a view may show, in areas of the picture
    mosaic: float = option(0.0, low=0, high=1)  # probability of four pictures in one; for boxes only
    brightness: float = option(0.0, low=0, high=1)  # share of the range 0–255 added or taken, up to this
    contrast: float = option(0.0, low=0, high=1)  # factor within 1 ± this
    saturation: float = option(0.0, low=0, high=1)  # factor within 1 ± this
    hue: float = option(0.0, low=0, high=0.5)  # turns of the colour circle, up to this either way
    blur: float = option(0.0, low=0, high=20)  # sigma in pixels, up to this


@dataclass
class TrainerConfig(Options):
    """How long and how the loop runs."""

    epochs: int = option(20, low=1, high=1e6)  # each has random draws of its own
    patience: int | None = option(None, low=1)  # epochs without a better monitor before stopping; null: never
    monitor: str | None = None  # the validation metric that selects the best epoch; null: the task's own
    kept_epoch: str = option("best", choices=("best", "last"))  # the epoch whose weights the run keeps
    precision: str = option("float32", choices=("float32", "bfloat16", "float16", "auto"))
    jit: bool = False
    deterministic: bool = False
    steps_per_epoch: int | None = option(None, low=1, high=1e6)
    checkpoint_every: int | None = option(None, low=1)  # steps between saves within an epoch; null: after five minutes
    profile_steps: list[int] | None = None  # the first and last of the steps whose time is recorded; null: none
    # Of every BatchNorm that learns; null: the architecture's own.
    bn_momentum: float | None = option(0.9, low=0, high=0.9999)


@dataclass
class Config:
    """One run, whole."""

    model: ModelConfig
    mode: ModeConfig = field(default_factory=Scratch)
    data: DataConfig = field(default_factory=DataConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    optimizer: OptimizerConfig = field(default_factory=Adam)
    schedule: ScheduleConfig = field(default_factory=Constant)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    seed: int = 0
    name: str | None = None
    output_root: str = "outputs"


def as_mapping(config: Config) -> dict[str, Any]:
    """Return the config in the form of config.yaml: every key that the chosen answers use, and no other."""
    model = config.model
    named = {model.base_key: model.backbone} if model.base_key else {}
    own = used(model.head_options)
    mapping: dict[str, Any] = {
        "model": {"name": model.name, "task": model.task, **used(model.suited), **named, "head": model.head,
                  **{key: value for key, value in own.items() if key not in model.used_backbone_options},
                  **model.used_backbone_options}
    }  # fmt: skip
    for group in ("mode", "data", "augment", "optimizer", "schedule", "trainer"):
        mapping[group] = used(getattr(config, group))
    return mapping | {"seed": config.seed, "name": config.name, "output_root": config.output_root}


def used(options: Options) -> dict[str, Any]:
    """Return the values of the fields that mean something, by name."""
    unused = options.unused()
    return {key: value for key, value in dataclasses.asdict(options).items() if key not in unused}
