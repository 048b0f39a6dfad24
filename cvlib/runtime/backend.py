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
    """Return the chosen backend without importing Keras; without TensorFlow, JAX is the default."""
    if loaded := sys.modules.get("keras"):
        return str(loaded.config.backend())
    if "KERAS_BACKEND" not in os.environ:
        os.environ["KERAS_BACKEND"] = "tensorflow" if has_tensorflow() or not _installed("jax") else "jax"
    return os.environ["KERAS_BACKEND"]


def has_tensorflow() -> bool:
    """Return whether TensorFlow is installed; without it, the feed and the files for TensorBoard do without, too."""
    return "tensorflow" in sys.modules or _installed("tensorflow")


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def check() -> None:
    """Raise `UserError` if cvlib can't train with the chosen backend, or if it isn't installed."""
    chosen = name()
    if chosen not in BACKENDS:
        raise UserError(f"KERAS_BACKEND={chosen} is not supported: choose tensorflow or jax, or unset KERAS_BACKEND")
    if chosen == "jax" and not _installed("jax"):
        raise UserError("KERAS_BACKEND=jax needs JAX: pip install 'cvlib-experiments[jax]', or unset KERAS_BACKEND")
    if chosen == "tensorflow" and not has_tensorflow():
        if _installed("jax"):
            require_tensorflow("KERAS_BACKEND=tensorflow")
        raise UserError("neither TensorFlow nor JAX is installed: pip install jax, or 'tensorflow>=2.21,<2.22'")


def require_tensorflow(what: str) -> None:
    """Raise `UserError` if TensorFlow, which `what` needs, is not installed."""
    if not has_tensorflow():
        raise UserError(f"{what} needs TensorFlow, which is not installed: pip install 'tensorflow>=2.21,<2.22'")


def use_tensorflow(what: str) -> None:
    """Choose TensorFlow for `what`, such as exports; a network from another backend opens there, too.

    Raises `UserError` if TensorFlow isn't installed, or if this process has imported Keras with another backend.
    """
    require_tensorflow(what)
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "tensorflow"
    if name() != "tensorflow":
        raise UserError(f"{what} needs TensorFlow, but Keras runs on {name()} in this process: start it with "
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
