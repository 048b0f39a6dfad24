"""Find images whose thumbnails look the same: re-encoded, resized, brightened or mirrored copies."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cvlib.data.images import THUMBNAIL

# Minimum correlation of two thumbnails. Copies of photographs at JPEG quality 20 or half the size exceed 0.99 in 99 of
# 100 cases. Among 7 million pairs of different clothes images, none exceeds 0.979; among 1.6 million pairs of 8×8
# digits, one does.
_ALIKE = 0.99
# Minimum correlation after subtracting the mean of each 4 × 4 block. Copies at quality 20 or half the size exceed 0.94.
# Images that are similar only at large scale, such as X-rays, fall below.
_ALIKE_IN_DETAIL = 0.9
_DETAIL = 1.0  # grey levels; with a lower standard deviation there is no detail to compare
_FLAT = 4.0  # grey levels; a thumbnail with a lower standard deviation is noise on one colour and can't be compared
_NEIGHBOURS = 4  # compared per image, which limits the work for thousands of similar video frames
_BLOCK = 4096  # images or pairs processed at a time, to limit memory for large collections


def near_pairs(thumbnails: list[bytes]) -> list[tuple[int, int, bool]]:
    """Return pairs (later, earlier, mirrored?) of near-duplicate thumbnails; each is paired with its best match.

    A thumbnail maps to a point: 20 low frequencies of its discrete cosine transform. The sign of horizontally odd
    frequencies is dropped, so that a mirrored image maps to the same point. The points of two images with correlation
    r are at most √(2 − 2r) apart. Therefore, only neighbours within that distance are compared in full.
    """
    pixels = np.frombuffer(b"".join(thumbnails), np.uint8).reshape(len(thumbnails), THUMBNAIL, THUMBNAIL)
    deviations = [_deviation(block) for block in _blocks(pixels)]
    textured = np.flatnonzero(np.concatenate(deviations) >= _FLAT) if deviations else np.empty(0, np.int64)
    best: dict[int, tuple[float, int, bool]] = {}
    for block in _blocks(textured[_neighbours(pixels, textured)]):
        first, second = pixels[block[:, 0]], pixels[block[:, 1]]
        straight, mirrored = _similarity(first, second), _similarity(first, second[:, :, ::-1])
        for (later, earlier), plain, flipped in zip(block.tolist(), straight, mirrored, strict=True):
            best[later] = max(best.get(later, (0.0, 0, False)), (max(plain, flipped), earlier, bool(flipped > plain)))
    return [(later, earlier, mirrored) for later, (r, earlier, mirrored) in sorted(best.items()) if r >= _ALIKE]


def _neighbours(pixels: np.ndarray, textured: np.ndarray) -> np.ndarray:
    """Return pairs (n, 2) of positions in `textured`, the later one first, that are nearest neighbours."""
    from scipy.spatial import cKDTree

    if len(textured) < 2:
        return np.empty((0, 2), np.int64)
    points = np.concatenate([_points(pixels[block]) for block in _blocks(textured)])
    number = min(_NEIGHBOURS + 1, len(textured))  # one more, because each point is its own nearest neighbour
    _, near = cKDTree(points).query(points, number, distance_upper_bound=np.sqrt(2 - 2 * _ALIKE), workers=-1)
    pairs = np.stack([np.repeat(np.arange(len(textured)), number), near.ravel()], axis=1)
    # For missing neighbours, cKDTree returns the number of points as index.
    pairs = pairs[(pairs[:, 1] < len(textured)) & (pairs[:, 0] != pairs[:, 1])]
    return np.unique(np.sort(pairs, axis=1)[:, ::-1], axis=0)


def _blocks(array: np.ndarray) -> Iterator[np.ndarray]:
    return (array[start : start + _BLOCK] for start in range(0, len(array), _BLOCK))


def _deviation(pixels: np.ndarray) -> np.ndarray:
    deviations: np.ndarray = pixels.reshape(len(pixels), THUMBNAIL**2).std(1)
    return deviations


def _unit(pixels: np.ndarray) -> np.ndarray:
    """Convert thumbnails (n, side, side) to vectors (n, side²) of mean 0 and length 1."""
    vectors = pixels.reshape(len(pixels), THUMBNAIL**2).astype(np.float32)
    vectors -= vectors.mean(1, keepdims=True)
    unit: np.ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    return unit


def _similarity(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the correlation of pairs of thumbnails (n, side, side), with 0 for pairs that differ in details."""
    correlation = _correlation(first, second)
    alike = np.flatnonzero(correlation >= _ALIKE)
    first_detail, second_detail = _detail(first[alike]), _detail(second[alike])
    detailed = np.maximum(_deviation(first_detail), _deviation(second_detail)) >= _DETAIL
    correlation[alike[detailed & (_correlation(first_detail, second_detail) < _ALIKE_IN_DETAIL)]] = 0
    return correlation


def _detail(pixels: np.ndarray) -> np.ndarray:
    blocks = pixels.reshape(len(pixels), THUMBNAIL // 4, 4, THUMBNAIL // 4, 4).astype(np.float32)
    differences: np.ndarray = (blocks - blocks.mean((2, 4), keepdims=True)).reshape(pixels.shape)
    return differences


def _correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    products: np.ndarray = np.einsum("ij,ij->i", _unit(first), _unit(second))
    return products


def _points(pixels: np.ndarray) -> np.ndarray:
    """Return low frequencies (n, 20) of thumbnails, which are the same for an image and its mirror image."""
    at = (np.arange(THUMBNAIL) + 0.5) * np.pi / THUMBNAIL
    waves = [np.cos(frequency * at) / np.linalg.norm(np.cos(frequency * at)) for frequency in range(6)]
    pairs = [(down, across) for down in range(6) for across in range(6 - down) if down + across > 0]
    basis = np.stack([np.outer(waves[down], waves[across]).ravel() for down, across in pairs], 1).astype(np.float32)
    odd = np.array([across % 2 == 1 for _, across in pairs])
    points = _unit(pixels) @ basis
    return np.where(odd, np.abs(points), points)
