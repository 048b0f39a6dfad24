"""Classes that images always, or never, have together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from cvlib.data.findings import REMARK, WARNING, Finding

_FEWEST = 5  # images of a class from which on it isn't by chance that another class is always, or never, there


def findings(labels: Sequence[frozenset[int]], classes: list[str]) -> list[Finding]:
    """Return what the class ids of all images say of pairs of classes.

    Pairs that are never together are told where, by chance, at least five images would have both.
    """
    shown = np.zeros((len(labels), len(classes)), np.float32)
    for row, label in zip(shown, labels, strict=True):
        row[sorted(label)] = 1
    together = np.rint(shown.T @ shown).astype(np.int64)  # images by pair of classes; of a class on the diagonal
    found = [*_everywhere(together, len(labels), classes), *_always(together, len(labels), classes)]
    if together.sum() == np.trace(together) > 0:
        return [*found, Finding(REMARK, "never together", "classes", "no image has more than one class",
                                "task=classification is for images with exactly one")]  # fmt: skip
    return [*found, *_never(together, len(labels), classes)]


def _everywhere(together: np.ndarray, images: int, classes: list[str]) -> Iterator[Finding]:
    for one in np.flatnonzero(np.diag(together) == images) if images else ():
        yield Finding(WARNING, "in every image", f"class {classes[one]}", f"all {images} images have {classes[one]}",
                      "add images without it, or leave it out by data.classes")  # fmt: skip


def _always(together: np.ndarray, images: int, classes: list[str]) -> Iterator[Finding]:
    """Classes of the very same images, and classes that come with another one only."""
    counts = np.diag(together)
    for one, other in combinations(range(len(classes)), 2):
        both, path = int(together[one, other]), f"classes {classes[one]}, {classes[other]}"
        if both == images or both < 2:
            continue
        if both == counts[one] == counts[other]:
            yield Finding(WARNING, "always together", path, f"the same {both} images have both: no image tells "
                          "one from the other", "add images of one alone, or make them one class")  # fmt: skip
            continue
        rare, frequent = sorted((one, other), key=lambda label: counts[label])
        if both == counts[rare] >= _FEWEST and counts[frequent] < images:
            yield Finding(REMARK, "always together", path, f"all {both} images of {classes[rare]} have "
                          f"{classes[frequent]} too", "add images without the other, if there are any")  # fmt: skip


def _never(together: np.ndarray, images: int, classes: list[str]) -> Iterator[Finding]:
    counts = np.diag(together)
    for one, other in combinations(range(len(classes)), 2):
        by_chance = counts[one] * counts[other] / max(images, 1)
        if together[one, other] == 0 and by_chance >= _FEWEST:
            yield Finding(REMARK, "never together", f"classes {classes[one]}, {classes[other]}",
                          f"no image has both; by chance {by_chance:.0f} would")  # fmt: skip
