"""One annotation file per image, beside the image or in another folder of the same tree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cvlib.data.layouts import names
from cvlib.data.layouts.collection import name_of

_FOLDERS = ("images", "image", "imgs", "img", "jpegimages", "labels", "label", "annotations", "annotation", "xmls",
            "xml", "jpgs", "photos")  # fmt: skip


@dataclass(frozen=True)
class AnnotationPairs:
    """Images and annotations by a common key: the path without extension and without folders such as images/."""

    images: dict[str, Path]
    annotations: dict[str, Path]

    def splits(self) -> dict[str, list[str]]:
        """Return the keys of annotated images by split; all under "train" if that split would be empty."""
        found: dict[str, list[str]] = {}
        for key in sorted(set(self.annotations) & set(self.images)):
            found.setdefault(split_of_path(Path(key)), []).append(key)
        return found if "train" in found else {"train": sorted(key for keys in found.values() for key in keys)}


def match(images: Iterable[Path], annotations: Iterable[Path], root: Path) -> AnnotationPairs:
    """Pair images and annotations by their paths below `root`, ignoring folders such as images/ and labels/.

    If that pairs none, all folders but those of splits are ignored, if the names are unique.
    """
    images, annotations = list(images), list(annotations)
    pairs = AnnotationPairs(_by_key(images, root), _by_key(annotations, root))
    if set(pairs.images) & set(pairs.annotations):
        return pairs
    short = AnnotationPairs(_by_key(images, root, splits_only=True), _by_key(annotations, root, splits_only=True))
    counts = Counter(_key(name_of(image.with_suffix(""), root), True) for image in images)
    unique = len(short.annotations) == len(annotations) and all(counts[key] < 2 for key in short.annotations)
    return short if unique else pairs


def split_of_path(path: Path) -> str:
    """Return the split named by the innermost folder that names one; "train" if none does."""
    found = (names.split_of(folder) for folder in reversed(path.parts[:-1]))
    return next((split for split in found if split is not None), "train")


def _by_key(files: Iterable[Path], root: Path, splits_only: bool = False) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for file in files:
        found.setdefault(_key(name_of(file.with_suffix(""), root), splits_only), file)
    return found


def _key(name: str, splits_only: bool) -> str:
    *folders, stem = name.split("/")
    kept = [folder for folder in folders if folder.lower() not in _FOLDERS]
    return "/".join([*(folder for folder in kept if not splits_only or names.split_of(folder)), stem])
