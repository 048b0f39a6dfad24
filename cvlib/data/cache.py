"""A cache of resized images, in memory or in a file that later runs on the same data reuse."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from pathlib import Path

import numpy as np

from cvlib.data.input_spec import InputSpec
from cvlib.data.labels import LabelKind
from cvlib.data.split import Split
from cvlib.runtime import files


class Cache:
    """A cache for up to `limit_bytes` of one split's resized images, filled in any order.

    Args:
        count: number of images in the split.
        shape: `(height, width, channels)` of each resized image.
        limit_bytes: maximum size of the cache in bytes.
        file: where the images are stored; None keeps them in memory. The file gets this name only when it is
            complete, so that other runs never read a partial cache. An incomplete file is deleted with this object.
    """

    def __init__(self, count: int, shape: tuple[int, int, int], limit_bytes: float, file: Path | None = None):
        self.file = file
        self.held = min(count, int(limit_bytes // max(1, int(np.prod(shape)))))
        self.complete = file is not None and file.exists()
        self._known = np.full(self.held, self.complete)
        self._partial: Path | None = None
        self._lock = threading.Lock()
        if file is None:
            self.pixels = np.empty((self.held, *shape), np.uint8)
        elif self.complete:
            with contextlib.suppress(OSError):  # the file may belong to another user
                os.utime(file)  # marks the file as recently used
            self.pixels = np.load(file, mmap_mode="r", allow_pickle=False)
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._partial = file.with_name(f"{file.name}.{os.getpid()}.{id(self)}.partial")
            self.pixels = np.lib.format.open_memmap(self._partial, "w+", np.uint8, (self.held, *shape))

    def get(self, index: int) -> np.ndarray | None:
        """Return the image `(height, width, channels)`, or None if it is not cached."""
        return self.pixels[index] if index < self.held and self._known[index] else None

    def put(self, index: int, image: np.ndarray) -> None:
        """Store an image if its index is within the cache's capacity."""
        with self._lock:  # several threads read images
            if index >= self.held or self._known[index]:
                return
            self.pixels[index] = image
            self._known[index] = True
            if self._known.all():
                self._finish()

    def _finish(self) -> None:
        if self._partial is not None and self.file is not None:
            assert isinstance(self.pixels, np.memmap)
            self.pixels.flush()
            files.publish(self._partial, self.file)
            self._partial = None
        self.complete = True

    def __del__(self) -> None:
        if getattr(self, "_partial", None) is not None:
            self._partial.unlink(missing_ok=True)  # type: ignore[union-attr]


def key(split: Split, spec: InputSpec, kind: LabelKind) -> str:
    """Return a cache name that depends on the split's content and order, the input spec and the kind of label."""
    resize_method = f"{spec.resize} {kind.subfolder}" + (f" {spec.span}" if spec.span else "")
    content = hashlib.sha256(repr((spec.size, spec.channels, resize_method)).encode())
    for digest in split.digests or []:
        content.update(digest.encode())
    return content.hexdigest()[:24]
