"""The feed by its former arguments, for callers that don't use `make_feed` yet; it goes when the last one has moved."""

from __future__ import annotations

from typing import Any

import numpy as np

from cvlib.data import feed as feeds
from cvlib.data import labels
from cvlib.data.dataset import Split
from cvlib.data.input_spec import STRETCH, InputSpec
from cvlib.data.split import image_sizes as sizes

__all__ = ["Feed", "preview", "sizes"]


def Feed(  # noqa: N802
    split: Split, size: tuple[int, int], channels: int, batch_size: int, seed: int, augmentation: Any = None,
    shuffle: bool = False, steps: int | None = None, task: str = "classification", how: str = STRETCH,
    cache: Any = None,
) -> feeds.Feed:  # fmt: skip
    """Return `make_feed` of these."""
    return feeds.make_feed(
        split, InputSpec(*size, channels, how), labels.named(task), batch_size, seed, augmentation=augmentation,
        shuffle=shuffle, steps=steps, cache=cache,
    )  # fmt: skip


def preview(feed: feeds.Feed, count: int) -> tuple[np.ndarray, Any]:
    """Return `feed.preview(count)`."""
    return feed.preview(count)
