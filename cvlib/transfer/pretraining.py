"""Pretraining of a network's base on an embedded dataset, as an offline substitute for ImageNet weights."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from cvlib.config.schema import Adam, Config, Cosine, DataConfig, Scratch
from cvlib.models.options import backbone_config
from cvlib.runs.identity import identity_of


def pretraining_config(config: Config, size: tuple[int, int], channels: int) -> Config:
    """Return the config of a run that trains a classifier with `config`'s base from scratch, at the same input size."""
    source, classifier = config.data.pretrain_on, backbone_config(config.model)
    assert source is not None
    side = size[0] if size[0] == size[1] else list(size)
    return Config(
        model=classifier,
        mode=Scratch(),
        data=DataConfig(
            source,
            image_size=side,
            channels=channels,
            samples=config.data.pretrain_samples,
            val_fraction=0.05,
            test_fraction=0.05,
        ),
        schedule=Cosine(warmup_epochs=0.5),
        optimizer=Adam(lr=config.model.suited.lr, clipnorm=1.0),
        trainer=dataclasses.replace(
            config.trainer,
            epochs=config.data.pretrain_epochs,
            patience=None,
            monitor=None,
            steps_per_epoch=None,
            minutes=None,
            keep_state=False,
            devices=1,
            coordinator=None,
            processes=None,
            remat=False,
            test=True,
        ),
        name=f"{source}-{classifier.name}-{'x'.join(str(pixels) for pixels in dict.fromkeys(size))}px",
        output_root=config.output_root,
    )


def pretraining_folder(pretraining: Config) -> Path:
    """Return the folder of the pretraining run, which is the same for all runs with the same base."""
    return Path(pretraining.output_root) / "pretrained" / f"{pretraining.name}-{identity_of(pretraining)}"
