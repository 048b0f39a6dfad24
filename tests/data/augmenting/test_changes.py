"""Augmentation compared with drawn shapes, NumPy and SciPy."""

from __future__ import annotations

import colorsys
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy import ndimage

from cvlib.config.schema import AugmentConfig
from cvlib.data import streams
from cvlib.data.augmenting import affine
from cvlib.data.augmenting.draws import Draws
from tests.data.engines import apply

PRESETS = sorted((Path(__file__).parents[3] / "conf" / "augment").glob("*.yaml"))
EVERYTHING = AugmentConfig(
    horizontal_flip=0.5, vertical_flip=0.5, rotation=20, crop=0.5, brightness=0.2, contrast=0.3, saturation=0.3,
    hue=0.05, blur=1.2,
)  # fmt: skip


def random_images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)


def augmented(images: np.ndarray, config: AugmentConfig, every_draw: float) -> np.ndarray:
    """Augment with all draws equal: 0 and 1 are the ends of each range, and 0.5 is its middle."""
    draws = Draws(dict.fromkeys(streams.STREAMS, np.full(len(images), every_draw, np.float32)), len(images))
    return apply(images, draws, config)


def draw(indices: np.ndarray, seed: int, epoch: int) -> Draws:
    return Draws(streams.draw(streams.STREAMS, indices, seed, epoch), len(indices))


def select(draws: Draws, indices: list[int]) -> Draws:
    return Draws({name: column[indices] for name, column in draws.columns.items()}, len(indices))


def load_preset(path: Path) -> AugmentConfig:
    return AugmentConfig(**yaml.safe_load(path.read_text()))


# Geometry


@pytest.mark.parametrize("shape", [(2, 8, 8, 1), (2, 7, 9, 3), (1, 1, 1, 1)])
@pytest.mark.parametrize("every_draw", [0.0, 0.3, 1.0])
def test_neutral_strengths_leave_images_unchanged(shape, every_draw):
    images = random_images(*shape)
    assert np.array_equal(augmented(images, AugmentConfig(), every_draw), images)


@pytest.mark.parametrize("size", [(8, 8), (7, 10)])
def test_flips_are_exact_reversals(size):
    images = random_images(3, *size, 3)
    assert np.array_equal(augmented(images, AugmentConfig(horizontal_flip=1), 0.3), images[:, :, ::-1])
    assert np.array_equal(augmented(images, AugmentConfig(vertical_flip=1), 0.3), images[:, ::-1])
    both = AugmentConfig(horizontal_flip=1, vertical_flip=1)
    assert np.array_equal(augmented(images, both, 0.3), images[:, ::-1, ::-1])


def test_flips_are_independent_and_have_the_configured_probabilities():
    config = AugmentConfig(horizontal_flip=0.5, vertical_flip=0.25)
    found = affine.matrices(draw(np.arange(4000), 0, 0), config, 8, 8)
    mirrored_x, mirrored_y = found[:, 0, 0] < 0, found[:, 1, 1] < 0
    shares = [mirrored_x.mean(), mirrored_y.mean(), (mirrored_x & mirrored_y).mean()]
    assert shares == pytest.approx([0.5, 0.25, 0.125], abs=0.03)


def test_a_quarter_turn_matches_numpy():
    images = random_images(2, 9, 9, 3)
    turned = augmented(images, AugmentConfig(rotation=90), 1.0)
    np.testing.assert_allclose(turned, np.rot90(images, axes=(1, 2)), atol=0.01)
    np.testing.assert_allclose(augmented(turned, AugmentConfig(rotation=90), 0.0), images, atol=0.02)


@pytest.mark.parametrize("size", [(24, 24), (17, 30)])
def test_rotation_matches_scipy(size):
    image = ndimage.gaussian_filter(random_images(*size), 1)
    angle = np.deg2rad(25)
    y, x = np.mgrid[: size[0], : size[1]].astype(float)
    middle_y, middle_x = (size[0] - 1) / 2, (size[1] - 1) / 2
    from_x = middle_x + np.cos(angle) * (x - middle_x) - np.sin(angle) * (y - middle_y)
    from_y = middle_y + np.sin(angle) * (x - middle_x) + np.cos(angle) * (y - middle_y)
    expected = ndimage.map_coordinates(image, [from_y, from_x], order=1, mode="nearest")
    result = augmented(image[None, ..., None], AugmentConfig(rotation=25), 1.0)[0, ..., 0]
    np.testing.assert_allclose(result, expected, atol=0.05)


def test_a_drawn_box_moves_as_the_matrix_says():
    config = AugmentConfig(horizontal_flip=0.5, vertical_flip=0.5, rotation=30, crop=0.6)
    draws = draw(np.arange(40), 0, 0)
    images = np.zeros((40, 80, 100, 1), np.float32)
    images[:, 30:42, 44:60] = 255
    inverse = np.linalg.inv(affine.matrices(draws, config, 80, 100))
    moved = apply(images, draws, config)[..., 0] / 255
    y, x = np.mgrid[:80, :100]
    whole = 0
    for mask, forward in zip(moved, inverse, strict=True):
        if mask[[0, -1]].any() or mask[:, [0, -1]].any():
            continue
        whole += 1
        centre = np.array([(mask * x).sum(), (mask * y).sum()]) / mask.sum()
        np.testing.assert_allclose(centre, (forward @ [51.5, 35.5, 1])[:2], atol=0.15)
        assert mask.sum() == pytest.approx(12 * 16 * abs(np.linalg.det(forward)), rel=0.03)
        corners = np.array([[44, 30, 1], [59, 30, 1], [44, 41, 1], [59, 41, 1]]) @ forward.T
        inside = np.argwhere(mask > 0.5)[:, ::-1]
        np.testing.assert_allclose(inside.min(axis=0), corners[:, :2].min(axis=0), atol=1)
        np.testing.assert_allclose(inside.max(axis=0), corners[:, :2].max(axis=0), atol=1)
    assert whole >= 20


def test_crops_have_the_configured_area_and_aspect_and_lie_inside():
    config = AugmentConfig(crop=0.4)
    draws = draw(np.arange(3000), 0, 0)
    found = affine.matrices(draws, config, 60, 90)
    scale_x, scale_y = found[:, 0, 0], found[:, 1, 1]
    area, aspect = scale_x * scale_y, scale_x / scale_y
    assert 0.4 <= area.min() < 0.42 and 0.98 < area.max() <= 1 + 1e-6
    assert 1 / 1.2501 <= aspect.min() < 0.81 and 1.24 < aspect.max() <= 1.2501
    first = (found @ [-0.5, -0.5, 1])[:, :2]  # the outer edges: half a pixel beyond the centres
    last = (found @ [89.5, 59.5, 1])[:, :2]
    spare = (1 - found[:, [0, 1], [0, 1]]) * [90, 60]
    position = ((first + 0.5) / np.maximum(spare, 1e-9))[spare.min(axis=1) > 3]
    assert abs(np.corrcoef(position.T)[0, 1]) < 0.05  # horizontal and vertical positions are independent
    assert np.quantile(position, [0.1, 0.5, 0.9]) == pytest.approx([0.1, 0.5, 0.9], abs=0.03)
    assert first.min() >= -0.501 and (last <= [89.501, 59.501]).all()
    assert first.min(axis=0) == pytest.approx([-0.5, -0.5], abs=0.1)
    assert last.max(axis=0) == pytest.approx([89.5, 59.5], abs=0.1)


def test_edge_pixels_are_repeated_outside_the_image():
    bright = np.full((1, 16, 16, 1), 200, np.float32)
    np.testing.assert_allclose(augmented(bright, AugmentConfig(rotation=45), 1.0), bright, atol=1e-3)


# Colour


def test_brightness_adds_a_share_of_the_range():
    images = random_images(2, 5, 6, 3)
    config = AugmentConfig(brightness=0.2)
    np.testing.assert_allclose(augmented(images, config, 1.0), np.clip(images + 51, 0, 255), atol=1e-3)
    np.testing.assert_allclose(augmented(images, config, 0.0), np.clip(images - 51, 0, 255), atol=1e-3)


@pytest.mark.parametrize("channels", [1, 3])
def test_contrast_scales_around_the_mean_of_each_channel(channels):
    images = random_images(2, 5, 6, channels)
    mean = images.mean(axis=(1, 2), keepdims=True)
    config = AugmentConfig(contrast=0.5)
    np.testing.assert_allclose(augmented(images, config, 0.0), mean + 0.5 * (images - mean), atol=1e-3)
    expected = np.clip(mean + 1.5 * (images - mean), 0, 255)
    np.testing.assert_allclose(augmented(images, config, 1.0), expected, atol=1e-3)


def test_saturation_blends_with_the_luma():
    images = random_images(2, 5, 6, 3)
    grey = images @ np.array([[0.299], [0.587], [0.114]], np.float32)
    np.testing.assert_allclose(augmented(images, AugmentConfig(saturation=1), 0.0), np.repeat(grey, 3, -1), atol=0.05)
    expected = np.clip(grey + 1.4 * (images - grey), 0, 255)
    np.testing.assert_allclose(augmented(images, AugmentConfig(saturation=0.4), 1.0), expected, atol=0.05)


def test_hue_rotates_the_chroma_of_yiq():
    images = random_images(1, 4, 4, 3)
    expected = []
    for red, green, blue in images.reshape(-1, 3) / 255:
        y, i, q = colorsys.rgb_to_yiq(red, green, blue)
        turned = complex(i, q) * np.exp(2j * np.pi * 0.1)
        expected.append(colorsys.yiq_to_rgb(y, turned.real, turned.imag))
    result = augmented(images, AugmentConfig(hue=0.1), 1.0).reshape(-1, 3)
    np.testing.assert_allclose(result, 255 * np.array(expected), atol=3)  # colorsys rounds to two digits and clips
    luma = np.array([0.299, 0.587, 0.114])
    inner = (result > 0).all(axis=1) & (result < 255).all(axis=1)
    np.testing.assert_allclose(result[inner] @ luma, images.reshape(-1, 3)[inner] @ luma, atol=0.05)


def test_combined_colour_changes_match_single_ones_in_sequence():
    images = 100 + 0.2 * random_images(2, 5, 6, 3)
    config = AugmentConfig(brightness=0.05, contrast=0.2, saturation=0.3, hue=0.03)
    step = images
    for name in ("brightness", "contrast", "saturation", "hue"):
        step = augmented(step, AugmentConfig(**{name: getattr(config, name)}), 0.9)
    np.testing.assert_allclose(augmented(images, config, 0.9), step, atol=0.01)


def test_saturation_and_hue_leave_grey_pixels_and_grey_images_unchanged():
    config = AugmentConfig(saturation=0.8, hue=0.3)
    one_channel = random_images(2, 5, 6, 1)
    assert np.array_equal(augmented(one_channel, config, 0.9), one_channel)
    grey = np.repeat(one_channel, 3, axis=-1)
    np.testing.assert_allclose(augmented(grey, config, 0.9), grey, atol=0.1)


# Blur


@pytest.mark.parametrize("shape", [(20, 24, 1), (20, 24, 3), (3, 3, 1), (1, 1, 3)])
@pytest.mark.parametrize("max_sigma", [0.5, 1.5, 4.0])
def test_blur_matches_scipy_with_a_sigma_per_image(shape, max_sigma):
    config = AugmentConfig(blur=max_sigma)
    images = random_images(4, *shape)
    shares = np.array([0, 0.3, 0.7, 0.999], np.float32)
    result = apply(images, Draws({"blur": shares}, 4), config)
    assert np.array_equal(result[0], images[0])
    for image, blurred, share in zip(images, result, shares, strict=True):
        expected = ndimage.gaussian_filter(image, (share * max_sigma, share * max_sigma, 0), mode="nearest", truncate=4)
        np.testing.assert_allclose(blurred, expected, atol=1)


# All together


@pytest.mark.parametrize("shape", [(16, 32, 32, 3), (16, 8, 8, 1), (3, 1, 5, 3)])
def test_all_augmentations_together_keep_shape_type_and_range(shape):
    images = random_images(*shape)
    result = apply(images, draw(np.arange(len(images)), 0, 0), EVERYTHING)
    assert result.shape == shape and result.dtype == np.float32
    assert result.min() >= 0 and result.max() <= 255 and np.isfinite(result).all()


def test_a_sample_looks_the_same_in_every_batch():
    images = random_images(33, 13, 15, 3)
    draws = draw(np.arange(33), 0, 0)
    whole = apply(images, draws, EVERYTHING)
    for some in ([0], [32], [5, 1], list(range(17)), list(range(32, -1, -1))):
        part = apply(images[some], select(draws, some), EVERYTHING)
        np.testing.assert_allclose(part, whole[some], atol=1e-3)


def test_each_epoch_looks_different():
    images = random_images(8, 16, 16, 3)
    one, two = (apply(images, draw(np.arange(8), 0, epoch), EVERYTHING) for epoch in (0, 1))
    assert (np.abs(one - two).max(axis=(1, 2, 3)) > 1).all()


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_presets_have_the_name_of_their_file_and_work(path):
    config = load_preset(path)
    assert config.name == path.stem
    images = random_images(4, 12, 12, 3)
    result = apply(images, draw(np.arange(4), 0, 0), config)
    assert np.array_equal(result, images) == (config.name == "none")


def test_presets_go_from_weak_to_strong():
    found = {path.stem: load_preset(path) for path in PRESETS}
    assert set(found) == {"none", "boxes", "light", "modern", "random_crop", "standard", "strong"}
    ordered = [found[name] for name in ("none", "light", "standard", "strong")]
    for strength in ("rotation", "brightness", "contrast", "saturation", "hue", "blur"):
        strengths = [getattr(config, strength) for config in ordered]
        assert strengths == sorted(strengths)
    assert found["light"].horizontal_flip == found["light"].vertical_flip == 0  # it must suit digits and letters
