"""The layer table of a network that a run of a config would train, or has trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cvlib.runtime.errors import UserError

if TYPE_CHECKING:
    import keras

    from cvlib.config.schema import Config
    from cvlib.inspection.layers import Layer
    from cvlib.models.restore import Run

_GUESSED_CLASSES = 10


@dataclass(frozen=True)
class Subject:
    """What decides a network's shape."""

    config: Config
    shape: tuple[int, int, int]  # of the input: height, width, channels
    outputs: int
    notes: list[str]  # remarks for the person


@dataclass(frozen=True)
class Description:
    """A network layer by layer."""

    model: keras.Model
    rows: list[Layer]
    warnings: list[str]

    def as_json(self) -> dict[str, Any]:
        """Return layers, totals and warnings."""
        from cvlib.inspection import layer_table

        return layer_table.as_json(self.rows, self.model, self.warnings)

    def records(self) -> list[dict[str, Any]]:
        """Return a row per layer, flat."""
        from cvlib.inspection import layer_table

        return layer_table.records(self.rows)

    def lines(self) -> list[str]:
        """Return the table as aligned lines."""
        from cvlib.inspection import layer_table

        return layer_table.lines(layer_table.table(self.model))


def of_run(run: Run) -> Subject:
    """The network of a run's folder."""
    return Subject(run.config, (*run.size, run.channels), len(run.classes), [])


def of_config(config: Config) -> Subject:
    """The network that a run of `config` would train; raises `UserError` for data that is needed and not available."""
    return Subject(config, *_from_data(config))


def describe(subject: Subject) -> Description:
    """Build the network, frozen as in the last phase of its mode, and describe it."""
    from cvlib.training.devices import start

    start(subject.config)  # before what imports Keras, for it does so quietly
    from cvlib.inspection import layers

    model = _built(subject.config, subject.shape, subject.outputs)
    rows = layers.describe(model)
    warnings = layers.field_warnings(rows, [subject.shape[:2]], "image")
    warnings += [f"{row.name}: {row.parameters:,} parameters, by the formula {row.formula:,}"
                 for row in layers.miscounted(rows)]  # fmt: skip
    return Description(model, rows, warnings)


def _from_data(config: Config) -> tuple[tuple[int, int, int], int, list[str]]:
    """Input shape and outputs as the data has them; where it can't be had, a size that was given is enough."""
    from cvlib.training.devices import import_quietly

    import_quietly()
    from cvlib import data
    from cvlib.config import schema as configuration

    side = config.data.image_size
    try:
        dataset = data.load(config.data, config.seed, config.model.task)
    except UserError as error:
        if side is None:
            raise
        classes = len(config.data.classes or range(_GUESSED_CLASSES))
        channels = config.data.channels or 3
        note = f"note: {error}; the network is shown for {channels} channels and {classes} classes"
        return (side, side, channels), classes, [" ".join(note.split())]
    side = configuration.input_side(config, dataset.size)
    return (side, side, dataset.channels), len(dataset.classes), []


def _built(config: Config, shape: tuple[int, int, int], outputs: int) -> keras.Model:
    """The network, frozen as in the last phase of its mode."""
    from cvlib import models
    from cvlib.transfer import freezing as modes

    model = models.build(config.model, shape, outputs)
    modes.apply_last(model, config.mode, config.trainer.epochs)
    return model
