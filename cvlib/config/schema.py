"""The typed schema of `conf/`: a dataclass for each answer, with bounds for its fields.

An answer is a choice for a group of the config, such as `mode=finetune`. This module needs neither Hydra nor Keras.
"""

from __future__ import annotations

import contextlib
import dataclasses
from dataclasses import dataclass, field
from typing import Any

from cvlib.config.augment import AugmentConfig as AugmentConfig
from cvlib.config.fields import Options, option

AUTO = "auto"  # the value of optimizer.lr and data.batch_size for a search
ALL = "all"  # the value of trainer.devices for all devices


@dataclass
class ModelConfig:
    """A network: a backbone with a head, and its recommended training settings.

    `backbone_options` and `head_options` are the dataclasses that the backbone's and the head's own files declare.
    """

    name: str  # the value of `model=`
    task: str
    backbone: str  # the name of the file in cvlib/models/backbones
    backbone_options: Options
    head: str  # the name of the file in cvlib/models/heads
    head_options: Options
    base_key: str | None = None  # the key that names the backbone in `model`: backbone | encoder; None: `name`
    feature_levels: bool = False  # whether the head uses feature maps of several resolutions
    suited: Suited = field(default_factory=lambda: Suited())
    depthwise: bool = False  # whether the backbone consists of depthwise convolutions; for trainer.precision=auto

    @property
    def used_backbone_options(self) -> dict[str, Any]:
        """The backbone's options that have an effect with this head."""
        options = self.backbone_options
        return {item.name: getattr(options, item.name) for item in dataclasses.fields(options)
                if not (self.feature_levels and item.metadata.get("classifier_only"))}  # fmt: skip


@dataclass
class Suited(Options):
    """Recommended training settings of a network, which serve as defaults for other groups."""

    lr: float = option(1e-3, low=1e-12, high=1e30)  # default of optimizer.lr
    batch_size: int = option(32, low=1, high=1e6)  # default of data.batch_size
    class_weights: str | None = option(None, choices=(None, "balanced", "sqrt"))  # default of data.class_weights
    epochs: int = option(20, low=1, high=1e6)  # default of trainer.epochs
    largest_side: int | None = option(None, low=1, high=1e5)  # pixels; larger images are shrunk to it; null: no limit
    # null in the following fields: the default of the mode, the schedule or the trainer

    head_lr: float | None = option(None, low=0)  # default of mode.head_lr
    head_epochs: int | None = option(None, low=0)  # default of mode.head_epochs
    backbone_lr: float | None = option(None, low=0)  # default of mode.backbone_lr
    views: int | None = option(None, low=0)  # default of mode.views
    warmup_epochs: float | None = option(None, low=0)  # default of schedule.warmup_epochs
    kept_epoch: str | None = option(None, choices=(None, "best", "last"))  # default of trainer.kept_epoch

    def unused(self) -> set[str]:
        """Return the settings that the model leaves to other groups."""
        return {name for name, value in vars(self).items() if value is None and name != "class_weights"}


# The regimes.


@dataclass
class ModeConfig(Options):
    """The weights that a run starts from, and which of them are trained."""

    name: str = "scratch"


@dataclass
class Scratch(ModeConfig):
    """Random weights; all of them are trained."""


@dataclass
class FeatureExtractor(ModeConfig):
    """Loaded weights; the whole base is frozen, and only the new head is trained."""

    name: str = "feature_extractor"
    weights: str | None = "imagenet"  # imagenet | a weights file | a run's folder
    head_lr: float = option(10.0, low=0)  # times optimizer.lr
    # Whether the base computes features once and the head trains on them: true | false | auto (if possible).
    cache_features: str = option("auto", choices=("auto", "true", "false", "True", "False"))
    # Number of cached augmented views per training image; 0: images without augmentation, cached or not.
    views: int = option(5, low=0)
    cache_gb: float = option(10.0, low=0)  # maximum size of the cached features on disk


@dataclass
class Finetune(ModeConfig):
    """Loaded weights; at first only the head is trained, then also the base above its frozen layers (`freeze`)."""

    name: str = "finetune"
    weights: str | None = "imagenet"  # imagenet | a weights file | a run's folder
    # How much of the base stays frozen, counted from the input: null (nothing), all, the name of a layer or block (up
    # to and including it), a number of layers (int), or a fraction of the layers (float).
    freeze: Any = None
    head_epochs: int = option(1, low=0)  # the first epochs of trainer.epochs, which train only the new head
    backbone_lr: float = option(0.1, low=0)  # times optimizer.lr, for the base
    # Rate of each block of the base, as a share of the rate of the block above it (Clark et al., ELECTRA, 2020).
    layer_decay: float = option(1.0, low=0.01, high=1)
    # After the head: null (trains the whole unfrozen part) | gradual (blocks join one by one, from the top, in equal
    # steps of epochs; Howard & Ruder, ULMFiT, 2018).
    unfreeze: str | None = option(None, choices=(None, "gradual"))
    head_lr: float = option(10.0, low=0)  # times optimizer.lr, for the head while only the head is trained
    # BatchNorm in the unfrozen base: train (is trained, adapts to the new data) | frozen (stays as loaded).
    batch_norm: str = option("train", choices=("train", "frozen"))
    # Whether the head keeps the logits of the classes that the run in `weights` has, too, by name; others start at 0.
    keep_classes: bool = True


MODES: dict[str, type[ModeConfig]] = {
    "scratch": Scratch, "feature_extractor": FeatureExtractor, "finetune": Finetune,
}  # fmt: skip


# The optimizers.


@dataclass
class OptimizerConfig(Options):
    """An optimizer and its settings."""

    name: str = "adam"
    lr: Any = option(1e-3, low=1e-12, high=1e30)  # learning rate after the warm-up; auto: found by a search
    weight_decay: float = option(0.0, low=0, high=1e3)  # of kernels; biases and normalization are not decayed
    clipnorm: float | None = option(None, low=1e-12)  # largest norm of the whole gradient; null: no limit

    def __post_init__(self) -> None:
        """Convert a learning rate to a float, if it is a number."""
        if self.lr != AUTO and not isinstance(self.lr, bool):
            with contextlib.suppress(TypeError, ValueError):
                self.lr = float(self.lr)


@dataclass
class Adam(OptimizerConfig):
    """Adam (Kingma & Ba 2015)."""


@dataclass
class AdamW(OptimizerConfig):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

    name: str = "adamw"
    weight_decay: float = option(0.01, low=0, high=1e3)


@dataclass
class Sgd(OptimizerConfig):
    """Stochastic gradient descent with Nesterov momentum."""

    name: str = "sgd"
    lr: Any = option(0.01, low=1e-12, high=1e30)
    momentum: float = option(0.9, low=0, high=1)  # share of the previous step that is kept


OPTIMIZERS: dict[str, type[OptimizerConfig]] = {"adam": Adam, "adamw": AdamW, "sgd": Sgd}


# The learning-rate schedules.


@dataclass
class ScheduleConfig(Options):
    """The learning rate over the epochs, after a linear warm-up."""

    name: str = "constant"
    warmup_epochs: float = option(0.0, low=0)  # epochs in which the rate rises from 0; fractions are allowed


@dataclass
class Constant(ScheduleConfig):
    """A constant learning rate."""


@dataclass
class Cosine(ScheduleConfig):
    """Cosine decay over half a period, from the full learning rate to `final`."""

    name: str = "cosine"
    final: float = option(0.0, low=0, high=1)  # the final rate, as a fraction of the full rate


@dataclass
class Step(ScheduleConfig):
    """A learning rate that drops at regular intervals."""

    name: str = "step"
    every: int = option(10, low=1)  # epochs between drops
    factor: float = option(0.1, low=0, high=1)  # multiplies the rate at each drop


SCHEDULES: dict[str, type[ScheduleConfig]] = {"constant": Constant, "cosine": Cosine, "step": Step}


@dataclass
class DataConfig(Options):
    """A dataset, its splits, and how its images are prepared and batched."""

    name: str = "digits"
    tasks: list[str] = option(["classification"])  # the tasks that it has labels for
    path: str | None = None  # the user's folder or label file
    layout: str | None = None  # the name of a layout in cvlib/data/layouts; null: detected
    tfds: str | None = None  # a dataset's name in TensorFlow Datasets, used if no path is given
    on_error: str = option(
        "stop", choices=("stop", "skip")
    )  # stop with a list of errors | skip the affected samples and boxes
    image_size: Any = None  # side in pixels, or [height, width]; null: the data's own, at least the model's minimum
    resize: str | None = option(None, choices=(None, "stretch", "letterbox"))  # null: the task's default
    # Side of square tiles at full resolution, in pixels: detectors and segmenters learn random tiles and predict by
    # overlapping windows. null: whole images, resized.
    tiles: int | None = option(None, low=16, high=8192)
    tile_overlap: float = option(0.25, low=0, high=0.75)  # share of its side that a window has in common with the next
    # Keeps resized images after their first use. auto: in memory if the split takes at most 1 GB there; null: never.
    cache: str | None = option("auto", choices=("auto", "memory", "disk", None))
    cache_gb: float = option(4.0, low=0)  # maximum size of the cache; images beyond it are read each time
    # balanced: rare classes count as much as frequent classes; sqrt: halfway between null and balanced
    class_weights: str | None = option(None, choices=(None, "balanced", "sqrt"))
    channels: int | None = None  # 1, 3, or the number of bands; null: the data's own
    # [low, high]: the values that become 0 and 255 in images of more than 8 bits; null: the training images' range
    range: list[float] | None = None
    fraction: float = option(1.0, low=1e-9, high=1)  # of the training split, stratified and nested
    # A subset of the classes in this order, or the class ids' names for masks without a label file; null: all.
    classes: list[str] | None = None
    batch_size: Any = option(32, low=1, high=1e6)  # images of a training step; auto: the largest that fits in memory
    val_fraction: float = option(0.15, low=0, high=0.9)  # taken from the training split if there is no val split
    test_fraction: float = option(0.15, low=0, high=0.9)  # of all images, if there is no test split
    split_seed: int = option(0, low=0)
    folds: int | None = option(None, low=2)  # cross-validation: divide all images into this many folds
    fold: int = option(0, low=0)  # the fold that is the test split
    # Groups of samples that stay in one split: a table's column, a folder level or a name pattern; null: no groups.
    group: Any = None
    merge: dict[str, list[str]] | None = None  # new class → the classes that it replaces
    verify: str = option("quick", choices=("quick", "full"))  # full: check every file again even if none has changed
    sampling: str = option("all", choices=("all", "balanced"))
    samples: int | None = option(None, low=1)  # the number of images of a generated dataset
    pretrain_on: str | None = None  # an embedded dataset for pretraining if ImageNet weights aren't available
    pretrain_samples: int = option(4000, low=1)  # images for this pretraining
    pretrain_epochs: int = option(3, low=1)  # epochs of this pretraining

    def unused(self) -> set[str]:
        """Return the overlap of tiles if there are none."""
        return {"tile_overlap"} if self.tiles is None else set()


@dataclass
class TrainerConfig(Options):
    """The settings of the training loop."""

    epochs: int = option(20, low=1, high=1e6)  # passes over the training split
    minutes: float | None = option(None, low=0.01, high=1e5)  # training time instead of `epochs`; null: no limit
    patience: int | None = option(None, low=1)  # epochs without improvement of the monitor before stopping; null: never
    monitor: str | None = None  # the metric that selects the best epoch; null: the task's default
    kept_epoch: str = option("best", choices=("best", "last"))  # the epoch whose weights the run keeps
    # Decay of the averaged weights, which evaluation and the kept network use; null: no averages.
    ema: float | None = option(None, low=0, high=0.99999)
    accumulate: int = option(1, low=1, high=1e4)  # batches whose mean gradient makes one update of the weights
    precision: str = option("float32", choices=("float32", "bfloat16", "float16", "auto"))
    # Devices that share each batch: 1 | all | a number. More than one device needs JAX. With several processes, `all`
    # stands for the devices of all machines.
    devices: Any = option(1, low=1, high=1e4)
    # Host and port of process 0, such as node1:9876, for one run in several processes; null: SLURM's, or one process.
    coordinator: str | None = None
    processes: int | None = option(None, low=1, high=1e4)  # processes that train together, with `coordinator`
    remat: bool = False  # whether the backward pass computes cheap results again, which saves memory (JAX only)
    jit: bool = False
    deterministic: bool = False
    steps_per_epoch: int | None = option(None, low=1, high=1e6)
    checkpoint_every: int | None = option(None, low=1)  # steps between saves within an epoch; null: every five minutes
    keep_state: bool = True  # of a completed run, which can then be given more epochs
    test: bool = True  # evaluate the test split at the end; false: keep it unread, and write val_results.csv
    profile_steps: list[int] | None = None  # the first and last step that are profiled; null: none
    # Momentum of every BatchNorm that is trained; null: the architecture's own.
    bn_momentum: float | None = option(0.9, low=0, high=0.9999)

    @property
    def max_epochs(self) -> int:
        """The largest number of epochs; with `minutes`, the time ends the run instead."""
        return self.epochs if self.minutes is None else 1_000_000


@dataclass
class Config:
    """The whole config of one run."""

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

    @property
    def augmentation(self) -> AugmentConfig | None:
        """The augmentation of the training images; None if the mode turns it off (`mode.views=0`)."""
        return None if isinstance(self.mode, FeatureExtractor) and self.mode.views == 0 else self.augment


def as_mapping(config: Config) -> dict[str, Any]:
    """Return the config in the form of config.yaml, with only the keys that the chosen answers use."""
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
    """Return the values of the fields that have an effect, by name."""
    unused = options.unused()
    return {key: value for key, value in dataclasses.asdict(options).items() if key not in unused}
