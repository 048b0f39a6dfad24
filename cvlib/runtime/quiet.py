"""Import TensorFlow and Keras without the log messages of TensorFlow's C++ start-up."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def quiet_import() -> Iterator[None]:
    """Set TensorFlow's defaults in the environment, and silence its messages on import."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # On feature maps of a few pixels, TensorFlow's own convolution gradient is up to 60 times slower than oneDNN's (a
    # whole ResNet50 at 32 px: twice as slow). Without AVX-512, TensorFlow doesn't use oneDNN by default.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    with silenced_stderr(), _no_collection():
        yield


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Pause garbage collection: imported objects stay, and scanning them takes a fifth of a run's start-up time."""
    if "keras" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()


@contextlib.contextmanager
def silenced_stderr() -> Iterator[None]:
    """Redirect the stderr file descriptor, because TensorFlow's C++ start-up ignores its own log level."""
    saved = os.dup(2)
    with Path(os.devnull).open("w") as sink:
        os.dup2(sink.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
