"""`LabelKind`: everything that depends on whether an image is labelled by classes, by boxes or by a mask.

To add a kind, add a file to this folder, list it in `__init__`, and extend the layouts that can provide such labels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from cvlib.data.findings import Finding
from cvlib.data.images import Header
from cvlib.data.input_spec import InputSpec
from cvlib.data.split import Labels, Split


class Form(Enum):
    """The form in which the feed handles a label."""

    ROW = "row"  # numbers per sample: unaffected by changes of the image
    BOXES = "boxes"  # corners and classes: resized and transformed with the image
    PIXELS = "pixels"  # an id per pixel: resized, cached and transformed with the image as an extra channel


@dataclass(frozen=True, slots=True)
class Settled:
    """A raw label after it has been checked against its image."""

    label: Any  # in the format of Split.labels; None if it can't be used
    findings: list[Finding]  # problems with the label
    counts: dict[int, int]  # number of images, boxes or pixels by class id
    content: bytes = b""  # what the label adds to the sample's digest


class LabelKind(ABC):
    """One kind of label. Kinds are stateless: two instances of a class are equal, even across processes."""

    name: ClassVar[str]
    subfolder: ClassVar[str]  # the folder that may hold such labels; also their name in messages
    form: ClassVar[Form]
    fewest_chosen: ClassVar[int] = 2  # the minimum number of classes in data.classes
    stratified_by: ClassVar[str] = ""  # how a split is stratified, as the end of a note
    unit: ClassVar[tuple[str, str]] = ("image", "images")  # what `cvlib check` counts per class: singular, plural
    counted_as: ClassVar[str] = "images"  # the unit in the title of the table of `cvlib check`
    counts_objects: ClassVar[bool] = False  # whether that table counts objects instead of images that contain the class
    label_files_are_images: ClassVar[bool] = False  # whether label files are images too (masks)
    made_from: ClassVar[LabelKind | None] = None  # the kind to convert labels from if a layout lacks this one

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))

    def __repr__(self) -> str:
        return self.name.upper()

    # Reading

    def classes_of(self, label: Any) -> frozenset[int] | None:
        """Return the classes of a raw label, or None if they can be determined only together with the image."""
        return None

    def made_of(self, label: Any) -> Any:
        """Convert a raw or settled label of the kind `made_from` to this kind."""
        raise NotImplementedError(f"{self!r} can't be converted from another kind")

    @abstractmethod
    def settle(self, label: Any, header: Header, path: str) -> Settled:
        """Check a raw label against its image's header; `path` names the label file in findings."""

    def collected(self, settled: Sequence[Settled]) -> tuple[Labels, list[frozenset[int]] | None]:
        """Return the labels of a split of files, and each label's class ids if the label alone doesn't give them."""
        return [item.label for item in settled], None

    def check_classes(self, root: Path, classes: list[str]) -> None:
        """Raise `UserError` if such labels can't represent these classes."""
        return

    # Splitting and choosing

    def is_left_out(self, label: Any, chosen: set[int]) -> bool:
        """Return whether an image with this raw label is certainly dropped if only the classes `chosen` are kept."""
        classes = self.classes_of(label)
        return classes is not None and not classes & chosen

    def strata(self, labels: Labels) -> np.ndarray:
        """Return the stratum of each label, int (n,)."""
        return np.zeros(len(labels), np.int64)

    def rarest(self, split: Split) -> np.ndarray:
        """Return the rarest class in each sample, int (n,); −1 for a sample without any."""
        return self.strata(split.labels)

    def numbers(self, classes: list[str], chosen: list[str]) -> np.ndarray:
        """Return the new id of each class id, int64, if only the classes `chosen` are kept; −1 for dropped ones."""
        table = np.full(len(classes), -1, np.int64)
        table[[classes.index(name) for name in chosen]] = np.arange(len(chosen))
        return table

    @abstractmethod
    def renumbered(self, split: Split, table: np.ndarray) -> Split:
        """Return the split with class ids mapped by `table`; labels mapped to −1 are dropped."""

    # Fingerprint and checks

    @abstractmethod
    def key(self, label: Any) -> str:
        """Return a string that distinguishes a label from others, unless the sample's digest already does."""

    def content(self, label: Any) -> bytes:
        """Return what the label adds to the digest of a sample whose image is a file; equals `Settled.content`."""
        return b""

    @abstractmethod
    def occurring(self, split: Split) -> set[int]:
        """Return the class ids that can be learned or evaluated on a split."""

    @abstractmethod
    def check(self, name: str, splits: dict[str, Split], classes: list[str]) -> list[str]:
        """Return notes on classes that can't be learned or evaluated; raise `UserError` if none can.

        Args:
            name: the dataset's name, for messages.
            splits: train, val and test, none of them empty.
            classes: names by id.
        """

    def relations(self, labels: Sequence[Any], classes: list[str]) -> list[Finding]:
        """Return findings on how classes relate across the raw labels of all images."""
        return []

    def unmeasurable(self, split: Split) -> str | None:
        """Return why no metric can be computed on a split, or None."""
        return None

    # The feed

    @property
    def stored_channels(self) -> int:
        """The number of extra channels cached with a resized image."""
        return int(self.form is Form.PIXELS)

    def stored_shape(self, spec: InputSpec) -> tuple[int, int, int]:
        """Return `(height, width, channels)` of a cached image."""
        return *spec.size, spec.channels + self.stored_channels

    def arrays(self, split: Split, spec: InputSpec) -> tuple[np.ndarray, ...]:
        """Return the labels of a split as arrays for the feed, one row per sample.

        `Form.ROW`: one array. `Form.BOXES`: corners float32 `(n, max_boxes, 4)` in pixels of the resized image, for
        tiles of the original, and classes int32 `(n, max_boxes)`, padded with −1. `Form.PIXELS`: no arrays, because
        masks are stored with the images.
        """
        raise NotImplementedError(f"{self!r} has no arrays")
