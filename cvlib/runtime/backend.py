"""The backend of Keras: TensorFlow, or JAX with KERAS_BACKEND=jax. What differs between them is asked here."""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import TYPE_CHECKING

from cvlib.runtime.errors import UserError

if TYPE_CHECKING:
    import keras

BACKENDS = ("tensorflow", "jax")


def name() -> str:
    """Return the chosen backend without importing Keras."""
    loaded = sys.modules.get("keras")
    return str(loaded.config.backend() if loaded else os.environ.setdefault("KERAS_BACKEND", "tensorflow"))


def check() -> None:
    """Raise `UserError` if cvlib can't train with the chosen backend, or if it isn't installed."""
    chosen = name()
    if chosen not in BACKENDS:
        raise UserError(f"KERAS_BACKEND={chosen} is not supported: choose tensorflow or jax, or unset KERAS_BACKEND")
    if chosen == "jax" and importlib.util.find_spec("jax") is None:
        raise UserError("KERAS_BACKEND=jax needs JAX: pip install 'cvlib-experiments[jax]', or unset KERAS_BACKEND")


def use_tensorflow() -> None:
    """Choose TensorFlow for what needs it, such as exports; a network from another backend opens there, too.

    Raises `UserError` if this process has imported Keras with another backend.
    """
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "tensorflow"
    if name() != "tensorflow":
        raise UserError(f"this needs TensorFlow, but Keras runs on {name()} in this process: start it with "
                        "KERAS_BACKEND=tensorflow")  # fmt: skip


def check_same(earlier: str, run: str) -> None:
    """Raise `UserError` if a run that began with the backend `earlier` would be resumed with another one."""
    if name() != earlier:
        raise UserError(f"{run} was begun with KERAS_BACKEND={earlier}: set it to resume the run, because the random "
                        "numbers of another backend differ")  # fmt: skip


def sync(model: keras.Model) -> None:
    """Bring the variables of a model up to date within an epoch: on JAX, `fit` keeps their values elsewhere."""
    if name() == "jax":
        model.jax_state_sync()
