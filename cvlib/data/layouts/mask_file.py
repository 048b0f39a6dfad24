"""Mask files for segmentation: reading the class ids of their pixels, and checking them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from cvlib.data import images
from cvlib.data.findings import ERROR, WARNING, Finding
from cvlib.data.images import Header
from cvlib.data.labels.mask import IGNORE
from cvlib.data.layouts.label_map import LabelMap
from cvlib.data.layouts.mask_values import without_alpha
from cvlib.runtime.errors import UserError

_UNDEFINED = -1


@dataclass(frozen=True)
class MaskFile:
    """Reader of one mask. Calling it returns the class ids (or IGNORE) of the upright image, uint8 (height, width).

    If the label map contains all colours of a palette, they take precedence over the palette's indices, because image
    editors reorder palettes.
    """

    path: Path
    image: Path
    label_map: LabelMap

    def __call__(self) -> np.ndarray:
        header = images.header(self.image)
        return _upright(_class_ids(_opened(self.path)[0], self.label_map)[0], header)

    def examine(self, header: Header, path: str) -> tuple[np.ndarray | None, list[Finding]]:
        """Return the mask, or None if it can't be used, and the findings; `path` names the mask in findings."""
        try:
            image, lossy = _opened(self.path)
            found, permuted = _class_ids(image, self.label_map)
        except UserError as error:
            message = str(error).removeprefix(f"{self.path}: ")
            return None, [Finding(ERROR, "unreadable mask", path, message, "repair or remove it")]
        findings = _problems(image, found, header, self.label_map, path)
        if lossy and self.label_map.threshold is None:
            findings.insert(0, Finding(ERROR, "lossy mask", path, "a mask in a lossy format (JPEG) has wrong ids at "
                                       "every edge", "save masks as PNG"))  # fmt: skip
        if permuted:
            message = "its palette indices are not the ids in the label file: the palette's colours are used instead"
            findings.append(Finding(WARNING, "palette reordered", path, message, "save it again"))
        if any(finding.severity == ERROR for finding in findings):
            return None, findings
        return _upright(found, header), findings


@dataclass(frozen=True)
class MaskUnion:
    """Reader of several masks of one image, each of one object. Calling it returns their union.

    Where masks of different classes overlap, the later one takes precedence.
    """

    paths: tuple[Path, ...]
    image: Path
    label_map: LabelMap

    def __call__(self) -> np.ndarray:
        return self._joined([MaskFile(path, self.image, self.label_map)() for path in self.paths])

    def examine(self, header: Header, path: str) -> tuple[np.ndarray | None, list[Finding]]:
        """Return the mask, or None if one of the files can't be used, and the findings."""
        masks, findings = [], []
        for file in self.paths:
            mask, found = MaskFile(file, self.image, self.label_map).examine(header, path)
            masks.append(mask)
            findings += found
        if any(mask is None for mask in masks):
            return None, findings
        return self._joined([mask for mask in masks if mask is not None]), findings

    @staticmethod
    def _joined(masks: list[np.ndarray]) -> np.ndarray:
        result = masks[0].copy()
        for mask in masks[1:]:
            result[mask > 0] = mask[mask > 0]
        return result


def _opened(path: Path) -> tuple[Image.Image, bool]:
    """Return the mask as stored, and whether its format is lossy."""
    data = images.content_of(path)
    try:
        with Image.open(io.BytesIO(data)) as image:
            return without_alpha(image), image.format == "JPEG"
    except Exception as error:
        reason = "unknown image format" if isinstance(error, Image.UnidentifiedImageError) else error
        line = " ".join(str(reason).split()) or type(error).__name__
        raise UserError(f"{path}: can't be read as a mask: {line}") from error


def _class_ids(image: Image.Image, label_map: LabelMap) -> tuple[np.ndarray, bool]:
    """Return class ids, int16 (height, width), −1 where undefined, and whether colours overrode palette indices."""
    if label_map.threshold is not None:
        return (np.asarray(image.convert("L")) >= label_map.threshold).astype(np.int16), False
    if image.mode == "P":
        by_id, by_colour = _lookup(label_map)[:256], _by_palette(image, label_map)
        return (by_id if by_colour is None else by_colour)[np.asarray(image)], by_colour is not None
    if image.mode in ("RGB", "RGBA", "CMYK", "YCbCr"):
        rgb = np.asarray(image.convert("RGB"))
        by_colour = _by_colour(rgb, label_map)
        if (by_colour == _UNDEFINED).any() and np.all(rgb == rgb[..., :1]) and label_map.ids:
            return _lookup(label_map)[rgb[..., 0]], False  # a grey mask of ids saved with three channels
        return by_colour, False
    array = np.asarray(image)
    grey = array[..., 0] if array.ndim == 3 else array
    if grey.dtype.kind not in "uib":
        grey = np.where(grey == np.rint(grey), grey, 65535)
    return _lookup(label_map)[np.clip(grey.astype(np.int64), 0, 65535)], False


def _lookup(label_map: LabelMap) -> np.ndarray:
    table = np.full(65536, _UNDEFINED, np.int16)
    for own_id, index in label_map.ids.items():
        if 0 <= own_id < 65536:
            table[own_id] = index
    return table


def _by_palette(image: Image.Image, label_map: LabelMap) -> np.ndarray | None:
    """Return the class ids of the 256 palette indices by their colours, or None to use the indices.

    The indices are used if both agree, if the label map lacks a used colour, or if two used indices have the same
    colour. Unused entries don't count, because they are often all black.
    """
    palette = np.zeros((256, 3), np.int64)
    given = np.array(image.getpalette("RGB") or [], np.int64).reshape(-1, 3)[:256]
    palette[: len(given)] = given
    used = np.flatnonzero(image.histogram()[:256])
    colours = [(r, g, b) for r, g, b in palette[used].tolist()]
    known = [label_map.colours.get(colour, _UNDEFINED) for colour in colours]
    if _UNDEFINED in known or len(set(colours)) < len(colours) or known == _lookup(label_map)[used].tolist():
        return None
    table = np.full(256, _UNDEFINED, np.int16)
    table[used] = known
    return table


def _by_colour(rgb: np.ndarray, label_map: LabelMap) -> np.ndarray:
    result = np.full(rgb.shape[:2], _UNDEFINED, np.int16)
    codes = np.array(sorted((r << 16) + (g << 8) + b for r, g, b in label_map.colours), np.int32)
    if len(codes) == 0:
        return result
    ids = {(r << 16) + (g << 8) + b: index for (r, g, b), index in label_map.colours.items()}
    red, green, blue = (rgb[..., channel].astype(np.int32) for channel in range(3))
    packed = (red << 16) + (green << 8) + blue
    nearest = np.minimum(np.searchsorted(codes, packed), len(codes) - 1)
    known = codes[nearest] == packed
    result[known] = np.array([ids[code] for code in codes.tolist()], np.int16)[nearest[known]]
    return result


def _upright(mask: np.ndarray, header: Header) -> np.ndarray:
    """Set undefined ids to IGNORE, and rotate a mask that has the size of the stored image to the upright image."""
    mask = np.where(mask == _UNDEFINED, IGNORE, mask).astype(np.uint8)
    if mask.shape != header.size and mask.shape == header.stored:
        return images.upright(mask, header.orientation)
    return mask


def _problems(image: Image.Image, found: np.ndarray, header: Header, label_map: LabelMap, path: str) -> list[Finding]:
    findings = []
    if found.shape not in (header.size, header.stored):
        own, wanted = (f"{width}×{height}" for height, width in (found.shape, header.size))
        findings.append(Finding(ERROR, "mask size", path, f"the mask is {own}, but its image is {wanted}",
                                "recreate it from the original, with nearest-neighbour resizing"))  # fmt: skip
    undefined = found == _UNDEFINED
    if undefined.any():
        values, counts = np.unique(np.asarray(image)[undefined], axis=0, return_counts=True)
        listed = ", ".join(str(values[i].tolist()) for i in np.argsort(-counts)[:5])
        more = f" and {len(values) - 5} more" if len(values) > 5 else ""
        hint = " (so many values suggest a lossy format or interpolated resizing)" if len(values) > 5 else ""
        what = "colours" if values.ndim > 1 else "ids"
        message = f"{what} without a label: {listed}{more}; {int(undefined.sum())} pixels{hint}"
        findings.append(Finding(ERROR, "undefined ids", path, message, "correct the mask or the label file"))
    elif (found == IGNORE).all():
        findings.append(Finding(WARNING, "mask all void", path, "every pixel is ignored: nothing is learned from it"))
    elif image.mode != "1" and label_map.ids.get(IGNORE) == IGNORE and _is_binary(image):
        findings.append(Finding(WARNING, "binary mask", path, "it contains only 0 and 255, but 255 means void",
                                "use the class id for the object"))  # fmt: skip
    return findings


def _is_binary(image: Image.Image) -> bool:
    return image.mode == "L" and image.histogram()[1:255] == [0] * 254 and image.getextrema() == (0, 255)
