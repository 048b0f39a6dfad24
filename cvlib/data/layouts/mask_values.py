"""The values of mask files: ids, colours and grey levels, from which the classes of unlabelled masks are told."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from cvlib.data.labels.mask import IGNORE

Colour = tuple[int, int, int]
THRESHOLD = 128  # the grey level that binarises soft black-and-white masks
_EXTREME = 40  # grey levels within this distance of black or white count as black or white
_TWO_VALUED = 0.85  # a mask has two values if at least this share of pixels is near black or white
MAX_VALUES = 64  # without a label file, ids or colours are classes only if there are at most this many
_FEW_MASKS, _MANY_IDS = 3, 6  # with fewer masks or ids, the ids may be classes


@dataclass
class MaskValues:
    """The contents of masks: their ids or colours, and the histogram of their grey levels."""

    values: set[int | Colour] = field(default_factory=set)
    levels: np.ndarray = field(default_factory=lambda: np.zeros(256, np.int64))
    lossy: bool = False
    coloured: bool = False
    numbered: bool = False  # whether the ids look like the numbers of the objects in each mask

    @property
    def soft(self) -> bool:
        """Whether the masks are black and white with grey levels in between, from JPEG or from soft edges."""
        total = int(self.levels.sum())
        if self.coloured or not total or not (self.lossy or len(self.values) > MAX_VALUES):
            return False
        dark, bright = int(self.levels[:_EXTREME].sum()), int(self.levels[256 - _EXTREME :].sum())
        return dark > 0 and bright > 0 and dark + bright >= _TWO_VALUED * total


def values_of(files: list[Path]) -> MaskValues:
    with ThreadPoolExecutor() as pool:
        several = list(pool.map(_values, files))
    levels = sum((item.levels for item in several), np.zeros(256, np.int64))
    values = set().union(*(item.values for item in several))
    return MaskValues(values, levels, any(item.lossy for item in several), any(item.coloured for item in several),
                      _are_numbers([item.values for item in several]))  # fmt: skip


def _are_numbers(several: list[set[int | Colour]]) -> bool:
    """Return whether ids look like numbers of objects: most ids occur in one mask, or every mask has 1 to its own n."""
    found = [[value for value in values if isinstance(value, int) and value not in (0, IGNORE)] for values in several]
    found = [ids for ids in found if ids]
    counts = Counter(value for ids in found for value in ids)
    if len(found) < _FEW_MASKS or len(counts) < _MANY_IDS:
        return False
    single = sum(count == 1 for count in counts.values())
    own_numbers = all(max(ids) == len(ids) for ids in found) and len({len(ids) for ids in found}) > 2
    return 2 * single > len(counts) or own_numbers


def _values(file: Path) -> MaskValues:
    try:
        with Image.open(file) as opened:
            lossy, image = opened.format == "JPEG", without_alpha(opened)
        if lossy:
            return _jpeg_values(image)
        if image.mode == "RGB":
            counted = image.getcolors(2**16) or []
            colours = {colour for _, colour in counted if isinstance(colour, tuple)}
            grey = all(len(set(colour)) == 1 for colour in colours)
            values = {colour[0] if grey else (colour[0], colour[1], colour[2]) for colour in colours}
            levels = np.asarray(image.convert("L").histogram(), np.int64)
            return MaskValues(values, levels, coloured=not grey or not counted)
        array = np.asarray(image)
        if array.ndim != 2:
            return MaskValues()
        eight = image.mode == "L"
        levels = np.bincount(array.ravel(), minlength=256) if eight else np.zeros(256, np.int64)
        return MaskValues({int(value) for value in np.unique(array)}, levels, coloured=not eight)
    except Exception:
        return MaskValues()  # the check of all samples reports unreadable masks


def _jpeg_values(image: Image.Image) -> MaskValues:
    """Return the grey levels of a mask that was saved as JPEG; its values are not ids."""
    array = np.asarray(image.convert("RGB"), np.int16)
    coloured = bool((array.max(-1) - array.min(-1) > _EXTREME).mean() > 1 - _TWO_VALUED)
    return MaskValues(levels=np.asarray(image.convert("L").histogram(), np.int64), lossy=True, coloured=coloured)


def without_alpha(image: Image.Image) -> Image.Image:
    """Return the mask without its alpha channel.

    A uniform alpha channel is dropped. If all opaque pixels have the same colour, the alpha channel is the mask itself.
    If they have several colours, transparent pixels become black.
    """
    if image.mode not in ("RGBA", "LA", "PA", "La", "RGBa"):
        image.load()
        return image.copy()
    opened = (
        image.convert("RGBA") if image.mode in ("PA", "RGBa") else image.convert("LA") if image.mode == "La" else image
    )
    alpha = np.asarray(opened.getchannel("A"))
    plain = opened.convert("RGB" if opened.mode == "RGBA" else "L")
    if alpha.min() == alpha.max():
        return plain
    pixels = np.asarray(plain)
    opaque = pixels[alpha >= THRESHOLD].reshape(-1, 1 if pixels.ndim == 2 else 3)
    if len(opaque) == 0 or (opaque == opaque[0]).all():
        return Image.fromarray(np.where(alpha >= THRESHOLD, 255, 0).astype(np.uint8))
    return Image.fromarray(np.where(alpha[..., None] if pixels.ndim == 3 else alpha, pixels, 0).astype(np.uint8))
