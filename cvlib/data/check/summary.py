"""Count a collection's images, boxes and pixels per class, and find class problems that impede learning."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from cvlib.data import labels
from cvlib.data.check.pool import Results
from cvlib.data.check.readings import Reading
from cvlib.data.check.scan import FileScan
from cvlib.data.findings import REMARK, WARNING, Finding

_IMBALANCE = 10  # minimum ratio of the largest to the smallest class at which accuracy is misleading
_SPLITS = ("train", "val", "test")


@dataclass
class Counts:
    """Counts of one collection: images per split, and images, boxes or pixels per split and class."""

    source: str  # label file it was read from, if there are alternatives
    layout: str
    task: str  # name of the kind of label
    classes: list[str]
    images: dict[str, int]  # images per split
    holding: dict[str, dict[str, int]]  # images that contain the class, by split and class
    amount: dict[str, dict[str, int]]  # boxes or pixels of the class, by split and class
    notes: list[str] = field(default_factory=list)
    read_as: str = ""  # one-line reason why this layout was chosen


@dataclass
class Pictures:
    """Statistics of image files: sizes in pixels as (minimum, median, maximum), formats and modes."""

    number: int = 0
    widths: tuple[int, int, int] | None = None
    heights: tuple[int, int, int] | None = None
    formats: dict[str, int] = field(default_factory=dict)
    modes: dict[str, int] = field(default_factory=dict)


def pictures(scans: Iterable[FileScan]) -> Pictures:
    """Return the statistics of the readable images among `scans`."""
    readable = [(scan, scan.header.size) for scan in scans if scan.header is not None]
    if not readable:
        return Pictures()
    heights, widths = (_spread([size[axis] for _, size in readable]) for axis in (0, 1))
    formats = Counter(scan.format for scan, _ in readable)
    modes = Counter(scan.mode for scan, _ in readable)
    return Pictures(len(readable), widths, heights, dict(formats.most_common()), dict(modes.most_common()))


def _spread(values: list[int]) -> tuple[int, int, int]:
    return min(values), int(np.median(values)), max(values)


def count(reading: Reading, number: int, seen: Results) -> Counts:
    """Count the usable samples of a collection; `number` is the collection's number in `seen`."""
    collection = reading.collection
    splits = [split for split in _SPLITS if split in collection.splits]
    images = dict.fromkeys(splits, 0)
    holding = {split: dict.fromkeys(collection.classes, 0) for split in splits}
    amount = {split: dict.fromkeys(collection.classes, 0) for split in splits}
    for split in splits:
        for sample in collection.splits[split]:
            examined = seen[sample.image].labels.get(number)
            if examined is None or not examined.usable:
                continue
            images[split] += 1
            for label, times in examined.counts.items():
                if label < len(collection.classes):  # skips ignored pixels of masks
                    holding[split][collection.classes[label]] += 1
                    amount[split][collection.classes[label]] += times
    return Counts(
        reading.source,
        collection.layout,
        collection.kind.subfolder,
        collection.classes,
        images,
        holding,
        amount,
        collection.notes,
        collection.read_as,
    )


def findings(counts: Counts, reading: Reading) -> list[Finding]:
    """Return findings on classes: without images, with a single one, imbalanced, or in a confusing order."""
    if counts.source:  # one of several files for the same images: each one may be incomplete
        return []
    train = counts.holding.get("train", {})
    found = [finding for name in counts.classes for finding in _class_findings(counts, reading, train, name)]
    collection = reading.collection
    found += collection.kind.relations([sample.label for _, sample in reading.samples], collection.classes)
    return [*found, *_alike(counts), *_imbalance(counts, train), *_numbers(counts.classes)]


def _class_findings(counts: Counts, reading: Reading, train: dict[str, int], name: str) -> Iterator[Finding]:
    everywhere = sum(split[name] for split in counts.holding.values())
    if everywhere == 0:
        yield Finding(WARNING, "empty class", f"class {name}", f"no usable image contains it ({counts.task})",
                      "add images, or remove the class")  # fmt: skip
    elif train[name] == 0:
        yield Finding(WARNING, "class without training", f"class {name}", "held-out images contain it, but no training "
                      "image does", "add training images")  # fmt: skip
    elif train[name] == 1 and (only := _only_sample(reading, counts.classes.index(name))):
        effect = "the class can't be both learned and tested" if everywhere == 1 else "a network can only memorise it"
        yield Finding(WARNING, "single-image class", only, f"the only training image of class {name}: {effect}",
                      "add images, or exclude the class with data.classes")  # fmt: skip


def _only_sample(reading: Reading, label: int) -> str | None:
    """Return the first training sample whose label alone shows that it contains the class."""
    kind = reading.collection.kind
    return next((sample.name for split, sample in reading.samples
                 if split == "train" and label in (kind.classes_of(sample.label) or ())), None)  # fmt: skip


def _alike(counts: Counts) -> Iterator[Finding]:
    """Yield findings on names that differ only in case or spaces; the rarer one is reported as the likely typo."""
    groups = defaultdict(list)
    for name in counts.classes:
        groups["".join(name.split()).casefold()].append(name)
    for names in groups.values():
        names.sort(key=lambda name: -sum(split[name] for split in counts.holding.values()))
        for name in names[1:]:
            yield Finding(WARNING, "class name", name, f"class {name!r} differs from {names[0]!r} only in case or "
                          "spaces", "use one name if they are the same class")  # fmt: skip


def _imbalance(counts: Counts, train: dict[str, int]) -> list[Finding]:
    """Return a finding on imbalance. Masks are compared by images per class, because pixels are never balanced."""
    kind = labels.named(counts.task)
    numbers = counts.amount["train"] if kind.counts_objects else train
    present = {name: number for name, number in numbers.items() if number}
    if len(present) < 2:
        return []
    most, least = max(present, key=present.__getitem__), min(present, key=present.__getitem__)
    ratio = present[most] / present[least]
    if ratio < _IMBALANCE:
        return []
    singular, plural = kind.unit
    unit = singular if present[least] == 1 else plural
    return [Finding(WARNING, "imbalance", f"class {least}", f"{present[least]} training {unit}, but {present[most]} of "
                    f"{most}: {ratio:.0f} times as many", "use macro_f1 instead of accuracy; set "
                    "data.class_weights=balanced or add images of the rare class")]  # fmt: skip


def _numbers(classes: list[str]) -> list[Finding]:
    numbers = [name for name in classes if name.isdecimal()]
    if numbers == sorted(numbers, key=int):
        return []
    order = ", ".join(numbers[:6])
    return [Finding(REMARK, "class order", f"class {numbers[0]}", f"classes are sorted as text: {order}",
                    "if class indices matter, read them from labels.json")]  # fmt: skip
