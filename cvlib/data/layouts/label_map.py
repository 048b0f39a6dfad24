"""What the ids and colours in a collection's masks mean."""

from __future__ import annotations

import csv
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from cvlib.data.labels.mask import IGNORE, is_background
from cvlib.runtime.errors import UserError

FILES = ("segmentation_labels.csv", "labels.csv", "classes.csv", "class_dict.csv", "colors.csv", "colours.csv",
         "labelmap.txt", "classes.txt", "labels.txt")  # fmt: skip
_IGNORED = ("void", "ignore", "ignored", "unlabeled", "unlabelled", "dontcare", "don't care")
_MOST_FOUND = 64  # ids or colours in masks without a label file, beyond which they are no masks of classes

_BINARY = {0: 0, 255: 1}  # ids of masks of one object and what is behind it
_NAME, _ID = ("name", "class", "label"), ("id", "index", "value")  # what the columns are called

Colour = tuple[int, int, int]
Entry = tuple[int, str, Colour | None]  # id, class name, colour


@dataclass(frozen=True)
class LabelMap:
    """Class names, and which of them (or IGNORE) an id or a colour in a mask stands for."""

    classes: list[str]
    ids: dict[int, int]
    colours: dict[Colour, int] = field(default_factory=dict)

    def painted(self) -> np.ndarray | None:
        """The classes' own colours, uint8 (classes, 3); None where the collection gives none."""
        by_class = {index: colour for colour, index in self.colours.items() if index != IGNORE}
        if len(by_class) < len(self.classes):
            return None
        return np.array([by_class[index] for index in range(len(self.classes))], np.uint8)


# Oxford-IIIT Pets have trimaps (Parkhi et al. 2012): the pet, what is behind it, and the border between.
PETS = LabelMap(["background", "pet"], {2: 0, 1: 1, 3: IGNORE})


def find(root: Path) -> LabelMap | None:
    """The label map in the first label file that `root` has; None where it has none."""
    for name in FILES:
        if (root / name).is_file():
            known = _read(root / name)
            if known is not None:
                return known
    return None


def without_file(
    files: list[Path], chosen: list[str] | None, customary: tuple[LabelMap, str] | None = None
) -> tuple[LabelMap, str]:  # fmt: skip
    """What the ids of masks without a label file mean, and a note that says so.

    What is `customary`, or as `found_in` says; or the `chosen` classes name the ids, where they can: see `_in_order`.
    """
    seen = _seen(files) if chosen or customary is None else set()
    known, said = customary or (_found(seen, files), "own values are the classes")
    if chosen and (ordered := _in_order(chosen, seen, known)):
        known, said = ordered, "ids are, in the order of data.classes,"
    return known, f"no label file: the masks' {said} {', '.join(known.classes)}"


def found_in(files: list[Path]) -> LabelMap:
    """The label map of masks without a label file: every id (or colour) in them is a class, 255 is ignored.

    Masks of 0 and 255 alone are background and foreground. Raises `UserError` where there are too many.
    """
    return _found(_seen(files), files)


def _found(seen: set[int | Colour], files: list[Path]) -> LabelMap:
    ids = sorted(value for value in seen if isinstance(value, int))
    colours = sorted(value for value in seen if isinstance(value, tuple))
    if len(seen) > _MOST_FOUND:
        raise UserError(f"{files[0].parent}: the masks hold {len(seen)} different values and no label file says what "
                        "they mean: add labels.csv with the columns id,name,r,g,b")  # fmt: skip
    if ids == [0, 255] and not colours:
        return LabelMap(["background", "foreground"], _BINARY)
    if colours and not ids:
        names = ["#{:02x}{:02x}{:02x}".format(*colour) for colour in colours]
        return LabelMap(names, {}, {colour: index for index, colour in enumerate(colours)})
    defined = [value for value in ids if value != IGNORE]
    return LabelMap([str(value) for value in defined], {value: i for i, value in enumerate(defined)} | {IGNORE: IGNORE})


def _in_order(names: list[str], seen: set[int | Colour], known: LabelMap) -> LabelMap | None:
    """The label map of masks without a label file by which `names` name their ids in this order.

    None unless the ids are as many and count from 0 on (255 aside; or are 0 and 255 alone), and none of the names but
    a background occurs by what is `known` of the ids otherwise: then the names are a selection from that.
    """
    occurring = {known.classes[index] for value, index in known.ids.items() if value in seen and index != IGNORE}
    if any(name in occurring and not is_background(name) for name in names):
        return None
    if known.ids == _BINARY and len(names) == len(_BINARY):
        return LabelMap(list(names), _BINARY)
    ids = {index: index for index in range(len(names))}
    return LabelMap(list(names), ids | {IGNORE: IGNORE}) if seen - {IGNORE} == ids.keys() else None


def _seen(files: list[Path]) -> set[int | Colour]:
    with ThreadPoolExecutor() as pool:
        return set().union(*pool.map(_values, files))


def named(names: list[str]) -> LabelMap:
    """The label map of ids that count through `names`."""
    return _map([(index, name, None) for index, name in enumerate(names)])


def _values(file: Path) -> set[int | Colour]:
    try:
        with Image.open(file) as image:
            if image.mode in ("RGB", "RGBA") and image.format != "JPEG":
                most = image.convert("RGB").getcolors(2**16) or []
                colours = {colour for _, colour in most if isinstance(colour, tuple)}
                grey = all(len(set(colour)) == 1 for colour in colours)
                return {colour[0] if grey else (colour[0], colour[1], colour[2]) for colour in colours}
            array = np.asarray(image)
            return set() if array.ndim != 2 else {int(value) for value in np.unique(array)}
    except Exception:
        return set()  # an unreadable mask is told of when every sample is looked at


def _read(file: Path) -> LabelMap | None:
    """The label map in the file; None where it is a table of something else."""
    text = file.read_text("utf-8-sig", errors="replace")
    try:
        if file.suffix == ".txt":
            return _map(_entries_of_lines(file, text))
        return _map_of_table(text)
    except (ValueError, csv.Error) as error:
        raise UserError(f"{file}: a label file needs the columns id,name and perhaps r,g,b: {error}") from None


def _entries_of_lines(file: Path, text: str) -> list[Entry]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if file.name != "labelmap.txt":
        return [(index, name, None) for index, name in enumerate(lines)]
    rows = [line.split(":") for line in lines if not line.startswith("#")]  # CVAT: name:r,g,b:parts:actions
    return [(i, row[0].strip(), _colour(row[1])) for i, row in enumerate(rows) if len(row) > 1]


def _map_of_table(text: str) -> LabelMap | None:
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    rows = [{(key or "").strip().lower(): (value or "") for key, value in row.items() if isinstance(value, str)}
            for row in csv.DictReader(text.splitlines(), delimiter=delimiter)]  # fmt: skip
    if not rows or not set(_NAME) & set(rows[0]):
        return None
    entries = [_entry(row, number) for number, row in enumerate(rows)]
    has_colours = any(colour is not None for _, _, colour in entries)
    return _map(entries) if set(_ID) & set(rows[0]) or has_colours else None


def _entry(row: dict[str, str], number: int) -> Entry:
    name = next((row[key].strip() for key in _NAME if row.get(key, "").strip()), None)
    if name is None:
        raise ValueError(f"row {number + 1} has no name")
    own_id = next((int(row[key]) for key in _ID if row.get(key, "").strip()), number)
    channels = next((keys for keys in (("r", "g", "b"), ("red", "green", "blue")) if set(keys) <= set(row)), None)
    if channels:
        return own_id, name, _colour(" ".join(row[key] for key in channels))
    colour = next((row[key] for key in ("colour", "color", "rgb", "hex") if row.get(key)), None)
    return own_id, name, None if colour is None else _colour(colour)


def _colour(text: str) -> Colour:
    text = text.strip()
    if re.fullmatch(r"#?[0-9a-fA-F]{6}", text):
        return tuple(bytes.fromhex(text.lstrip("#")))  # type: ignore[return-value]
    parts = [int(part) for part in re.findall(r"\d+", text)]
    if len(parts) != 3 or max(parts) > 255:
        raise ValueError(f"{text!r} is no colour")
    return parts[0], parts[1], parts[2]


def _map(entries: list[Entry]) -> LabelMap:
    classes: list[str] = []
    ids: dict[int, int] = {IGNORE: IGNORE}
    colours: dict[Colour, int] = {}
    for own_id, name, colour in entries:
        ignored = own_id == IGNORE or name.casefold() in _IGNORED
        index = IGNORE if ignored else len(classes)
        if not ignored:
            classes.append(name)
        ids[own_id] = index
        if colour is not None:
            colours[colour] = index
    return LabelMap(classes, ids, colours)
