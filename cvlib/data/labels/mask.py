"""A class for each pixel of an image."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from cvlib.data.findings import Finding
from cvlib.data.images import Header
from cvlib.data.labels.base import Form, LabelKind, Settled
from cvlib.data.labels.boxes import rarest_class
from cvlib.data.split import Labels, Split
from cvlib.runtime.errors import UserError

IGNORE = 255  # the id of pixels that are excluded from the loss and the metrics

MaskReader = Callable[[], np.ndarray]  # () → uint8 (height, width): class ids, IGNORE where undefined


class Mask(Protocol):
    """A picklable mask reader that can also report problems with the mask."""

    def __call__(self) -> np.ndarray:
        """Return uint8 (height, width): class ids of the upright image, IGNORE where undefined."""

    def examine(self, header: Header, path: str) -> tuple[np.ndarray | None, list[Finding]]:
        """Return the mask, or None if it can't be used, and the findings, reported under `path`."""


class MaskLabels(LabelKind):
    """A mask for each image: `Split.labels` is uint8 (n, height, width), or a sequence of readers for image files."""

    name = "mask"
    subfolder = "segmentation"
    form = Form.PIXELS
    label_files_are_images = True

    def settle(self, label: Mask, header: Header, path: str) -> Settled:
        mask, findings = label.examine(header, path)
        if mask is None:
            return Settled(None, findings, {})
        counts = np.bincount(mask.ravel())
        present = np.flatnonzero(counts)
        by_class = dict(zip(present.tolist(), counts[present].tolist(), strict=True))
        return Settled(label, findings, by_class, _bytes(mask))

    def collected(self, settled: Sequence[Settled]) -> tuple[Labels, list[frozenset[int]]]:
        return [item.label for item in settled], [frozenset(item.counts) for item in settled]

    def check_classes(self, root: Path, classes: list[str]) -> None:
        if len(classes) > IGNORE:
            raise UserError(f"{root}: {len(classes)} classes, but 8-bit masks can hold at most {IGNORE}")

    def numbers(self, classes: list[str], chosen: list[str]) -> np.ndarray:
        """Return the new ids. Other classes become class 0 if it is a background and stays class 0, else IGNORE."""
        background = is_background(classes[0]) and chosen[0] == classes[0]
        table = np.full(IGNORE + 1, 0 if background else IGNORE, np.int64)
        table[IGNORE] = IGNORE
        table[[classes.index(name) for name in chosen]] = np.arange(len(chosen))
        return table

    def renumbered(self, split: Split, table: np.ndarray) -> Split:
        """Return all images, with the new ids in their masks."""
        if isinstance(split.labels, np.ndarray):
            return replace(split, labels=table.astype(np.uint8)[split.labels])
        ids = None if split.ids is None else [frozenset(table[list(present)].tolist()) for present in split.ids]
        readers: list[Any] = [partial(_read_renumbered, reader, table.astype(np.uint8)) for reader in split.labels]
        return replace(split, labels=readers, ids=ids)

    def key(self, label: np.ndarray | MaskReader) -> str:
        """Return the digest of a mask array; the sample's digest already includes a mask file."""
        return hashlib.sha256(_bytes(label)).hexdigest() if isinstance(label, np.ndarray) else ""

    def content(self, label: np.ndarray | MaskReader) -> bytes:
        return b"" if isinstance(label, np.ndarray) else _bytes(label())

    def rarest(self, split: Split) -> np.ndarray:
        class_ids = split.ids or [frozenset(np.unique(mask if isinstance(mask, np.ndarray) else mask()).tolist())
                                  for mask in split.labels]  # fmt: skip
        return rarest_class([np.array(sorted(ids - {IGNORE}), np.int64) for ids in class_ids])

    def occurring(self, split: Split) -> set[int]:
        if split.ids is not None:
            return set().union(*split.ids) - {IGNORE}
        if isinstance(split.labels, np.ndarray):
            return set(np.unique(split.labels).tolist()) - {IGNORE}
        return {int(value) for reader in split.labels for value in np.unique(reader())} - {IGNORE}

    def check(self, name: str, splits: dict[str, Split], classes: list[str]) -> list[str]:
        """Require two classes in the training masks and one in those of val and test."""
        found = {split_name: self.occurring(split) for split_name, split in splits.items()}
        for split_name, ids in found.items():
            if not ids:
                raise UserError(f"data={name}: every pixel of the {split_name} masks is void: correct them "
                                "(`cvlib check` lists such masks)")  # fmt: skip
        if len(found["train"]) < 2:
            only = classes[min(found["train"])]
            raise UserError(f"data={name}: the training masks contain only one class ({only}): expected at least two")
        unlearned = [name for label, name in enumerate(classes) if label not in found["train"]]
        return [f"no training mask has a pixel of {', '.join(unlearned)}"] if unlearned else []

    def unmeasurable(self, split: Split) -> str | None:
        return None if self.occurring(split) else "every pixel of its masks is void, so no metric can be computed"


def is_background(name: str) -> bool:
    """Return whether a class name means background."""
    return name.casefold().strip("_ ") in ("background", "bg", "backgrounds")


def _bytes(mask: np.ndarray) -> bytes:
    """Return the shape and pixels of a mask, for a digest."""
    return repr(mask.shape).encode() + np.ascontiguousarray(mask, np.uint8).tobytes()


def _read_renumbered(reader: MaskReader, table: np.ndarray) -> np.ndarray:
    return table[reader()]


MASK = MaskLabels()
