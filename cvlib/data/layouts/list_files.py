"""Text files that list images, one per line, with their class (`cat/1.jpg 0`) or in its folder (`cat/1`)."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath

from cvlib.data import images
from cvlib.data.layouts import class_names, names, table_labels
from cvlib.data.layouts.collection import subfolders, text_of
from cvlib.data.layouts.find import ImageFinder
from cvlib.data.layouts.survey import Survey
from cvlib.data.layouts.table_file import number, whole

Rows = list[tuple[int, list[str]]]  # the number of the line; the path of the image and the rest of the line
_MAX_IN_FOLDER = 60  # a folder with more text files holds one per image
_MAX_DEPTH = 3  # of the folders of the lists, below the collection's folder
_EXAMINED = 20  # lines to look up
_WITH_ENDING = re.compile(
    rf"(.+?\.(?:{'|'.join(sorted(ending[1:] for ending in images.EXTENSIONS))}))(?:[\s,;|]+(.*))?", re.I
)


@dataclass(frozen=True)
class TextList:
    """One list of images."""

    file: Path
    split: str  # "" if its name gives none
    family: tuple[str, ...]  # the other words and numbers in its name: images_variant_train → images, variant
    rows: Rows
    labelled: bool  # whether the lines give the class; otherwise the folder of the image does


def candidates(survey: Survey) -> list[Path]:
    """Return the text files that may be lists: not those in folders with one per image, nor the flags of Pascal VOC."""
    if survey.root.is_file():
        return [survey.root]
    by_folder = defaultdict(list)
    for file in survey.by_suffix.get(".txt", []):
        if file.is_file():
            by_folder[file.parent].append(file)
    depth = len(survey.root.parts) + _MAX_DEPTH
    usual = {folder: files for folder, files in by_folder.items() if "ImageSets" not in folder.parts}
    return [file for folder, files in usual.items() for file in files
            if len(files) <= _MAX_IN_FOLDER and len(folder.parts) <= depth]  # fmt: skip


def finder_of(home: Path, *folders: Path) -> ImageFinder:
    """Return a finder of the images of lists in these folders."""
    return ImageFinder(home, list(dict.fromkeys([*folders, home, *subfolders(home)])))


def read(file: Path, find: Callable[[str], Path | None]) -> TextList | None:
    """Return the list in a file, or None if it is none: most lines must name an image, and all have the same form."""
    if re.match(r"(?i)read.?me|license|licence|attribution", file.name):
        return None
    rows = rows_of(file)
    step = max(1, len(rows) // _EXAMINED)
    some = [cells for _, cells in islice(rows[::step], _EXAMINED)]
    if not some or 2 * sum(_names_image(file, cells[0], find) for cells in some) < len(some):
        return None
    labelled = len(some[0]) == 2
    if any((len(cells) == 2) != labelled for _, cells in rows):
        return None
    if labelled and not _are_classes(file, [cells[1] for _, cells in rows]):
        return None
    if not labelled and not _in_class_folders([cells[0] for _, cells in rows]):
        return None
    split, rest = names.split_and_rest(file.stem)
    family = (*rest, *re.findall(r"\d+", file.stem))
    return TextList(file, split or "", family, rows, labelled)


def rows_of(file: Path) -> Rows:
    """Return the lines of a file, without comments, as the path of an image and the rest, if there is a rest."""
    lines = file.read_text("utf-8-sig", errors="replace").splitlines()
    rows = [(index, line.strip()) for index, line in enumerate(lines, 1)]
    return [(index, _cells(line)) for index, line in rows if line and not line.startswith("#")]


def _cells(line: str) -> list[str]:
    match = _WITH_ENDING.fullmatch(line)
    if match:
        return [match[1], match[2].strip()] if match[2] else [match[1]]
    return [cell.strip() for cell in re.split(r"[\t,;|]" if re.search(r"[\t,;|]", line) else r"\s+", line, maxsplit=1)]


def _names_image(file: Path, written: str, find: Callable[[str], Path | None]) -> bool:
    plain = "/" not in written and Path(written).suffix.lower() not in images.EXTENSIONS
    if plain and class_names.is_names_file(file):  # "3 cat" in classes.txt is no image 3.png of the class cat
        return False
    return find(written) is not None


def _are_classes(file: Path, labels: list[str]) -> bool:
    """Return whether the rests of all lines may be classes, rather than masks, boxes, flags or attributes."""
    if any(Path(label).suffix.lower() in images.EXTENSIONS for label in labels):
        return False
    if re.search(r"(?i)partition|split", file.stem) and {whole(label) for label in labels} <= {"0", "1", "2"}:
        return False  # the splits of CelebA
    if all(number(part) is not None for label in labels for part in parts_of(label)):
        first = {parts_of(label)[0] for label in labels}
        return len({len(parts_of(label)) for label in labels}) == 1 and all(
            whole(part) and not part.startswith("-") for part in first
        )
    return table_labels.certain_separator(labels) is None


def parts_of(label: str) -> list[str]:
    """Return the words or numbers in the rest of a line."""
    return [part for part in re.split(r"[\s,;|]+", label) if part] or [label]


def _in_class_folders(paths: list[str]) -> bool:
    """Return whether the paths are in folders that may be classes; it is enough to look at different folders."""
    folders = {folder_of(path) for path in paths}
    return len(folders) > 1 and not any(
        not folder or names.split_of(folder) or names.only_role(folder) for folder in folders
    ) and not all(map(names.looks_like_group, folders))  # fmt: skip


def folder_of(path: str) -> str:
    """Return the name of the folder in a written path; "" without one."""
    parts = PurePosixPath(path.replace("\\", "/")).parts
    return text_of(parts[-2]) if len(parts) > 1 and parts[-2] not in ("/", ".", "..") else ""


def chosen(found: list[TextList]) -> tuple[list[TextList], list[TextList]]:
    """Return the lists to read, one per split, and other lists that give other classes or other splits.

    Lists with classes come before lists of paths. Of several numbered sets (`train1`, `train2` …), the first is read.
    """
    labelled = [item for item in found if item.labelled]
    with_train = [some for some in (labelled, found) if any(item.split == "train" for item in some)]
    best = next(iter(with_train), labelled or found)
    train = [item for item in best if item.split == "train"]
    if not train:
        return (best, []) if len(best) == 1 and not best[0].split else ([], best)
    only = [item for item in train if "trainval" not in "".join(names.words(item.file.stem))]
    train = sorted(only or train, key=lambda item: (item.family, item.file))
    picked = {"train": train[0]}
    for split in ("val", "test"):
        fit = [item for item in best if item.split == split]
        same = [item for item in fit if (item.family, item.file.parent) == (train[0].family, train[0].file.parent)]
        if same or len(fit) == 1:
            picked[split] = (same or fit)[0]
    others = [item for item in train[1:] if item.file.name != train[0].file.name]
    return list(picked.values()), others
