"""Prepare the training of a run: its feeds, and the head on cached features if the base stays frozen."""

from __future__ import annotations

from cvlib import tasks
from cvlib.config.schema import Config
from cvlib.data.augmentation import mixes
from cvlib.data.dataset import Dataset
from cvlib.data.feed import Feed
from cvlib.models.network import Network
from cvlib.runs.record import Record
from cvlib.runtime import processes
from cvlib.training import data_parallel, feeds, rematerialize
from cvlib.training.training import Fitted, Training
from cvlib.transfer import cached_features, freezing, regimes


def training(config: Config, dataset: Dataset, network: Network, record: Record) -> Training:
    """Return everything that the training loop needs; compute the features of a frozen base if they can be cached."""
    task, scheme = tasks.of(config.model.task), config.data.class_weights
    weights = task.class_weights(dataset.train, len(dataset.classes), scheme) if scheme else None
    train = feeds.training_feed(config, dataset, network.spec, record.say)
    val = feeds.validation_feed(config, dataset, network.spec, record.say)
    # Windows of large images have no targets, and so no loss.
    validated = task.validated(network) if val.windows is not None else task.validated_with_loss(network)
    fitted = Fitted(network.model, validated, train, val)
    made = Training(config, record, task, network, fitted, train, val, dataset.classes, weights)
    if task.caches_features and regimes.base_stays_frozen(config.mode):
        if mixes(config.augmentation):
            record.say("augment.mixup and augment.cutmix mix images: features can't be cached, so the frozen base "
                       "computes them in every epoch")  # fmt: skip
        else:
            made.fitted = _on_features(made)
    if config.trainer.remat:
        rematerialize.apply(made.fitted.model)
    return made


def _on_features(training: Training) -> Fitted:
    """Return the head with cached features, which the frozen base computes once for each image or augmented view."""
    config, record, network = training.config, training.record, training.network
    freezing.apply(network, regimes.phases(config.mode, config.trainer.max_epochs)[0])
    cut = network.cut()
    fingerprint = record.summary["data_fingerprint"]

    def kept(split: str, images: Feed) -> list[cached_features.Arrays]:
        with data_parallel.alone(cut.base):
            return processes.in_turn(
                lambda: cached_features.cached(config, cut.base, images, split, fingerprint, record.say)
            )

    views = kept("train", training.train)
    train, val = training.train.of_features(views), training.val.of_features(kept("val", training.val))
    record.update(feature_views=len(views))
    if len(views) > 1:
        record.say(f"mode.views={len(views)}: the epochs cycle through {len(views)} cached augmented views of every "
                   "training image, instead of a new view in each epoch")  # fmt: skip
    return Fitted(cut.head, training.task.validated_head(cut.head, network), train, val)
