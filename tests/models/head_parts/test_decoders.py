"""The three decoders against NumPy: the positions of values, and the output sizes."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from cvlib.models.head_parts import decoders
from cvlib.runtime.errors import UserError
from tests.configs import model_config

pytestmark = pytest.mark.usefixtures("eager")

RNG = np.random.default_rng(0)


def run(outputs: keras.KerasTensor, inputs: list[keras.KerasTensor], *arrays: np.ndarray) -> np.ndarray:
    return np.asarray(keras.Model(inputs, outputs).predict_on_batch(list(arrays)))


def numpy_unpool(x: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Unpool window by window."""
    result = np.zeros_like(level)
    for b, row, column, channel in np.ndindex(*x.shape):
        window = level[b, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2, channel]
        place = int(window.argmax())  # of equal maxima, the first in row order
        result[b, 2 * row + place // 2, 2 * column + place % 2, channel] = x[b, row, column, channel]
    return result


@pytest.mark.parametrize("side", [(6, 8), (7, 9), (2, 3)])
def test_unpooling_puts_values_where_pooling_found_the_maxima(side: tuple[int, int]) -> None:
    level = np.maximum(RNG.normal(size=(2, *side, 3)), 0).astype(np.float32)  # as after ReLU: many equal zeros
    x = RNG.normal(size=(2, side[0] // 2, side[1] // 2, 3)).astype(np.float32)
    coarse, fine = keras.Input(x.shape[1:]), keras.Input(level.shape[1:])
    found = run(decoders.max_unpool(coarse, fine), [coarse, fine], x, level)
    np.testing.assert_array_equal(found, numpy_unpool(x, level))


def test_pooling_after_unpooling_restores_the_values() -> None:
    level = RNG.normal(size=(1, 8, 8, 2)).astype(np.float32)
    x = np.abs(RNG.normal(size=(1, 4, 4, 2))).astype(np.float32)
    coarse, fine = keras.Input(x.shape[1:]), keras.Input(level.shape[1:])
    pooled = keras.layers.MaxPooling2D(2)(decoders.max_unpool(coarse, fine))
    np.testing.assert_array_equal(run(pooled, [coarse, fine], x, level), x)


def numpy_transpose(x: np.ndarray, kernel: np.ndarray, stride: int, padding: int, output_padding: int) -> np.ndarray:
    """Add the kernel times each value, then cut off the padding."""
    height, width, _ = x.shape
    side = kernel.shape[0]
    size = [(n - 1) * stride + side + padding + output_padding for n in (height, width)]
    canvas = np.zeros((*size, kernel.shape[2]))
    for row, column in np.ndindex(height, width):
        top, left = row * stride, column * stride
        canvas[top : top + side, left : left + side] += np.einsum("c,yxfc->yxf", x[row, column], kernel)
    ends = [(n - 1) * stride + side - padding + output_padding for n in (height, width)]
    return canvas[padding : ends[0], padding : ends[1]]


# The cases of Dumoulin & Visin's guide: the sides before and after, kernel, stride, padding, output padding.
TEXTBOOK = [
    (2, 4, 3, 1, 0, 0),  # no padding, stride 1
    (6, 5, 4, 1, 2, 0),  # arbitrary padding, stride 1
    (5, 5, 3, 1, 1, 0),  # half padding
    (7, 5, 3, 1, 2, 0),  # full padding
    (2, 5, 3, 2, 0, 0),  # no padding, stride 2
    (3, 5, 3, 2, 1, 0),  # padding, stride 2
    (3, 6, 3, 2, 1, 1),  # padding, stride 2, odd: one row of output padding
    (3, 6, 2, 2, 0, 0),  # as in U-Net
    (3, 6, 4, 2, 1, 0),  # twice as large, overlapping
    (3, 9, 2, 3, 0, 1),  # a kernel smaller than the stride leaves gaps
    (2, 7, 3, 2, 0, 2),  # more output padding than the kernel reaches
]


@pytest.mark.parametrize(("side", "result", "kernel", "stride", "padding", "output_padding"), TEXTBOOK)
def test_transposed_convolution_equals_numpy(
    side: int, result: int, kernel: int, stride: int, padding: int, output_padding: int
) -> None:
    x = RNG.normal(size=(1, side, side, 2)).astype(np.float32)
    given = keras.Input(x.shape[1:])
    output = decoders.transposed_convolution(given, 3, kernel, stride, padding, output_padding, "up")
    model = keras.Model(given, output)
    assert output.shape == (None, result, result, 3)
    expected = numpy_transpose(x[0], model.get_layer("up").kernel.numpy(), stride, padding, output_padding)
    assert expected.shape == (result, result, 3)
    np.testing.assert_allclose(model.predict_on_batch(x)[0], expected, atol=1e-5)


def test_padding_that_leaves_no_output_is_refused() -> None:
    with pytest.raises(UserError, match=r"model\.transpose_padding=8 leaves no output for a map of 4×6"):
        decoders.transposed_convolution(keras.Input((4, 6, 2)), 2, 2, 2, 8, 0, "up")


@pytest.mark.parametrize("name", ["interpolate", "unpool", "transpose"])
@pytest.mark.parametrize("side", [(8, 12), (7, 11)])
def test_every_decoder_reaches_the_finer_maps_size(name: str, side: tuple[int, int]) -> None:
    coarse, fine = keras.Input((side[0] // 2, side[1] // 2, 6)), keras.Input((*side, 4))
    output = getattr(decoders, name)(model_config("segmenter").head_options, coarse, fine, 5, "up1")
    assert output.shape == (None, *side, 4 if name == "unpool" else 5)  # unpooling keeps the finer map's 4 channels


@pytest.mark.parametrize(("method", "middle"), [("nearest", [1.0, 1.0, 3.0, 3.0]), ("bilinear", [1.0, 1.5, 2.5, 3.0])])
def test_interpolation_uses_the_chosen_method(method: str, middle: list[float]) -> None:
    coarse, fine = keras.Input((1, 2, 2)), keras.Input((1, 4, 1))
    output = decoders.interpolate(model_config("segmenter", interpolation=method).head_options, coarse, fine, 1, "up1")
    model = keras.Model([coarse, fine], output)
    model.get_layer("up1_interpolate").kernel.assign(np.array([[[[1.0], [0.5]]]]))  # first channel + half the second
    x = np.array([[[[0.5, 1.0], [2.0, 2.0]]]], np.float32)
    found = model.predict_on_batch([x, np.zeros((1, 1, 4, 1), np.float32)])
    np.testing.assert_allclose(found[0, 0, :, 0], middle, rtol=1e-2)  # BatchNorm's epsilon
