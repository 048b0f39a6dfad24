"""The label of one image held against the image itself: what is wrong with it, and how much there is of each class."""

from __future__ import annotations

from dataclasses import dataclass

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


def examine(label: Label, header: Header, path: str) -> Examined:
    """The label of an image with this header, read from the file `path`."""
    if isinstance(label, int):
        return Examined([], {label: 1})
    if isinstance(label, RawBoxes):
        settled, findings = boxes.settle(label, header, path)
        return Examined(findings, _counts(settled.classes))
    mask, findings = label.examine(header, path)
    if mask is None:
        return Examined(findings, {}, usable=False)
    return Examined(findings, _counts(mask))


def _counts(ids: np.ndarray) -> dict[int, int]:
    values, numbers = np.unique(ids, return_counts=True)
    return dict(zip(values.tolist(), numbers.tolist(), strict=True))
