"""How much of what a collection has, and what in these numbers would make learning hard."""

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

_IMBALANCE = 10  # times as much of one class as of another: from here on accuracy hides the small one
_SPLITS = ("train", "val", "test")


@dataclass
class Counts:
    """The numbers of one collection: of images by split, and of each class's images, boxes or pixels by split."""

    source: str  # the label file it was read from, where that was chosen among others
    layout: str
    task: str  # the word for its kind of label
    classes: list[str]
    images: dict[str, int]  # by split
    holding: dict[str, dict[str, int]]  # images that hold the class, by split and class
    amount: dict[str, dict[str, int]]  # boxes or pixels of the class, by split and class
    notes: list[str] = field(default_factory=list)
    read_as: str = ""  # why this layout was chosen, as a line for people


@dataclass
class Pictures:
    """The numbers of image files: sides in pixels as (least, median, most), and how they are stored."""

    number: int = 0
    widths: tuple[int, int, int] | None = None
    heights: tuple[int, int, int] | None = None
    formats: dict[str, int] = field(default_factory=dict)
    modes: dict[str, int] = field(default_factory=dict)


def pictures(scans: Iterable[FileScan]) -> Pictures:
    """What the readable ones among `scans` have in common."""
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
    """What can be used of the collection that is the one of this `number` in `seen`."""
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
                if label < len(collection.classes):  # not a mask's ignored pixels
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
    """Classes without images or with one only, out of balance, or in an order that will confuse."""
    if counts.source:  # one of several files that mean the same images: each by itself may lack anything
        return []
    train = counts.holding.get("train", {})
    found = [finding for name in counts.classes for finding in _of_class(counts, reading, train, name)]
    collection = reading.collection
    found += collection.kind.relations([sample.label for _, sample in reading.samples], collection.classes)
    return [*found, *_alike(counts), *_imbalance(counts, train), *_numbers(counts.classes)]


def _of_class(counts: Counts, reading: Reading, train: dict[str, int], name: str) -> Iterator[Finding]:
    everywhere = sum(split[name] for split in counts.holding.values())
    if everywhere == 0:
        yield Finding(WARNING, "empty class", f"class {name}", f"no usable image holds it ({counts.task})",
                      "add images, or take it out of the classes")  # fmt: skip
    elif train[name] == 0:
        yield Finding(WARNING, "class without training", f"class {name}", "held-out images show it, but no training "
                      "image", "add training images")  # fmt: skip
    elif train[name] == 1 and (only := _only_sample(reading, counts.classes.index(name))):
        fate = "it can't be both learned and tested" if everywhere == 1 else "learned by heart, if at all"
        yield Finding(WARNING, "single-image class", only, f"the only training image of class {name}: {fate}",
                      "add images, or leave the class out by data.classes")  # fmt: skip


def _only_sample(reading: Reading, label: int) -> str | None:
    """The first training sample that is known to hold the class by its label alone."""
    kind = reading.collection.kind
    return next((sample.name for split, sample in reading.samples
                 if split == "train" and label in (kind.classes_of(sample.label) or ())), None)  # fmt: skip


def _alike(counts: Counts) -> Iterator[Finding]:
    """Names that are one when case and blanks don't count: the rarer is told, for it is more likely the slip."""
    groups = defaultdict(list)
    for name in counts.classes:
        groups["".join(name.split()).casefold()].append(name)
    for names in groups.values():
        names.sort(key=lambda name: -sum(split[name] for split in counts.holding.values()))
        for name in names[1:]:
            yield Finding(WARNING, "class name", name, f"class {name!r} differs from {names[0]!r} in upper and lower "
                          "case or blanks only", "let them have one name if they are one class")  # fmt: skip


def _imbalance(counts: Counts, train: dict[str, int]) -> list[Finding]:
    """Of masks the images that hold a class are counted, for pixels are never balanced."""
    kind = labels.named(counts.task)
    numbers = counts.amount["train"] if kind.counts_objects else train
    present = {name: number for name, number in numbers.items() if number}
    if len(present) < 2:
        return []
    most, least = max(present, key=present.__getitem__), min(present, key=present.__getitem__)
    ratio = present[most] / present[least]
    if ratio < _IMBALANCE:
        return []
    one, many = kind.unit
    unit = one if present[least] == 1 else many
    return [Finding(WARNING, "imbalance", f"class {least}", f"{present[least]} training {unit}, but {present[most]} of "
                    f"{most}: {ratio:.0f} times as many", "watch macro_f1 rather than accuracy; "
                    "data.class_weights=balanced or more images of the rare class help")]  # fmt: skip


def _numbers(classes: list[str]) -> list[Finding]:
    numbers = [name for name in classes if name.isdecimal()]
    if numbers == sorted(numbers, key=int):
        return []
    order = ", ".join(numbers[:6])
    return [Finding(REMARK, "class order", f"class {numbers[0]}", f"classes are in the order of text: {order}",
                    "where a label's number matters, take it from labels.json")]  # fmt: skip
