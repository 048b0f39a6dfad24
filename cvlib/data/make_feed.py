"""The only place that makes a feed, and chooses its implementation."""

from __future__ import annotations

import math

from cvlib.config.schema import AugmentConfig
from cvlib.data import augmentation as augmentations
from cvlib.data.cache import Cache
from cvlib.data.feed import Feed
from cvlib.data.input_spec import InputSpec
from cvlib.data.labels import Form, LabelKind
from cvlib.data.order import Order
from cvlib.data.split import Split


def make_feed(
    split: Split, spec: InputSpec, kind: LabelKind, batch_size: int, seed: int, *,
    augmentation: AugmentConfig | None = None, shuffle: bool = False, balanced: bool = False, steps: int | None = None,
    cache: Cache | None = None, shard: tuple[int, int] = (0, 1),
) -> Feed:  # fmt: skip
    """Return the feed of a split.

    Args:
        split: images as an array or as files.
        spec: what every image is brought to (bilinear with antialiasing, whole levels).
        kind: what the split's labels are.
        batch_size: samples in a batch, over all shards.
        seed: with the epoch's number decides the order, and with the sample's index its augmentation.
        augmentation: None leaves the images as they are.
        shuffle: a new order every epoch.
        balanced: draw images of rare classes more often, so that all classes are equally frequent in every epoch.
        steps: batches per epoch; None for all. More than the split has begin it again, in another order.
        cache: where resized images are kept after their first use, for a split of files.
        shard: (index, number): this feed gives every `number`-th sample of each epoch, from `index` on, in batches of
            batch_size / number. The shards of an epoch are disjoint and together are all of it.
    """
    from cvlib.data.tensorflow.pipeline import TensorFlowFeed

    index, shards = shard
    if not 0 <= index < shards or batch_size % shards:
        raise ValueError(f"shard={shard}: expected an index below the number of shards, and a batch size (="
                         f"{batch_size}) that this number divides")  # fmt: skip
    tiles = augmentations.images_in_sample(augmentation)
    if tiles > 1 and kind.form is not Form.BOXES:
        raise ValueError(f"augment.mosaic={augmentation and augmentation.mosaic} is for boxes, not for {kind!r}")
    whole = math.ceil(len(split) / batch_size)
    images = steps * batch_size if steps and steps != whole else len(split)
    strata = kind.rarest(split) if balanced else None
    order = Order(len(split), images, seed, shuffle, augmentations.streams_in_use(augmentation), tiles, shard, strata)
    return TensorFlowFeed(split, spec, kind, batch_size // shards, order, augmentation, cache)
