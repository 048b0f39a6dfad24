"""Images with masks beside them: `images/` and `masks/`, split by folders or by lists; segmentation."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from cvlib.config.schema import DataConfig
from cvlib.data import images
from cvlib.data.findings import ERROR, REMARK, WARNING
from cvlib.data.labels import LabelKind
from cvlib.data.layouts import label_map as label_maps
from cvlib.data.layouts import lists
from cvlib.data.layouts.collection import (
    PART_NAMES,
    Collection,
    Sample,
    by_stem,
    image_files,
    name_of,
    subfolders,
    text_of,
)
from cvlib.data.layouts.label_map import LabelMap
from cvlib.data.layouts.mask_file import MaskFile
from cvlib.runtime.errors import UserError

IMAGE_FOLDERS = ("images", "image", "img", "imgs", "JPEGImages")
MASK_FOLDERS = ("masks", "mask", "labels", "annotations/trimaps", "annotations", "gt", "SegmentationClass")
_LOOKED_AT = 100  # files in a folder, to see whether it holds masks
_SUFFIXES = ("", "_mask", "_masks", "_label", "_labels", "_L", "_gt", "-mask")  # a mask's stem after its image's


def pairs(root: Path) -> dict[str, tuple[Path, Path]]:
    """The folders of images and of masks by part; under "" where folders don't split them."""
    found = _pair(root)
    if found is None:
        split = {PART_NAMES[f.name.lower()]: _pair(f) for f in subfolders(root) if f.name.lower() in PART_NAMES}
        return {part: pair for part, pair in split.items() if pair is not None}
    image_root, mask_root = found
    masks = {f.name.lower(): f for f in subfolders(mask_root)}
    split_pairs = {
        PART_NAMES[f.name.lower()]: (f, masks[f.name.lower()])
        for f in subfolders(image_root) if f.name.lower() in PART_NAMES and f.name.lower() in masks
    }  # fmt: skip
    return split_pairs if "train" in split_pairs else {"": found}


def _pair(folder: Path) -> tuple[Path, Path] | None:
    image_folder = next((folder / name for name in IMAGE_FOLDERS if (folder / name).is_dir()), None)
    mask_folder = next((folder / name for name in MASK_FOLDERS if (folder / name).is_dir()
                        and any(images.looks_like_image(file) for file in _some(folder / name))), None)  # fmt: skip
    return None if image_folder is None or mask_folder is None else (image_folder, mask_folder)


def _some(folder: Path) -> list[Path]:
    """The first files in `folder`, and in the folders in it."""
    return [entry for place in (folder, *subfolders(folder)) for entry in islice(place.iterdir(), _LOOKED_AT)]


def found(root: Path) -> bool:
    """Whether `root` has images with masks beside them."""
    return bool(pairs(root))


def read(root: Path, kind: LabelKind, config: DataConfig) -> Collection:
    """Images and masks of the same stem, split by folders, by lists (`train.txt` …), or not at all.

    Ids and colours mean what a label file says (`labels.csv` with id,name,r,g,b, or `classes.txt`, one name a line);
    id 255 and classes called void are ignored. Without a label file each id in the masks is a class, or
    `data.classes` name ids that count from 0 on.
    """
    folders = pairs(root)
    if not folders:
        raise UserError(f"{root}: no images/ with masks/ beside it")
    collection = Collection(root, "masks", kind, [], {})
    list_folder = lists.folder_of(root, root / "splits", root / "ImageSets" / "Segmentation", root / "ImageSets")
    trimaps = any(mask_folder.name == "trimaps" for _, mask_folder in folders.values())
    fill(collection, folders, list_folder, label_maps.find(root) or (label_maps.PETS if trimaps else None),
         config.classes)  # fmt: skip
    return collection


def fill(
    collection: Collection, folders: dict[str, tuple[Path, Path]], list_folder: Path | None, label_map: LabelMap | None,
    chosen: list[str] | None, customary: tuple[LabelMap, str] | None = None,
) -> None:  # fmt: skip
    """Put the samples of these folders into the collection, with their classes and colours.

    Without a label map the masks' values mean what `label_map.without_file` makes of `chosen` and `customary`.
    """
    masks = {part: _stems_in(collection, mask_folder) for part, (_, mask_folder) in folders.items()}
    if label_map is None:
        files = [file for stems in masks.values() for file in stems.values()]
        label_map, note = label_maps.without_file(files, chosen, customary)
        collection.notes.append(note)
    collection.classes, collection.colours = label_map.classes, label_map.painted()
    for part, (image_folder, _) in folders.items():
        pictures = _stems_in(collection, image_folder)
        if part or list_folder is None:
            entries = [(stem, "") for stem in pictures]
            collection.parts[part or "train"] = _samples(collection, entries, None, pictures, masks[part], label_map)
            for stem in sorted(set(masks[part]) - {name for known in pictures for name in _stems(known)}):
                collection.blame(WARNING, "missing image", masks[part][stem], "there is no image for this mask",
                                 "add it, or take the mask out")  # fmt: skip
            continue
        listed = lists.read(list_folder, collection)
        for listed_part, entries in listed.items():
            file = lists.file_for(list_folder, listed_part)
            collection.parts[listed_part] = _samples(collection, entries, file, pictures, masks[part], label_map)
        named = {_stem(entry, pictures) for entries in listed.values() for entry, _ in entries}
        for stem in sorted(set(pictures) - named):
            collection.blame(REMARK, "unlisted image", pictures[stem], "it is in no split list: left out")


def _stems_in(collection: Collection, folder: Path) -> dict[str, Path]:
    """Image files by their stem; a lossless one counts before a JPEG."""
    files = sorted(image_files(folder), key=lambda f: (f.suffix.lower() in (".jpg", ".jpeg"), f.as_posix()))
    return by_stem(collection, files, folder)


def _stem(entry: str, pictures: dict[str, Path]) -> str:
    """The stem that a list's entry means: an id, a file name, or a pair "image mask" of paths."""
    first = entry if entry in pictures else entry.split()[0]
    for candidate in (entry, first, text_of(Path(first).with_suffix("").as_posix()), Path(first).stem):
        if candidate in pictures:
            return candidate
    return entry


def _stems(stem: str) -> list[str]:
    return [stem + suffix for suffix in _SUFFIXES]


def _samples(
    collection: Collection, entries: list[tuple[str, str]], list_file: Path | None,
    pictures: dict[str, Path], masks: dict[str, Path], label_map: LabelMap,
) -> list[Sample]:  # fmt: skip
    samples = []
    for entry, place in entries:
        stem = _stem(entry, pictures)
        image = pictures.get(stem)
        mask = next((masks[name] for name in _stems(stem) if name in masks), None)
        if image is None and mask is None:
            collection.blame(ERROR, "missing image", list_file or stem, f"{entry} has neither an image nor a mask",
                             "add the files, or take the line out", place)  # fmt: skip
        elif image is None:
            collection.blame(ERROR, "missing image", mask or stem, "it is listed, but there is no image for this mask",
                             "add the image, or take the line out")  # fmt: skip
        elif mask is None:
            collection.blame(ERROR, "missing mask", image, "there is no mask for this image",
                             "add it, or take the image out")  # fmt: skip
        else:
            name = name_of(image, collection.root)
            samples.append(Sample(name, image, MaskFile(mask, image, label_map), mask))
    return samples
