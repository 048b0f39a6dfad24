"""One network on several devices (`trainer.devices`), of this machine or of several: each computes a share of every
batch.

JAX divides the computation of a step. Its results are those of one device with the whole batch, apart from rounding,
also for BatchNorm, `optimizer.clipnorm` and losses that divide by sums over the batch. TensorFlow's MirroredStrategy
computes each share separately, which silently changes all three. So TensorFlow trains on one device only.

With several processes (`cvlib.runtime.processes`), each one reads its share of every batch. Variables and batches are
arrays over the devices of all processes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from cvlib.config.schema import ALL, AUTO, Config
from cvlib.data.order import Share
from cvlib.runtime import backend, hardware, processes
from cvlib.runtime.errors import UserError

if TYPE_CHECKING:
    import keras

    from cvlib.data.feed import Feed

_WAY = "KERAS_BACKEND=jax with the extra jax, or jax-cuda for GPUs"


def check(config: Config) -> None:
    """Raise `UserError` if `trainer.devices` are not available, or can't share a batch equally."""
    asked = config.trainer.devices
    if asked == 1 or processes.count() > 1 or place(config) is not None:
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
    _check_batch(config)


def _check_batch(config: Config) -> None:
    size, number = config.data.batch_size, count(config)
    if size != AUTO and size % number:
        near = " or ".join(str(number * factor) for factor in (size // number, size // number + 1) if factor)
        raise UserError(f"data.batch_size={size} can't be divided equally among {number} devices (trainer.devices="
                        f"{config.trainer.devices}): choose {near}")  # fmt: skip


def place(config: Config) -> processes.Place | None:
    """Return the place of this process among several that train together; None: it trains alone.

    Raises `UserError` if the config is not for several processes.
    """
    trainer = config.trainer
    if trainer.coordinator is None and trainer.processes is None and trainer.devices != ALL:
        return None  # tasks of SLURM that each have a run of their own
    found = processes.place(trainer.coordinator, trainer.processes)
    if found is None:
        return None
    what = f"one run in {found.count} processes"
    if backend.name() != "jax":
        raise UserError(f"{what} (trainer.coordinator, or tasks of SLURM) needs {_WAY}")
    if trainer.devices != ALL:
        raise UserError(f"{what} needs trainer.devices=all, not {trainer.devices}")
    if config.data.batch_size == AUTO:
        raise UserError(f"{what} needs a number for data.batch_size, not auto")
    if trainer.minutes is not None:
        raise UserError(f"{what} needs trainer.epochs instead of trainer.minutes, because clocks differ")
    return found


def check_joined(config: Config) -> None:
    """Raise `UserError` if the devices of all processes, which have joined, can't share a batch equally."""
    if processes.count() > 1:
        import jax

        if jax.device_count() % processes.count():
            raise UserError(f"trainer.devices=all: {processes.count()} processes have {jax.device_count()} devices: "
                            "each process needs the same number")  # fmt: skip
        _check_batch(config)


def count(config: Config) -> int:
    """Return the number of devices that a run uses, which `check` has accepted."""
    asked = config.trainer.devices
    if asked == 1 or backend.name() == "tensorflow":
        return 1
    if processes.count() > 1:
        import jax

        return int(jax.device_count())
    return len(hardware.jax_devices()) if asked == ALL else int(asked)


def share(config: Config) -> Share | None:
    """Return the share of every batch that this process reads; None if it reads everything."""
    together = processes.count()
    return Share(processes.number(), together, config.data.batch_size, count(config)) if together > 1 else None


def use(config: Config) -> int:
    """Let Keras place all variables that are created from now on, and all batches, on the devices of the run.

    With one device, nothing changes. Returns the number of devices.
    """
    number = count(config)
    if number > 1:
        _patch_keras()
        _set_devices(_names()[:number])
    return number


def batches(feed: Feed, targets: Callable[[Any], Any], start: int = 0) -> Iterable[Any]:
    """Return the feed's batches for `fit`, over all processes; the feed's epoch begins at step `start`."""
    stream = feed.with_targets(targets)
    return stream if processes.count() == 1 else _joined(stream, feed, start)


def _joined(stream: Iterable[Any], feed: Feed, start: int) -> Iterator[Any]:
    """Yield batches over the devices of all processes; a last batch that they can't divide is whole on all of them."""
    import jax
    import keras

    mesh = keras.distribution.distribution().device_mesh.backend_mesh
    divided = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(mesh.axis_names[0]))
    whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    for step, batch in enumerate(stream, start):
        rows = min(feed.batch_size, feed.images - step * feed.batch_size)
        placed = jax.tree.map(lambda part: jax.make_array_from_process_local_data(divided, np.asarray(part)), batch)
        if jax.tree.leaves(placed)[0].shape[0] != rows:  # without the repetitions of `Share`
            cut = jax.jit(lambda parts, rows=rows: jax.tree.map(lambda part: part[:rows], parts), out_shardings=whole)
            placed = cut(placed)
        yield placed


@contextlib.contextmanager
def alone(*models: keras.Model) -> Iterator[None]:
    """Use the models on the devices of this process only, within the block; nothing changes in a run of one process.

    The values that the block assigns to the models' variables are lost at its end.
    """
    import keras

    everywhere = keras.distribution.distribution()
    if everywhere is None or everywhere.num_processes == 1:
        yield
        return
    import jax

    variables = list({id(variable): variable for model in models for variable in model.variables}.values())
    before = [(variable, variable._value, variable._layout) for variable in variables]
    own = [f"{device.platform}:{device.id}" for device in jax.local_devices()]
    _set_devices(own if len(own) > 1 else [])
    try:
        for variable, value, _ in before:
            variable._layout = None
            variable._initialize_layout()
            variable._direct_assign(jax.numpy.asarray(np.asarray(value)))
        yield
    finally:
        for variable, value, layout in before:
            variable._value, variable._layout = value, layout
        keras.distribution.set_distribution(everywhere)


def _names() -> list[str]:
    import keras

    names: list[str] = keras.distribution.list_devices()
    return names


def _set_devices(names: list[str]) -> None:
    """Let Keras distribute over these devices; an empty list undoes it."""
    import keras

    if not names:
        keras.distribution.set_distribution(None)
        return

    class Shares(keras.distribution.DataParallel):
        """Every device gets an equal share of a batch; of a batch that can't be divided equally, all of it.

        Either way, each sample counts once, because JAX computes what one device would compute for the whole batch.
        """

        def get_data_layout(self, data_shape: Any) -> Any:
            if data_shape and data_shape[0] % len(names) == 0:
                return super().get_data_layout(data_shape)
            return keras.distribution.TensorLayout([None] * len(data_shape), self.device_mesh)

    keras.distribution.set_distribution(Shares(devices=names, auto_shard_dataset=False))


def _patch_keras() -> None:
    """Mend how Keras 3.15 places batches and variables."""
    import jax
    from keras.src.backend.jax import distribution_lib, trainer
    from keras.src.utils import jax_utils

    def place_batches(batches: Any, distribution: Any) -> Iterator[Any]:
        placed: Iterator[Any] = batches._one_batch_ahead_iterator(batches.data_adapter.get_jax_iterator())
        return placed

    # Keras lays out all batches like the first one, so a smaller last batch would fail.
    trainer.JAXEpochIterator._get_distributed_iterator = place_batches
    if processes.count() == 1 or hasattr(distribution_lib, "_of_cvlib"):
        return
    place_input, place_tensor = distribution_lib.distribute_data_input, distribution_lib.distribute_tensor

    def distribute_data_input(part: Any, layout: Any, batch_dim_name: str) -> Any:
        # `batches` has already placed the batches of several processes.
        ready = isinstance(part, jax.Array) and not part.is_fully_addressable
        return part if ready else place_input(part, layout, batch_dim_name)

    def distribute_tensor(tensor: Any, layout: Any) -> Any:
        # jax.device_put would compare the value among the processes, which all of them would have to do together.
        sharding = getattr(layout, "backend_layout", layout)
        own = not isinstance(tensor, jax.Array) or (
            not jax_utils.is_in_jax_tracing_scope(tensor) and tensor.is_fully_addressable
        )
        if not own or sharding.is_fully_addressable:
            return place_tensor(tensor, layout)
        value = np.asarray(tensor)
        return jax.make_array_from_callback(value.shape, sharding, lambda index: value[index])

    distribution_lib.distribute_data_input = distribute_data_input
    distribution_lib.distribute_tensor = distribute_tensor
    distribution_lib._of_cvlib = True
