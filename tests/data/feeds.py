"""Feeds for tests."""

from __future__ import annotations

from typing import Any

from cvlib.config.schema import AugmentConfig
from cvlib.data.dataset import Split
from cvlib.data.feed import Feed
from cvlib.data.input_spec import STRETCH, InputSpec
from cvlib.data.labels import CLASS, LabelKind
from cvlib.data.make_feed import make_feed


def a_feed(
    split: Split, size: tuple[int, int], channels: int, batch_size: int, seed: int,
    augmentation: AugmentConfig | None = None, shuffle: bool = False, kind: LabelKind = CLASS, resize: str = STRETCH,
    **options: Any,
) -> Feed:  # fmt: skip
    """Return a feed of the images of a split, resized to `size` (height, width)."""
    spec = InputSpec(*size, channels, resize)
    return make_feed(split, spec, kind, batch_size, seed, augmentation=augmentation, shuffle=shuffle, **options)
