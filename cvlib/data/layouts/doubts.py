"""Guesses about classes that may be wrong, which are told: names of dates or ids, one image a class, masks."""

from __future__ import annotations

import re
from pathlib import Path

from PIL import Image

from cvlib.data.findings import WARNING
from cvlib.data.layouts import names
from cvlib.data.layouts.collection import Collection

_MANY = 10  # classes, from which on it is odd that most have one image
_LOOKED_AT = 5  # files of a class
_FEW = 8  # colours that a mask has at most
_ID = re.compile(r"\D{0,4}\d{4,}")
# What a number behind it tells apart in the names of images of one origin.
_ORIGIN = re.compile(
    r"(?i)(?<![a-z])(patient|subject|person|volunteer|donor|case|animal|plant|specimen|slide|session|visit|sequence|seq"
    r"|video|clip|camera|cam|scanner|hospital|site)([-_ ]?)[0-9]+"
)
_WORDNET = re.compile(r"n\d{8}")


def tell(collection: Collection, by_class: dict[str, list[Path]]) -> None:
    """Add a finding for each way in which the class folders of `by_class` look like something else."""
    classes = [name for name, files in by_class.items() if files]
    if len(classes) < 2:
        return
    listed = ", ".join(classes[:4]) + (", …" if len(classes) > 4 else "")
    if what := _look_like(classes):
        collection.blame(WARNING, "class names", ".", f"the classes {listed} look like {what}: are they meant?",
                         "put each class's images into a folder that has its name")  # fmt: skip
    single = sum(len(by_class[name]) == 1 for name in classes)
    if len(classes) >= _MANY and 2 * single > len(classes):
        message = f"{single} of {len(classes)} classes ({listed}) have one image each: are the folders ids?"
        collection.blame(WARNING, "class names", ".", message, "list file and label in labels.csv")
    if masks := _masks_of_another(by_class):
        one, other = masks
        message = f"the images of {one} have few colours and the names of those of {other}: they look like its masks"
        advice = "call the folders images and masks, and choose model=segmenter, if they are masks"
        collection.blame(WARNING, "masks", ".", message, advice)


def tell_of_groups(collection: Collection) -> None:
    """Add a finding if most names of images say which patient, video or site they are of, and several share one."""
    samples = [sample.name for some in collection.splits.values() for sample in some]
    found = [match for name in samples if (match := _ORIGIN.search(name))]
    origins = {match.group().lower() for match in found}
    if len(found) < 0.8 * len(samples) or len(origins) < 2 or len(found) < 1.5 * len(origins):
        return
    word, mark = found[0].group(1), found[0].group(2)
    message = f"names suggest {len(origins)} groups of images, such as {found[0].group()}, that a split may divide"
    advice = f"data.group='{word}{mark}[0-9]+' keeps each group in one split"
    collection.blame(WARNING, "groups", ".", message, advice)


def _look_like(classes: list[str]) -> str:
    """What all names look like, other than classes; empty where they look like classes."""
    if all(re.search(r"\d{4}[-_.]?\d{2}[-_.]?\d{2}$", name) for name in classes):
        return "dates"
    if all(names.has_group_word(name) and any(map(str.isdigit, name)) for name in classes):
        return "folds, patients or other groups"
    if all(_ID.fullmatch(name) and not _WORDNET.fullmatch(name) for name in classes):
        numbers = sorted(int("".join(filter(str.isdigit, name))) for name in classes)
        return "" if numbers == list(range(numbers[0], numbers[0] + len(numbers))) else "ids"
    return ""


def _masks_of_another(by_class: dict[str, list[Path]]) -> tuple[str, str] | None:
    """A class whose files have the names of another's and look like its masks."""
    stems = {name: {file.stem for file in files} for name, files in by_class.items() if len(files) > 1}
    for one in stems:
        for other in stems:
            same = one != other and len(stems[one] & stems[other]) * 2 > len(stems[one])
            if same and _flat(by_class[one]) and not _flat(by_class[other]):
                return one, other
    return None


def _flat(files: list[Path]) -> bool:
    """Whether all of the first files have few colours."""
    return all(_colours(file) for file in files[:_LOOKED_AT])


def _colours(file: Path) -> bool:
    try:
        with Image.open(file) as image:
            return image.convert("RGB").getcolors(_FEW) is not None
    except Exception:
        return False
