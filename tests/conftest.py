"""Fixtures and settings for all tests."""

from __future__ import annotations

import gc
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

from tests import shape_checker

PACKAGE = Path(__file__).parents[1] / "cvlib"

# nohup and a shell's background jobs ignore these, and every program that a test starts would ignore them, too.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

gc.disable()  # until all test modules are imported, because imported objects stay


def modules_with_shapes() -> list[str]:
    """Return the modules that annotate array shapes."""
    files = [file for file in PACKAGE.rglob("*.py") if "from jaxtyping import" in file.read_text(encoding="utf-8")]
    return [".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts) for file in files]


install_import_hook(
    modules_with_shapes(), f"{shape_checker.__name__}.checked"
)  # must run before a test imports one of these modules


def pytest_collection_finish() -> None:
    """Exempt imported objects from garbage collection: to scan them takes a fifth of the time of building a network."""
    gc.enable()
    gc.freeze()


@pytest.fixture
def eager() -> Iterator[None]:
    """Run Keras eagerly, because tracing a large network takes longer than running it once or twice."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)
