"""Warnings about class folders that may not be classes: dates or ids as names, one image per class, masks."""

from __future__ import annotations

import re
from pathlib import Path

from PIL import Image

from cvlib.data.findings import WARNING
from cvlib.data.layouts import names
from cvlib.data.layouts.collection import Collection
from cvlib.data.layouts.table_file import number

_MANY = 10  # with this many classes or more, it is suspicious if most have one image
_IDS = ("labels", "folder names")  # in tables, in folders
_MAX_EXAMINED = 5  # maximum number of files to examine per class
_FEW = 8  # maximum number of colours in a mask
_ID = re.compile(r"\D{0,4}\d{4,}")
# The part of an image's name that identifies its origin: a word and a number, as in patient07.
_ORIGIN = re.compile(
    r"(?i)(?<![a-z])(patient|subject|person|volunteer|donor|case|animal|plant|specimen|slide|session|visit|sequence|seq"
    r"|video|clip|camera|cam|scanner|hospital|site)([-_ ]?)[0-9]+"
)
_DATE = re.compile(r"(?:19|20)\d{2}[-_.]?(?:0[1-9]|1[0-2])[-_.]?(?:0[1-9]|[12]\d|3[01])$")
_WORDNET = re.compile(r"n\d{8}")


def report(collection: Collection, by_class: dict[str, list[Path]]) -> None:
    """Add a finding for each sign that the class folders of `by_class` are not classes."""
    classes = [name for name, files in by_class.items() if files]
    if len(classes) < 2:
        return
    listed = _listed(classes)
    if what := _look_like(classes):
        collection.blame(WARNING, "class names", ".", f"the class names {listed} look like {what}: are they classes?",
                         "put each class's images into a folder named after the class")  # fmt: skip
    _report_single(collection, {name: len(by_class[name]) for name in classes}, "list files and labels in labels.csv")
    if masks := _masks_of_another(by_class):
        mask_class, image_class = masks
        message = (f"the files in {mask_class} have few colours and the same names as those in {image_class}: they "
                   "look like masks of these images")  # fmt: skip
        advice = "if they are masks, rename the folders to images and masks, and choose model=segmenter"
        collection.blame(WARNING, "masks", ".", message, advice)


def report_labels(collection: Collection, counts: dict[str, int]) -> None:
    """Add a finding for each sign that the labels in a table, with their numbers of images, are not classes."""
    values = [number(name) for name in counts]
    if any(value is not None and value != int(value) for value in values) and None not in values:
        message = f"the labels {_listed(list(counts))} look like measurements, but each value is learned as a class"
        advice = "if they are no classes, write ranges of values as labels"
        collection.blame(WARNING, "class names", ".", message, advice)
    _report_single(collection, counts, "if they are, choose another column by naming it label")


def _report_single(collection: Collection, counts: dict[str, int], advice: str) -> None:
    """Add a finding if most of many classes have one image."""
    single = sum(count == 1 for count in counts.values())
    if len(counts) >= _MANY and 2 * single > len(counts):
        what = f"{single} of {len(counts)} classes ({_listed(list(counts))}) have one image each"
        collection.blame(
            WARNING, "class names", ".", f"{what}: are the {_IDS[collection.layout == 'folder']} ids?", advice
        )


def _listed(classes: list[str]) -> str:
    return ", ".join(classes[:4]) + (", …" if len(classes) > 4 else "")


def report_groups(collection: Collection) -> None:
    """Add a finding if most image names identify a patient, video or site, and several images share one."""
    samples = [sample.name for some in collection.splits.values() for sample in some]
    found = [match for name in samples if (match := _ORIGIN.search(name))]
    origins = {match.group().lower() for match in found}
    if len(found) < 0.8 * len(samples) or len(origins) < 2 or len(found) < 1.5 * len(origins):
        return
    word, mark = found[0].group(1), found[0].group(2)
    message = f"image names suggest {len(origins)} groups, such as {found[0].group()}, which a split may divide"
    advice = f"data.group='{word}{mark}[0-9]+' keeps each group in one split"
    collection.blame(WARNING, "groups", ".", message, advice)


def _look_like(classes: list[str]) -> str:
    """Return what all names look like, such as "dates"; empty if they look like classes."""
    if all(_DATE.search(name) and not _WORDNET.fullmatch(name) for name in classes):
        return "dates"
    if all(names.has_group_word(name) and any(map(str.isdigit, name)) for name in classes):
        return "folds, patients or other groups"
    if all(_ID.fullmatch(name) and not _WORDNET.fullmatch(name) for name in classes):
        numbers = sorted(int("".join(filter(str.isdigit, name))) for name in classes)
        return "" if numbers == list(range(numbers[0], numbers[0] + len(numbers))) else "ids"
    return ""


def _masks_of_another(by_class: dict[str, list[Path]]) -> tuple[str, str] | None:
    """Return a class whose files look like masks of another class with the same file names, and that class."""
    stems = {name: {file.stem for file in files} for name, files in by_class.items() if len(files) > 1}
    for one in stems:
        for other in stems:
            same = one != other and len(stems[one] & stems[other]) * 2 > len(stems[one])
            if same and _all_have_few_colours(by_class[one]) and not _all_have_few_colours(by_class[other]):
                return one, other
    return None


def _all_have_few_colours(files: list[Path]) -> bool:
    """Return whether the first files all have few colours."""
    return all(_has_few_colours(file) for file in files[:_MAX_EXAMINED])


def _has_few_colours(file: Path) -> bool:
    try:
        with Image.open(file) as image:
            return image.convert("RGB").getcolors(_FEW) is not None
    except Exception:
        return False
