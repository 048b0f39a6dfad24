"""Resized images kept after their first use: in memory, or in a file that later runs on the same data use again."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

import numpy as np

from cvlib.data.input_spec import InputSpec
from cvlib.data.labels import LabelKind
from cvlib.data.split import Split
from cvlib.runtime import files


class Cache:
    """Up to `limit_bytes` of one split's resized images, filled in whatever order they come.

    Args:
        count, shape: how many images there are, and the `(height, width, channels)` that each is resized to.
        file: where they are kept; None: in memory. A file takes its name only once it is complete, so that another
            run finds all of it or nothing; until then it is this process's own, and is removed if it never is.
    """

    def __init__(self, count: int, shape: tuple[int, int, int], limit_bytes: float, file: Path | None = None):
        self.file = file
        self.held = min(count, int(limit_bytes // max(1, int(np.prod(shape)))))
        self.complete = file is not None and file.exists()
        self._known = np.full(self.held, self.complete)
        self._partial: Path | None = None
        if file is None:
            self.pixels = np.empty((self.held, *shape), np.uint8)
        elif self.complete:
            with contextlib.suppress(OSError):  # not ours to change
                os.utime(file)  # the store tells by it when the file was used last
            self.pixels = np.load(file, mmap_mode="r", allow_pickle=False)
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._partial = file.with_name(f"{file.name}.{os.getpid()}.{id(self)}.partial")
            self.pixels = np.lib.format.open_memmap(self._partial, "w+", np.uint8, (self.held, *shape))

    def get(self, index: int) -> np.ndarray | None:
        """The image `(height, width, channels)`, or None where it has not been put in."""
        return self.pixels[index] if index < self.held and self._known[index] else None

    def put(self, index: int, image: np.ndarray) -> None:
        """Keep an image, as far as there is room."""
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
    """Return a name for the resized images of a split: another content, order, input or kind of label has another."""
    resize_method = f"{spec.resize} {kind.subfolder}" + (f" {spec.span}" if spec.span else "")
    content = hashlib.sha256(repr((spec.size, spec.channels, resize_method)).encode())
    for digest in split.digests or []:
        content.update(digest.encode())
    return content.hexdigest()[:24]
