import numpy as np
import pytest

from cvlib.data import resampling
from cvlib.data.tensorflow import resize

RNG = np.random.default_rng(0)
# Height and width before and after; the last ones enlarge, keep one side, or start from a single pixel.
SIZES = [((375, 500), (160, 160)), ((81, 64), (32, 48)), ((97, 33), (64, 64)), ((31, 45), (96, 80)),
         ((64, 20), (64, 64)), ((1, 7), (5, 3))]  # fmt: skip


@pytest.mark.parametrize("method", ["stretch", "letterbox"])
@pytest.mark.parametrize(("before", "after"), SIZES)
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_images_are_resized_to_the_same_bits_as_by_tensorflow(before, after, channels, method):
    pixels = RNG.integers(0, 256, (*before, channels), np.uint8)
    found = resampling.image(pixels, after, method)
    assert found.dtype == np.uint8 and found.flags.c_contiguous
    np.testing.assert_array_equal(found, resize.image(pixels, after, method).numpy())


@pytest.mark.parametrize("method", ["stretch", "letterbox"])
@pytest.mark.parametrize(("before", "after"), SIZES)
def test_masks_are_resized_to_the_same_ids_as_by_tensorflow(before, after, method):
    ids = RNG.integers(0, 256, before, np.uint8)
    np.testing.assert_array_equal(resampling.mask(ids, after, method), resize.mask(ids, after, method).numpy())


def test_halving_averages_with_a_triangle():
    weights = resampling.weights(8, 4).toarray()
    np.testing.assert_allclose(weights[1], [0, 1 / 8, 3 / 8, 3 / 8, 1 / 8, 0, 0, 0])
    np.testing.assert_allclose(weights[0], [3 / 7, 3 / 7, 1 / 7, 0, 0, 0, 0, 0])


def test_channels_stay_apart():
    weights = resampling.weights(6, 3, 2).toarray()
    np.testing.assert_array_equal(weights[::2, ::2], resampling.weights(6, 3).toarray())
    np.testing.assert_array_equal(weights[::2, 1::2], 0)
