"""Images with masks beside them: `images/` and `masks/`, split by folders or by lists; segmentation."""

from __future__ import annotations

import io
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from cvlib.config import DataConfig
from cvlib.data import images
from cvlib.data.dataset import IGNORE
from cvlib.data.findings import ERROR, REMARK, WARNING, Finding
from cvlib.data.images import Header
from cvlib.data.layouts import legend as legends
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
from cvlib.data.layouts.legend import Legend
from cvlib.errors import UserError

IMAGE_FOLDERS = ("images", "image", "img", "imgs", "JPEGImages")
MASK_FOLDERS = ("masks", "mask", "labels", "annotations/trimaps", "annotations", "gt", "SegmentationClass")
_LOOKED_AT = 100  # files in a folder, to see whether it holds masks
_SUFFIXES = ("", "_mask", "_masks", "_label", "_labels", "_L", "_gt", "-mask")  # a mask's stem after its image's
_UNDEFINED = -1


@dataclass(frozen=True)
class MaskFile:
    """Reads one mask; `()` gives uint8 (height, width) class ids of the upright image, IGNORE where undefined.

    A palette's colours count before its indices where the legend knows all of them, for editors reorder palettes.
    """

    path: Path
    image: Path
    legend: Legend

    def __call__(self) -> np.ndarray:
        header = images.header(self.image)
        return _upright(_class_ids(_opened(self.path)[0], self.legend)[0], header)

    def examine(self, header: Header, path: str) -> tuple[np.ndarray | None, list[Finding]]:
        """The mask, or None where it can't be used, and what is wrong with it; `path` is its name for people."""
        try:
            image, lossy = _opened(self.path)
            found, permuted = _class_ids(image, self.legend)
        except UserError as error:
            message = str(error).removeprefix(f"{self.path}: ")
            return None, [Finding(ERROR, "unreadable mask", path, message, "repair it or take it out")]
        findings = _problems(image, found, header, self.legend, path)
        if lossy:
            findings.insert(0, Finding(ERROR, "lossy mask", path, "a mask in a lossy format (JPEG) has wrong ids at "
                                       "every edge", "save masks as PNG"))  # fmt: skip
        if permuted:
            message = "its palette indices aren't the ids of the label file: the palette's colours tell the classes"
            findings.append(Finding(WARNING, "palette reordered", path, message, "save it anew"))
        if any(finding.severity == ERROR for finding in findings):
            return None, findings
        return _upright(found, header), findings


def _opened(path: Path) -> tuple[Image.Image, bool]:
    """The mask as it is stored, and whether its format is lossy."""
    data = images.content_of(path)
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            return image.copy(), image.format == "JPEG"
    except Exception as error:
        reason = "it holds no known image format" if isinstance(error, Image.UnidentifiedImageError) else error
        line = " ".join(str(reason).split()) or type(error).__name__
        raise UserError(f"{path}: can't be read as a mask: {line}") from error


def _class_ids(image: Image.Image, legend: Legend) -> tuple[np.ndarray, bool]:
    """int16 (height, width) of class ids, −1 where undefined; and whether colours overruled a palette's ids."""
    if image.mode == "P":
        by_id, by_colour = _lookup(legend)[:256], _by_palette(image, legend)
        return (by_id if by_colour is None else by_colour)[np.asarray(image)], by_colour is not None
    if image.mode in ("RGB", "RGBA", "CMYK", "YCbCr"):
        rgb = np.asarray(image.convert("RGB"))
        by_colour = _by_colour(rgb, legend)
        if (by_colour == _UNDEFINED).any() and np.all(rgb == rgb[..., :1]) and legend.ids:
            return _lookup(legend)[rgb[..., 0]], False  # a grey mask of ids that was saved with three channels
        return by_colour, False
    array = np.asarray(image)
    grey = array[..., 0] if array.ndim == 3 else array
    if grey.dtype.kind not in "uib":
        grey = np.where(grey == np.rint(grey), grey, 65535)
    return _lookup(legend)[np.clip(grey.astype(np.int64), 0, 65535)], False


def _lookup(legend: Legend) -> np.ndarray:
    table = np.full(65536, _UNDEFINED, np.int16)
    for own_id, index in legend.ids.items():
        if 0 <= own_id < 65536:
            table[own_id] = index
    return table


def _by_palette(image: Image.Image, legend: Legend) -> np.ndarray | None:
    """What the palette's colours say that its 256 indices are; None where that is no more than the indices say.

    It isn't where the legend lacks a colour that is used, nor where two used indices have one colour (unused
    entries are often all black).
    """
    palette = np.zeros((256, 3), np.int64)
    given = np.array(image.getpalette("RGB") or [], np.int64).reshape(-1, 3)[:256]
    palette[: len(given)] = given
    used = np.flatnonzero(image.histogram()[:256])
    colours = [(r, g, b) for r, g, b in palette[used].tolist()]
    known = [legend.colours.get(colour, _UNDEFINED) for colour in colours]
    if _UNDEFINED in known or len(set(colours)) < len(colours) or known == _lookup(legend)[used].tolist():
        return None
    table = np.full(256, _UNDEFINED, np.int16)
    table[used] = known
    return table


def _by_colour(rgb: np.ndarray, legend: Legend) -> np.ndarray:
    result = np.full(rgb.shape[:2], _UNDEFINED, np.int16)
    codes = np.array(sorted((r << 16) + (g << 8) + b for r, g, b in legend.colours), np.int32)
    if len(codes) == 0:
        return result
    ids = {(r << 16) + (g << 8) + b: index for (r, g, b), index in legend.colours.items()}
    red, green, blue = (rgb[..., channel].astype(np.int32) for channel in range(3))
    packed = (red << 16) + (green << 8) + blue
    nearest = np.minimum(np.searchsorted(codes, packed), len(codes) - 1)
    known = codes[nearest] == packed
    result[known] = np.array([ids[code] for code in codes.tolist()], np.int16)[nearest[known]]
    return result


def _upright(mask: np.ndarray, header: Header) -> np.ndarray:
    """Undefined ids become IGNORE; a mask that lies as the image is stored is turned with it."""
    mask = np.where(mask == _UNDEFINED, IGNORE, mask).astype(np.uint8)
    if mask.shape != header.size and mask.shape == header.stored:
        return images.upright(mask, header.orientation)
    return mask


def _problems(image: Image.Image, found: np.ndarray, header: Header, legend: Legend, path: str) -> list[Finding]:
    findings = []
    if found.shape not in (header.size, header.stored):
        own, wanted = (f"{width}×{height}" for height, width in (found.shape, header.size))
        findings.append(Finding(ERROR, "mask size", path, f"the mask is {own}, its image {wanted}",
                                "make it again from the original, by nearest neighbour"))  # fmt: skip
    undefined = found == _UNDEFINED
    if undefined.any():
        values, counts = np.unique(np.asarray(image)[undefined], axis=0, return_counts=True)
        listed = ", ".join(str(values[i].tolist()) for i in np.argsort(-counts)[:5])
        more = f" and {len(values) - 5} more" if len(values) > 5 else ""
        hint = " (so many values come of a lossy format, or of resizing with interpolation)" if len(values) > 5 else ""
        what = "colours" if values.ndim > 1 else "ids"
        message = f"{what} that no label has: {listed}{more}, {int(undefined.sum())} pixels{hint}"
        findings.append(Finding(ERROR, "undefined ids", path, message, "correct the mask or the label file"))
    elif (found == IGNORE).all():
        findings.append(Finding(WARNING, "mask all void", path, "every pixel is ignored: nothing is learned from it"))
    elif image.mode != "1" and legend.ids.get(IGNORE) == IGNORE and _is_binary(image):
        findings.append(Finding(WARNING, "binary mask", path, "it holds 0 and 255 alone, but here 255 means void",
                                "give the object its class's id"))  # fmt: skip
    return findings


def _is_binary(image: Image.Image) -> bool:
    return image.mode == "L" and image.histogram()[1:255] == [0] * 254 and image.getextrema() == (0, 255)


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


def read(root: Path, task: str, config: DataConfig) -> Collection:
    """Images and masks of the same stem, split by folders, by lists (`train.txt` …), or not at all.

    Ids and colours mean what a label file says (`labels.csv` with id,name,r,g,b, or `classes.txt`, one name a line);
    id 255 and classes called void are ignored. Without a label file each id in the masks is a class, or
    `data.classes` name ids that count from 0 on.
    """
    folders = pairs(root)
    if not folders:
        raise UserError(f"{root}: no images/ with masks/ beside it")
    collection = Collection(root, "masks", task, [], {})
    list_folder = lists.folder_of(root, root / "splits", root / "ImageSets" / "Segmentation", root / "ImageSets")
    trimaps = any(mask_folder.name == "trimaps" for _, mask_folder in folders.values())
    fill(collection, folders, list_folder, legends.find(root) or (legends.PETS if trimaps else None),
         config.classes)  # fmt: skip
    return collection


def fill(
    collection: Collection, folders: dict[str, tuple[Path, Path]], list_folder: Path | None, legend: Legend | None,
    chosen: list[str] | None, customary: tuple[Legend, str] | None = None,
) -> None:  # fmt: skip
    """Put the samples of these folders into the collection, with their classes and colours.

    Without a legend the masks' values mean what `legend.without_file` makes of `chosen` and `customary`.
    """
    masks = {part: _stems_in(collection, mask_folder) for part, (_, mask_folder) in folders.items()}
    if legend is None:
        files = [file for stems in masks.values() for file in stems.values()]
        legend, note = legends.without_file(files, chosen, customary)
        collection.notes.append(note)
    collection.classes, collection.colours = legend.classes, legend.painted()
    for part, (image_folder, _) in folders.items():
        pictures = _stems_in(collection, image_folder)
        if part or list_folder is None:
            entries = [(stem, "") for stem in pictures]
            collection.parts[part or "train"] = _samples(collection, entries, None, pictures, masks[part], legend)
            for stem in sorted(set(masks[part]) - {name for known in pictures for name in _stems(known)}):
                collection.blame(WARNING, "missing image", masks[part][stem], "there is no image for this mask",
                                 "add it, or take the mask out")  # fmt: skip
            continue
        listed = lists.read(list_folder, collection)
        for listed_part, entries in listed.items():
            file = lists.file_for(list_folder, listed_part)
            collection.parts[listed_part] = _samples(collection, entries, file, pictures, masks[part], legend)
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
    pictures: dict[str, Path], masks: dict[str, Path], legend: Legend,
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
            samples.append(Sample(name, image, MaskFile(mask, image, legend), mask))
    return samples
