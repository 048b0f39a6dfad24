"""`TileSamples`: tiles of images at full resolution. `cvlib.data.tiles` describes their geometry."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from cvlib.config.schema import AugmentConfig
from cvlib.data import tiles
from cvlib.data.augmenting import geometry
from cvlib.data.augmenting.draws import Draws
from cvlib.data.images import read_image
from cvlib.data.input_spec import InputSpec
from cvlib.data.labels import Form, LabelKind
from cvlib.data.labels.mask import IGNORE
from cvlib.data.samples import ImageSamples, PixelChange
from cvlib.data.split import Split, image_sizes
from cvlib.data.streams import TILE_STREAMS
from cvlib.data.tiles import Windows


class TileSamples(ImageSamples):
    """Tiles of images, augmented, with the labels in them.

    A box is clipped to its tile, or dropped if too little remains; see `cvlib.data.augmenting.geometry`.

    Args:
        split, spec, kind, streams, config: see `ImageSamples`.
        change: changes whole images, before they are cut.
        windows: the tiles, by index; None: one random tile of each image.
    """

    def __init__(
        self, split: Split, spec: InputSpec, kind: LabelKind, streams: Sequence[str], config: AugmentConfig | None,
        change: PixelChange | None, windows: Windows | None,
    ):  # fmt: skip
        self._latest = threading.local()
        super().__init__(split, spec, kind, streams, config, None, change)
        self.windows, self._keeps_padding = windows, windows is not None
        self._room = np.maximum(image_sizes(split) - np.array(spec.size), 0)

    def _reader(self) -> Callable[..., np.ndarray]:
        return self._cut

    def _looked_up(self, indices: np.ndarray, drawn: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        images, corners = self._places(indices, drawn)
        pixels, labels = self._cut(images, corners), tuple(array[images] for array in self._labels)
        if self.kind.form is not Form.BOXES:
            return pixels, labels
        boxes, classes = labels
        origin = np.tile(corners[:, ::-1], (1, 2)).astype(np.float32)[:, None]  # (left, top, left, top)
        return pixels, geometry.clip(boxes - origin, classes, geometry.whole_window(len(boxes), *self.spec.size))

    def _places(self, indices: np.ndarray, drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the image of each tile `(n,)`, and its top and left `(n, 2)`."""
        if self.windows is not None:
            return self.windows.images[indices], self.windows.corners[indices]
        draws, room = Draws.of(self.streams, drawn), self._room[indices]
        shares = np.stack([draws[name] for name in TILE_STREAMS], axis=1)
        return indices, np.minimum((shares * (room + 1)).astype(np.int64), room)

    def _cut(self, images: np.ndarray, corners: np.ndarray) -> np.ndarray:
        """Return the tiles of a batch; an image is decoded only once for all of its tiles."""
        channels = self.spec.channels
        batch = np.empty((len(images), *self.kind.stored_shape(self.spec)), np.uint8)
        for index in np.unique(images).tolist():
            pixels = self._whole(index)
            mask = self.split.labels[index] if self.kind.form is Form.PIXELS else None
            mask = mask() if callable(mask) else mask
            for place in np.flatnonzero(images == index).tolist():
                corner = (int(corners[place, 0]), int(corners[place, 1]))
                batch[place, ..., :channels] = tiles.cut(pixels, corner, self.spec.size)
                if mask is not None:
                    batch[place, ..., channels] = tiles.cut(mask, corner, self.spec.size, IGNORE)
        return batch

    def _whole(self, index: int) -> np.ndarray:
        pixels = self._decoded(index)
        return pixels if self.change is None else self.change(pixels[np.newaxis], np.array([index]))[0]

    def _decoded(self, index: int) -> np.ndarray:
        """Return a whole image; each thread keeps the last one, because an image's windows fill several batches."""
        if getattr(self._latest, "index", None) != index:
            found = self.split.images[index]
            self._latest.pixels = (
                read_image(found, self.spec.channels, self.spec.span) if isinstance(found, Path) else found
            )
            self._latest.index = index
        pixels: np.ndarray = self._latest.pixels
        return pixels
