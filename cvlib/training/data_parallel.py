"""One network on several devices of this machine (`trainer.devices`): each device computes a share of every batch.

JAX divides the computation of a step. Its results are those of one device with the whole batch, apart from rounding,
also for BatchNorm, `optimizer.clipnorm` and losses that divide by sums over the batch. TensorFlow's MirroredStrategy
computes each share separately, which silently changes all three. So TensorFlow trains on one device only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cvlib.config.schema import ALL, AUTO, Config
from cvlib.runtime import backend, hardware
from cvlib.runtime.errors import UserError

_WAY = "KERAS_BACKEND=jax with the extra jax, or jax-cuda for GPUs"


def check(config: Config) -> None:
    """Raise `UserError` if `trainer.devices` are not available, or can't share a batch equally."""
    asked = config.trainer.devices
    if asked == 1:
        return
    if backend.name() == "tensorflow":
        found = len(hardware.gpus()) if asked == ALL else asked
        if found > 1:
            stands_for = f" (here {found})" if asked == ALL else ""
            raise UserError(f"trainer.devices={asked}{stands_for} needs {_WAY}: TensorFlow on several devices changes "
                            "BatchNorm, optimizer.clipnorm and the losses")  # fmt: skip
        return
    platforms = hardware.jax_devices()
    if asked != ALL and asked > len(platforms):
        hint = "; GPUs need the extra jax-cuda" if set(platforms) == {"cpu"} else ""
        raise UserError(
            f"trainer.devices={asked}: JAX finds {len(platforms)} "
            f"device{'s' * (len(platforms) != 1)} here ({', '.join(sorted(set(platforms)))}){hint}"
        )
    size, number = config.data.batch_size, count(config)
    if size != AUTO and size % number:
        near = " or ".join(str(number * factor) for factor in (size // number, size // number + 1) if factor)
        raise UserError(f"data.batch_size={size} can't be divided equally among {number} devices (trainer.devices="
                        f"{asked}): choose {near}")  # fmt: skip


def count(config: Config) -> int:
    """Return the number of devices that a run uses, which `check` has accepted."""
    asked = config.trainer.devices
    if backend.name() == "tensorflow":
        return 1
    return len(hardware.jax_devices()) if asked == ALL else int(asked)


def use(config: Config) -> int:
    """Let Keras place all variables that are created from now on, and all batches, on the devices of the run.

    With one device, nothing changes. Returns the number of devices.
    """
    number = count(config)
    if number > 1:
        _distribute(number)
    return number


def _distribute(number: int) -> None:
    import keras
    from keras.src.backend.jax import trainer

    class Shares(keras.distribution.DataParallel):
        """Every device gets an equal share of a batch; of a batch that can't be divided equally, all of it.

        Either way, each sample counts once, because JAX computes what one device would compute for the whole batch.
        """

        def get_data_layout(self, data_shape: Any) -> Any:
            if data_shape and data_shape[0] % number == 0:
                return super().get_data_layout(data_shape)
            return keras.distribution.TensorLayout([None] * len(data_shape), self.device_mesh)

    def place(batches: Any, distribution: Any) -> Iterator[Any]:
        placed: Iterator[Any] = batches._one_batch_ahead_iterator(batches.data_adapter.get_jax_iterator())
        return placed

    # Keras 3.15 lays out all batches like the first one, so a smaller last batch would fail.
    trainer.JAXEpochIterator._get_distributed_iterator = place
    devices = keras.distribution.list_devices()[:number]
    keras.distribution.set_distribution(Shares(devices=devices))
