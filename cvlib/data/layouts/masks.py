"""Images with mask files, whatever the folder names, split by folders or by lists; for segmentation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cvlib.config.schema import DataConfig
from cvlib.data.findings import ERROR, REMARK, WARNING
from cvlib.data.labels import MASK, LabelKind
from cvlib.data.layouts import evidence, lists, mask_places, names
from cvlib.data.layouts import label_map as label_maps
from cvlib.data.layouts.collection import Collection, Sample, by_stem, name_of, text_of
from cvlib.data.layouts.evidence import Evidence
from cvlib.data.layouts.label_map import LabelMap
from cvlib.data.layouts.mask_file import MaskFile, MaskUnion
from cvlib.data.layouts.mask_places import BESIDE, GROUPS, NESTED, Place, Places
from cvlib.data.layouts.pairing import Pairs
from cvlib.data.layouts.survey import Survey
from cvlib.runtime.errors import UserError

TITLE = "images with masks"


def signs(survey: Survey) -> list[Evidence]:
    """Return evidence from folders or files whose names identify them as masks of other images."""
    places = mask_places.find(survey.root)
    if not places:
        return []
    place = next(iter(places.splits.values()))
    root = survey.root
    words = {
        BESIDE: "beside the images",
        NESTED: "in a folder for each image",
        GROUPS: "in several folders, each beside a folder of its images",
    }
    where = words.get(place.form) or f"in {name_of(place.masks, root)}/ for {name_of(place.images, root)}/"
    number = sum(len(item.contents()[1]) for item in places.splits.values())
    splits = f" (and {', '.join(list(places.splits)[1:])})" if len(places.splits) > 1 else ""
    among_classes = place.form == BESIDE and "" in places.splits and len(survey.subfolders(root)) > 1
    if place.form == GROUPS:  # COVID/images and COVID/masks may be a class, but Tile 1/images is none
        owners = {file.relative_to(place.images).parts[0] for file in place.contents()[0]}
        among_classes = not all(names.looks_like_group(owner) for owner in owners)
    is_voc = place.masks.name.startswith("SegmentationClass")  # the reader of `voc` knows what the ids mean
    certainty = 0.6 if is_voc else 0.9 if places.usual or place.form != BESIDE else 0.7
    return [Evidence("masks", MASK, root, certainty, f"{evidence.counted(number, 'mask')} {where}{splits}", TITLE,
                     exclusive=not among_classes)]  # fmt: skip


def read(root: Path, kind: LabelKind, config: DataConfig) -> Collection:
    """Read images and the masks that match by name; folders or lists (`train.txt` …) may define the splits.

    A label file gives the meaning of ids and colours (`labels.csv` with id,name,r,g,b, or `classes.txt` with one name
    per line). Id 255 and classes named void are ignored. Without a label file, each id in the masks is a class, or
    `data.classes` names the ids, counting from 0.
    """
    places = mask_places.find(root)
    if not places:
        raise UserError(f"{root}: no images with masks found: expected folders such as images/ and masks/")
    collection = Collection(root, "masks", kind, [], {})
    list_folder = lists.folder_of(root, root / "splits", root / "ImageSets" / "Segmentation", root / "ImageSets",
                                  train=False)  # fmt: skip
    trimaps = any(place.masks.name == "trimaps" for place in places.splits.values())
    label_map = _label_map(root, places) or (label_maps.PETS if trimaps else None)
    fill(collection, places.splits, list_folder, label_map, config.classes)
    _report_others(collection, places)
    return collection


def _label_map(root: Path, places: Places) -> LabelMap | None:
    """Return the label map in the root, or else beside the images or the masks."""
    folders = [
        root,
        *(item for place in places.splits.values() for item in (place.images.parent, place.masks, place.images)),
    ]
    found = (label_maps.find(folder) for folder in dict.fromkeys(folders))
    return next((label_map for label_map in found if label_map is not None), None)


def _report_others(collection: Collection, places: Places) -> None:
    used = ", ".join(sorted({name_of(place.masks, collection.root) for place in places.splits.values()}))
    for folder in places.passed_over:
        view = "" if names.role_of(folder.name) == names.LABELS else ", or masks of the camera's field of view"
        message = f"it may also hold masks{view}: the labels are read from {used}"
        advice = f"if that is wrong, move {folder.name} away or rename {used}"
        collection.blame(REMARK, "other masks", folder, message, advice)


def fill(
    collection: Collection, places: dict[str, Place], list_folder: Path | None, label_map: LabelMap | None,
    chosen: list[str] | None, default: tuple[LabelMap, str] | None = None,
) -> None:  # fmt: skip
    """Add the samples of these places to the collection, with their classes and colours.

    Without a label map, `label_map.without_file` interprets the mask values, given `chosen` and `default`.
    """
    found = {split: _paired(collection, place) for split, place in places.items()}
    used = [file for item in found.values() for files in item.pairs.masks.values() for file in files]
    used = used or [file for item in found.values() for file in item.masks.values()]
    if label_map is None:
        label_map, note = label_maps.without_file(used, chosen, default)
        collection.notes.append(note)
    else:
        label_map = label_maps.thresholded(label_map, used)
    if label_map.threshold is not None:
        collection.notes.append("masks contain grey levels between black and white (from JPEG or soft edges): "
                                f"thresholded at {label_map.threshold}")  # fmt: skip
    collection.classes, collection.colours = label_map.classes, label_map.class_colours()
    for split, item in found.items():
        paired = f"masks are paired with images by name: mask names end in {item.pairs.affix}"
        if item.pairs.affix and paired not in collection.notes:
            collection.notes.append(paired)
        if split or list_folder is None:
            entries = [(stem, "") for stem in item.pictures]
            collection.splits[split or "train"] = _samples(
                collection, entries, None, item.pictures, item.pairs.masks, label_map
            )
        else:
            orphans = {stem: [file] for stem, file in item.masks.items() if file in item.pairs.unused}
            _fill_by_lists(collection, list_folder, item.pictures, orphans | item.pairs.masks, label_map)
        for file in sorted(item.pairs.unused) if split or list_folder is None else []:
            collection.blame(WARNING, "missing image", file, "there is no image for this mask",
                             "add it, or remove the mask")  # fmt: skip


@dataclass(frozen=True)
class _Found:
    """The images and masks of one place by stem, and how they are paired."""

    pictures: dict[str, Path]
    masks: dict[str, Path]
    pairs: Pairs


def _paired(collection: Collection, place: Place) -> _Found:
    images, files = place.contents()
    pictures, masks = _stems(collection, images, place.images), _stems(collection, files, place.masks)
    return _Found(pictures, masks, place.paired(pictures, masks))


def _fill_by_lists(
    collection: Collection, list_folder: Path, pictures: dict[str, Path], masks: dict[str, list[Path]],
    label_map: LabelMap,
) -> None:  # fmt: skip
    listed = lists.read(list_folder, collection)
    for split, entries in listed.items():
        file = lists.file_for(list_folder, split)
        collection.splits[split] = _samples(collection, entries, file, pictures, masks, label_map)
    named = {_stem(entry, pictures) for entries in listed.values() for entry, _ in entries}
    rest = sorted(set(pictures) - named)
    if "train" not in listed:
        collection.splits["train"] = _samples(
            collection, [(stem, "") for stem in rest], None, pictures, masks, label_map
        )
        return
    for stem in rest:
        collection.blame(REMARK, "unlisted image", pictures[stem], "not in any split list: left out")


def _stems(collection: Collection, files: list[Path], folder: Path) -> dict[str, Path]:
    """Return image files by stem; lossless files take precedence over JPEG."""
    ordered = sorted(files, key=lambda f: (f.suffix.lower() in (".jpg", ".jpeg"), f.as_posix()))
    return by_stem(collection, ordered, folder)


def _stem(entry: str, pictures: dict[str, Path]) -> str:
    """Return the stem that a list entry refers to: an id, a file name, or a pair of paths "image mask"."""
    first = entry if entry in pictures else entry.split()[0]
    for candidate in (entry, first, text_of(Path(first).with_suffix("").as_posix()), Path(first).stem):
        if candidate in pictures:
            return candidate
    return entry


def _samples(
    collection: Collection, entries: list[tuple[str, str]], list_file: Path | None,
    pictures: dict[str, Path], masks: dict[str, list[Path]], label_map: LabelMap,
) -> list[Sample]:  # fmt: skip
    samples = []
    for entry, place in entries:
        stem = _stem(entry, pictures)
        image, mask = pictures.get(stem), masks.get(stem)
        if image is None and mask is None:
            collection.blame(ERROR, "missing image", list_file or stem, f"{entry} has neither an image nor a mask",
                             "add the files, or remove the line", place)  # fmt: skip
        elif image is None:
            collection.blame(ERROR, "missing image", mask[0] if mask else stem, "listed, but there is no image for "
                             "this mask", "add the image, or remove the line")  # fmt: skip
        elif mask is None:
            collection.blame(ERROR, "missing mask", image, "there is no mask for this image",
                             "add it, or remove the image")  # fmt: skip
        else:
            name = name_of(image, collection.root)
            label = (MaskFile(mask[0], image, label_map) if len(mask) == 1
                     else MaskUnion(tuple(mask), image, label_map))  # fmt: skip
            samples.append(Sample(name, image, label, mask[0]))
    return samples
