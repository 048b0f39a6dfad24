"""`cvlib inspect model=resnet …`: the layer table of the network that a run of these overrides would train."""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cvlib.runtime.errors import UserError

if TYPE_CHECKING:
    import keras

    from cvlib.config.schema import Config

_GUESSED_CLASSES = 10


def add(commands: argparse._SubParsersAction[Any]) -> None:
    """Declare the subcommand."""
    parser = commands.add_parser(
        "inspect", help="a network layer by layer: shapes, parameters, work, receptive field",
        description="The layer table of the network that `python run.py` with the same overrides would train, or of a "
        "run's folder. Nothing is trained.",
    )  # fmt: skip
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="as for run.py, such as model=resnet "
                        "data.image_size=224 mode=feature_extractor; or one run's folder")  # fmt: skip
    parser.add_argument("--format", choices=("table", "csv", "json"), default="table")
    parser.set_defaults(command=run)


def run(chosen: argparse.Namespace) -> int:
    """Print the table; warnings go to stderr, except in JSON, which has them inside."""
    with contextlib.redirect_stdout(sys.stderr):  # where Keras tells of downloads
        config, shape, outputs, notes = _subject(chosen.overrides)
    from cvlib.training.devices import start

    start(config)  # before what imports Keras, for it does so quietly
    from cvlib.inspection import layer_table, layers

    model = _built(config, shape, outputs)
    rows = layers.describe(model)
    warnings = layers.field_warnings(rows, [shape[:2]], "image")
    warnings += [f"{row.name}: {row.parameters:,} parameters, by the formula {row.formula:,}"
                 for row in layers.miscounted(rows)]  # fmt: skip
    if chosen.format == "json":
        text = json.dumps(layer_table.as_json(rows, model, warnings), indent=2, ensure_ascii=False) + "\n"
    elif chosen.format == "csv":
        text = _csv(layer_table.records(rows))
    else:
        text = "\n".join(layer_table.lines(layer_table.table(model))) + "\n"
    for line in [*notes, *([] if chosen.format == "json" else [f"warning: {warning}" for warning in warnings])]:
        print(line, file=sys.stderr)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")
    sys.stdout.write(text)
    sys.stdout.flush()
    return 0


def _subject(arguments: list[str]) -> tuple[Config, tuple[int, int, int], int, list[str]]:
    """The config, the network's input shape, its outputs and remarks, of a run or of overrides."""
    from cvlib.cli.compose import compose
    from cvlib.models import restore as saved

    folders = [argument for argument in arguments if "=" not in argument or Path(argument).is_dir()]
    if folders and len(arguments) > 1:
        raise UserError(f"{folders[0]}: give either overrides (key=value) or one run's folder")
    if folders:
        opened = saved.open_run(Path(folders[0]))
        return opened.config, (*opened.size, opened.channels), len(opened.classes), []
    config = compose(arguments)
    return config, *_from_data(config)


def _from_data(config: Config) -> tuple[tuple[int, int, int], int, list[str]]:
    """Input shape and outputs as the data has them; where it can't be had, a size that was given is enough."""
    from cvlib.training.devices import import_quietly

    import_quietly()
    from cvlib import data
    from cvlib.config import schema as configuration

    side = config.data.image_size
    try:
        dataset = data.load(config.data, config.seed, data.labels.named(config.model.task))
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


def _csv(records: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()
