"""The label of one image held against the image itself: what is wrong with it, and how much there is of each class."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cvlib.data.findings import Finding
from cvlib.data.images import Header
from cvlib.data.layouts import boxes
from cvlib.data.layouts.collection import Label, RawBoxes


@dataclass(frozen=True)
class Examined:
    """What is wrong with a label, and its boxes or pixels by class, as far as it can be used."""

    findings: list[Finding]
    counts: dict[int, int]
    usable: bool = True


def examine(label: Label, header: Header, path: str, subject: str) -> Examined:
    """The label of an image with this header, read from the file `path`.

    `subject` names the image where the file labels several; a finding that tells no other place is told of it.
    """
    if isinstance(label, int):
        return Examined([], {label: 1})
    if isinstance(label, RawBoxes):
        settled, findings = boxes.settle(label, header, path)
        counts, usable = _counts(settled.classes), True
    else:
        mask, findings = label.examine(header, path)
        counts, usable = ({}, False) if mask is None else (_counts(mask), True)
    return Examined([replace(f, place=f.place or subject) for f in findings], counts, usable)


def _counts(ids: np.ndarray) -> dict[int, int]:
    values, numbers = np.unique(ids, return_counts=True)
    return dict(zip(values.tolist(), numbers.tolist(), strict=True))
