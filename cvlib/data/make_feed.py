"""`make_feed`: the only function that creates feeds; it chooses the implementation."""

from __future__ import annotations

import math

from cvlib.config.schema import AugmentConfig
from cvlib.data import augmentation as augmentations
from cvlib.data import tiles
from cvlib.data.cache import Cache
from cvlib.data.feed import Feed
from cvlib.data.input_spec import InputSpec
from cvlib.data.labels import Form, LabelKind
from cvlib.data.order import Order, Share
from cvlib.data.samples import ImageSamples, PixelChange
from cvlib.data.split import Split, image_sizes
from cvlib.data.streams import TILE_STREAMS
from cvlib.data.tile_samples import TileSamples
from cvlib.runtime import backend


def make_feed(
    split: Split, spec: InputSpec, kind: LabelKind, batch_size: int, seed: int, *,
    augmentation: AugmentConfig | None = None, shuffle: bool = False, balanced: bool = False, steps: int | None = None,
    cache: Cache | None = None, share: Share | None = None, change: PixelChange | None = None,
) -> Feed:  # fmt: skip
    """Return the feed of a split.

    Args:
        split: images as an array or as files.
        spec: the network input; images are resized bilinearly with antialiasing and rounded to integers. With tiles,
            a shuffled feed yields one random tile of each image per epoch, and any other feed yields all windows.
        kind: the kind of the split's labels.
        batch_size: samples per batch, summed over all processes.
        seed: determines the order together with the epoch, and the augmentation together with epoch and sample index.
        augmentation: None leaves the images unchanged.
        shuffle: use a new order every epoch.
        balanced: draw images of rare classes more often, so that all classes are equally frequent in every epoch.
        steps: batches per epoch; None for the whole split. A larger number repeats the split in another order.
        cache: stores resized images after their first use, for a split of files.
        share: the part of each batch that this feed yields, for one of several processes; None: all of it.
        change: changes images before they are augmented, after they are resized or before they are cut into tiles; it
            is called for whole batches, from several threads.
    """
    joined = augmentations.images_in_sample(augmentation)
    mixes = augmentations.mixes(augmentation)
    if joined > 1 and kind.form is not (Form.ROW if mixes else Form.BOXES):
        what = "augment.mixup and augment.cutmix require classes" if mixes else "augment.mosaic requires boxes"
        raise ValueError(f"{what}, not {kind!r}")
    windows = tiles.windows(image_sizes(split), spec) if spec.tiled and not shuffle else None
    count = len(split) if windows is None else len(windows)
    images = steps * batch_size if steps and steps != math.ceil(count / batch_size) else count
    strata = kind.rarest(split) if balanced else None
    names = augmentations.streams_in_use(augmentation) + (TILE_STREAMS if spec.tiled and shuffle else ())
    order = Order(count, images, seed, shuffle, names, joined, share, strata,
                  "mix_partner" if mixes else "mosaic_partner")  # fmt: skip
    samples = (TileSamples(split, spec, kind, order.streams, augmentation, change, windows) if spec.tiled
               else ImageSamples(split, spec, kind, order.streams, augmentation, cache, change))  # fmt: skip
    return implementation()(samples, batch_size, order)


def implementation() -> type[Feed]:
    """Return the feed on TensorFlow; where it isn't installed, the one on threads."""
    if backend.has_tensorflow():
        from cvlib.data.tensorflow.pipeline import TensorFlowFeed

        return TensorFlowFeed
    from cvlib.data.threaded.pipeline import ThreadedFeed

    return ThreadedFeed
