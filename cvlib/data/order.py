"""`Order`: the samples of each epoch, the images that form them, and their random numbers. NumPy only."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from cvlib.data import streams

_EPOCH_OFFSET = 2**20  # above any epoch number, so that samples repeated within an epoch draw different numbers


@dataclass(frozen=True)
class Share:
    """The part of each batch that one of several processes reads. The parts have equal sizes and keep the order.

    Args:
        index: number of the process, from 0.
        count: number of processes.
        batch_size: samples per batch over all processes, divisible by `multiple`.
        multiple: number of devices over all processes. The last sample of a batch is repeated until this number divides
            the batch: parts can only have equal sizes. Whoever joins the parts leaves the repetitions out.
    """

    index: int
    count: int
    batch_size: int
    multiple: int

    def __post_init__(self) -> None:
        if self.batch_size % self.multiple or self.multiple % self.count or not 0 <= self.index < self.count:
            raise ValueError(f"Invalid {self}: `index` must be below `count`, which must divide `multiple`, which must "
                             "divide `batch_size`")  # fmt: skip

    def places(self, images: int) -> np.ndarray:
        """Return the places of this part's samples in an epoch of `images` samples, int64 `(n,)`."""
        starts = np.arange(0, images, self.batch_size)
        own = self.batch_size // self.count
        places = starts[:, None] + np.arange(self.index * own, (self.index + 1) * own)
        if left := images % self.batch_size:
            own = math.ceil(left / self.multiple) * self.multiple // self.count
            last = starts[-1] + np.minimum(np.arange(self.index * own, (self.index + 1) * own), left - 1)
            return np.concatenate([places[:-1].reshape(-1), last])
        return places.reshape(-1)


@dataclass(frozen=True)
class Order:
    """The order of one split's samples in each epoch; it depends on seed and epoch only, not on the backend.

    Args:
        count: samples in the split.
        images: samples per epoch; if larger than `count`, the split is repeated in another order.
        seed: seed of the run.
        shuffle: use a new order every epoch; otherwise keep the order of the split.
        streams: names of the random streams that each image draws from.
        tiles: images per sample: 1, 2 for mixup and CutMix, or 4 for a mosaic.
        share: selects the part of each batch that one of several processes reads; None selects everything.
        strata: the class of each sample, int `(count,)`, to draw all classes equally often; samples of class −1 keep
            their share. None draws every sample once.
        partners: name of the random stream that chooses the other images of a sample.
    """

    count: int
    images: int
    seed: int
    shuffle: bool = False
    streams: tuple[str, ...] = ()
    tiles: int = 1
    share: Share | None = None
    strata: np.ndarray | None = field(default=None, compare=False)
    partners: str = "mosaic_partner"

    def epoch(self, number: int, mosaics: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Return the plan of epoch `number` (from 0): indices int64 `(rows,)` and draws float32 `(rows, streams)`.

        A sample has `tiles` rows, one per image. The sample's own image comes first. Without `mosaics`, no sample
        becomes a mosaic; nothing else changes.
        """
        rng = np.random.default_rng([self.seed, number])
        if self.strata is not None:
            order = _balanced(self.strata, self.images, rng)
        else:
            passes = [rng.permutation(self.count) if self.shuffle else np.arange(self.count)
                      for _ in range(math.ceil(self.images / self.count))]  # fmt: skip
            order = np.concatenate(passes)[: self.images]
        indices, draws = self._repeating(order, number)
        if not mosaics and "mosaic" in self.streams:
            draws[..., self.streams.index("mosaic")] = 1.0  # no probability is higher
        if self.share is not None:
            chosen = self.share.places(self.images)
            indices, draws = indices[chosen], draws[chosen]
        rows = indices.reshape(-1)
        return rows, draws.reshape(len(rows), len(self.streams))

    def _repeating(self, order: np.ndarray, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the plan of an order with repeated samples; each repetition draws different numbers."""
        indices = np.empty((len(order), self.tiles), np.int64)
        draws = np.empty((len(order), self.tiles, len(self.streams)), np.float32)
        times = _times_before(order)
        for repeat in range(int(times.max(initial=-1)) + 1):
            places = np.flatnonzero(times == repeat)
            indices[places], draws[places] = self._plan(order[places], epoch + repeat * _EPOCH_OFFSET)
        return indices, draws

    def _plan(self, order: np.ndarray, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Return indices `(n, tiles)` and draws `(n, tiles, streams)` of the samples of `order` `(n,)`."""
        indices = [order]
        for image in range(1, self.tiles):
            drawn = streams.draw([self.partners], order, self.seed, epoch, image)[self.partners]
            indices.append(np.minimum((drawn * np.float64(self.count)).astype(np.int64), self.count - 1))
        draws = [streams.columns(self.streams, order, self.seed, epoch, image) for image in range(self.tiles)]
        return np.stack(indices, axis=1), np.stack(draws, axis=1)


def _balanced(strata: np.ndarray, number: int, rng: np.random.Generator) -> np.ndarray:
    """Return `number` indices in random order, drawn so that each stratum gets its share to within one sample.

    This is systematic sampling: equally spaced points on the samples' cumulative weights, ordered by stratum.
    """
    labels, members, counts = np.unique(strata, return_inverse=True, return_counts=True)
    shares = np.where(labels < 0, counts / len(strata), 0.0)
    shares[labels >= 0] = (1.0 - shares.sum()) / max(1, np.count_nonzero(labels >= 0))
    order = rng.permutation(len(strata))
    order = order[np.argsort(members[order], kind="stable")]
    ends = np.cumsum((shares / counts)[members[order]])
    points = (np.arange(number) + rng.random()) / number * ends[-1]
    drawn = order[np.minimum(np.searchsorted(ends, points, side="right"), len(order) - 1)]
    return rng.permutation(drawn)


def _times_before(order: np.ndarray) -> np.ndarray:
    """Return how often each entry's value occurs before it in `order`, int `(n,)`."""
    by_value = np.argsort(order, kind="stable")
    ordered = order[by_value]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    lengths = np.diff(np.r_[starts, len(order)])
    times = np.empty(len(order), np.int64)
    times[by_value] = np.arange(len(order)) - np.repeat(starts, lengths)
    return times
