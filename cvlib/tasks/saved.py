"""The network, the data and the labels of a saved run, loaded with the code of its task."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cvlib import tasks
from cvlib.data.dataset import Dataset
from cvlib.data.layouts import without_advice
from cvlib.runtime.errors import UserError

if TYPE_CHECKING:
    import keras

    from cvlib.models.network import Network
    from cvlib.models.restore import SavedRun


def network(run: SavedRun) -> keras.Model:
    """Return the run's best network in its saved form; see `cvlib.models.restore.network`."""
    from cvlib.models import restore

    return restore.network(run, tasks.of_config(run.config))


def as_trained(run: SavedRun) -> Network:
    """Return the run's best network in its training form; see `cvlib.models.restore.as_trained`."""
    from cvlib.models import restore

    return restore.as_trained(run, tasks.of_config(run.config))


def dataset(run: SavedRun) -> Dataset:
    """Return the run's data with the same splits as in the run; raise `UserError` if it is not available."""
    from cvlib import data
    from cvlib.data import splits

    config, task = run.config, tasks.of_config(run.config)
    if run.splits is None:  # a run of an earlier version
        return data.load(config.data, config.seed, task.label_kind, task=task.name)
    everything = data.undivided(config.data, task.label_kind, task=task.name)
    return splits.divided_as(everything, run.splits)


def dataset_or_reason(run: SavedRun) -> tuple[Dataset | None, str]:
    """Return the run's data and an empty text; if it is not available, None and the reason."""
    try:
        return dataset(run), ""
    except UserError as error:
        return None, without_advice(error)


def labels(run: SavedRun) -> dict[str, Any]:
    """Return the content of labels.json; if the file is missing, generate the content."""
    path = run.folder / "labels.json"
    if not path.is_file():
        return tasks.of_config(run.config).labels(run.classes, run.spec)
    try:
        found: dict[str, Any] = dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError):
        raise UserError(f"{path} can't be read as JSON: restore or delete it") from None
    return found
