"""Pairing of images and masks by file name: the only module that knows which affixes a stem may have."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cvlib.data.layouts.collection import name_of

# Words that a mask's name may add to its image's name: 0001_L, car_mask, x_gtFine_labelIds, 21_manual1, mask_07, 12_GT.
_MASK = (r"(?:masks?|labels?|lbl|label_?ids|labeltrainids|instanceids|color|gt|gtfine|gtcoarse|ground_?truth|seg|segm|"
         r"segmentation|annotations?|anno|ann|manual\d?|trimap|target|l|p|m)")  # fmt: skip
# Words that may be in an image's name but not in its mask's: x_leftImg8bit, 21_training, 7_sat, image_07.
_IMAGE = r"(?:leftimg8bit|training|train|test|val|sat|images?|img|imgs|rgb|photo|orig|original|im|input)"
_EDGE = r"[\s_.\-]+"
# Of several masks of one image, class ids take precedence over colours and over masks of single objects.
_PREFERRED = ("labelids", "label", "mask", "")
_OTHERS = re.compile(rf"(?:{_EDGE})(?:color|colour|instanceids|labeltrainids|instance|overlay|preview|vis)$", re.I)


@dataclass(frozen=True)
class Pairs:
    """The masks of each image, by the image's stem; several if each shows one object."""

    masks: dict[str, list[Path]]
    unused: list[Path]  # masks without an image
    affix: str = ""  # what mask names add to the stem, such as "_mask"; empty if the stems are equal


def pair(pictures: dict[str, Path], masks: dict[str, Path]) -> Pairs:
    """Pair images and masks, both keyed by stem (the path below their folder, without extension).

    Equal stems take precedence. Otherwise, words for "mask" or "image" are removed, and equal remainders are paired.
    """
    exact = {stem: [file] for stem, file in masks.items() if stem in pictures}
    if exact and len(exact) * 2 > len(pictures):
        left = {stem: file for stem, file in masks.items() if stem not in pictures}
        found = _by_rest({stem: file for stem, file in pictures.items() if stem not in exact}, left)
        return Pairs({**exact, **found.masks}, found.unused, found.affix)
    return _by_rest(pictures, masks)


def _by_rest(pictures: dict[str, Path], masks: dict[str, Path]) -> Pairs:
    by_rest: dict[str, str] = {}
    for stem in sorted(pictures, key=len, reverse=True):
        for rest in _rests(stem, _IMAGE):
            by_rest.setdefault(rest, stem)
    by_rest.update({stem.lower(): stem for stem in pictures})
    found: dict[str, list[Path]] = defaultdict(list)
    unused, affix = [], ""
    for stem, file in masks.items():
        image = next((by_rest[rest] for rest in _rests(stem, _MASK) if rest in by_rest), None)
        if image is None:
            unused.append(file)
            continue
        found[image].append(file)
        if not affix and stem.startswith(image):
            affix = stem[len(image) :]
    return Pairs({stem: _chosen(files) for stem, files in found.items()}, unused, affix)


def _rests(stem: str, word: str) -> list[str]:
    """Return the stem itself, then what remains without words that match `word` and object numbers after them."""
    folder, slash, name = stem.lower().rpartition("/")
    rests = [name]
    after = re.sub(rf"{_EDGE}{word}(?:{_EDGE}{word})*$", "", name)
    numbered = re.sub(rf"{_EDGE}{word}(?:{_EDGE}?\d+)?$", "", name)
    before = re.sub(rf"^{word}{_EDGE}", "", name)
    glued = re.sub(rf"^{word}(?=\d+$)", "", name)
    between = re.sub(rf"{_EDGE}{word}(?={_EDGE})", "", name)
    channel = re.sub(r"_0000$", "", name) if word == _IMAGE else ""  # nnU-Net's first channel: case_007_0000
    for rest in (channel, after, numbered, before, glued, re.sub(rf"^{word}{_EDGE}", "", after), between):
        if rest and rest not in rests:
            rests.append(rest)
    return [folder + slash + rest for rest in rests]


def _chosen(files: list[Path]) -> list[Path]:
    """Choose the masks of class ids among several masks of one image; all, if each shows one object."""
    if len(files) < 2:
        return files
    plain = [file for file in files if not _OTHERS.search(file.stem)] or files
    for word in _PREFERRED:
        named = [file for file in plain if word in file.stem.lower()]
        if word and named and len(named) < len(plain):
            return sorted(named)
    return sorted(plain)


def masks_beside(files: Iterable[Path]) -> dict[Path, Path]:
    """Return the masks that are in the folder of their image, each with that image: cat_mask.png with cat.png."""
    found: dict[Path, Path] = {}
    by_stem: dict[tuple[Path, str], Path] = {}
    files = list(files)
    for file in files:
        by_stem.setdefault((file.parent, file.stem.lower()), file)
    for file in files:  # 7_sat.jpg and 7_mask.png
        rest = re.sub(rf"{_EDGE}(?:sat|images?|img|rgb|orig|original)$", "", file.stem.lower())
        by_stem.setdefault((file.parent, rest), file)
    ending = re.compile(rf"^(.+?){_EDGE}(?:masks?|segmentation|labelids|seg|gt|label)(?:{_EDGE}?\d+)?$", re.I)
    for file in files:
        match = ending.match(file.stem)
        image = by_stem.get((file.parent, match[1].lower())) if match else None
        if image is not None and image != file:
            found[file] = image
    return found


def stems(files: Iterable[Path], folder: Path) -> dict[str, Path]:
    """Return files by their path below `folder`, without extension; lossless files take precedence over JPEG."""
    ordered = sorted(files, key=lambda f: (f.suffix.lower() in (".jpg", ".jpeg"), f.as_posix()))
    found: dict[str, Path] = {}
    for file in ordered:
        found.setdefault(name_of(file.with_suffix(""), folder), file)
    return dict(sorted(found.items()))
