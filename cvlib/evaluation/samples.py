"""Which images a saved run is evaluated on: a split of its own data, or another dataset with the same classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cvlib import data, tasks
from cvlib.config.schema import DataConfig
from cvlib.data import layouts, splits
from cvlib.data.dataset import Dataset, Split
from cvlib.data.layouts.names import split_of
from cvlib.models.restore import SavedRun
from cvlib.runtime.errors import UserError
from cvlib.tasks import saved


@dataclass(frozen=True)
class Samples:
    """Images with their labels, which count the run's classes."""

    name: str  # a folder's name for the results
    words: str  # what they are, for people
    dataset: Dataset  # where they are from
    split: Split
    notes: list[str]  # remarks for people


def choose(run: SavedRun, split: str | None, other: DataConfig | None = None) -> Samples:
    """Return the samples that `cvlib evaluate` is asked for.

    Args:
        run: whose network is evaluated.
        split: train, val or test; None: test, or all images of a collection without splits.
        other: another dataset; None: the run's own.

    Raises `UserError` for data that isn't available, and for a split or classes that don't exist.
    """
    if split not in (None, *splits.SPLITS):
        raise UserError(f"there is no split {split}: choose from {', '.join(splits.SPLITS)}")
    return _own(run, split or "test") if other is None else _other(run, split, other)


def _own(run: SavedRun, split: str) -> Samples:
    dataset = saved.dataset(run)
    notes = []
    if run.summary.get("data_fingerprint") not in (None, data.fingerprint(dataset)):
        notes.append("the data has changed since the run: its own results were on other images or labels")
    if dataset.classes != run.classes:
        raise UserError(f"{run.folder}: the classes of its data are {_some(dataset.classes)} now, and were "
                        f"{_some(run.classes)}: name data that still has them, data.path=…")  # fmt: skip
    return Samples(split, f"{dataset.name}, {split}", dataset, dataset.splits[split], notes)


def _other(run: SavedRun, split: str | None, config: DataConfig) -> Samples:
    task = tasks.of_config(run.config)
    # The network's own size and channels are what images are brought to.
    config = replace(config, channels=run.channels, image_size=None, fraction=1.0)
    dataset = data.undivided(config, task.label_kind, task=task.name)
    unknown = [name for name in dataset.classes if name not in run.classes]
    if unknown:
        raise UserError(f"{_name(config)} has classes that the run doesn't know: {_some(unknown)}; the run's are "
                        f"{_some(run.classes)}: rename them, or choose some with data.classes=[…]")  # fmt: skip
    name, chosen = _name(config), _split(config, dataset, split)
    if chosen is not dataset.train or split:
        name += f"-{next(one for one, found in dataset.splits.items() if found is chosen)}"
    absent = [one for one in run.classes if one not in dataset.classes]
    notes = [*dataset.notes, *([f"without {_some(absent)}: the metrics say nothing of it"] if absent else [])]
    chosen = splits.renumber(chosen, dataset.classes, run.classes, dataset.kind)
    if why := dataset.kind.unmeasurable(chosen):
        raise UserError(f"{name}: {why}")
    words = name if config.path is None else f"{name} ({layouts.place(config.path)})"
    return Samples(name, words, replace(dataset, classes=run.classes, colours=None), chosen, notes)


def _split(config: DataConfig, dataset: Dataset, split: str | None) -> Split:
    """Return the split asked for; or else the test split, or all images of a collection without splits."""
    there = [name for name, one in dataset.splits.items() if len(one)]
    if split is None and there == ["train"]:
        return dataset.train
    if (split or "test") not in there:
        raise UserError(f"{_name(config)} has no {split or 'test'} split, only {' and '.join(there)}: choose one with "
                        "--split, or give the folder of one as data.path")  # fmt: skip
    return dataset.splits[split or "test"]


def _name(config: DataConfig) -> str:
    """Return a folder's name for a dataset; a collection's own, with that of the folder above where it is a split's."""
    if config.path is None:
        return (config.tfds or config.name).replace("/", "-")
    place = layouts.place(config.path)
    name = place.stem if place.is_file() else place.name
    return f"{place.parent.name}-{name}" if split_of(name) else name


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
