"""Detectors in one forward pass: a base of any family, and the textbook's grid or an anchor-free head.

Grid: Redmon et al., You Only Look Once, CVPR 2016, with convolutions in place of the published dense layers, so
that any input size goes. Anchor-free: Ge et al., YOLOX, 2021: decoupled branches for boxes and classes on each
level of a path-aggregation pyramid (Liu et al., PANet, CVPR 2018).
"""

from __future__ import annotations

import itertools
import math

import keras
from keras import KerasTensor, layers

from cvlib.config.schema import ModelConfig
from cvlib.models.darknet import convolution
from cvlib.models.preprocessing import image_input
from cvlib.models.pyramid import preprocess, pyramid
from cvlib.runtime.errors import UserError

_LEAST_CELLS = 7  # the published grid
_RARE = -math.log(99)  # a class's logit at the start: one in a hundred


def build(config: ModelConfig, input_shape: tuple[int, int, int], outputs: int) -> keras.Model:
    """Raw 0–255 pixels `(batch, height, width, channels)` → one raw output a place, for `outputs` classes.

    `config.head` "grid": `(batch, cells, 5B + classes)`; "anchor_free": `(batch, points, 4 + classes)`; in float32.
    `config` is kept as the model's `settings`: `cvlib.tasks.detection` reads the raw output by it. Raises
    `UserError` for a size that isn't a multiple of the strides, or a grid finer than the features.
    """
    family = config.backbone or "darknet"
    check_size(config, input_shape[:2])
    image = image_input(input_shape)
    pixels = preprocess(family, image)
    base = pyramid(config, family, pixels.shape[1:])
    features = _by_stride(base(pixels), input_shape[:2])
    head = _grid if config.head == "grid" else _anchor_free
    model = keras.Model(image, head(config, features, input_shape[:2], outputs), name="yolo")
    model.settings = config  # what the raw output means
    return model


def strides(config: ModelConfig, size: tuple[int, int]) -> list[int]:
    """Pixels between the anchor-free head's points, finest level first."""
    return list(config.strides) if config.strides else [4, 8, 16] if min(size) < 200 else [8, 16, 32]


def cells(config: ModelConfig, size: tuple[int, int]) -> tuple[int, int]:
    """The grid's rows and columns; cells are square."""
    short = min(size)
    side = short // config.grid if config.grid else 2 ** int(math.log2(max(short / _LEAST_CELLS, 1)))
    return size[0] // side, size[1] // side


def multiple(config: ModelConfig, size: tuple[int, int]) -> int:
    """What both sides must be a multiple of."""
    return 32 if config.head == "grid" else max(32, *strides(config, size))


def check_size(config: ModelConfig, size: tuple[int, int]) -> None:
    """Raise `UserError` where the strides or the grid don't fit the size."""
    steps = config.strides
    if steps is not None and (not steps or steps != sorted(set(steps)) or any(s < 1 or s & (s - 1) for s in steps)):
        raise UserError(f"model.strides={steps} can't be: they must be rising powers of two, such as [8, 16, 32]")
    step = multiple(config, size)
    if any(side % step or side < step for side in size):
        near = max(step, round(max(size) / step) * step)
        raise UserError(f"data.image_size={max(size)}: model=yolo needs a multiple of {step} pixels, such as {near}")
    if config.head == "grid" and config.grid:
        side = min(size) / config.grid
        if side != int(side) or math.log2(side) % 1:
            fitting = ", ".join(str(min(size) >> k) for k in range(2, 8) if min(size) % 2**k == 0 and min(size) >> k)
            raise UserError(f"model.grid={config.grid} doesn't divide {min(size)} pixels into cells whose side is a "
                            f"power of two: choose one of {fitting}")  # fmt: skip


def _by_stride(features: list[KerasTensor], size: tuple[int, int]) -> dict[int, KerasTensor]:
    """The base's feature maps by their stride, brought to exactly the input's size over the stride."""
    found: dict[int, KerasTensor] = {}
    # Each level halves the one before; sides alone don't tell where a base convolves without padding.
    first = round(math.log2(size[0] / features[0].shape[1]))
    for halved, feature in enumerate(features, start=first):
        stride = 2**halved
        sides = size[0] // stride, size[1] // stride
        if tuple(feature.shape[1:3]) != sides:
            # Were it not told so, this layer would put all behind it in training mode.
            feature = layers.Resizing(*sides, name=f"level{stride}_resized")(feature, training=False)
        found[stride] = feature
    return found


def _level(features: dict[int, KerasTensor], stride: int, width: int, what: str) -> None:
    """Add the level of `stride` to `features`: convolutions halve the coarsest one as often as it takes."""
    if stride < min(features):
        raise UserError(f"{what} is finer than the features, whose least stride is {min(features)} pixels")
    while max(features) < stride:
        coarsest = max(features)
        features[2 * coarsest] = convolution(features[coarsest], width, 3, f"level{2 * coarsest}", stride=2)


def _grid(config: ModelConfig, features: dict[int, KerasTensor], size: tuple[int, int], outputs: int) -> KerasTensor:
    rows, columns = cells(config, size)
    side = size[0] // rows
    _level(features, side, 2 * config.neck, f"model.grid={config.grid or rows}: a cell of {side} pixels")
    x = _top_down(features, side, config.neck)[side]
    for number in (1, 2):
        x = convolution(x, 2 * config.neck, 3, f"head_conv{number}")
    count = 5 * config.boxes_per_cell + outputs
    # Boxes of √w = 0 would overlap nothing and so be responsible for nothing.
    # And what is linear and squared starts near its mean: from wild boxes and scores the base learned only slowly.
    some, little = keras.initializers.Constant(0.1), keras.initializers.RandomNormal(stddev=0.01)
    x = layers.Conv2D(count, 1, bias_initializer=some, kernel_initializer=little, dtype="float32", name="head_output")(
        x
    )
    return layers.Reshape((rows * columns, count), name="predictions", dtype="float32")(x)


def _anchor_free(
    config: ModelConfig, features: dict[int, KerasTensor], size: tuple[int, int], outputs: int
) -> KerasTensor:
    steps = strides(config, size)
    for step in steps:
        _level(features, step, 2 * config.neck, f"model.strides={steps}: a stride of {step} pixels")
    levels = _bottom_up(_top_down(features, min(steps), config.neck), steps, config.neck)
    said = [_branches(levels[step], config.neck, outputs, f"head{step}") for step in steps]
    return layers.Concatenate(axis=1, name="predictions", dtype="float32")(said)


def _top_down(features: dict[int, KerasTensor], finest: int, width: int) -> dict[int, KerasTensor]:
    """Levels from `finest` on, each with what the coarser ones know: Lin et al., Feature Pyramid Networks, 2017."""
    levels: dict[int, KerasTensor] = {}
    x = None
    for stride in sorted((stride for stride in features if stride >= finest), reverse=True):
        lateral = convolution(features[stride], width, 1, f"lateral{stride}")
        if x is not None:
            above = layers.UpSampling2D(2, name=f"above{stride}")(x)
            lateral = layers.Add(name=f"joined{stride}")([lateral, above])
        x = levels[stride] = convolution(lateral, width, 3, f"down{stride}")
    return levels


def _bottom_up(levels: dict[int, KerasTensor], steps: list[int], width: int) -> dict[int, KerasTensor]:
    """The same levels, each with what the finer ones know."""
    joined = dict(levels)
    for finer, coarser in itertools.pairwise(steps):
        x = joined[finer]
        for halved in range(int(math.log2(coarser // finer))):
            x = convolution(x, width, 3, f"up{coarser}_{halved + 1}", stride=2)
        joined[coarser] = layers.Add(name=f"joined_up{coarser}")([levels[coarser], x])
    return joined


def _branches(x: KerasTensor, width: int, outputs: int, name: str) -> KerasTensor:
    """Boxes and classes from layers of their own: `(batch, points, 4 + outputs)`."""
    said = []
    for kind, count, start in (("box", 4, 0.0), ("class", outputs, _RARE)):
        y = convolution(x, width, 3, f"{name}_{kind}1")
        y = convolution(y, width, 3, f"{name}_{kind}2")
        bias = keras.initializers.Constant(start)
        y = layers.Conv2D(count, 1, bias_initializer=bias, dtype="float32", name=f"{name}_{kind}")(y)
        said.append(layers.Reshape((-1, count), name=f"{name}_{kind}_flat", dtype="float32")(y))
    return layers.Concatenate(name=f"{name}_said", dtype="float32")(said)
