"""`LabelKind`: everything that depends on whether an image is labelled by classes, by boxes or by a mask.

A kind is added by one file in this folder (listed in `__init__`) and by the layouts that can give such labels.
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
    """How a label goes through the feed."""

    ROW = "row"  # numbers of a sample that no change of its image changes
    BOXES = "boxes"  # corners and classes: resized and moved with the image
    PIXELS = "pixels"  # an id for each pixel: resized, cached and moved with the image as one more channel


@dataclass(frozen=True)
class Settled:
    """A label as written, held against its image."""

    label: Any  # as it stands in Split.labels; None where it can't be used
    findings: list[Finding]  # what is wrong with it
    counts: dict[int, int]  # images, boxes or pixels by class id
    content: bytes = b""  # what the sample's digest adds for it


class LabelKind(ABC):
    """One kind of label. Kinds have no state: two of the same class are equal, also in another process."""

    name: ClassVar[str]
    subfolder: ClassVar[str]  # the folder that such labels may lie in, and the word for them in messages
    form: ClassVar[Form]
    fewest_chosen: ClassVar[int] = 2  # classes that data.classes must name at least
    stratified_by: ClassVar[str] = ""  # what a split is stratified by, as a note ends
    unit: ClassVar[tuple[str, str]] = ("image", "images")  # what `cvlib check` compares classes by: one, many
    counted_as: ClassVar[str] = "images"  # the same as the title of its table says it
    counts_objects: ClassVar[bool] = False  # whether that table counts objects instead of images that hold the class
    label_files_are_images: ClassVar[bool] = False  # whether a label file is to be opened together with its image
    made_from: ClassVar[LabelKind | None] = None  # the kind whose labels tell these, where a layout has none of its own

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))

    def __repr__(self) -> str:
        return self.name.upper()

    # Reading

    def classes_of(self, label: Any) -> frozenset[int] | None:
        """Return the classes of a label as written, or None where only the label and its image together tell them."""
        return None

    def made_of(self, label: Any) -> Any:
        """Return the label that one of the kind `made_from`, as written or settled, comes to."""
        raise NotImplementedError(f"{self!r} is made of no other kind")

    @abstractmethod
    def settle(self, label: Any, header: Header, path: str) -> Settled:
        """Hold a label as written against its image's header; `path` names its file in findings."""

    def collected(self, settled: Sequence[Settled]) -> tuple[Labels, list[frozenset[int]] | None]:
        """Return the labels of a split of files, and the class ids in each where `labels` alone don't tell them."""
        return [one.label for one in settled], None

    def check_classes(self, root: Path, classes: list[str]) -> None:
        """Raise `UserError` for classes that such labels can't tell apart."""
        return

    # Splitting and choosing

    def is_left_out(self, label: Any, chosen: set[int]) -> bool:
        """Return whether a label as written is known to leave its image out when only the classes `chosen` are kept."""
        held = self.classes_of(label)
        return held is not None and not held & chosen

    def strata(self, labels: Labels) -> np.ndarray:
        """Return what `labels` are stratified by, int (n,)."""
        return np.zeros(len(labels), np.int64)

    def rarest(self, split: Split) -> np.ndarray:
        """Return the rarest class in each sample, int (n,); −1 for a sample without any."""
        return self.strata(split.labels)

    def numbers(self, classes: list[str], chosen: list[str]) -> np.ndarray:
        """Return the new id of each class id, int64, when only the classes `chosen` are kept; −1 for none."""
        table = np.full(len(classes), -1, np.int64)
        table[[classes.index(name) for name in chosen]] = np.arange(len(chosen))
        return table

    @abstractmethod
    def renumbered(self, split: Split, table: np.ndarray) -> Split:
        """Return the split with the class ids of `table`; what gets −1 is left out."""

    # Fingerprint and checks

    @abstractmethod
    def key(self, label: Any) -> str:
        """Return what tells a label of a split apart from others, as far as the sample's digest doesn't."""

    def content(self, label: Any) -> bytes:
        """Return what the digest of a sample in a file adds for its label; the `content` that `settle` gives."""
        return b""

    @abstractmethod
    def occurring(self, split: Split) -> set[int]:
        """Return the class ids that a split has something to learn or to measure of."""

    @abstractmethod
    def check(self, name: str, splits: dict[str, Split], classes: list[str]) -> list[str]:
        """Return notes on classes that can't be learned or measured; raise `UserError` where nothing can.

        Args:
            name: the dataset's, for the message.
            splits: train, val and test, none of them empty.
            classes: names by id.
        """

    def relations(self, labels: Sequence[Any], classes: list[str]) -> list[Finding]:
        """Return what the labels of all images, as written, show together of the classes."""
        return []

    def unmeasurable(self, split: Split) -> str | None:
        """Return why nothing can be measured on a split, or None."""
        return None

    # The feed

    @property
    def stored_channels(self) -> int:
        """How many channels a resized image is cached with beside its own."""
        return int(self.form is Form.PIXELS)

    def stored_shape(self, spec: InputSpec) -> tuple[int, int, int]:
        """Return `(height, width, channels)` of a resized image as it is cached."""
        return *spec.size, spec.channels + self.stored_channels

    def arrays(self, split: Split, spec: InputSpec) -> tuple[np.ndarray, ...]:
        """Return the labels of a split as the feed looks them up, a row for each sample.

        `Form.ROW`: one array. `Form.BOXES`: corners float32 `(n, most, 4)` in pixels of the resized image and classes
        int32 `(n, most)`, −1 for none. `Form.PIXELS` has none: its masks come with the pixels.
        """
        raise NotImplementedError(f"{self!r} has no arrays")
