"""The global state of a user's own program, kept as it was while a function of ours runs in the same process."""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Callable, Iterator

import numpy as np


@contextlib.contextmanager
def unchanged() -> Iterator[None]:
    """Restore the random states of Python, NumPy, TensorFlow and Keras, and Keras' global settings, at the end."""
    python, numpy_state = random.getstate(), np.random.get_state()
    restore_keras = _keras() if "keras" in sys.modules else None
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy_state)
        if restore_keras:
            restore_keras()


def _keras() -> Callable[[], None]:
    """Return a function that restores the present state of Keras and TensorFlow.

    Keras has no public function for this: its state is one object, which `clear_session` replaces.
    """
    import keras
    from keras.src.backend.common import global_state

    state, settings = global_state.GLOBAL_STATE_TRACKER, dict(vars(global_state.GLOBAL_SETTINGS_TRACKER))
    attributes = dict(vars(state))
    layout, floats, epsilon = keras.config.image_data_format(), keras.config.floatx(), keras.config.epsilon()
    restore_tensorflow = _tensorflow() if "tensorflow" in sys.modules else None

    def restore() -> None:
        global_state.GLOBAL_STATE_TRACKER = state
        for tracker, values in ((state, attributes), (global_state.GLOBAL_SETTINGS_TRACKER, settings)):
            vars(tracker).clear()
            vars(tracker).update(values)
        keras.config.set_image_data_format(layout)
        keras.config.set_floatx(floats)
        keras.config.set_epsilon(epsilon)
        if restore_tensorflow:
            restore_tensorflow()

    return restore


def _tensorflow() -> Callable[[], None]:
    """Return a function that restores TensorFlow's present random state."""
    from tensorflow.python.eager import context

    current = context.context()
    seed, generator = current._seed, getattr(current, "_rng", None)

    def restore() -> None:
        current._seed, current._rng = seed, generator

    return restore
