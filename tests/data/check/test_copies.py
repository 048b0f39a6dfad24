"""Duplicate images are found in any encoding, with hardly any false positives."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps
from sklearn.datasets import load_digits

from cvlib.data.check.copies import Copyable, findings, repetitions
from cvlib.data.check.scan import THUMBNAIL, scan_file
from cvlib.data.near_duplicates import near_pairs


def _scene(seed: int, size: tuple[int, int] = (240, 200)) -> Image.Image:
    """Return large soft shapes with some grain, similar to a photograph."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (9, 9, 3), np.uint8)).resize(size, Image.Resampling.BICUBIC)
    grain = random.normal(0, 6, (size[1], size[0], 3))
    return Image.fromarray(np.clip(np.asarray(coarse) + grain, 0, 255).astype(np.uint8))


def _thumbnail(image: Image.Image, tmp_path, quality: int = 90) -> bytes:
    image.save(tmp_path / "t.jpg", quality=quality)
    return scan_file(tmp_path / "t.jpg").thumbnail


@pytest.mark.parametrize(("change", "mirrored"), [
    (lambda image: image, False),
    (ImageOps.mirror, True),
    (lambda image: image.resize((120, 100)), False),
    (lambda image: image.resize((408, 340), Image.Resampling.BICUBIC), False),
    (lambda image: image.convert("L"), False),
    (lambda image: ImageEnhance.Brightness(image).enhance(0.8), False),
])  # fmt: skip
def test_a_changed_copy_is_found_among_many(tmp_path, change, mirrored):
    thumbnails = [_thumbnail(_scene(seed), tmp_path) for seed in range(60)]
    thumbnails.append(_thumbnail(change(_scene(33)), tmp_path, quality=40))
    assert near_pairs(thumbnails) == [(60, 33, mirrored)]


def test_other_images_are_not_found(tmp_path):
    flipped_and_rotated = [ImageOps.flip(_scene(0)), _scene(0).transpose(Image.Transpose.ROTATE_90)]
    assert near_pairs([_thumbnail(image, tmp_path) for image in (_scene(0), *flipped_and_rotated, _scene(1))]) == []
    assert near_pairs([bytes([grey]) * THUMBNAIL**2 for grey in range(50)]) == []  # blank pages
    assert near_pairs([]) == near_pairs([bytes(THUMBNAIL**2)]) == []


def test_similar_small_drawings_are_rarely_reported():
    digits = [Image.fromarray((scan * 15.9).astype(np.uint8)) for scan in load_digits().images]
    thumbnails = [np.asarray(d.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)).tobytes() for d in digits]
    assert len(near_pairs(thumbnails)) <= 2


def test_the_pairs_match_a_brute_force_comparison():
    """Compare with the correlations of all pairs, for a thousand images in families of four."""
    random = np.random.default_rng(0)
    base = random.integers(0, 256, (250, 16, 16)).repeat(2, 1).repeat(2, 2)
    family = base[:, None] + random.normal(0, 1, (250, 4, 32, 32)) * np.array([4, 8, 16, 60])[:, None, None]
    pixels = np.clip(family, 0, 255).astype(np.uint8).reshape(1000, 32, 32)
    units = [p.reshape(1000, -1) - p.reshape(1000, -1).mean(1, keepdims=True) for p in
             (pixels.astype(np.float64), pixels[:, :, ::-1].astype(np.float64))]  # fmt: skip
    units = [unit / np.linalg.norm(unit, axis=1, keepdims=True) for unit in units]
    alike = np.tril(np.maximum(units[0] @ units[0].T, units[0] @ units[1].T) >= 0.99, -1)
    found = near_pairs([p.tobytes() for p in pixels])
    assert {later for later, _, _ in found} == set(np.flatnonzero(alike.any(axis=1)).tolist())
    assert all(alike[later, earlier] for later, earlier, _ in found)
    assert len(found) > 200


def test_images_that_are_similar_only_at_large_scale_are_not_copies():
    """All images have the same coarse pattern, like organs in X-rays, but different detail."""
    coarse = np.random.default_rng(0).integers(20, 236, (8, 8)).repeat(4, 0).repeat(4, 1)
    pixels = [coarse + np.random.default_rng(seed).normal(0, 4, coarse.shape) for seed in range(12)]
    assert min(np.corrcoef(pixels[0].ravel(), other.ravel())[0, 1] for other in pixels) > 0.99
    assert near_pairs([p.clip(0, 255).astype(np.uint8).tobytes() for p in pixels]) == []


def _item(name: str, digest: str, label: str | None = "hat", split: str = "train") -> Copyable:
    grey = np.random.default_rng(list(digest.encode())).integers(0, 256, (THUMBNAIL, THUMBNAIL), np.uint8)
    return Copyable(name, split, label, digest, grey.tobytes())


def _reported(items: list[Copyable]) -> list[tuple[str, str, str]]:
    return [
        (f.severity, f.kind, f.path) for repetition in repetitions(items) for f in findings(repetition, drawn=False)
    ]


def test_the_training_image_with_the_common_label_is_the_original():
    items = [_item("a", "1", "cap"), _item("b", "1", "hat"), _item("c", "1", "hat", "test"), _item("d", "2")]
    assert _reported(items) == [
        ("error", "duplicate in another split", "c"),
        ("error", "duplicate with another label", "a"),
    ]


def test_a_copy_in_the_same_split_and_class_is_only_a_warning():
    assert _reported([_item("a", "1"), _item("b", "1")]) == [("warning", "duplicate", "b")]


def test_the_advice_mentions_splits_that_are_yet_to_be_drawn():
    (repetition,) = repetitions([_item("a", "1"), _item("b", "1")])
    assert [findings(repetition, drawn)[0].advice for drawn in (False, True)] == [
        "keep one of them", "keep one of them: held-out splits could receive a copy of a training image"]  # fmt: skip


def test_near_copies_are_warnings_instead_of_errors():
    near = Copyable("n", "val", "cap", "other", _item("a", "1").thumbnail)
    assert _reported([_item("a", "1"), near]) == [
        ("warning", "near duplicate with another label", "n"),
        ("warning", "near duplicate in another split", "n"),
    ]


def test_without_classes_labels_are_not_compared():
    assert _reported([_item("a", "1", None), _item("b", "1", None)]) == [("warning", "duplicate", "b")]
