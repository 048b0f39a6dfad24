"""Images are resized for predictions as in training."""

from __future__ import annotations

import numpy as np
import pytest

from cvlib.data import resampling
from cvlib.data.input_spec import InputSpec
from cvlib.tasks import serving


@pytest.mark.parametrize("method", ["stretch", "letterbox"])
@pytest.mark.parametrize(("height", "width", "channels"), [(31, 45, 3), (96, 48, 1), (5, 9, 3), (200, 7, 1)])
def test_an_image_is_resized_as_in_the_feed(height: int, width: int, channels: int, method: str) -> None:
    image = np.random.default_rng(0).integers(0, 256, (height, width, channels)).astype(np.uint8)
    found = serving.resizer(InputSpec(12, 16, channels, method))(image)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, resampling.image(image, (12, 16), method))


def test_an_image_of_the_networks_size_is_unchanged() -> None:
    image = np.arange(12 * 16, dtype=np.uint8).reshape(12, 16, 1)
    assert serving.resizer(InputSpec(12, 16, 1))(image) is image
