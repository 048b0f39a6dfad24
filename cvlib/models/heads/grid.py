"""The grid head: Redmon et al., You Only Look Once: Unified, Real-Time Object Detection, CVPR 2016.

Each cell of an S×S grid says B boxes and one set of class probabilities. A cell's raw output is B times
(x, y, √w, √h, confidence), then the classes: x and y in cells from the cell's corner, w and h in shares of the image.
Convolutions stand in place of the published dense layers, so that any input size goes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from cvlib.config.fields import Options, option
from cvlib.models.backbone import Backbone
from cvlib.models.head import Built, Features, Output
from cvlib.models.head_parts.detector import DetectorHead, DetectorOptions
from cvlib.runtime.errors import UserError

_LEAST_CELLS = 7  # the published grid
COORDINATES, NO_OBJECT = 5.0, 0.5  # the published weights


@dataclass
class GridOptions(DetectorOptions):
    """The choices of the grid head."""

    grid: int | None = option(None, low=1, high=1024)  # cells along the shorter side; None: the coarsest of at least 7
    boxes_per_cell: int = option(2, low=1, high=16)


class Grid(DetectorHead):
    """One raw output a cell: `(batch, cells, 5B + classes)`."""

    name = "grid"
    options = GridOptions
    loss_names = ("box_loss", "objectness_loss", "class_loss")
    measure_names = ("crowded",)

    def build(self, options: GridOptions, backbone: Backbone, features: Features, classes: int) -> Built:
        """The level whose stride is a cell's side, joined with the coarser ones, and two convolutions."""
        import keras
        from keras import layers

        from cvlib.models.blocks import convolution
        from cvlib.models.head_parts import neck

        rows, columns = cells_of(options, features.size)
        side = features.size[0] // rows
        levels = neck.by_stride(features)
        neck.require(
            levels, side, 2 * options.neck_channels, f"model.grid={options.grid or rows}: a cell of {side} pixels"
        )
        x = neck.top_down(levels, side, options.neck_channels)[side]
        for number in (1, 2):
            x = convolution(x, 2 * options.neck_channels, 3, f"head_conv{number}")
        count = 5 * options.boxes_per_cell + classes
        # Boxes of √w = 0 would overlap nothing and so be responsible for nothing. And what is linear and squared starts
        # near its mean: from wild boxes and scores the base learned only slowly.
        some, little = keras.initializers.Constant(0.1), keras.initializers.RandomNormal(stddev=0.01)
        x = layers.Conv2D(count, 1, bias_initializer=some, kernel_initializer=little, dtype="float32",
                          name="head_output")(x)  # fmt: skip
        raw = layers.Reshape((rows * columns, count), name="predictions", dtype="float32")(x)
        return Built([Output("predictions", raw)], features.maps)

    def step(self, options: GridOptions, size: tuple[int, int]) -> int:
        """Features halve five times."""
        return 32

    def side_step(self, options: GridOptions) -> int:
        """Features halve five times."""
        return 32

    def check(self, options: GridOptions, backbone: Backbone, backbone_options: Options, size: tuple[int, int]) -> None:
        """A cell's side must be a power of two."""
        super().check(options, backbone, backbone_options, size)
        if not options.grid:
            return
        side, short = min(size) / options.grid, min(size)
        if side != int(side) or math.log2(side) % 1:
            fitting = ", ".join(str(short >> k) for k in range(2, 8) if short % 2**k == 0 and short >> k)
            raise UserError(f"model.grid={options.grid} doesn't divide {short} pixels into cells whose side is a power "
                            f"of two: choose one of {fitting}")  # fmt: skip

    def decode(self, options: GridOptions, raw: Any, size: tuple[int, int]) -> tuple[Any, Any]:
        """As the function of that name."""
        return decode(raw, size, cells_of(options, size), options.boxes_per_cell)

    def loss_parts(
        self, options: GridOptions, targets: Any, raw: Any, size: tuple[int, int],
        class_weights: np.ndarray | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """As the function of that name."""
        return loss_parts(targets, raw, size, cells_of(options, size), options.boxes_per_cell, class_weights)

    def measures(self, options: GridOptions, targets: Any, size: tuple[int, int]) -> dict[str, Any]:
        """ "crowded": objects an image that another one keeps from being learned."""
        return {"crowded": crowded(targets, size, cells_of(options, size))}


def cells_of(options: GridOptions, size: tuple[int, int]) -> tuple[int, int]:
    """Return the grid's rows and columns; cells are square."""
    short = min(size)
    side = short // options.grid if options.grid else 2 ** int(math.log2(max(short / _LEAST_CELLS, 1)))
    return size[0] // side, size[1] // side


def decode(raw: Any, size: tuple[int, int], cells: tuple[int, int], count: int) -> tuple[Any, Any]:
    """Raw `(batch, cells, 5B + classes)` → boxes `(batch, cells · B, 4)` in pixels and scores of every class.

    A score is confidence times class probability, `(batch, cells · B, classes)` in 0–1. `cells` are rows and
    columns, `count` is B.
    """
    from keras import ops

    raw_boxes, classes = _parted(raw, count)
    corners = ops.reshape(_corners(raw_boxes, cells), (-1, cells[0] * cells[1] * count, 4))
    scores = ops.clip(raw_boxes[..., 4:], 0.0, 1.0) * ops.clip(classes, 0.0, 1.0)[:, :, None]
    return corners * _pixels(size), ops.reshape(scores, (-1, cells[0] * cells[1] * count, classes.shape[-1]))


def loss_parts(
    targets: Any, raw: Any, size: tuple[int, int], cells: tuple[int, int], count: int,
    class_weights: np.ndarray | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The published squared errors, each part weighted and `(batch,)`.

    `targets` are `(batch, M, 5)`: corners in pixels and class, −1 where there is no box. A cell learns the first
    object whose centre it holds (`crowded` says how many are left over); the box that overlaps it most answers
    for it and its confidence is that overlap; every other box's confidence is to be 0. `class_weights` `(classes,)` are
    factors of the cells' class loss by the class of their object.
    """
    from keras import ops

    from cvlib.models.head_parts import boxes

    raw_boxes, classes = _parted(raw, count)
    truth, kinds, there = _targets(targets, size, cells, classes.shape[-1])
    overlap = ops.stop_gradient(boxes.iou(_corners(raw_boxes, cells), _boxes_of(truth)[:, :, None]))
    responsible = there[..., None] * _responsible(overlap, raw_boxes, truth, cells)
    origin = _origins(cells)
    place = ops.concatenate([truth[..., :2] * _counts(cells) - origin, ops.sqrt(truth[..., 2:])], axis=-1)
    errors = ops.sum((raw_boxes[..., :4] - place[:, :, None]) ** 2, axis=-1)
    confidence = raw_boxes[..., 4]
    found = ops.sum(responsible * (confidence - overlap) ** 2, axis=(1, 2))
    empty = ops.sum((1 - responsible) * confidence**2, axis=(1, 2))
    factor = there if class_weights is None else there * ops.sum(kinds * np.asarray(class_weights, np.float32), axis=-1)
    return {
        "box_loss": COORDINATES * ops.sum(responsible * errors, axis=(1, 2)),
        "objectness_loss": found + NO_OBJECT * empty,
        "class_loss": ops.sum(factor * ops.sum((classes - kinds) ** 2, axis=-1), axis=1),
    }


def crowded(targets: Any, size: tuple[int, int], cells: tuple[int, int]) -> Any:
    """How many objects of each image share their cell with an earlier one and so aren't learned: `(batch,)`."""
    from keras import ops

    held = _held(targets, size, cells)
    return ops.sum(held * ops.cast(ops.cumsum(held, axis=1) > 1.5, "float32"), axis=(1, 2))


def _parted(raw: Any, count: int) -> tuple[Any, Any]:
    """Boxes `(batch, cells, B, 5)` and classes `(batch, cells, classes)`."""
    from keras import ops

    return ops.reshape(raw[..., : 5 * count], (-1, raw.shape[1], count, 5)), raw[..., 5 * count :]


def _corners(raw_boxes: Any, cells: tuple[int, int]) -> Any:
    """Boxes in shares of the image, `(batch, cells, B, 4)`."""
    from keras import ops

    centres = (raw_boxes[..., :2] + _origins(cells)[:, None]) / _counts(cells)
    halves = raw_boxes[..., 2:4] ** 2 / 2
    return ops.concatenate([centres - halves, centres + halves], axis=-1)


def _boxes_of(truth: Any) -> Any:
    from keras import ops

    return ops.concatenate([truth[..., :2] - truth[..., 2:] / 2, truth[..., :2] + truth[..., 2:] / 2], axis=-1)


def _targets(targets: Any, size: tuple[int, int], cells: tuple[int, int], classes: int) -> tuple[Any, Any, Any]:
    """Per cell: its object's centre and sides in shares of the image, its class one-hot, and whether it has one."""
    from keras import ops

    corners, labels = targets[..., :4] / _pixels(size), targets[..., 4]
    held = _held(targets, size, cells)
    first = held * ops.cast(ops.cumsum(held, axis=1) < 1.5, "float32")
    to_cells = ops.transpose(first, (0, 2, 1))
    centres, sides = (corners[..., :2] + corners[..., 2:]) / 2, ops.relu(corners[..., 2:] - corners[..., :2])
    kinds = ops.one_hot(ops.cast(ops.maximum(labels, 0), "int32"), classes)
    truth = ops.matmul(to_cells, ops.concatenate([centres, sides], axis=-1))
    return truth, ops.matmul(to_cells, kinds), ops.sum(first, axis=1)


def _held(targets: Any, size: tuple[int, int], cells: tuple[int, int]) -> Any:
    """1 where a cell holds an object's centre: `(batch, M, cells)`."""
    from keras import ops

    x, y = ((targets[..., i] + targets[..., i + 2]) / 2 for i in (0, 1))
    column = ops.clip(ops.floor(x * (cells[1] / size[1])), 0, cells[1] - 1)
    row = ops.clip(ops.floor(y * (cells[0] / size[0])), 0, cells[0] - 1)
    cell = ops.where(targets[..., 4] >= 0, row * cells[1] + column, -1.0)
    return ops.cast(ops.equal(cell[..., None], np.arange(cells[0] * cells[1], dtype=np.float32)), "float32")


def _responsible(overlap: Any, raw_boxes: Any, truth: Any, cells: tuple[int, int]) -> Any:
    """One-hot over B `(batch, cells, B)`: the largest overlap; among boxes without any, the nearest."""
    from keras import ops

    centres = (raw_boxes[..., :2] + _origins(cells)[:, None]) / _counts(cells)
    away = ops.concatenate([centres - truth[:, :, None, :2], raw_boxes[..., 2:4] ** 2 - truth[:, :, None, 2:]], axis=-1)
    distance = ops.sum(ops.stop_gradient(away) ** 2, axis=-1)
    worth = ops.where(overlap > 0, overlap, -distance)
    return ops.one_hot(ops.argmax(worth, axis=-1), raw_boxes.shape[2])


def _origins(cells: tuple[int, int]) -> np.ndarray:
    """Each cell's column and row, row by row: float32 `(cells, 2)`."""
    y, x = np.mgrid[: cells[0], : cells[1]]
    return np.stack([x, y], axis=-1).reshape(-1, 2).astype(np.float32)


def _counts(cells: tuple[int, int]) -> np.ndarray:
    return np.array([cells[1], cells[0]], np.float32)


def _pixels(size: tuple[int, int]) -> np.ndarray:
    return np.array([size[1], size[0]] * 2, np.float32)


HEAD = Grid()
