"""Overfitting four scenes: a decoder that can't do this can't learn from more scenes either."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from cvlib import tasks
from cvlib.config.schema import Config, DataConfig
from cvlib.data.labels import MASK
from cvlib.data.scenes import digit_scenes
from cvlib.tasks.segmentation.predictions import MaskPredictions
from cvlib.training import batch_norm
from tests.configs import model_config
from tests.networks import network_of


@pytest.mark.slow
@pytest.mark.parametrize(("decoder", "skip"), [("interpolate", True), ("transpose", True), ("unpool", False)])
def test_every_decoder_can_overfit_four_images(decoder: str, skip: bool) -> None:
    keras.utils.set_random_seed(0)
    classes, splits, _ = digit_scenes(DataConfig(samples=16, val_fraction=0.25, test_fraction=0.25), MASK)
    images, truth = splits[0].images[:4, :64, :64].astype(np.float32), splits[0].labels[:4, :64, :64].astype(np.int32)
    wide = {} if skip else {"filters": [16, 32, 64], "decoder_filters": 128}  # everything passes through the bottleneck
    config = model_config("segmenter", decoder=decoder, skip=skip, **wide)
    built = network_of(config, images.shape[1:3], images.shape[3], len(classes))
    model, task = built.model, tasks.of("segmentation")
    batch_norm.prepare(model, 0.9)
    model.compile(keras.optimizers.Adam(5e-3), **task.compile_arguments(built, Config(config)))
    validated, targets = task.validated(built), dict.fromkeys(model.output_names, truth)
    best = 0.0
    for _ in range(30):
        model.fit(images, targets, batch_size=4, epochs=20, verbose=0)
        scores = MaskPredictions.none(classes)
        scores.add(truth, validated.predict(images, verbose=0))
        best = max(best, scores.metrics()["mIoU"])
        if best >= 0.98:
            break
    assert best >= 0.98
