"""RandAugment's operations compared with Pillow."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from cvlib.config.schema import AugmentConfig
from cvlib.data import streams
from cvlib.data.augmenting.draws import Draws
from cvlib.data.augmenting.randaugment import OPERATIONS
from tests.data.engines import apply

HEIGHT, WIDTH = 24, 31


def photograph(number: int = 0) -> np.ndarray:
    """Return a smooth uint8 image that doesn't use the whole range."""
    noise = np.random.default_rng(number).integers(20, 230, (6, 8, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(noise).resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR))


def draws(names: list[str], negative: bool = False) -> Draws:
    """Return the draws that select the operations `names`, one for each image."""
    places = np.array([OPERATIONS.index(name) for name in names], np.float32)
    sign = np.full(len(names), 0.2 if negative else 0.7, np.float32)
    return Draws({"rand_operation_1": (places + 0.5) / len(OPERATIONS), "rand_sign_1": sign}, len(names))


def changed(name: str, image: np.ndarray, magnitude: float, negative: bool = False) -> np.ndarray:
    config = AugmentConfig(rand_operations=1, rand_magnitude=magnitude)
    result: np.ndarray = apply(image[None].astype(np.float32), draws([name], negative), config)[0]
    return result


Pillow = Callable[[Image.Image, float], Image.Image]
BLENDS: dict[str, Pillow] = {
    "brightness": lambda image, factor: ImageEnhance.Brightness(image).enhance(factor),
    "color": lambda image, factor: ImageEnhance.Color(image).enhance(factor),
    "contrast": lambda image, factor: ImageEnhance.Contrast(image).enhance(factor),
    "sharpness": lambda image, factor: ImageEnhance.Sharpness(image).enhance(factor),
}  # fmt: skip


@pytest.mark.parametrize("negative", [False, True])
@pytest.mark.parametrize("magnitude", [0.3, 1.0])
@pytest.mark.parametrize("name", BLENDS)
def test_blending_operations_match_pillow(name: str, magnitude: float, negative: bool) -> None:
    image = photograph()
    expected = BLENDS[name](Image.fromarray(image), 1 + (-0.9 if negative else 0.9) * magnitude)
    # Pillow rounds the other image and the result to integers.
    np.testing.assert_allclose(changed(name, image, magnitude, negative), np.asarray(expected, float), atol=2)


@pytest.mark.parametrize("magnitude", [0.0, 0.3, 1.0])
def test_posterize_and_solarize_match_pillow(magnitude: float) -> None:
    image = photograph()
    bits, threshold = 8 - round(4 * magnitude), 255 * (1 - magnitude)
    expected = ImageOps.posterize(Image.fromarray(image), bits)
    assert np.array_equal(changed("posterize", image, magnitude), np.asarray(expected))
    expected = ImageOps.solarize(Image.fromarray(image), math.ceil(threshold))
    assert np.array_equal(changed("solarize", image, magnitude), np.asarray(expected))


def test_autocontrast_and_equalize_match_pillow() -> None:
    image = photograph()
    expected = np.asarray(ImageOps.autocontrast(Image.fromarray(image)), float)
    np.testing.assert_allclose(changed("autocontrast", image, 0.3), expected, atol=1)  # Pillow rounds down
    assert np.array_equal(changed("equalize", image, 0.3), np.asarray(ImageOps.equalize(Image.fromarray(image))))


def test_an_image_of_one_colour_has_no_contrast_to_stretch() -> None:
    flat = np.full((5, 5, 3), 90, np.uint8)
    assert np.array_equal(changed("autocontrast", flat, 0.3), flat)
    assert np.array_equal(changed("equalize", flat, 0.3), flat)


MOVES = {
    "shear_x": lambda m: (1, 0.3 * m, 0, 0, 1, 0),
    "shear_y": lambda m: (1, 0, 0, 0.3 * m, 1, 0),
    "translate_x": lambda m: (1, 0, 150 / 331 * WIDTH * m, 0, 1, 0),
    "translate_y": lambda m: (1, 0, 0, 0, 1, 150 / 331 * HEIGHT * m),
    "rotate": lambda m: (math.cos(math.pi / 6 * m), -math.sin(math.pi / 6 * m), 0,
                         math.sin(math.pi / 6 * m), math.cos(math.pi / 6 * m), 0),
}  # fmt: skip


@pytest.mark.parametrize("negative", [False, True])
@pytest.mark.parametrize("name", MOVES)
def test_moving_operations_match_pillow(name: str, negative: bool) -> None:
    image = photograph()
    a, b, right, d, e, down = MOVES[name](-0.5 if negative else 0.5)
    x, y = WIDTH / 2, HEIGHT / 2
    about_centre = (a, b, x - a * x - b * y + right, d, e, y - d * x - e * y + down)

    def moved(pixels: np.ndarray) -> np.ndarray:
        affine = Image.Transform.AFFINE
        found = Image.fromarray(pixels).transform((WIDTH, HEIGHT), affine, about_centre, Image.Resampling.BILINEAR)
        return np.asarray(found)

    inside = moved(np.full((HEIGHT, WIDTH), 255, np.uint8)) == 255  # outside, Pillow fills with black
    assert inside.mean() > 0.5
    # Pillow rounds down.
    np.testing.assert_allclose(changed(name, image, 0.5, negative)[inside], moved(image)[inside], atol=1.01)


def test_each_image_of_a_batch_gets_its_own_operation() -> None:
    images = np.stack([photograph(number) for number in range(len(OPERATIONS))]).astype(np.float32)
    order = list(OPERATIONS[::-1])
    config = AugmentConfig(rand_operations=1, rand_magnitude=0.5)
    together = apply(images, draws(order), config)
    for name, image, found in zip(order, images, together, strict=True):
        np.testing.assert_allclose(found, changed(name, image, 0.5), atol=1e-3, err_msg=name)
        assert np.array_equal(found, image) == (name == "identity")


def test_two_operations_are_applied_one_after_the_other() -> None:
    image = photograph().astype(np.float32)
    first, second = OPERATIONS.index("brightness"), OPERATIONS.index("solarize")
    columns = {"rand_operation_1": first, "rand_operation_2": second}
    drawn = {name: np.full(1, (place + 0.5) / len(OPERATIONS), np.float32) for name, place in columns.items()}
    drawn |= {"rand_sign_1": np.full(1, 0.2, np.float32), "rand_sign_2": np.full(1, 0.2, np.float32)}
    found = apply(image[None], Draws(drawn, 1), AugmentConfig(rand_operations=2, rand_magnitude=0.5))
    darker = image * 0.55
    np.testing.assert_allclose(found[0], np.where(darker >= 127.5, 255 - darker, darker), atol=1e-3)


@pytest.mark.parametrize("channels", [1, 5])
def test_images_with_other_numbers_of_channels_keep_their_shape_and_range(channels: int) -> None:
    images = np.random.default_rng(0).uniform(0, 255, (40, 9, 7, channels)).astype(np.float32)
    drawn = Draws(streams.draw(streams.STREAMS, np.arange(40), 0, 0), 40)
    result = apply(images, drawn, AugmentConfig(rand_operations=4, rand_magnitude=1.0))
    assert result.shape == images.shape and result.min() >= 0 and result.max() <= 255


def test_every_operation_and_sign_is_equally_frequent() -> None:
    drawn = streams.draw(["rand_operation_1", "rand_sign_1"], np.arange(14000), 0, 0)
    counts = np.bincount((drawn["rand_operation_1"] * len(OPERATIONS)).astype(int), minlength=len(OPERATIONS))
    assert len(counts) == 14 and counts.min() > 880 and counts.max() < 1120  # 1,000 ± 4 standard deviations
    assert (drawn["rand_sign_1"] < 0.5).mean() == pytest.approx(0.5, abs=0.02)
