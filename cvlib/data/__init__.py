"""Datasets: load three checked splits from a name or a folder, and make batches from a split."""

from __future__ import annotations

from cvlib.data import labels
from cvlib.data.dataset import Dataset, Split
from cvlib.data.fingerprint import fingerprint, split_fingerprint, split_fingerprints
from cvlib.data.labels import BOXES, CLASS, MASK, LabelKind
from cvlib.data.loading import load, undivided

__all__ = [
    "BOXES", "CLASS", "MASK", "Dataset", "LabelKind", "Split", "fingerprint", "labels", "load", "split_fingerprint",
    "split_fingerprints",
    "undivided",
]  # fmt: skip
