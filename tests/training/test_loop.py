"""Divergence in the last step, and the epoch that a run keeps."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest

from cvlib import experiment
from cvlib.config.schema import (
    AugmentConfig,
    Config,
    Constant,
    DataConfig,
    FeatureExtractor,
    Finetune,
    Sgd,
    TrainerConfig,
)
from cvlib.data.order import Order
from cvlib.runtime.errors import Diverged
from tests.configs import model_config


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # NumPy's warning about these logits
def test_a_run_whose_last_step_gives_nan_has_diverged(tmp_path: Path) -> None:
    config = Config(
        model_config("cnn", filters=[16], dense=[]),
        data=DataConfig("digits", samples=60),
        optimizer=Sgd(lr=1e30),
        trainer=TrainerConfig(epochs=1, steps_per_epoch=1),
    )
    with pytest.raises(Diverged, match="the validation loss became nan after epoch 1"):
        experiment.run(config, tmp_path / "run")


@pytest.mark.parametrize(("kept_epoch", "expected"), [("best", 1), ("last", 3)])
def test_a_run_keeps_the_best_or_the_last_epoch(tmp_path: Path, kept_epoch: str, expected: int) -> None:
    """Without learning, all epochs are equally good, and the first one stays the best."""
    config = Config(
        model_config("cnn", filters=[4], dense=[]),
        data=DataConfig("digits", samples=60),
        optimizer=Sgd(lr=1e-12),
        trainer=TrainerConfig(epochs=3, steps_per_epoch=1, kept_epoch=kept_epoch, bn_momentum=None),
    )
    assert experiment.run(config, tmp_path / "run")["best_epoch"] == expected


@pytest.mark.parametrize("interrupted", [None, 3])
def test_patience_counts_anew_in_each_phase(tmp_path: Path, interrupted: int | None) -> None:
    """Without learning, each phase ends after two epochs without a better one; an interruption changes nothing."""
    data, trainer = DataConfig("digits", samples=60), TrainerConfig(epochs=8, steps_per_epoch=1, patience=2)
    model = model_config("cnn", filters=[4], dense=[])
    first = dataclasses.replace(trainer, epochs=1, patience=None)
    experiment.run(Config(model, data=data, trainer=first), tmp_path / "base")
    mode = Finetune(weights=str(tmp_path / "base"), head_epochs=6, backbone_lr=0.5, freeze=None)
    config = Config(model, mode, data=data, optimizer=Sgd(lr=1e-12), trainer=trainer)

    def stop(epoch: int, _: dict[str, float]) -> None:
        if epoch == interrupted:
            raise KeyboardInterrupt

    if interrupted:
        with pytest.raises(KeyboardInterrupt):
            experiment.run(config, tmp_path / "run", on_epoch=stop)
    assert experiment.run(config, tmp_path / "run")["epochs"] == 5
    with (tmp_path / "run/metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["lr_backbone"]) > 0 for row in rows] == [False] * 3 + [True] * 2
    assert float(rows[3]["lr_backbone"]) == pytest.approx(0.5 * float(rows[3]["lr"]))
    log = (tmp_path / "run/train.log").read_text()
    assert "this phase ends early, and the next one begins" in log and "stopped early" in log
    assert "epochs 4 to 8:" in log


def test_a_frozen_base_computes_mixed_images_in_every_epoch(tmp_path: Path) -> None:
    """The modern augmentation, from the feed to the recorded metrics, with an uncached frozen base."""
    model, data = model_config("cnn", filters=[4], dense=[]), DataConfig("digits", samples=60)
    trainer = TrainerConfig(epochs=1, steps_per_epoch=1, ema=0.9)
    experiment.run(Config(model, data=data, trainer=trainer), tmp_path / "base")
    modern = AugmentConfig(horizontal_flip=0.5, rand_operations=2, erase=0.5, mixup=0.2, cutmix=1.0)
    config = Config(model, FeatureExtractor(weights=str(tmp_path / "base")), data, modern, trainer=trainer,
                    output_root=str(tmp_path))  # fmt: skip
    summary = experiment.run(config, tmp_path / "run")
    assert summary["status"] == "completed" and "feature_views" not in summary
    assert "features can't be cached" in (tmp_path / "run/train.log").read_text()


def test_the_last_epochs_have_no_mosaics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, original = {}, Order.epoch

    def epoch(order: Order, number: int, mosaics: bool = True) -> tuple[np.ndarray, np.ndarray]:
        if order.shuffle:
            seen[number] = mosaics
        return original(order, number, mosaics)

    monkeypatch.setattr(Order, "epoch", epoch)
    model = model_config("yolo", filters=[4, 4, 4, 4, 4], neck_channels=4)
    data, augment = DataConfig("digits", tasks=["detection"], samples=60), AugmentConfig(mosaic=0.5, mosaic_until=0.5)
    config = Config(model, data=data, augment=augment, trainer=TrainerConfig(epochs=5, steps_per_epoch=1))
    experiment.run(config, tmp_path / "run")
    assert seen == {0: True, 1: True, 2: True, 3: False, 4: False}


def test_gradual_unfreezing_is_printed_in_advance_and_each_step_has_its_own_patience(tmp_path: Path) -> None:
    data, trainer = DataConfig("digits", samples=60), TrainerConfig(epochs=9, steps_per_epoch=1, patience=1)
    model = model_config("cnn", filters=[4, 4], dense=[], batch_norm=False)
    first = dataclasses.replace(trainer, epochs=1, patience=None)
    experiment.run(Config(model, data=data, trainer=first), tmp_path / "base")
    mode = Finetune(weights=str(tmp_path / "base"), unfreeze="gradual", layer_decay=0.5)
    config = Config(model, mode, data=data, optimizer=Sgd(lr=1e-12), trainer=trainer)
    assert experiment.run(config, tmp_path / "run")["epochs"] == 3  # after the head's, one epoch for each step
    log = (tmp_path / "run/train.log").read_text()
    assert "epochs 1 to 1 train the head\n" in log
    assert "epochs 2 to 5 train the head and the base from conv2 on" in log
    assert "epochs 6 to 9 train the head and the base from conv1 on" in log
    assert log.count("this phase ends early") == 1 and log.count("stopped early") == 1


def test_a_shortened_phase_an_endless_warm_up_and_the_rates_of_the_blocks_are_recorded(tmp_path: Path) -> None:
    trainer = TrainerConfig(epochs=2, steps_per_epoch=1)
    model, data = model_config("cnn", filters=[4, 4], dense=[]), DataConfig("digits", samples=60)
    experiment.run(Config(model, data=data, trainer=trainer), tmp_path / "base")
    mode = Finetune(weights=str(tmp_path / "base"), head_epochs=5, backbone_lr=0.2, layer_decay=0.5)
    config = Config(model, mode, data=data, schedule=Constant(warmup_epochs=4), trainer=trainer)
    experiment.run(config, tmp_path / "run")
    log = (tmp_path / "run/train.log").read_text()
    assert "mode.head_epochs=5 is shortened to 1: trainer.epochs=2" in log
    assert "schedule.warmup_epochs=4 is not shorter than trainer.epochs=2" in log
    plain = (tmp_path / "base/train.log").read_text()
    assert "mode.head_epochs" not in plain and "warmup_epochs" not in plain
    with (tmp_path / "run/metrics.csv").open() as file:
        head_only, whole = csv.DictReader(file)
    assert float(head_only["lr_backbone_lowest"]) == float(head_only["lr_backbone"]) == 0
    rate = float(whole["lr"])
    assert float(whole["lr_backbone"]) == pytest.approx(0.2 * rate)
    assert float(whole["lr_backbone_lowest"]) == pytest.approx(0.1 * rate)
    assert "lr_backbone_lowest" not in (tmp_path / "base/metrics.csv").read_text()
    assert learning_rates(tmp_path / "run") == {
        "learning_rate", "learning_rate_backbone", "learning_rate_backbone_lowest", "learning_rate_head"
    }  # fmt: skip
    layers = (tmp_path / "run/layers.txt").read_text().splitlines()
    last_words = {line.split()[0]: line.split()[-1] for line in layers}
    assert (last_words["layer"], last_words["conv1"], last_words["conv2"]) == ("rate", "0.0001", "0.0002")
    assert last_words["logits"] == "0.001"


def learning_rates(run: Path) -> set[str]:
    """Return the tags of TensorBoard's curves of learning rates."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "tensorboard/train"), {"tensors": 1}).Reload()
    return {tag for tag in events.Tags()["tensors"] if tag.startswith("learning_rate")}
