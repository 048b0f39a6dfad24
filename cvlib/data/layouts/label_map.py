"""The meaning of the ids and colours in a collection's masks."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cvlib.data.labels.mask import IGNORE, is_background
from cvlib.data.layouts.mask_values import MAX_VALUES, THRESHOLD, Colour, MaskValues, values_of
from cvlib.runtime.errors import UserError

FILES = ("segmentation_labels.csv", "labels.csv", "classes.csv", "_classes.csv", "class_dict.csv", "colors.csv",
         "colours.csv", "label_colors.txt", "labelmap.txt", "class_names.txt", "classes.txt", "labels.txt", "codes.txt",
         "class_list.txt", "names.txt")  # fmt: skip
_IGNORED = ("void", "ignore", "ignored", "unlabeled", "unlabelled", "dontcare", "don't care", "__ignore__")

_LOSSY = (".jpg", ".jpeg", ".jpe", ".jfif")

_BINARY = {0: 0, 255: 1}  # ids of masks of one object and its background
_NAME = "name", "class", "label", "class name", "class_name"  # names of the columns
_ID = "id", "index", "value", "pixel value", "pixel_value", "class id", "class_id"

Entry = tuple[int, str, Colour | None]  # id, class name, colour


@dataclass(frozen=True)
class LabelMap:
    """Class names, and the class index (or IGNORE) for each id or colour in a mask."""

    classes: list[str]
    ids: dict[int, int]
    colours: dict[Colour, int] = field(default_factory=dict)
    threshold: int | None = None  # pixels of at least this grey level are class 1, others class 0

    def class_colours(self) -> np.ndarray | None:
        """Return the collection's class colours, uint8 (classes, 3), or None if it doesn't define all of them."""
        by_class = {index: colour for colour, index in self.colours.items() if index != IGNORE}
        if len(by_class) < len(self.classes):
            return None
        return np.array([by_class[index] for index in range(len(self.classes))], np.uint8)


# The trimaps of Oxford-IIIT Pets (Parkhi et al. 2012): the pet, the background, and the border between them.
PETS = LabelMap(["background", "pet"], {2: 0, 1: 1, 3: IGNORE})


def find(root: Path) -> LabelMap | None:
    """Return the label map from the first label file in `root`, or None if there is none."""
    for name in FILES:
        if (root / name).is_file():
            known = _read(root / name)
            if known is not None:
                return known
    return None


def without_file(
    files: list[Path], chosen: list[str] | None, default: tuple[LabelMap, str] | None = None
) -> tuple[LabelMap, str]:  # fmt: skip
    """Return the label map of masks without a label file, and a note about it.

    It is the `default` label map if given, otherwise the one that `found_in` returns. If the `chosen` classes can name
    the ids, they are used instead (see `_in_order`).
    """
    seen = values_of(files) if chosen or default is None else MaskValues()
    known, origin = default or (_found(seen, files), "the mask values are the classes")
    if chosen and (ordered := _in_order(chosen, seen.values, known)):
        known, origin = ordered, "the mask ids are named by data.classes, in this order:"
    doubt = (
        "; they look like numbers of objects in each mask: are they classes?" if seen.numbered and not chosen else ""
    )
    return known, f"no label file: {origin} {', '.join(known.classes)}{doubt}"


def thresholded(label_map: LabelMap, files: list[Path]) -> LabelMap:
    """Return the label map, with a threshold if it has two classes and the masks are soft black and white."""
    two = len(label_map.classes) == 2 and len(set(label_map.ids.values()) - {IGNORE}) == 2
    if not two or not any(file.suffix.lower() in _LOSSY for file in files) or not values_of(files).soft:
        return label_map
    return LabelMap(label_map.classes, _BINARY, label_map.colours, THRESHOLD)


def found_in(files: list[Path]) -> LabelMap:
    """Return the label map of masks without a label file: every id (or colour) is a class, and 255 is ignored.

    Masks with only 0 and 255 are background and foreground. Raises `UserError` if there are too many values.
    """
    return _found(values_of(files), files)


def _found(seen: MaskValues, files: list[Path]) -> LabelMap:
    ids = sorted(value for value in seen.values if isinstance(value, int))
    colours = sorted(value for value in seen.values if isinstance(value, tuple))
    if seen.soft:
        return LabelMap(["background", "foreground"], _BINARY, threshold=THRESHOLD)
    if len(seen.values) > MAX_VALUES:
        raise UserError(f"{files[0].parent}: the masks hold {len(seen.values)} different values, but there is no label "
                        "file: add labels.csv with the columns id,name,r,g,b")  # fmt: skip
    if ids == [0, 255] and not colours:
        return LabelMap(["background", "foreground"], _BINARY)
    if colours and not ids:
        names = ["#{:02x}{:02x}{:02x}".format(*colour) for colour in colours]
        return LabelMap(names, {}, {colour: index for index, colour in enumerate(colours)})
    defined = [value for value in ids if value != IGNORE]
    return LabelMap([str(value) for value in defined], {value: i for i, value in enumerate(defined)} | {IGNORE: IGNORE})


def _in_order(names: list[str], seen: set[int | Colour], known: LabelMap) -> LabelMap | None:
    """Return the label map that assigns `names` to the mask ids in this order, or None if that is impossible.

    The ids must be 0, 1, 2 … with one id per name (255 is ignored), or 0 and 255 for two names. If a name other than
    a background is one of the `known` classes of these ids, the names select classes instead: return None.
    """
    occurring = {known.classes[index] for value, index in known.ids.items() if value in seen and index != IGNORE}
    if any(name in occurring and not is_background(name) for name in names):
        return None
    if known.ids == _BINARY and len(names) == len(_BINARY):
        return LabelMap(list(names), _BINARY, threshold=known.threshold)
    ids = {index: index for index in range(len(names))}
    return LabelMap(list(names), ids | {IGNORE: IGNORE}) if seen - {IGNORE} == ids.keys() else None


def named(names: list[str]) -> LabelMap:
    """Return the label map in which the ids are the indices of `names`."""
    return _map([(index, name, None) for index, name in enumerate(names)])


def _read(file: Path) -> LabelMap | None:
    """Return the label map from the file, or None if it is a table of something else."""
    text = file.read_text("utf-8-sig", errors="replace")
    try:
        if file.suffix == ".txt":
            return _map(_entries_of_lines(file, text))
        return _map_of_table(text)
    except (ValueError, csv.Error) as error:
        raise UserError(f"{file}: a label file needs the columns id,name and optionally r,g,b: {error}") from None


def _entries_of_lines(file: Path, text: str) -> list[Entry]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if lines and lines[0] == "__ignore__":  # in LabelMe, id 0 is the background, on the next line
        lines = lines[1:]
    if file.name != "labelmap.txt":
        return _numbered(lines) or [(index, name, None) for index, name in enumerate(lines)]
    rows = [line.split(":") for line in lines if not line.startswith("#")]  # CVAT: name:r,g,b:parts:actions
    return [(i, row[0].strip(), _colour(row[1])) for i, row in enumerate(rows) if len(row) > 1]


def _numbered(lines: list[str]) -> list[Entry]:
    """Parse lines that contain ids, such as "0 background" or "1: road"; return [] unless every line does.

    CamVid's label_colors.txt has colours instead of ids: "64 128 64 Animal".
    """
    coloured = [re.fullmatch(r"(\d+)[\s,]+(\d+)[\s,]+(\d+)[\s,]+(\D.*)", line) for line in lines]
    if lines and all(coloured):
        return [
            (i, match[4].strip(), _colour(" ".join(match.groups()[:3]))) for i, match in enumerate(coloured) if match
        ]
    matches = [re.fullmatch(r"(\d+)\s*[:;,=\s]\s*(\D.*)", line) for line in lines]
    if not lines or not all(matches):
        return []
    return [(int(match[1]), match[2].strip(), None) for match in matches if match]


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
        raise ValueError(f"{text!r} is not a colour")
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
