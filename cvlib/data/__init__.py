"""Datasets: from a name or a folder to three checked splits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cvlib.config.schema import DataConfig
from cvlib.data import embedded, images, keras_datasets, layouts, preflight, scenes, splits
from cvlib.data.dataset import IGNORE, Boxes, Dataset, Split
from cvlib.data.findings import ERROR, REMARK, WARNING, Finding
from cvlib.data.layouts.collection import Collection
from cvlib.data.preflight import Facts
from cvlib.runtime.errors import UserError

Reader = Callable[[DataConfig], tuple[list[str], list[Split], list[str]]]

# Datasets that are made or downloaded as arrays, by name and task.
READERS: dict[str, dict[str, Reader]] = {
    "digits": {
        "classification": embedded.digits,
        "detection": partial(scenes.digit_scenes, task="detection"),
        "segmentation": partial(scenes.digit_scenes, task="segmentation"),
    },
    "letters": {"classification": embedded.letters},
    **{name: {"classification": keras_datasets.read} for name in keras_datasets.SOURCES},
}
_SHOWN = 3  # findings that a line names


def load(config: DataConfig, seed: int, task: str = "classification") -> Dataset:
    """The dataset of `config` with its labels for `task`: read, every file checked, narrowed, split.

    `config.split_seed` decides which images there are and what holds them, `seed` which ones a fraction of the
    training split keeps. What is wrong with files or labels stops the run, or with `config.on_error` = skip leaves
    out the sample (or the one box) and says so. Raises `UserError` for a dataset that can't be had, read or split.
    """
    dataset = (_of_arrays if _is_of_arrays(config) else _of_collection)(config, task)
    _check_parts(config, dataset)
    if config.fraction < 1:
        whole = len(dataset.train)
        kept = splits.nested(splits.strata(dataset.train.labels), config.fraction, seed)
        dataset.notes.append(f"data.fraction={config.fraction:g}: {len(kept)} of {whole} training images are used")
        dataset = replace(dataset, train=splits.take(dataset.train, kept))
    return dataset


def undivided(config: DataConfig, task: str) -> Dataset:
    """As `load`, but nothing is held out: a split that a collection doesn't have itself is empty, and train has it all.

    Datasets that are made or downloaded as arrays are split as `load` does it.
    """
    if _is_of_arrays(config):
        return _of_arrays(config, task)
    return _of_collection(replace(config, val_fraction=0, test_fraction=0), task)


def _is_of_arrays(config: DataConfig) -> bool:
    """Whether the dataset is made or downloaded as arrays, and no collection of files; `UserError` if it is neither."""
    if config.name in READERS:
        if config.path is not None:
            raise UserError(f"data.path={config.path} doesn't go with data={config.name}: use data=folder")
        return True
    if config.path is None and config.tfds is None:
        known = ", ".join([*READERS, "folder"])
        raise UserError(f"data={config.name} is unknown without data.path=…: known are {known}")
    return False


def _of_arrays(config: DataConfig, task: str) -> Dataset:
    readers = READERS[config.name]
    if task not in readers:
        raise UserError(f"data={config.name} has labels for {', '.join(readers)}, not for {task}")
    classes, parts, notes = readers[task](config)
    if config.classes is not None:
        classes, parts = splits.choose_classes(classes, parts, config.classes, task)
    arrays = [np.asarray(part.images) for part in parts]
    channels = config.channels or arrays[0].shape[-1]
    size = (arrays[0].shape[1], arrays[0].shape[2])
    train, val, test = (replace(part, images=images.to_channels(array, channels))
                        for part, array in zip(parts, arrays, strict=True))  # fmt: skip
    return Dataset(config.name, task, classes, channels, size, train, val, test, notes)


def _of_collection(config: DataConfig, task: str) -> Dataset:
    collection = read_collection(config, task)
    if task == "segmentation" and len(collection.classes) > IGNORE:
        count = len(collection.classes)
        raise UserError(f"{collection.root}: {count} classes are more than 8-bit masks tell apart ({IGNORE})")
    if config.classes is not None and task == "classification":
        _narrow(collection, config.classes)
    facts = preflight.look_over(collection)
    findings = collection.findings + facts.findings
    skipped = _skipped(collection, findings, config)
    notes = collection.notes + _notes(findings)
    if skipped:
        notes.append(f"data.on_error=skip: {len(skipped)} left out for errors: {_some(skipped)}")
    classes, given = _chosen(collection, facts, config)
    train, val, test = splits.hold_out(given["train"], {p: s for p, s in given.items() if p != "train"}, config)
    notes += _held_out_notes(collection, given, config)
    _note_leaks([train, val, test], facts, notes)
    colours = collection.colours
    if colours is not None:
        colours = colours[[collection.classes.index(name) for name in classes]]
    return Dataset(
        config.name, task, classes, config.channels or facts.channels, facts.size, train, val, test, notes,
        layout=collection.layout, colours=colours, skipped=skipped,
    )  # fmt: skip


def _chosen(collection: Collection, facts: Facts, config: DataConfig) -> tuple[list[str], dict[str, Split]]:
    """The classes asked for, and the collection's own parts with these alone; an empty val or test is as none."""
    given = {part: split for part, split in facts.parts.items() if part == "train" or len(split)}
    if config.classes is None:
        return collection.classes, given
    parts = list(given.values())
    classes, parts = splits.choose_classes(collection.classes, parts, config.classes, collection.task)
    return classes, dict(zip(given, parts, strict=True))


def _held_out_notes(collection: Collection, given: dict[str, Split], config: DataConfig) -> list[str]:
    """What was taken out of train for the parts that the collection lacks."""
    kind = "folder" if collection.layout == "folder" else "split"
    shares = {"val": config.val_fraction, "test": config.test_fraction}
    return [
        f"no {part} {kind}: {100 * share:.3g} % of the training images taken{_STRATIFIED[collection.task]}"
        for part, share in shares.items() if part not in given and share
    ]  # fmt: skip


_STRATIFIED = {
    "classification": ", stratified by class",
    "detection": ", stratified by the rarest class in an image",
    "segmentation": "",
}


def read_collection(config: DataConfig, task: str) -> Collection:
    """The user's collection, or a dataset of TensorFlow Datasets, as its reader gives it."""
    if config.path is None:
        from cvlib.data.layouts import tfds

        return tfds.read(str(config.tfds), task)
    return layouts.read(layouts.place(config.path), config.layout, task, config)


def _narrow(collection: Collection, chosen: list[str]) -> None:
    """Leave out the samples of classes that aren't asked for: they need not even be readable."""
    splits.check_chosen(collection.classes, chosen, 2)
    wanted = {collection.classes.index(name) for name in chosen}
    for part, samples in collection.parts.items():
        collection.parts[part] = [sample for sample in samples if sample.label in wanted]


def _skipped(collection: Collection, findings: list[Finding], config: DataConfig) -> list[str]:
    """What error findings blame, each once; raises `UserError` with their number and the first few unless skipped."""
    errors = [finding for finding in findings if finding.severity == ERROR]
    if errors and config.on_error == "stop":
        count = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
        listed = " · ".join(str(finding) for finding in errors[:_SHOWN])
        more = " · …" if len(errors) > _SHOWN else ""
        raise UserError(f"{collection.root}: {count} in the data: {listed}{more} (data.on_error=skip leaves them out, "
                        f"`cvlib check` lists all)")  # fmt: skip
    return list(dict.fromkeys(f"{f.path}, {f.place}" if f.place else f.path for f in errors))


def _notes(findings: list[Finding]) -> list[str]:
    """One line for each kind of warning and remark."""
    by_kind: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.severity in (WARNING, REMARK):
            by_kind.setdefault(finding.kind, []).append(finding)
    return [str(several[0]) if len(several) == 1 else f"{len(several)} × {kind}, such as {several[0]}"
            for kind, several in by_kind.items()]  # fmt: skip


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")


def fingerprint(dataset: Dataset) -> str:
    """16 hex digits that change with any sample's name, label, content or split, or with the channels or the task.

    They don't depend on where the files lie nor in which order a system lists them.
    """
    whole = hashlib.sha256(repr((dataset.task, dataset.classes, dataset.channels)).encode())
    for part_name in splits.PARTS:
        part: Split = getattr(dataset, part_name)
        labels = [_label_key(label) for label in part.labels]
        for name, label, digest in sorted(zip(part.names, labels, _digests(part), strict=True)):
            whole.update(repr((part_name, name, label, digest)).encode())
    return whole.hexdigest()[:16]


def _label_key(label: Any) -> str:
    """What tells this label apart; masks of files are in their sample's digest."""
    if isinstance(label, Boxes):
        return hashlib.sha256(b"".join(a.tobytes() for a in (label.corners, label.classes, label.crowd))).hexdigest()
    if isinstance(label, np.ndarray):
        return hashlib.sha256(preflight.mask_bytes(label)).hexdigest()
    return "" if callable(label) else str(int(label))


def _digests(part: Split) -> list[str]:
    if part.digests is not None:
        return part.digests
    if isinstance(part.images, np.ndarray):
        shape = repr(part.images.shape[1:]).encode()
        return [hashlib.sha256(shape + image.tobytes()).hexdigest() for image in part.images]
    return [_digest(file, label) for file, label in zip(part.images, part.labels, strict=True)]


def _digest(file: Path, label: Any) -> str:
    digest = hashlib.sha256(file.read_bytes())
    if callable(label):
        digest.update(preflight.mask_bytes(label()))
    return digest.hexdigest()


def _check_parts(config: DataConfig, dataset: Dataset) -> None:
    """No part is empty, no sample in two; classes that can't be learned are noted."""
    parts = [dataset.train, dataset.val, dataset.test]
    for name, part in zip(splits.PARTS, parts, strict=True):
        if len(part) == 0:
            counts = ", ".join(f"{n} {len(p)}" for n, p in zip(splits.PARTS, parts, strict=True))
            raise UserError(f"data={config.name}: no images for {name} ({counts}): add images, or raise "
                            "data.val_fraction and data.test_fraction above 0")  # fmt: skip
    names = [name for part in parts for name in part.names]
    assert len(set(names)) == len(names), "a sample is in two splits"
    if dataset.task == "segmentation":
        _check_masks(config, dataset)
        return
    labels: Any = dataset.train.labels
    if dataset.task == "detection":
        found: list[Any] = [part.labels for part in parts]
        labels, *measured = (np.concatenate([boxes.classes[~boxes.crowd] for boxes in part]) for part in found)
        if not len(labels):
            raise UserError(f"data={config.name}: no training image has a box to learn from")
        for name, kinds in zip(splits.PARTS[1:], measured, strict=True):
            if not len(kinds):
                dataset.notes.append(f"no image of {name} has a box, so its mAP is 0 whatever is found there")
    untrained = sorted(set(range(len(dataset.classes))) - set(labels.tolist()))
    if untrained:
        listed = ", ".join(dataset.classes[label] for label in untrained)
        why = ": so few images that their only one is held out" if dataset.task == "classification" else ""
        dataset.notes.append(f"no training image for {listed}{why}")
    _note_unmeasured(dataset)


def _check_masks(config: DataConfig, dataset: Dataset) -> None:
    """The training masks hold two classes at least, those of val and test one; what can't be learned is noted."""
    found = {name: splits.occurring(getattr(dataset, name)) for name in splits.PARTS}
    for name, ids in found.items():
        if not ids:
            raise UserError(f"data={config.name}: the masks of {name} hold no class, every pixel is void: correct them "
                            "(`cvlib check` lists such masks)")  # fmt: skip
    if len(found["train"]) < 2:
        only = dataset.classes[min(found["train"])]
        raise UserError(f"data={config.name}: the masks of train hold only one class ({only}): nothing to tell apart")
    if unlearned := [name for label, name in enumerate(dataset.classes) if label not in found["train"]]:
        dataset.notes.append(f"no training mask has a pixel of {', '.join(unlearned)}")


def _note_unmeasured(dataset: Dataset) -> None:
    """Classes that no test image shows, so that nothing will be known of them."""
    if dataset.task == "classification":
        untested = set(range(len(dataset.classes))) - set(np.asarray(dataset.test.labels).tolist())
        if untested:
            listed = ", ".join(dataset.classes[label] for label in sorted(untested))
            dataset.notes.append(f"no test image for {listed}: the test metrics say nothing of it")


def _note_leaks(parts: list[Split], facts: Facts, notes: list[str]) -> None:
    """Images of val and test that train has too, byte for byte."""
    trained = {facts.image_digests[name] for name in parts[0].names}
    for name, part in zip(splits.PARTS[1:], parts[1:], strict=True):
        twins = [sample for sample in part.names if facts.image_digests[sample] in trained]
        if twins:
            notes.append(f"{len(twins)} of {len(part)} {name} images are in train too, byte for byte: {twins[0]}")
