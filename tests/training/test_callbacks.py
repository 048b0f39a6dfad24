"""Callbacks at every step of a fit."""

from __future__ import annotations

import keras
import numpy as np

from cvlib.runtime.clock import Announcement
from cvlib.training.callbacks import Estimate


class Counted(Announcement):
    """An announcement that counts its steps."""

    steps = 0

    def step(self) -> None:
        self.steps += 1


def test_the_estimate_of_a_phase_counts_every_step() -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    counted = Counted("these epochs take", 6, print)
    model.fit(np.zeros((12, 2)), np.zeros(12), batch_size=4, epochs=2, verbose=0, callbacks=[Estimate(counted)])
    assert counted.steps == 6
