"""Every corruption: strength 0, growth with the strength, determinism, and any size and number of channels."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits, load_sample_image

from cvlib.data import corruptions
from cvlib.data.corruptions import BY_NAME, generator
from cvlib.data.corruptions.blur import splatted
from cvlib.runtime.errors import UserError

KINDS = ("photograph", "small and grey", "five bands")


@cache
def image(kind: str) -> np.ndarray:
    if kind == "small and grey":
        digit = Image.fromarray((load_digits().images[3] / 16 * 255).astype(np.uint8))
        return np.asarray(digit.resize((28, 28), Image.Resampling.BICUBIC))[..., np.newaxis]
    photograph = Image.fromarray(load_sample_image("china.jpg")).resize((128, 96), Image.Resampling.BOX)
    pixels = np.asarray(photograph)
    return pixels if kind == "photograph" else np.dstack([pixels, 255 - pixels[..., :2]])[:60, :40]


def psnr(found: np.ndarray, original: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((found.astype(float) - original) ** 2)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", list(BY_NAME))
def test_a_corruption_grows_with_its_strength_from_nothing(name: str, kind: str) -> None:
    original = image(kind)
    before = original.copy()
    results = [BY_NAME[name](original, strength, generator(name, 0, "a")) for strength in range(6)]
    assert all(found.dtype == np.uint8 and found.shape == original.shape for found in results)
    np.testing.assert_array_equal(results[0], original)
    np.testing.assert_array_equal(original, before)
    quality = [psnr(found, original) for found in results[1:]]
    assert all(np.diff(quality) < 0), quality
    assert 5 < quality[-1] < quality[0] < 45


@pytest.mark.parametrize("name", list(BY_NAME))
def test_a_corruption_depends_on_seed_and_image_alone(name: str) -> None:
    first, same, other = (BY_NAME[name](image("photograph"), 3, generator(name, 0, word)) for word in "aab")
    np.testing.assert_array_equal(first, same)
    fixed = {"defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression"}
    assert (first == other).all() == (name in fixed)


def test_no_pixel_of_an_elastic_transform_moves_far() -> None:
    ramp = np.tile(np.arange(224, dtype=np.uint8), (224, 1))[..., np.newaxis]  # a value is its column
    moved = BY_NAME["elastic_transform"](ramp, 5, generator("elastic_transform", 0, "a")).astype(int) - ramp
    assert 1.5 < np.sqrt(np.mean(moved**2)) < 3
    assert np.abs(moved).max() <= 7  # 3 · 2.2 pixels, rounded


def test_a_kernel_smaller_than_a_pixel_keeps_its_variance() -> None:
    kernel = splatted(np.array([-0.25, 0.25]), np.zeros(2))
    # Each weight at 0.25 is shared 3 : 1 between the centre and the next pixel.
    np.testing.assert_allclose(kernel[1:4, 2], [0.125, 0.75, 0.125])


def test_corruptions_are_chosen_by_name_and_by_family() -> None:
    assert corruptions.chosen_names("fog,noise") == ["gaussian_noise", "shot_noise", "impulse_noise", "fog"]
    assert len(corruptions.chosen_names("all")) == 15
    assert corruptions.chosen_strengths("5,1,1") == [1, 5]
    with pytest.raises(UserError, match="--corrupt fogg: expected all, noise, blur, weather, digital"):
        corruptions.chosen_names("fogg")
    for text in ("6", "0,1", "x", ""):
        with pytest.raises(UserError, match="--strengths"):
            corruptions.chosen_strengths(text)
