"""Rematerialization (`trainer.remat`): the backward pass computes cheap results again instead of keeping them.

Between the forward and the backward pass, a step keeps only the results of convolutions and matrix products. It
computes normalization, activations, dropout and the like a second time (Chen et al., Training Deep Nets with Sublinear
Memory Cost, 2016). The losses stay the same.

`keras.RematScope` doesn't fit: in Keras 3.15, it fails for networks with BatchNorm or Dropout, on both backends. JAX
can do it for the whole step as a pure function, so that dropout draws the same numbers, and BatchNorm's averages move
once. XLA for CPUs undoes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cvlib.config.schema import Config
from cvlib.runtime import backend
from cvlib.runtime.errors import UserError

if TYPE_CHECKING:
    import keras

_KEPT = ("conv_general_dilated", "dot_general")  # JAX's names of the operations whose results are kept


def check(config: Config) -> None:
    """Raise `UserError` if `trainer.remat` is on, and the backend doesn't support it."""
    if config.trainer.remat and backend.name() != "jax":
        raise UserError("trainer.remat=true needs KERAS_BACKEND=jax; on TensorFlow, use a smaller data.batch_size with "
                        "trainer.accumulate")  # fmt: skip


def note(config: Config) -> str | None:
    """Return a note for a run that `trainer.remat` doesn't help."""
    if not config.trainer.remat:
        return None
    import jax

    return "note: trainer.remat=true has no effect on a CPU" if jax.default_backend() == "cpu" else None


def apply(model: keras.Model) -> None:
    """Let the training steps of a model keep less; a second call changes nothing."""
    import jax

    if "compute_loss_and_updates" in vars(model):
        return
    compute = model.compute_loss_and_updates

    def recomputed(*arrays: Any, training: bool = False, optimizer_variables: Any = None) -> Any:
        def step(*inputs: Any) -> Any:
            return compute(*inputs[:-1], training=training, optimizer_variables=inputs[-1])

        kept = jax.checkpoint(step, policy=_is_kept) if training else step
        return kept(*arrays, optimizer_variables)

    model.compute_loss_and_updates = recomputed


def _is_kept(operation: Any, *_: Any, **__: Any) -> bool:
    return operation.name in _KEPT
