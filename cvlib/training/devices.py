"""Start TensorFlow and Keras for one run: late, quietly, and with nothing left from the run before."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from cvlib.config.schema import Config
from cvlib.runtime import hardware

_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


def start(config: Config) -> None:
    """Make Keras ready for `config`: random state, precision and layer names as in a fresh process."""
    import_quietly()
    import keras

    keras.utils.clear_session()
    keras.config.set_dtype_policy(_POLICIES[hardware.precision(config.trainer.precision)])
    keras.utils.set_random_seed(config.seed)
    if config.trainer.deterministic:
        import tensorflow

        tensorflow.config.experimental.enable_op_determinism()


def import_quietly(devices: bool = True) -> None:
    """Import TensorFlow and Keras without the remarks of TensorFlow's C++ start-up.

    Without `devices` nothing of its runtime is started, so that a process forked from here starts its own.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TensorFlow's own gradient of a convolution is up to 60 times slower where the image has shrunk to a few
    # pixels (ResNet50 at 32 px as a whole: twice), and without AVX-512 oneDNN isn't its default.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    with _silenced_stderr(), _nothing_collected():
        import keras

        if keras.config.backend() != "tensorflow":  # it would take a GPU's memory from the backend that computes
            return
        import tensorflow

        if devices:
            tensorflow.config.list_physical_devices()


@contextlib.contextmanager
def _nothing_collected() -> Iterator[None]:
    """What an import makes stays: to look through it for garbage again and again takes a fifth of a run's start."""
    if "tensorflow" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()


@contextlib.contextmanager
def _silenced_stderr() -> Iterator[None]:
    """TensorFlow's C++ start-up remarks ignore its own log level, so the stream itself is closed to them."""
    saved = os.dup(2)
    with Path(os.devnull).open("w") as sink:
        os.dup2(sink.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
