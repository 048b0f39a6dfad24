"""Which images a saved run is evaluated on: a split of its own data, or another dataset with the same classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cvlib import data, tasks
from cvlib.config.schema import DataConfig
from cvlib.data import layouts, splits
from cvlib.data.dataset import Dataset, Split
from cvlib.data.layouts.names import part_of
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


def choose(run: SavedRun, part: str | None, other: DataConfig | None = None) -> Samples:
    """Return the samples that `cvlib evaluate` is asked for.

    Args:
        run: whose network is evaluated.
        part: train, val or test; None: test, or all images of a collection without splits.
        other: another dataset; None: the run's own.

    Raises `UserError` for data that isn't available, and for a split or classes that don't exist.
    """
    if part not in (None, *splits.PARTS):
        raise UserError(f"there is no split {part}: choose from {', '.join(splits.PARTS)}")
    return _own(run, part or "test") if other is None else _other(run, part, other)


def _own(run: SavedRun, part: str) -> Samples:
    dataset = saved.dataset(run)
    notes = []
    if run.summary.get("data_fingerprint") not in (None, data.fingerprint(dataset)):
        notes.append("the data has changed since the run: its own results were on other images or labels")
    if dataset.classes != run.classes:
        raise UserError(f"{run.folder}: the classes of its data are {_some(dataset.classes)} now, and were "
                        f"{_some(run.classes)}: name data that still has them, data.path=…")  # fmt: skip
    return Samples(part, f"{dataset.name}, {part}", dataset, dataset.parts[part], notes)


def _other(run: SavedRun, part: str | None, config: DataConfig) -> Samples:
    task = tasks.of_config(run.config)
    # The network's own size and channels are what images are brought to.
    config = replace(config, channels=run.channels, image_size=None, fraction=1.0)
    dataset = data.undivided(config, task.label_kind, task=task.name)
    unknown = [name for name in dataset.classes if name not in run.classes]
    if unknown:
        raise UserError(f"{_name(config)} has classes that the run doesn't know: {_some(unknown)}; the run's are "
                        f"{_some(run.classes)}: rename them, or choose some with data.classes=[…]")  # fmt: skip
    name, split = _name(config), _split(config, dataset, part)
    if split is not dataset.train or part:
        name += f"-{next(one for one, found in dataset.parts.items() if found is split)}"
    absent = [one for one in run.classes if one not in dataset.classes]
    notes = [*dataset.notes, *([f"without {_some(absent)}: the metrics say nothing of it"] if absent else [])]
    split = splits.renumber(split, dataset.classes, run.classes, dataset.kind)
    if why := dataset.kind.unmeasurable(split):
        raise UserError(f"{name}: {why}")
    words = name if config.path is None else f"{name} ({layouts.place(config.path)})"
    return Samples(name, words, replace(dataset, classes=run.classes, colours=None), split, notes)


def _split(config: DataConfig, dataset: Dataset, part: str | None) -> Split:
    """Return the part asked for; or else the test split, or all images of a collection without splits."""
    there = [name for name, split in dataset.parts.items() if len(split)]
    if part is None and there == ["train"]:
        return dataset.train
    if (part or "test") not in there:
        raise UserError(f"{_name(config)} has no {part or 'test'} split, only {' and '.join(there)}: choose one with "
                        "--split, or give the folder of one as data.path")  # fmt: skip
    return dataset.parts[part or "test"]


def _name(config: DataConfig) -> str:
    """Return a folder's name for a dataset; a collection's own, with that of the folder above where it is a split's."""
    if config.path is None:
        return (config.tfds or config.name).replace("/", "-")
    place = layouts.place(config.path)
    name = place.stem if place.is_file() else place.name
    return f"{place.parent.name}-{name}" if part_of(name) else name


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
