"""Import TensorFlow and Keras without the remarks of TensorFlow's C++ start-up."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def quiet_import() -> Iterator[None]:
    """Set the defaults that TensorFlow reads from the environment, and silence what it prints when it is imported."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TensorFlow's own gradient of a convolution is up to 60 times slower where the image has shrunk to a few
    # pixels (ResNet50 at 32 px as a whole: twice), and without AVX-512 oneDNN isn't its default.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    with _silenced_stderr(), _no_collection():
        yield


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Pause garbage collection: what an import makes stays, and searching it takes a fifth of a run's start."""
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
    """Redirect the stream itself: TensorFlow's C++ start-up ignores its own log level."""
    saved = os.dup(2)
    with Path(os.devnull).open("w") as sink:
        os.dup2(sink.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
