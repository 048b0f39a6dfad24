"""Detection of the folders that hold a collection's images and masks, whatever their names."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from cvlib.data import images
from cvlib.data.layouts import names, pairing
from cvlib.data.layouts.collection import image_files, name_of, subfolders
from cvlib.data.layouts.pairing import Pairs

IMAGE_FOLDERS = ("images", "image", "img", "imgs", "JPEGImages")
MASK_FOLDERS = ("masks", "mask", "labels", "annotations/trimaps", "annotations", "gt", "SegmentationClass")
_MAX_EXAMINED = 100  # maximum number of files to examine per folder
_MIN_PAIRED = 0.5  # the minimum share of a folder's images that have a mask
FOLDERS, BESIDE, NESTED, GROUPS = "folders", "beside", "nested", "groups"
_MAX_DEPTH = 3  # of the folders that each hold a folder of images and one of masks


@dataclass(frozen=True)
class Place:
    """Images and their masks: in two folders, in the same folder, in one folder per image, or in two per group."""

    images: Path
    masks: Path
    form: str = FOLDERS

    def contents(self) -> tuple[list[Path], list[Path]]:
        """Return the image files and the mask files."""
        if self.form == BESIDE:
            files = image_files(self.images)
            masks = pairing.masks_beside(files)
            return [file for file in files if file not in masks], list(masks)
        if self.form == NESTED:
            inner = [_nested(folder) for folder in subfolders(self.images)]
            places = [pair for pair in inner if pair is not None]
            return ([file for item, _ in places for file in image_files(item)],
                    [file for _, other in places for file in image_files(other)])  # fmt: skip
        if self.form == GROUPS:
            pairs = _groups(self.images)
            return ([file for pair in pairs for file in image_files(pair[0])],
                    [file for pair in pairs for file in image_files(pair[1])])  # fmt: skip
        return image_files(self.images), image_files(self.masks)

    def paired(self, pictures: dict[str, Path], masks: dict[str, Path]) -> Pairs:
        """Return the masks of each image, keyed by the image's stem relative to `images`."""
        if self.form == GROUPS:
            return self._paired_in_groups(pictures, masks)
        if self.form != NESTED:
            return pairing.pair(pictures, masks)
        owner = {picture.parents[1]: stem for stem, picture in pictures.items()}
        found: dict[str, list[Path]] = {}
        for file in masks.values():
            folder = next(above for above in file.parents if above.parent == self.images)
            if folder in owner:
                found.setdefault(owner[folder], []).append(file)
        return Pairs(found, [])

    def _paired_in_groups(self, pictures: dict[str, Path], masks: dict[str, Path]) -> Pairs:
        """Pair the images of each group with the masks of the same group."""
        found, unused, affix = {}, [], ""
        for image_folder, mask_folder in _groups(self.images):
            own = {name_of(file.with_suffix(""), image_folder): stem for stem, file in pictures.items()
                   if image_folder in file.parents}  # fmt: skip
            pairs = pairing.pair(
                {name: pictures[stem] for name, stem in own.items()},
                pairing.stems([f for f in masks.values() if mask_folder in f.parents], mask_folder),
            )
            if len(own) == 1 and not pairs.masks:  # masks of the objects in a single image need not have its name
                pairs = Pairs({next(iter(own)): pairs.unused}, [])
            found.update({own[name]: files for name, files in pairs.masks.items()})
            unused += pairs.unused
            affix = affix or pairs.affix
        return Pairs(found, unused, affix)


@dataclass
class Places:
    """The place of each split, under "" if folders don't define splits, and other folders that look like masks."""

    splits: dict[str, Place] = field(default_factory=dict)
    passed_over: list[Path] = field(default_factory=list)  # other folders of possible masks or field-of-view masks
    usual: bool = False  # whether the folders have this layout's standard names

    def __bool__(self) -> bool:
        return bool(self.splits)


def find(root: Path) -> Places:
    """Return the places of the images and masks of `root`; the result has no splits if none are found."""
    return (
        _sibling_splits(root)
        or _usual(root)
        or _splits_with_pairs(root)
        or _beside(root)
        or _per_image(root)
        or _by_group(root)
    )


def _usual(root: Path) -> Places:
    """Find a folder of images and one of masks, with or without splits, by standard names or by words in the names."""
    found, passed = _pair(root)
    if found is None:
        return Places()
    image_root, mask_root = found
    masks = {names.split_of(f.name): f for f in subfolders(mask_root)}
    places = {split: Place(f, masks[split]) for f in subfolders(image_root)
             if (split := names.split_of(f.name)) is not None and split in masks}  # fmt: skip
    usual = image_root.name in IMAGE_FOLDERS and mask_root.relative_to(root).as_posix() in MASK_FOLDERS
    return Places(places if "train" in places else {"": Place(*found)}, passed, usual)


def _splits_with_pairs(root: Path) -> Places:
    """Find a pair of folders in each split's folder: train/images and train/masks."""
    found = Places(usual=True)
    for folder in subfolders(root):
        split = names.split_of(folder.name)
        pair, passed = _pair(folder) if split else (None, [])
        if split and pair:
            found.splits[split] = Place(*pair)
            found.passed_over += passed
    return found if found.splits else Places()


def _sibling_splits(root: Path) -> Places:
    """Find sibling folders such as train and train_masks, val and val_labels."""
    found = Places()
    by_split: dict[str, list[Path]] = {}
    for folder in subfolders(root):
        split = names.split_of(folder.name)
        if split is None and names.role_of(folder.name) is not None:  # Task1_Training_GroundTruth
            split = names.split_in(folder.name)
        if split is not None:
            by_split.setdefault(split, []).append(folder)
    for split, folders in by_split.items():
        masks = [f for f in folders if names.role_of(f.name) in (names.MASKS, names.LABELS) and _has_images(f)]
        pictures = [f for f in folders if f not in masks and _has_images(f)]
        if len(masks) == 1 and len(pictures) == 1 and _match(pictures[0], masks[0]):
            found.splits[split] = Place(pictures[0], masks[0])
    return found if "train" in found.splits else Places()


def _beside(root: Path) -> Places:
    """Find masks in the folder of their images by the ends of their names; the folder may be a split or `root`."""
    splits = {split: folder for folder in subfolders(root) if (split := names.split_of(folder.name))}
    found = Places()
    for split, folder in (splits or {"": root}).items():
        files = list(islice(image_files(folder), 20 * _MAX_EXAMINED))
        masks = pairing.masks_beside(files)
        if masks and len(masks) >= _MIN_PAIRED * (len(files) - len(masks)):
            found.splits[split] = Place(folder, folder, BESIDE)
    return found if not splits or "train" in found.splits else Places()


def _per_image(root: Path) -> Places:
    """Find one folder per image, which contains a folder with the image and a folder with the masks of its objects."""
    folders = subfolders(root)
    nested = [folder for folder in folders[:_MAX_EXAMINED] if _nested(folder) is not None]
    single = [folder for folder in nested if len(image_files(_nested(folder)[0])) == 1]  # type: ignore[index]
    if len(single) < 2 or len(single) < _MIN_PAIRED * min(len(folders), _MAX_EXAMINED):
        return Places()
    return Places({"": Place(root, root, NESTED)})


def _by_group(root: Path) -> Places:
    """Find several folders, such as tiles or regions, which each hold a folder of images and one of masks."""
    splits = {split: folder for folder in subfolders(root) if (split := names.split_of(folder.name))}
    found = Places()
    for split, folder in (splits or {"": root}).items():
        if len(_groups(folder)) > 1:
            found.splits[split] = Place(folder, folder, GROUPS)
    return found if not splits or "train" in found.splits else Places()


def _groups(folder: Path, depth: int = 0) -> list[tuple[Path, Path]]:
    """Return the folders of images and of masks that belong together below `folder`."""
    inner = subfolders(folder)
    own = [pair for item in inner if (pair := _nested(item, names.MASKS, names.LABELS)) and all(map(_has_images, pair))]
    return own or ([pair for item in inner for pair in _groups(item, depth + 1)] if depth + 1 < _MAX_DEPTH else [])


def _nested(folder: Path, *roles: str) -> tuple[Path, Path] | None:
    """Return the folder of images in `folder` and the first folder with one of the `roles`, by default masks."""
    inner = {names.only_role(item.name): item for item in subfolders(folder)}
    masks = next((inner[role] for role in roles or (names.MASKS,) if role in inner), None)
    return (inner[names.IMAGES], masks) if masks is not None and names.IMAGES in inner else None


def _pair(folder: Path) -> tuple[tuple[Path, Path] | None, list[Path]]:
    """Return the folder of images and the folder of masks in `folder`, and other folders that may hold masks."""
    inner = [item for item in subfolders(folder) if _has_images(item)]
    by_role = {role: [item for item in inner if names.role_of(item.name) == role]
               for role in (names.IMAGES, names.MASKS, names.LABELS, names.FIELD_OF_VIEW)}  # fmt: skip
    image_folder = next((folder / name for name in IMAGE_FOLDERS if (folder / name).is_dir()), None)
    usual = [folder / name for name in MASK_FOLDERS if (folder / name).is_dir() and _has_images(folder / name)]
    candidates = sorted([*by_role[names.MASKS], *by_role[names.LABELS]], key=_shows_colours)
    if not candidates and by_role[names.IMAGES]:  # Mapillary: images and v2.0/labels
        deeper = [sub for item in inner if names.role_of(item.name) is None for sub in subfolders(item)]
        candidates = [sub for sub in deeper if names.only_role(sub.name) in (names.MASKS, names.LABELS)]
    manual = [item for item in candidates if "manual" in item.name.lower()]
    mask_folder = next(iter(manual or usual or candidates), None)
    if mask_folder is None:
        return None, []
    top = next(item for item in (mask_folder, *mask_folder.parents) if item.parent == folder)
    others = [
        item for item in inner if item != top and item not in candidates and item not in by_role[names.FIELD_OF_VIEW]
    ]
    if image_folder is None or image_folder in (mask_folder, top):
        image_folder = next(iter(by_role[names.IMAGES] or others), None)
    if image_folder is None or image_folder == mask_folder:
        return None, []
    known = image_folder.name in IMAGE_FOLDERS and mask_folder in usual
    if not known and not _match(image_folder, mask_folder):
        return None, []
    passed = [item for item in (*candidates, *by_role[names.FIELD_OF_VIEW]) if item not in (mask_folder, top)]
    return (image_folder, mask_folder), passed if manual or known is False else by_role[names.FIELD_OF_VIEW]


def _shows_colours(folder: Path) -> bool:
    """Return whether a folder's name indicates that its masks are coloured for viewing."""
    return bool({"rgb", "color", "colour", "colored", "overlay", "vis", "preview"} & set(names.words(folder.name)))


def _has_images(folder: Path) -> bool:
    return any(images.looks_like_image(file) for file in _first_files(folder))


def _first_files(folder: Path) -> list[Path]:
    """Return the first files in `folder` and in its subfolders, two levels deep."""
    places = [folder, *subfolders(folder)]
    places += [deeper for place in places[1:] for deeper in subfolders(place)]
    return [entry for place in places for entry in islice(sorted(place.iterdir()), _MAX_EXAMINED)]


def _match(image_folder: Path, mask_folder: Path) -> bool:
    """Return whether most images have a mask, judged by file names."""
    pictures = pairing.stems(image_files(image_folder), image_folder)
    masks = pairing.stems(image_files(mask_folder), mask_folder)
    return bool(pictures) and len(pairing.pair(pictures, masks).masks) >= _MIN_PAIRED * min(len(pictures), len(masks))
