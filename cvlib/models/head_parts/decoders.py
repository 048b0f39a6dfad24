"""Three ways to upsample a coarse feature map to the size of the next finer one.

Each is a function `decoder(options, x, level, filters, name)` from `x` (batch, h, w, channels) to
(batch, height, width, filters). Height and width are those of `level`, the encoder's finer map. The caller adds a
convolution after it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import KerasTensor, layers, ops

from cvlib.models.blocks import convolution, normalized
from cvlib.runtime.errors import UserError


def interpolate(options: Any, x: KerasTensor, level: KerasTensor, filters: int, name: str) -> KerasTensor:
    """Resize, bilinear or nearest (`options.interpolation`), after a 1×1 convolution if the channels differ."""
    if x.shape[-1] != filters:
        x = convolution(x, filters, 1, f"{name}_interpolate")
    return ops.image.resize(x, level.shape[1:3], interpolation=options.interpolation)


def unpool(options: Any, x: KerasTensor, level: KerasTensor, filters: int, name: str) -> KerasTensor:
    """Put each value at the position of the maximum in the 2×2 max pooling of `level`, and zeros elsewhere.

    Badrinarayanan, Kendall & Cipolla, SegNet, 2017. If the channels differ, a 1×1 convolution comes first. It has no
    ReLU: together with unpooling, a ReLU would keep only one value in eight. The result has the channels of `level`,
    regardless of `filters`.
    """
    channels = level.shape[-1]
    if x.shape[-1] != channels:
        x = layers.Conv2D(channels, 1, use_bias=False, name=f"{name}_match")(x)
        x = layers.BatchNormalization(name=f"{name}_match_bn")(x)
    return max_unpool(x, level)


def transpose(options: Any, x: KerasTensor, level: KerasTensor, filters: int, name: str) -> KerasTensor:
    """Apply a transposed convolution, and resize (nearest) if its size differs from that of `level`."""
    x = transposed_convolution(x, filters, options.transpose_kernel, options.transpose_stride,
                               options.transpose_padding, options.transpose_output_padding,
                               f"{name}_transpose")  # fmt: skip
    x = normalized(x, f"{name}_transpose")
    return x if x.shape[1:3] == level.shape[1:3] else ops.image.resize(x, level.shape[1:3], interpolation="nearest")


def max_unpool(x: KerasTensor, level: KerasTensor) -> KerasTensor:
    """Spread `x` (batch, height // 2, width // 2, channels) to the size of `level` (batch, height, width, channels).

    A value goes to the position of its window's maximum in `level`; of equal maxima, the first in row order counts. An
    odd last row or column, which no window covers, stays zero.
    """
    height, width = level.shape[1:3]
    rows, columns = height // 2 * 2, width // 2 * 2
    covered = ops.stop_gradient(level[:, :rows, :columns])

    def spread(values: KerasTensor) -> KerasTensor:  # much faster than assembling four strided parts
        return ops.image.resize(values, (rows, columns), interpolation="nearest")

    # The pooling strides are explicit because Keras' (3.15) default strides have the wrong length on JAX.
    order = -np.tile(np.array([[0, 1], [2, 3]], np.float32), (rows // 2, columns // 2))[..., np.newaxis]
    maxima = ops.where(ops.equal(covered, spread(ops.max_pool(covered, 2, 2))), order, -4.0)
    first = ops.cast(ops.equal(maxima, spread(ops.max_pool(maxima, 2, 2))), x.dtype)
    placed = spread(x) * first
    if (rows, columns) == (height, width):
        return placed
    return ops.pad(placed, ((0, 0), (0, height - rows), (0, width - columns), (0, 0)))


def transposed_convolution(x: KerasTensor, filters: int, kernel: int, stride: int, padding: int, output_padding: int,
                           name: str) -> KerasTensor:  # fmt: skip
    """Apply the transpose of a convolution with `kernel`, `stride` and `padding`, without bias.

    The output side is (side − 1) · stride − 2 · padding + kernel + output_padding: `output_padding` adds rows and
    columns at the bottom and right (Dumoulin & Visin, A Guide to Convolution Arithmetic for Deep Learning, 2016).
    """
    sides = [transposed_side(side, kernel, stride, padding, output_padding) for side in x.shape[1:3]]
    if min(sides) < 1:
        raise UserError(f"model.transpose_padding={padding} leaves no output for a map of {x.shape[1]}×{x.shape[2]} "
                        f"with model.transpose_kernel={kernel}: reduce the padding")  # fmt: skip
    full = layers.Conv2DTranspose(filters, kernel, stride, "valid", use_bias=False, name=name)(x)
    missing = [max(0, padding + side - full_side) for side, full_side in zip(sides, full.shape[1:3], strict=True)]
    if any(missing):  # the output padding exceeds the rows or columns that are left in the full map
        full = ops.pad(full, ((0, 0), (0, missing[0]), (0, missing[1]), (0, 0)))
    return full[:, padding : padding + sides[0], padding : padding + sides[1]]


def transposed_side(side: int, kernel: int, stride: int, padding: int, output_padding: int) -> int:
    """Return the output side in pixels of a transposed convolution for an input side of `side` pixels."""
    return (side - 1) * stride - 2 * padding + kernel + output_padding
