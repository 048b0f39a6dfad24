"""The kinds of labels that an image can have, one file per kind. `KINDS` lists them in the order used in messages."""

from __future__ import annotations

from cvlib.data.labels.base import Form, LabelKind, Settled
from cvlib.data.labels.boxes import BOXES, Boxes
from cvlib.data.labels.class_label import CLASS
from cvlib.data.labels.class_set import CLASS_SET
from cvlib.data.labels.mask import IGNORE, MASK, MaskReader

__all__ = [
    "BOXES", "CLASS", "CLASS_SET", "IGNORE", "KINDS", "MASK", "Boxes", "Form", "LabelKind", "MaskReader", "Settled",
    "named",
]  # fmt: skip

KINDS: tuple[LabelKind, ...] = (CLASS, CLASS_SET, BOXES, MASK)


def named(word: str) -> LabelKind:
    """Return the kind whose name or subfolder is `word`."""
    for kind in KINDS:
        if word in (kind.name, kind.subfolder):
            return kind
    known = ", ".join(kind.subfolder for kind in KINDS)
    raise ValueError(f"Invalid kind of label {word!r}: expected one of {known}")
