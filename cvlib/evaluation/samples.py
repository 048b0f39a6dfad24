"""The samples that a saved run is evaluated on: a split of its own data, or another dataset with the same classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cvlib import data, tasks
from cvlib.config.schema import DataConfig
from cvlib.data import layouts, splits
from cvlib.data.dataset import Dataset, Split
from cvlib.data.layouts.names import split_of
from cvlib.data.split import joined
from cvlib.models.restore import SavedRun
from cvlib.runtime.errors import UserError
from cvlib.tasks import saved


@dataclass(frozen=True)
class Samples:
    """Images with their labels; class ids are indices into the run's classes."""

    name: str  # of the results folder
    words: str  # description for the user
    dataset: Dataset  # source of the samples
    split: Split
    notes: list[str]  # remarks for the user


def choose(run: SavedRun, split: str | None, other: DataConfig | None = None) -> Samples:
    """Return the samples that `cvlib evaluate` measures.

    Args:
        run: the run to evaluate.
        split: train, val or test. None means test, or all images of a collection without splits.
        other: another dataset. None means the run's own data.

    Raises `UserError` if the data is not available, or if the split or a class does not exist.
    """
    if split not in (None, *splits.SPLITS):
        raise UserError(f"invalid split {split}: expected one of {', '.join(splits.SPLITS)}")
    return _own(run, split or "test") if other is None else _other(run, split, other)


def limited(samples: Samples, limit: int) -> Samples:
    """Return at most `limit` of the samples, the same ones every time, in their order; raise `UserError` below 1."""
    if limit < 1:
        raise UserError(f"--limit {limit}: expected at least 1 image")
    total = len(samples.split)
    if limit >= total:
        return samples
    chosen = np.sort(np.random.default_rng(0).choice(total, limit, replace=False))
    note = f"--limit: {limit} of {total} images, drawn at random"
    return replace(samples, name=f"{samples.name}-{limit}", split=samples.split.take(chosen),
                   notes=[*samples.notes, note])  # fmt: skip


def _own(run: SavedRun, split: str) -> Samples:
    dataset = saved.dataset(run)
    notes = []
    if run.summary.get("data_fingerprint") not in (None, data.fingerprint(dataset)):
        notes.append("the data has changed since the run: the run's own results used other images or labels")
    if dataset.classes != run.classes:
        raise UserError(f"{run.folder}: the run's data now has the classes {_listed(dataset.classes)}, but had "
                        f"{_listed(run.classes)}: set data.path to data with the original classes")  # fmt: skip
    return Samples(split, f"{dataset.name}, {split}", dataset, dataset.splits[split], notes)


def _other(run: SavedRun, split: str | None, config: DataConfig) -> Samples:
    task = tasks.of_config(run.config)
    # Images are converted to the network's own size and channels.
    config = replace(config, channels=run.channels, image_size=None, fraction=1.0)
    dataset = data.undivided(config, task.label_kind, task=task.name)
    unknown = [name for name in dataset.classes if name not in run.classes]
    if unknown:
        merged = {member for members in (run.config.data.merge or {}).values() for member in members}
        advice = "repeat the run's data.merge" if merged & set(unknown) else "rename them"
        raise UserError(
            f"{_name(config)} has classes that the run was not trained on: {_listed(unknown)}; the run's classes are "
            f"{_listed(run.classes)}: {advice}, or select classes with data.classes=[…]"
        )
    if (moved := _moved(run, split or "test", dataset)) is not None:
        return moved
    name, chosen = _name(config), _split(config, dataset, split)
    if chosen is not dataset.train or split:
        name += f"-{next(key for key, candidate in dataset.splits.items() if candidate is chosen)}"
    absent = [name for name in run.classes if name not in dataset.classes]
    notes = [
        *dataset.notes,
        *_seen_in_training(run, chosen),
        *([f"no images of {_listed(absent)}: the metrics do not cover these classes"] if absent else []),
    ]
    chosen = splits.renumber(chosen, dataset.classes, run.classes, dataset.kind)
    if why := dataset.kind.unmeasurable(chosen):
        raise UserError(f"{name}: {why}")
    words = name if config.path is None else f"{name} ({layouts.place(config.path)})"
    return Samples(name, words, replace(dataset, classes=run.classes, colours=None), chosen, notes)


def _moved(run: SavedRun, split: str, dataset: Dataset) -> Samples | None:
    """Return the run's own split if `dataset` has the same images and labels, for example after the images moved."""
    pool = joined(list(dataset.splits.values()))
    positions = {name: index for index, name in enumerate(pool.names)}
    own_splits = run.splits or {}
    listed = own_splits.get(split, [])
    if not listed or not all(name in positions for name in listed):
        return None
    own = splits.renumber(pool.take([positions[name] for name in listed]), dataset.classes, run.classes, dataset.kind)
    if (recorded := run.summary.get("split_fingerprints")) is not None:
        same = recorded.get(split) == data.split_fingerprint(own, dataset.kind)
    else:  # a run of an earlier version has a fingerprint of all splits only
        same = all(name in positions for names in own_splits.values() for name in names)
        same = same and run.summary.get("data_fingerprint") == data.fingerprint(splits.divided_as(dataset, own_splits))
    if not same:
        return None
    note = f"these are the images of the run: only its own {split} split is evaluated"
    return Samples(split, f"{dataset.name}, {split}", replace(dataset, classes=run.classes), own, [note])


def _seen_in_training(run: SavedRun, chosen: Split) -> list[str]:
    """Return a note if samples have the names of training images but may be others."""
    trained = set((run.splits or {}).get("train", []))
    count = sum(name in trained for name in chosen.names)
    note = (f"{count} of these {len(chosen)} images have the names of images that the run was trained on: if they are "
            "the same images, the metrics are too high")  # fmt: skip
    return [note] if count else []


def _split(config: DataConfig, dataset: Dataset, split: str | None) -> Split:
    """Return the requested split; by default the test split, or all images of a collection without splits."""
    available = [name for name, candidate in dataset.splits.items() if len(candidate)]
    if split is None and available == ["train"]:
        return dataset.train
    if (split or "test") not in available:
        raise UserError(f"{_name(config)} has no {split or 'test'} split, only {' and '.join(available)}: choose one "
                        "with --split, or set data.path to the folder of a split")  # fmt: skip
    return dataset.splits[split or "test"]


def _name(config: DataConfig) -> str:
    """Return a folder name for a dataset; the name of a split's folder gets its parent's name as a prefix."""
    if config.path is None:
        return (config.tfds or config.name).replace("/", "-")
    path = layouts.place(config.path)
    name = path.stem if path.is_file() else path.name
    return f"{path.parent.name}-{name}" if split_of(name) else name


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
