"""One run from start to end: data → model → mode → fit → evaluate → record."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cvlib import data, tasks
from cvlib.config import checks
from cvlib.config import schema as configuration
from cvlib.config.schema import Config, DataConfig, ModeConfig, OptimizerConfig, ScheduleConfig
from cvlib.data import labels
from cvlib.data.dataset import Dataset, Split
from cvlib.data.input_spec import InputSpec
from cvlib.runs.provenance import peak_memory_mb
from cvlib.runs.record import Record, run_name
from cvlib.runtime import hardware, store
from cvlib.runtime.errors import UserError
from cvlib.training import devices as backend
from cvlib.transfer import sources

if TYPE_CHECKING:
    import keras
    import numpy as np

    from cvlib.data.cache import Cache
    from cvlib.data.feed import Feed
    from cvlib.training.checkpoint import State
    from cvlib.training.loop import Fitted, OnEpoch, Training

_FROM_THE_NETWORK = ("evaluate", "export", "predictions", "visualizations")  # what our commands put into a run's folder


def run(
    config: Config, folder: Path, provenance: dict[str, str] | None = None, wait: bool = False,
    on_epoch: OnEpoch | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Do the run that `config` describes in `folder` and return its summary.

    Goes on with an unfinished run of the same config; a finished one is left as it is. `provenance` are
    further files for the folder, name → text; `wait` lets another process finish writing there first; `on_epoch` is
    told of every epoch (its number and its row of metrics.csv) and may raise `Pruned`.
    Raises `UserError` (and leaves nothing behind) for what the user gave, `RunFailed` for a run gone wrong.
    """
    checks.check(config)
    sources.check(config)
    asked, config = config, configuration.resolved(config)
    _refuse_in_data(config, folder)
    started = time.monotonic()
    with Record(folder, config, provenance, wait) as record:
        if record.completed:
            print(f"already completed: {folder}")
            return record.summary
        record.say(f"{run_name(config)}{', going on' if record.resumed else ''}: {folder}")
        if asked.trainer.precision == "auto":
            record.say(f"trainer.precision=auto: {config.trainer.precision}, for {hardware.native()[1]}")
        dataset = data.load(config.data, config.seed, labels.named(config.model.task), config.model.task)
        _describe(record, dataset)
        size = _input_size(config, dataset, record)
        backend.start(config)
        training = _prepare(config, dataset, size, record)
        training.on_epoch = on_epoch
        state = _fit(training, dataset, time.monotonic() - started)
        _finish(training, dataset, state)
        return record.summary


def _refuse_in_data(config: Config, folder: Path) -> None:
    """Nothing of the user's is changed: a run's folder may not lie among the images."""
    if config.data.path is None:
        return
    own, images = folder.resolve(), Path(config.data.path).expanduser().resolve()
    if images.is_dir() and (own == images or images in own.parents):
        raise UserError(f"{folder} lies among the images of data.path={config.data.path}: choose another hydra.run.dir")


def _describe(record: Record, dataset: Dataset) -> None:
    counts = [f"{name} {len(split.names)}" for name, split in _splits(dataset).items()]
    layout = f" ({dataset.layout} layout)" if dataset.layout else ""
    record.say(f"{dataset.name}{layout}: {len(dataset.classes)} classes; {', '.join(counts)} images")
    for note in dataset.notes:
        record.say(f"note: {note}")
    record.update(
        data_fingerprint=data.fingerprint(dataset), classes=dataset.classes, notes=dataset.notes,
        layout=dataset.layout, skipped=dataset.skipped,
        samples={name: len(split.names) for name, split in _splits(dataset).items()},
    )  # fmt: skip


def _splits(dataset: Dataset) -> dict[str, Any]:
    return {"train": dataset.train, "val": dataset.val, "test": dataset.test}


def _input_size(config: Config, dataset: Dataset, record: Record) -> tuple[int, int]:
    """The side that images are resized to: as asked, else the data's own raised to the model's least."""
    least = config.model.minimum_size
    side = configuration.input_side(config, dataset.size)
    span = _span([part.sizes for part in (dataset.train, dataset.val, dataset.test) if part.sizes is not None])
    if span or dataset.size != (side, side):
        own = span or f"{dataset.size[0]}×{dataset.size[1]}"
        why = f": {config.model.name} needs at least {least}" if max(dataset.size) < least else ""
        record.say(
            f"images ({own}) are resized to {side}×{side} pixels (data.resize={configuration.resize(config)}){why}"
        )
    record.update(image_size=side, channels=dataset.channels)
    return side, side


def _span(sizes: list[np.ndarray]) -> str | None:
    """Of images' heights and widths `(n, 2)`, such as "192–600 high, 256 wide"; None where all are equal."""
    heights, widths = ({int(side) for part in sizes for side in part[:, axis]} for axis in (0, 1))
    if len(heights) < 2 and len(widths) < 2:
        return None
    tall, wide = (f"{min(some)}–{max(some)}" if len(some) > 1 else f"{min(some)}" for some in (heights, widths))
    return f"{tall} high, {wide} wide"


def _prepare(config: Config, dataset: Dataset, size: tuple[int, int], record: Record) -> Training:
    from cvlib.data.feed import make_feed
    from cvlib.training import batch_norm
    from cvlib.training.loop import Training

    task, spec = tasks.of(config.model.task), InputSpec(*size, dataset.channels, configuration.resize(config))
    model = _build_with_weights(config, dataset, size, record)
    batch_norm.prepare(model, config.trainer.bn_momentum)

    def feed(split: Split, **options: Any) -> Feed:
        cache = _cache(config, split, dataset, spec, record)
        return make_feed(split, spec, dataset.kind, config.data.batch_size, config.seed, cache=cache, **options)

    how = config.data.class_weights
    weights = task.class_weights(dataset.train, len(dataset.classes), how) if how else None
    train = feed(dataset.train, augmentation=config.augment, shuffle=True, steps=config.trainer.steps_per_epoch)
    training = Training(config, record, model, task.network(model), train, feed(dataset.val), dataset.classes, weights)
    if configuration.caches_features(config):
        training.on_features = _on_features(training)
    return training


def _on_features(training: Training) -> Fitted:
    """The head on features that the frozen base gives once for each image, or for each of its augmented views."""
    from cvlib.training.loop import Fitted
    from cvlib.transfer import cached_features as features
    from cvlib.transfer import freezing as modes

    config, record = training.config, training.record
    modes.apply(training.model.get_layer("backbone"), config.mode, modes.phases(config.mode, 1)[0], {})
    cut = features.cut(training.model)
    fingerprint = record.summary["data_fingerprint"]

    def feed(part: str, source: Feed) -> features.FeatureFeed:
        return features.FeatureFeed(source, features.kept(config, cut.base, source, part, fingerprint, record.say))

    train, val = feed("train", training.train), feed("val", training.val)
    record.update(feature_views=len(train.views))
    if len(train.views) > 1:
        record.say(f"mode.views={len(train.views)}: the epochs go through so many augmented views of every training "
                   "image in turn, instead of a new one each epoch")  # fmt: skip
    return Fitted(cut.head, training.task.network(cut.head), train, val)


def _cache(config: Config, split: Split, dataset: Dataset, spec: InputSpec, record: Record) -> Cache | None:
    """Where the resized images of a split are kept, None for those that lie in memory anyway."""
    from cvlib.data import cache

    if config.data.cache is None or not isinstance(split.images, list):
        return None
    file = None
    if config.data.cache == "disk":
        name = cache.key(split, spec, dataset.kind)
        file = store.root(config.output_root) / "images" / f"{name}.npy"
    kept = cache.Cache(len(split), dataset.kind.stored_shape(spec), config.data.cache_gb * store.GIGABYTE, file)
    if kept.held < len(split):
        record.say(f"data.cache_gb={config.data.cache_gb:g} holds {kept.held} of {len(split)} images; the others are "
                   "read from their files each time")  # fmt: skip
    return kept


def _build_with_weights(config: Config, dataset: Dataset, size: tuple[int, int], record: Record) -> keras.Model:
    """The network with the weights that its mode starts from, and where they came from in the record."""
    from cvlib import models
    from cvlib.transfer import freezing as modes
    from cvlib.transfer import weights

    def build() -> keras.Model:
        return models.build(config.model, (*size, dataset.channels), len(dataset.classes))

    model = build()
    modes.frozen_layers(model.get_layer("backbone"), config.mode.freeze)  # a name that no layer has is refused now
    source = config.mode.weights
    if source is None:
        record.update(weights={"source": None, "matched": 0, "skipped": []})
        return model
    try:
        loaded = weights.start_from(model, config.model, source)
    except sources.WeightsUnavailable as unavailable:
        if config.data.pretrain_on is None:
            raise
        folder = _pretrain(config, size[0], dataset.channels, record, str(unavailable))
        backend.start(config)  # the pretraining run left its own random state and names behind
        model = build()
        loaded = weights.start_from(model, config.model, str(folder))
        loaded = dataclasses.replace(loaded, source=f"{config.data.pretrain_on} (pretrained in {folder})")
    record.say(f"weights: {loaded.matched:,} parameters of the base from {loaded.source}"
               + (f"; left out: {', '.join(loaded.skipped)}" if loaded.skipped else ""))  # fmt: skip
    record.update(weights=dataclasses.asdict(loaded))
    return model


def _pretrain(config: Config, side: int, channels: int, record: Record, reason: str) -> Path:
    """The folder of a completed run that pretrained this network's base on the dataset's embedded stand-in."""
    pretraining = pretraining_config(config, side, channels)
    folder = Path(config.output_root) / "pretrained" / f"{pretraining.name}-{configuration.identity(pretraining)}"
    record.say(f"NOTE: {reason}")
    record.say(f"NOTE: data={config.data.name} starts from {config.data.pretrain_on} instead: pretrained once in "
               f"{folder}, used again from then on")  # fmt: skip
    run(pretraining, folder, wait=True)
    record.say(f"pretrained weights are in {folder}\n")
    return folder


def pretraining_config(config: Config, side: int, channels: int) -> Config:
    """The run that pretrains a classifier with `config`'s base at the same input size: from scratch, on letters."""
    source, classifier = config.data.pretrain_on, configuration.classifier_of(config.model)
    assert source is not None
    return Config(
        model=classifier,
        mode=ModeConfig(name="scratch"),
        data=DataConfig(
            source,
            image_size=side,
            channels=channels,
            samples=config.data.pretrain_samples,
            val_fraction=0.05,
            test_fraction=0.05,
        ),
        schedule=ScheduleConfig(name="cosine", warmup_epochs=0.5),
        optimizer=OptimizerConfig(name="adam", lr=config.model.lr, clipnorm=1.0),
        trainer=dataclasses.replace(
            config.trainer,
            epochs=config.data.pretrain_epochs,
            patience=None,
            monitor=None,
            steps_per_epoch=None,
        ),
        name=f"{source}-{classifier.name}-{side}px",
        output_root=config.output_root,
    )


def _fit(training: Training, dataset: Dataset, setup_seconds: float) -> State:
    from cvlib import evaluation
    from cvlib.training import checkpoint, loop

    record = training.record
    state, arrays, remarks = checkpoint.load(training.checkpoints)
    for remark in remarks:
        record.say(remark)
    if state.epoch or state.within:
        steps = f" and {state.within} step{'s' * (state.within > 1)} of the next" if state.within else ""
        record.say(f"going on after epoch {state.epoch}{steps}")
    training.open_board(state.epoch)
    if not state.epoch:
        evaluation.show_start(training, dataset)
    timing = record.summary["timing"]
    record.update(timing={**timing, "setup": round(timing.get("setup", 0.0) + setup_seconds, 2)})
    return loop.fit(training, state, arrays)


def _finish(training: Training, dataset: Dataset, state: State) -> None:
    """Evaluate the best epoch's network on validation and test, save it, and close the record."""
    from cvlib import evaluation
    from cvlib.training import checkpoint

    record, started = training.record, time.monotonic()
    checkpoint.load_best(training.checkpoints, training.model, state.best_epoch)
    evaluation.record_results(training, dataset, state.best_epoch)
    record.update(
        status="completed",
        timing={
            **record.summary["timing"],
            "train": round(state.seconds, 2),
            "evaluate": round(time.monotonic() - started, 2),
            "images_per_second": round(state.images / max(state.seconds, 1e-9), 1),
        },
        peak_memory_mb=peak_memory_mb(),
    )
    checkpoint.clear(training.checkpoints, state)
    _closing_table(record)


def _closing_table(record: Record) -> None:
    metrics = record.summary["metrics"]
    record.say(f"\nbest epoch {record.summary['best_epoch']}    validation      test")
    for name in tasks.shown_metrics(record.config.model.task, len(record.summary["classes"])):
        record.say(f"{name:<16}{metrics[f'val/{name}']:>10.4f}{metrics[f'test/{name}']:>10.4f}")
    if earlier := [name for name in _FROM_THE_NETWORK if (record.folder / name).exists()]:
        record.say(f"note: {', '.join(earlier)} in it are of this run before it had ended: make them again")
    record.say(f"recorded in {record.folder}")
