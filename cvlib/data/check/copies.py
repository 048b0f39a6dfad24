"""Images that are there more than once: byte for byte, or encoded again, resized, brightened or mirrored."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cvlib.data.findings import ERROR, REMARK, WARNING, Finding
from cvlib.data.images import THUMBNAIL

# Correlation of two thumbnails. On photographs, JPEG quality 20 and half the size stay above 0.99 in 99 of 100 cases;
# of 7 million pairs of different pictures of clothes none comes above 0.979, of 1.6 million of 8×8 digits one.
_ALIKE = 0.99
# Correlation of what is left of them when the mean of every 4 × 4 pixels is taken away: copies at quality 20 or half
# the size stay above 0.94; pictures that are alike in the large only, as X-rays are, fall below.
_ALIKE_IN_DETAIL = 0.9
_DETAIL = 1.0  # standard deviation in grey levels, below which there is no detail to compare
_FLAT = 4.0  # standard deviation in grey levels, below which a thumbnail is noise on one colour and tells nothing
_NEIGHBOURS = 4  # looked at per image: of a video's thousand alike frames each is compared with some
_BLOCK = 4096  # images or pairs at a time, so that memory doesn't grow with the collection
_ORDER = {"train": 0, "val": 1, "test": 2}


@dataclass(frozen=True)
class Copyable:
    """One sample as far as copies are concerned."""

    name: str
    split: str  # train, val or test
    label: str | None  # its class; None for boxes and masks
    digest: str
    thumbnail: bytes


@dataclass(frozen=True)
class Repetition:
    """A sample that shows what another one shows, exactly or nearly."""

    copy: Copyable
    original: Copyable
    exact: bool
    mirrored: bool = False


def repetitions(items: list[Copyable]) -> list[Repetition]:
    """Every copy with the sample that it repeats: the one in train, of exact ones that with the commoner label."""
    groups = defaultdict(list)
    for item in items:
        groups[item.digest].append(item)
    found: list[Repetition] = []
    originals: list[Copyable] = []
    for group in groups.values():
        votes = Counter(item.label for item in group)
        group.sort(key=lambda item: (-votes[item.label], _ORDER[item.split], item.name))
        originals.append(group[0])
        found += [Repetition(copy, group[0], exact=True) for copy in group[1:]]
    originals.sort(key=lambda item: (_ORDER[item.split], item.name))
    pairs = near_pairs([item.thumbnail for item in originals])
    return found + [
        Repetition(originals[later], originals[earlier], False, flipped) for later, earlier, flipped in pairs
    ]


def findings(repetition: Repetition, drawn: bool) -> list[Finding]:
    """What a copy spoils, by the splits and labels of the two; `drawn` where the splits are still to be drawn."""
    copy, original = repetition.copy, repetition.original
    near, severity, ordinary = ("", ERROR, WARNING) if repetition.exact else ("near ", WARNING, REMARK)
    manner = ", byte for byte" if repetition.exact else ", mirrored" if repetition.mirrored else ""
    same = f"{'' if repetition.exact else 'nearly '}the same image as {original.name}{manner}"
    found = []
    if copy.label != original.label:
        message = f"{same}: {copy.label} here, {original.label} there"
        found.append(Finding(severity, f"{near}duplicate with another label", copy.name, message, "keep the right one"))
    if copy.split != original.split:
        message = f"{same}: {copy.split} then asks what {original.split} has shown"
        found.append(Finding(severity, f"{near}duplicate in another split", copy.name, message, "keep one of them"))
    advice = "keep one of them" + (", for drawing a test split may part them" if drawn else "")
    return found or [Finding(ordinary, f"{near}duplicate", copy.name, same, advice)]


def near_pairs(thumbnails: list[bytes]) -> list[tuple[int, int, bool]]:
    """Pairs (later, earlier, mirrored?) of thumbnails that show the same: for each the most alike earlier one.

    Of a thumbnail's discrete cosine transform, 20 low frequencies make a point; the sign of those odd in the
    horizontal is dropped, so that a mirrored picture falls on the same point. Points of two pictures that correlate
    by r lie at most √(2 − 2r) apart, so none is missed among the neighbours within that distance; those are compared
    whole.
    """
    pixels = np.frombuffer(b"".join(thumbnails), np.uint8).reshape(len(thumbnails), THUMBNAIL, THUMBNAIL)
    deviations = [_deviation(block) for block in _blocks(pixels)]
    telling = np.flatnonzero(np.concatenate(deviations) >= _FLAT) if deviations else np.empty(0, np.int64)
    best: dict[int, tuple[float, int, bool]] = {}
    for block in _blocks(telling[_neighbours(pixels, telling)]):
        one, other = pixels[block[:, 0]], pixels[block[:, 1]]
        straight, mirrored = _likeness(one, other), _likeness(one, other[:, :, ::-1])
        for (later, earlier), plain, flipped in zip(block.tolist(), straight, mirrored, strict=True):
            best[later] = max(best.get(later, (0.0, 0, False)), (max(plain, flipped), earlier, bool(flipped > plain)))
    return [(later, earlier, mirrored) for later, (r, earlier, mirrored) in sorted(best.items()) if r >= _ALIKE]


def _neighbours(pixels: np.ndarray, telling: np.ndarray) -> np.ndarray:
    """Pairs (n, 2) of positions in `telling`, the later one first, whose points are among each other's nearest."""
    from scipy.spatial import cKDTree

    if len(telling) < 2:
        return np.empty((0, 2), np.int64)
    points = np.concatenate([_points(pixels[block]) for block in _blocks(telling)])
    number = min(_NEIGHBOURS + 1, len(telling))  # each is its own nearest
    _, near = cKDTree(points).query(points, number, distance_upper_bound=np.sqrt(2 - 2 * _ALIKE), workers=-1)
    pairs = np.stack([np.repeat(np.arange(len(telling)), number), near.ravel()], axis=1)
    pairs = pairs[(pairs[:, 1] < len(telling)) & (pairs[:, 0] != pairs[:, 1])]  # beyond the distance it gives n
    return np.unique(np.sort(pairs, axis=1)[:, ::-1], axis=0)


def _blocks(array: np.ndarray) -> Iterator[np.ndarray]:
    return (array[start : start + _BLOCK] for start in range(0, len(array), _BLOCK))


def _deviation(pixels: np.ndarray) -> np.ndarray:
    deviations: np.ndarray = pixels.reshape(len(pixels), THUMBNAIL**2).std(1)
    return deviations


def _unit(pixels: np.ndarray) -> np.ndarray:
    """Thumbnails (n, side, side) as vectors (n, side²) of mean 0 and length 1."""
    vectors = pixels.reshape(len(pixels), THUMBNAIL**2).astype(np.float32)
    vectors -= vectors.mean(1, keepdims=True)
    unit: np.ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    return unit


def _likeness(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Correlation of thumbnails (n, side, side) with others, 0 where they differ in their details."""
    whole = _correlation(one, other)
    alike = np.flatnonzero(whole >= _ALIKE)
    fine, other_fine = _detail(one[alike]), _detail(other[alike])
    telling = np.maximum(_deviation(fine), _deviation(other_fine)) >= _DETAIL
    whole[alike[telling & (_correlation(fine, other_fine) < _ALIKE_IN_DETAIL)]] = 0
    return whole


def _detail(pixels: np.ndarray) -> np.ndarray:
    blocks = pixels.reshape(len(pixels), THUMBNAIL // 4, 4, THUMBNAIL // 4, 4).astype(np.float32)
    differences: np.ndarray = (blocks - blocks.mean((2, 4), keepdims=True)).reshape(pixels.shape)
    return differences


def _correlation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    products: np.ndarray = np.einsum("ij,ij->i", _unit(one), _unit(other))
    return products


def _points(pixels: np.ndarray) -> np.ndarray:
    """Low frequencies (n, 20) of thumbnails, the same for a picture and its mirror image."""
    at = (np.arange(THUMBNAIL) + 0.5) * np.pi / THUMBNAIL
    waves = [np.cos(frequency * at) / np.linalg.norm(np.cos(frequency * at)) for frequency in range(6)]
    pairs = [(down, across) for down in range(6) for across in range(6 - down) if down + across > 0]
    basis = np.stack([np.outer(waves[down], waves[across]).ravel() for down, across in pairs], 1).astype(np.float32)
    odd = np.array([across % 2 == 1 for _, across in pairs])
    points = _unit(pixels) @ basis
    return np.where(odd, np.abs(points), points)
