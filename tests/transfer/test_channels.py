"""A first convolution for RGB is adapted to more channels."""

from __future__ import annotations

import numpy as np

from cvlib.transfer import channels


def test_the_first_convolution_is_adapted_to_more_channels() -> None:
    kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 4)).astype(np.float32)
    other = np.ones(4, np.float32)
    arrays, said = channels.adapt_list([kernel, other], [(3, 3, 5, 4), (4,)], 5)
    assert arrays[0].shape == (3, 3, 5, 4) and "takes 5 channels" in said and arrays[1] is other
    np.testing.assert_allclose(arrays[0].sum(axis=2), kernel.sum(axis=2), rtol=1e-5)  # as much for a grey image
    assert channels.adapt_list([kernel], [kernel.shape], 3) == ([kernel], "")
