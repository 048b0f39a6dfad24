"""The layer table of a network: the one that a config describes, or the one of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cvlib import tasks
from cvlib.runtime.errors import UserError

if TYPE_CHECKING:
    import keras

    from cvlib.config.schema import Config
    from cvlib.data.input_spec import InputSpec
    from cvlib.inspection.layers import Layer
    from cvlib.models.restore import SavedRun

_GUESSED_CLASSES = 10


@dataclass(frozen=True)
class Subject:
    """Everything that determines a network's shape."""

    config: Config
    spec: InputSpec
    classes: int
    notes: list[str]  # remarks for the user


@dataclass(frozen=True)
class Description:
    """The layer-by-layer description of a network."""

    model: keras.Model
    rows: list[Layer]
    warnings: list[str]

    def as_json(self) -> dict[str, Any]:
        """Return the layers, totals and warnings."""
        from cvlib.inspection import layer_table

        return layer_table.as_json(self.rows, self.model, self.warnings)

    def records(self) -> list[dict[str, Any]]:
        """Return one flat row per layer."""
        from cvlib.inspection import layer_table

        return layer_table.records(self.rows)

    def lines(self) -> list[str]:
        """Return the table as aligned lines."""
        from cvlib.inspection import layer_table

        return layer_table.lines(layer_table.table(self.model))


def of_run(run: SavedRun) -> Subject:
    """Return what determines the network of a run."""
    return Subject(run.config, run.spec, len(run.classes), [])


def of_config(config: Config) -> Subject:
    """Return what determines the network that a run of `config` would train: input shape and classes of its data.

    If the data is not available, `data.image_size` must be set; otherwise `UserError` is raised.
    """
    from cvlib import data
    from cvlib.training.devices import import_quietly

    import_quietly()
    task = tasks.of_config(config)
    try:
        dataset = data.load(config.data, config.seed, task.label_kind, task.name)
    except UserError as error:
        if config.data.image_size is None and config.data.tiles is None:
            raise
        classes, channels = len(config.data.classes or range(_GUESSED_CLASSES)), config.data.channels or 3
        note = f"note: {error}; the network is shown for {channels} channels and {classes} classes"
        spec = tasks.input_spec(config, (1, 1), channels)
        return Subject(config, spec, classes, [" ".join(note.split())])
    spec = tasks.input_spec(config, dataset.size, dataset.channels)
    return Subject(config, spec, len(dataset.classes), [])


def describe(subject: Subject) -> Description:
    """Build the network, frozen as in the last phase of its mode, and describe it."""
    from cvlib.training.devices import start

    start(subject.config)  # imports Keras without log messages, so it must precede the imports below
    from cvlib.inspection import layers
    from cvlib.models.network import build
    from cvlib.transfer import freezing, regimes

    network = build(subject.config.model, subject.spec, subject.classes)
    freezing.apply(network, regimes.phases(subject.config.mode, subject.config.trainer.epochs)[-1])
    rows = layers.describe(network.model)
    warnings = layers.field_warnings(rows, [subject.spec.size], "image")
    warnings += [f"{row.name}: {row.parameters:,} parameters, but the formula gives {row.formula:,}"
                 for row in layers.miscounted(rows)]  # fmt: skip
    return Description(network.model, rows, warnings)
