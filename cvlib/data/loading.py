"""Load a dataset from its config: read it, check every file, select classes, and make three splits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from cvlib.config.schema import DataConfig
from cvlib.data import depth, embedded, images, keras_datasets, merging, photographs, scanned, scenes, splits
from cvlib.data.dataset import Dataset
from cvlib.data.labels import BOXES, CLASS, MASK, LabelKind
from cvlib.data.scanned import Scanned
from cvlib.data.split import Split
from cvlib.runtime.errors import UserError

Reader = Callable[[DataConfig], tuple[list[str], list[Split], list[str]]]

# Datasets that are generated or downloaded as arrays, by name and kind of label.
READERS: dict[str, dict[LabelKind, Reader]] = {
    "digits": {
        CLASS: embedded.digits,
        BOXES: partial(scenes.digit_scenes, kind=BOXES),
        MASK: partial(scenes.digit_scenes, kind=MASK),
    },
    "letters": {CLASS: embedded.letters},
    **{name: {CLASS: keras_datasets.read} for name in keras_datasets.SOURCES},
}


def load(config: DataConfig, seed: int, kind: LabelKind = CLASS, task: str | None = None) -> Dataset:
    """Load the dataset of `config` with labels of this `kind`: read it, check every file, select classes, and split it.

    `config.split_seed` determines the samples and their splits; `seed` determines which training samples
    `config.fraction` keeps. `task` names the dataset's task in messages and records; None uses the kind's `subfolder`.
    Errors in files or labels raise `UserError`. With `config.on_error` = skip, the sample or box is left out and noted
    instead. Also raises `UserError` if the dataset is not available, or can't be read or split.
    """
    dataset = _named((_of_arrays if _is_of_arrays(config) else _of_collection)(config, kind), task)
    _check_splits(config, dataset)
    if config.fraction < 1:
        whole = len(dataset.train)
        kept = splits.nested(kind.strata(dataset.train.labels), config.fraction, seed)
        dataset.notes.append(f"data.fraction={config.fraction:g}: {len(kept)} of {whole} training images are used")
        dataset = replace(dataset, train=dataset.train.take(kept))
    return dataset


def undivided(config: DataConfig, kind: LabelKind = CLASS, task: str | None = None) -> Dataset:
    """Load a collection without holding out samples: val and test are empty unless the collection defines them.

    Datasets that are generated or downloaded as arrays are split as in `load`.
    """
    if _is_of_arrays(config):
        return _named(_of_arrays(config, kind), task)
    return _named(_of_collection(replace(config, val_fraction=0, test_fraction=0), kind, training=False), task)


def _named(dataset: Dataset, task: str | None) -> Dataset:
    return dataset if task is None else replace(dataset, task=task)


def _is_of_arrays(config: DataConfig) -> bool:
    """Return whether the dataset consists of arrays rather than files; raises `UserError` if it is unknown."""
    if config.path is not None and config.name in (*READERS, *photographs.NAMES):
        raise UserError(f"data.path={config.path} can't be used with data={config.name}: use data=folder")
    if config.name in READERS:
        return True
    if config.path is None and config.tfds is None and config.name not in photographs.NAMES:
        known = ", ".join([*READERS, *photographs.NAMES, "folder"])
        raise UserError(f"data={config.name} is unknown: set data.path=…, or use one of {known}")
    return False


def _of_arrays(config: DataConfig, kind: LabelKind) -> Dataset:
    if config.group is not None:
        raise UserError(f"data.group={config.group} applies to image files, not to data={config.name}: remove it")
    readers = READERS[config.name]
    source = kind if kind in readers else kind.made_from
    if source is None or source not in readers:
        available = ", ".join(known.subfolder for known in readers)
        raise UserError(f"data={config.name} has labels for {available}, not for {kind.subfolder}")
    classes, subsets, notes = readers[source](config)
    if source != kind:
        subsets = [replace(split, labels=[kind.made_of(label) for label in split.labels]) for split in subsets]
    classes, subsets = _relabelled(classes, subsets, config, kind)
    arrays = [np.asarray(split.images) for split in subsets]
    channels = config.channels or arrays[0].shape[-1]
    size = (arrays[0].shape[1], arrays[0].shape[2])
    train, val, test = (replace(split, images=images.to_channels(array, channels))
                        for split, array in zip(subsets, arrays, strict=True))  # fmt: skip
    return Dataset(config.name, kind.subfolder, classes, channels, size, train, val, test, notes, kind=kind)


def _of_collection(config: DataConfig, kind: LabelKind, training: bool = True) -> Dataset:
    seen = scanned.scanned(config, kind, training)
    notes = list(seen.notes)
    given = {name: split for name, split in seen.splits.items() if name == "train" or len(split)}
    classes, subsets = _relabelled(seen.classes, list(given.values()), config, kind)
    given = dict(zip(given, subsets, strict=True))
    train = given["train"] if "train" in given else next(iter(given.values())).take([])
    train, val, test = splits.hold_out(train, {p: s for p, s in given.items() if p != "train"}, config, kind)
    if config.folds is None:
        notes += _held_out_notes(seen, given, config, kind)
    else:
        notes.append(_fold_note(config, given))
    notes += _group_notes(given, config, seen.compared)
    _note_leaks([train, val, test], notes)
    span = _span(seen, config, notes)
    channels = _channels(seen, config, notes)
    colours = seen.colours
    if colours is not None:
        names = merging.merged_names(seen.classes, config.merge or {})
        colours = colours[[names.index(name) for name in classes]]
    return Dataset(
        config.name, kind.subfolder, classes, channels, seen.size, train, val, test, notes, span=span,
        layout=seen.layout, colours=colours, skipped=seen.skipped, kind=kind, read_as=seen.read_as,
    )  # fmt: skip


def _span(seen: Scanned, config: DataConfig, notes: list[str]) -> depth.Range | None:
    """Return the pixel values that map to 0 and 255, and note them; None for images with 8 bits."""
    if not seen.deep:
        return None
    total = sum(len(split) for split in seen.splits.values())
    span = (float(config.range[0]), float(config.range[1])) if config.range is not None else seen.span
    if span is None and seen.deep < total:
        notes.append(f"{seen.deep} of {total} images have more than 8 bits per channel, the others have 8. The "
                     f"{seen.deep} images are scaled from 0–65535 (or 0–1), which may make them dark: set "
                     "data.range=[low, high] to change this")  # fmt: skip
    if span is not None:
        notes.append(depth.note(span, seen.deep, config.range is not None))
    return span


def _channels(seen: Scanned, config: DataConfig, notes: list[str]) -> int:
    """Return the number of channels, and note it if the images are TIFF files with more than three bands."""
    if seen.channels > 3:
        used = {None: "all are used", 1: "their mean is used", 3: "the first three are used"}
        notes.append(f"the images have {seen.channels} bands (channels): {used.get(config.channels, 'all are used')}; "
                     "data.channels=3 selects the first three")  # fmt: skip
    return config.channels or seen.channels


def _relabelled(
    classes: list[str], subsets: list[Split], config: DataConfig, kind: LabelKind
) -> tuple[list[str], list[Split]]:  # fmt: skip
    """Apply `data.merge` and `data.classes`; return the remaining classes, and the splits with matching labels."""
    if config.merge is not None:
        classes, subsets = merging.merge(classes, subsets, config.merge, kind)
    if config.classes is not None:
        classes, subsets = splits.choose_classes(classes, subsets, config.classes, kind)
    return classes, subsets


def _held_out_notes(seen: Scanned, given: dict[str, Split], config: DataConfig, kind: LabelKind) -> list[str]:
    """Return notes on the splits that the collection lacks and that are held out from train."""
    place = "folder" if seen.layout == "folder" else "split"
    shares = {"val": config.val_fraction, "test": config.test_fraction}
    return [
        f"no {split} {place}: {100 * share:.3g} % of the training images held out{kind.stratified_by}"
        for split, share in shares.items() if split not in given and share
    ]  # fmt: skip


def _fold_note(config: DataConfig, given: dict[str, Split]) -> str:
    own = [split for split in given if split != "train"]
    note = f"data.folds={config.folds}: fold {config.fold} is the test split"
    if not own:
        return note
    verb = "splits are" if len(own) > 1 else "split is"
    return f"{note}; the collection's own {' and '.join(own)} {verb} divided as well"


def _group_notes(given: dict[str, Split], config: DataConfig, drawn: bool) -> list[str]:
    """Return notes on the groups that stay in one split, and on those that the collection's own splits divide."""
    notes = []
    groups = {split: np.unique(one.groups) for split, one in given.items() if one.groups is not None}
    alike = len(given["train"]) - len(groups["train"]) if "train" in groups else 0
    if config.group is not None:
        notes.append(f"data.group={config.group}: {len(np.unique(np.concatenate(list(groups.values()))))} groups, each "
                     "in one split")  # fmt: skip
        if config.folds is None:
            notes += [f"the collection's own splits divide {len(both)} groups: they are in train and in {split}"
                      for split in ("val", "test") if split in groups and "train" in groups
                      and len(both := np.intersect1d(groups["train"], groups[split]))]  # fmt: skip
    elif drawn and alike:
        notes.append(f"{alike} images look like an earlier image: each is in the same split as that image")
    return notes


def _note_leaks(subsets: list[Split], notes: list[str]) -> None:
    """Note val and test images with byte-identical copies in train."""
    trained = set(subsets[0].image_digests or ())
    for name, split in zip(splits.SPLITS[1:], subsets[1:], strict=True):
        named = zip(split.names, split.image_digests or (), strict=True)
        copies = [sample for sample, digest in named if digest in trained]
        if copies:
            notes.append(f"{len(copies)} of {len(split)} {name} images have exact copies in train, such as {copies[0]}")


def _check_splits(config: DataConfig, dataset: Dataset) -> None:
    """Check that no split is empty and no sample is in two splits; note classes that can't be learned or evaluated."""
    counts = ", ".join(f"{name} {len(split)}" for name, split in dataset.splits.items())
    total = sum(len(split) for split in dataset.splits.values())
    if total < len(dataset.splits):
        raise UserError(f"data={config.name}: too few images ({total}): at least {len(dataset.splits)} are needed, "
                        "one each for training, validation and test: add images")  # fmt: skip
    for name, split in dataset.splits.items():
        if len(split) == 0:
            raise UserError(f"data={config.name}: no images for {name} ({counts}): add images, or set "
                            "data.val_fraction and data.test_fraction above 0")  # fmt: skip
    names = [name for split in dataset.splits.values() for name in split.names]
    assert len(set(names)) == len(names), "a sample is in two splits"
    dataset.notes.extend(dataset.kind.check(config.name, dataset.splits, dataset.classes))
