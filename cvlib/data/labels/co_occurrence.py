"""Classes that always or never occur together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from cvlib.data.findings import REMARK, WARNING, Finding

_FEWEST = 5  # images; with fewer, classes may always or never occur together by chance


def findings(labels: Sequence[frozenset[int]], classes: list[str]) -> list[Finding]:
    """Return findings on pairs of classes that always or never occur together.

    A pair that never occurs together is reported if at least five images would have both by chance.
    """
    shown = np.zeros((len(labels), len(classes)), np.float32)
    for row, label in zip(shown, labels, strict=True):
        row[sorted(label)] = 1
    together = np.rint(shown.T @ shown).astype(np.int64)  # images per pair of classes; per single class on the diagonal
    found = [*_everywhere(together, len(labels), classes), *_always(together, len(labels), classes)]
    if together.sum() == np.trace(together) > 0:
        return [*found, Finding(REMARK, "never together", "classes", "no image has more than one class",
                                "if each image has exactly one class, use task=classification")]  # fmt: skip
    return [*found, *_never(together, len(labels), classes)]


def _everywhere(together: np.ndarray, images: int, classes: list[str]) -> Iterator[Finding]:
    for label in np.flatnonzero(np.diag(together) == images) if images else ():
        name = classes[label]
        yield Finding(WARNING, "in every image", f"class {name}", f"all {images} images have {name}",
                      "add images without it, or leave it out of data.classes")  # fmt: skip


def _always(together: np.ndarray, images: int, classes: list[str]) -> Iterator[Finding]:
    """Yield pairs of classes with identical images, and classes that occur only with another class."""
    counts = np.diag(together)
    for one, other in combinations(range(len(classes)), 2):
        both, path = int(together[one, other]), f"classes {classes[one]}, {classes[other]}"
        if both == images or both < 2:
            continue
        if both == counts[one] == counts[other]:
            yield Finding(WARNING, "always together", path, f"both classes are in the same {both} images, so "
                          "they can't be distinguished", "add images of only one of them, or merge them")  # fmt: skip
            continue
        rare, frequent = sorted((one, other), key=lambda label: counts[label])
        if both == counts[rare] >= _FEWEST and counts[frequent] < images:
            message = f"all {both} images of {classes[rare]} have {classes[frequent]} too"
            yield Finding(REMARK, "always together", path, message, f"add images without {classes[frequent]}, if any")


def _never(together: np.ndarray, images: int, classes: list[str]) -> Iterator[Finding]:
    counts = np.diag(together)
    for one, other in combinations(range(len(classes)), 2):
        by_chance = counts[one] * counts[other] / max(images, 1)
        if together[one, other] == 0 and by_chance >= _FEWEST:
            yield Finding(REMARK, "never together", f"classes {classes[one]}, {classes[other]}",
                          f"no image has both; about {by_chance:.0f} are expected by chance")  # fmt: skip
