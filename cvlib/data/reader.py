"""`Reader`: the pixels of samples at the network's input size; masks are appended as one more channel."""

from __future__ import annotations

from typing import Any

import numpy as np

from cvlib.data import resampling
from cvlib.data.cache import Cache
from cvlib.data.images import read_image
from cvlib.data.input_spec import InputSpec
from cvlib.data.labels import Form, LabelKind
from cvlib.data.split import Split

IN_MEMORY = 2**29  # bytes; an array split of up to this size is resized, and joined with its masks, only once


class Reader:
    """Reads samples of a split, from an array or from files; files fill the cache, if there is one."""

    def __init__(self, split: Split, spec: InputSpec, kind: LabelKind, cache: Cache | None):
        self.images, self.count, self.spec, self.cache = split.images, len(split), spec, cache
        self.masks: Any = split.labels if kind.form is Form.PIXELS else None
        self.shape = kind.stored_shape(spec)
        prepares = isinstance(split.images, np.ndarray) and split.images.shape[1:] != self.shape
        if prepares and self.count * np.prod(self.shape) <= IN_MEMORY:
            self.images = self._read(np.arange(self.count))

    def __call__(self, indices: np.ndarray) -> np.ndarray:
        """Return the pixels of samples, uint8 `(n, *kind.stored_shape(spec))`."""
        if self.cache is not None and self.cache.complete and self.cache.held == self.count:
            found: np.ndarray = self.cache.pixels[indices]
            return found
        return self._read(indices)

    def _read(self, indices: np.ndarray) -> np.ndarray:
        if isinstance(self.images, np.ndarray) and self.images.shape[1:] == self.shape:
            found: np.ndarray = self.images[indices]
            return found
        batch = np.empty((len(indices), *self.shape), np.uint8)
        for place, index in enumerate(indices.tolist()):
            known = None if self.cache is None else self.cache.get(index)
            batch[place] = self._sample(index) if known is None else known
            if self.cache is not None and known is None:
                self.cache.put(index, batch[place])
        return batch

    def _sample(self, index: int) -> np.ndarray:
        spec, image = self.spec, self.images[index]
        if not isinstance(image, np.ndarray):
            image = read_image(image, spec.channels, spec.span)
        pixels = resampling.image(image, spec.size, spec.resize)
        if self.masks is None:
            return pixels
        mask = self.masks[index]
        mask = mask if isinstance(mask, np.ndarray) else mask()
        return np.dstack([pixels, resampling.mask(mask, spec.size, spec.resize)])
