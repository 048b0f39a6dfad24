"""A saved run with the code of its task: its network, its data, and what explains its answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cvlib import tasks
from cvlib.data.dataset import Dataset
from cvlib.runtime.errors import UserError

if TYPE_CHECKING:
    import keras

    from cvlib.models.network import Network
    from cvlib.models.restore import SavedRun


def network(run: SavedRun) -> keras.Model:
    """Return the run's best network as it is saved, see `cvlib.models.restore.network`."""
    from cvlib.models import restore

    return restore.network(run, tasks.of_config(run.config))


def as_trained(run: SavedRun) -> Network:
    """Return the run's best network as it was trained, see `cvlib.models.restore.as_trained`."""
    from cvlib.models import restore

    return restore.as_trained(run, tasks.of_config(run.config))


def dataset(run: SavedRun) -> Dataset:
    """Return the data that the run was trained on, split as then; raise `UserError` where it isn't available."""
    from cvlib import data
    from cvlib.data import splits

    config, task = run.config, tasks.of_config(run.config)
    if run.splits is None:  # a run of an earlier version
        return data.load(config.data, config.seed, task.label_kind, task=task.name)
    everything = data.undivided(config.data, task.label_kind, task=task.name)
    return splits.divided_as(everything, run.splits)


def labels(run: SavedRun) -> dict[str, Any]:
    """Return labels.json, or what it would hold."""
    path = run.folder / "labels.json"
    if not path.is_file():
        return tasks.of_config(run.config).labels(run.classes, run.spec)
    try:
        found: dict[str, Any] = dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError):
        raise UserError(f"{path} can't be read as JSON: take it away, or restore it") from None
    return found
