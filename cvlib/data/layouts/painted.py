"""Masks drawn from the polygons or run-length encodings (RLE) of objects."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cvlib.data import images
from cvlib.data.findings import ERROR, Finding
from cvlib.data.images import Header
from cvlib.data.labels import IGNORE


@dataclass(frozen=True)
class Painted:
    """Reader that draws one mask. Calling it returns the class ids of the upright image, uint8 (height, width).

    The background is 0. Objects are drawn from the largest to the smallest, so that small ones stay visible. Crowds
    are IGNORE wherever no object covers them.
    """

    image: Path
    objects: list[tuple[int, Any, bool]]  # class id, COCO segmentation, is crowd
    size: tuple[int, int] | None  # height, width in the JSON, to detect annotations of the image as stored
    relative: bool = False  # whether polygons are relative to the image's sides

    def __call__(self) -> np.ndarray:
        header = images.header(self.image)
        stored = self.size is not None and self.size == header.stored and self.size != header.size
        height, width = header.stored if stored else header.size
        shapes = [(label, self._decoded(shape, height, width), crowd) for label, shape, crowd in self.objects]
        result = np.zeros((height, width), np.uint8)
        for label, shape, crowd in sorted(shapes, key=lambda entry: (not entry[2], -int(entry[1].sum()))):
            result[shape] = IGNORE if crowd else label
        return images.upright(result, header.orientation) if stored else result

    def _decoded(self, shape: Any, height: int, width: int) -> np.ndarray:
        if self.relative:
            sides = np.array([width, height])
            shape = [(np.reshape(ring, (-1, 2)) * sides).ravel().tolist() for ring in shape]
        return _decoded(shape, height, width)

    def examine(self, header: Header, path: str) -> tuple[np.ndarray | None, list[Finding]]:
        """Return the mask, or None if it can't be drawn, and the findings."""
        try:
            return self(), []
        except Exception as error:  # pycocotools raises bare Exceptions
            line = " ".join(str(error).split())
            return None, [Finding(ERROR, "bad segmentation", path, f"{self.image.name}: {line}", "correct it")]


def _decoded(shape: Any, height: int, width: int) -> np.ndarray:
    """Decode a polygon list or an RLE to bool (height, width); raise `ValueError` if the RLE has another size."""
    from pycocotools import mask as coco_mask

    if isinstance(shape, list):
        runs = coco_mask.merge(coco_mask.frPyObjects(shape, height, width))
    else:
        if list(shape["size"]) != [height, width]:
            raise ValueError(f"an RLE of {shape['size'][1]}×{shape['size'][0]} pixels in a {width}×{height} image")
        runs = coco_mask.frPyObjects(shape, height, width) if isinstance(shape["counts"], list) else shape
    covered: np.ndarray = coco_mask.decode(runs).astype(bool)
    return covered
