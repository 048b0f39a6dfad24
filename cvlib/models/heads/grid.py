"""The grid head: Redmon et al., You Only Look Once: Unified, Real-Time Object Detection, CVPR 2016.

Each cell of an S×S grid predicts B boxes and one set of class probabilities. A cell's raw output is B times (x, y, √w,
√h, confidence), then the classes. x and y are in cells, from the cell's top left corner; w and h are fractions of the
image. Convolutions replace the published dense layers, so that any input size is possible.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from cvlib.config.fields import Options, option
from cvlib.models.backbone import Backbone
from cvlib.models.head import Built, Features, Output
from cvlib.models.head_parts.detector import DetectorHead, NeckOptions
from cvlib.runtime.errors import UserError

_MIN_CELLS = 7  # the published grid
COORDINATES, NO_OBJECT = 5.0, 0.5  # the published loss weights


@dataclass
class GridOptions(NeckOptions):
    """The options of the grid head."""

    # Cells along the shorter side; None: the coarsest grid with at least 7.
    grid: int | None = option(None, low=1, high=1024)
    boxes_per_cell: int = option(2, low=1, high=16)  # boxes that a cell predicts; the best one is responsible


class Grid(DetectorHead):
    """One raw output per cell: `(batch, cells, 5B + classes)`."""

    name = "grid"
    options = GridOptions
    shared_options = ("size",)
    loss_names = ("box_loss", "objectness_loss", "class_loss")
    measure_names = ("crowded",)

    def build(self, options: GridOptions, backbone: Backbone, features: Features, classes: int) -> Built:
        """Add two convolutions to the level whose stride is a cell's side, merged with the coarser levels."""
        import keras
        from keras import layers

        from cvlib.models.blocks import convolution
        from cvlib.models.head_parts import neck

        rows, columns = cells_of(options, features.size)
        side = features.size[0] // rows
        levels = neck.by_stride(features)
        neck.require(levels, side, 2 * options.channels, f"model.grid={options.grid or rows}: a cell of {side} pixels")
        x = neck.top_down(levels, neck.widths(levels, side, options.channels))[side]
        for number in (1, 2):
            x = convolution(x, 2 * options.channels, 3, f"head_conv{number}")
        count = 5 * options.boxes_per_cell + classes
        # The bias is positive because a box with √w = 0 overlaps nothing and would never be responsible for an object.
        # The outputs are linear and their errors squared, so small initial weights keep them near the targets' mean.
        # With widely scattered outputs, the base learned slowly.
        bias, kernel = keras.initializers.Constant(0.1), keras.initializers.RandomNormal(stddev=0.01)
        x = layers.Conv2D(count, 1, bias_initializer=bias, kernel_initializer=kernel, dtype="float32",
                          name="head_output")(x)  # fmt: skip
        raw = layers.Reshape((rows * columns, count), name="predictions", dtype="float32")(x)
        return Built([Output("predictions", raw)], features.maps)

    def step(self, options: GridOptions, size: tuple[int, int]) -> int:
        """Return 32, because the features are halved five times."""
        return 32

    def side_step(self, options: GridOptions) -> int:
        """Return 32, because the features are halved five times."""
        return 32

    def check(self, options: GridOptions, backbone: Backbone, backbone_options: Options, size: tuple[int, int]) -> None:
        """Raise `UserError` unless a cell's side is a power of two."""
        super().check(options, backbone, backbone_options, size)
        if not options.grid:
            return
        side, short = min(size) / options.grid, min(size)
        if side != int(side) or math.log2(side) % 1:
            fitting = ", ".join(str(short >> k) for k in range(2, 8) if short % 2**k == 0 and short >> k)
            raise UserError(f"model.grid={options.grid} doesn't divide {short} pixels into cells whose side is a power "
                            f"of two: choose one of {fitting}")  # fmt: skip

    def decode(self, options: GridOptions, raw: Any, size: tuple[int, int]) -> tuple[Any, Any]:
        """Call the module's `decode`."""
        return decode(raw, size, cells_of(options, size), options.boxes_per_cell)

    def loss_parts(
        self, options: GridOptions, targets: Any, raw: Any, size: tuple[int, int],
        class_weights: np.ndarray | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Call the module's `loss_parts`."""
        return loss_parts(targets, raw, size, cells_of(options, size), options.boxes_per_cell, class_weights)

    def measures(self, options: GridOptions, targets: Any, size: tuple[int, int]) -> dict[str, Any]:
        """Return "crowded": how many objects per image share a cell with an earlier object and so aren't learned."""
        return {"crowded": crowded(targets, size, cells_of(options, size))}


def cells_of(options: GridOptions, size: tuple[int, int]) -> tuple[int, int]:
    """Return the grid's rows and columns; cells are square."""
    short = min(size)
    side = short // options.grid if options.grid else 2 ** int(math.log2(max(short / _MIN_CELLS, 1)))
    return size[0] // side, size[1] // side


def decode(raw: Any, size: tuple[int, int], cells: tuple[int, int], count: int) -> tuple[Any, Any]:
    """Decode raw `(batch, cells, 5B + classes)` to boxes `(batch, cells · B, 4)` in pixels and scores of every class.

    A score is the confidence times the class probability, `(batch, cells · B, classes)`, 0–1. `cells` are the rows and
    columns; `count` is B.
    """
    from keras import ops

    raw_boxes, classes = _split(raw, count)
    corners = ops.reshape(_corners(raw_boxes, cells), (-1, cells[0] * cells[1] * count, 4))
    scores = ops.clip(raw_boxes[..., 4:], 0.0, 1.0) * ops.clip(classes, 0.0, 1.0)[:, :, None]
    return corners * _pixels(size), ops.reshape(scores, (-1, cells[0] * cells[1] * count, classes.shape[-1]))


def loss_parts(
    targets: Any, raw: Any, size: tuple[int, int], cells: tuple[int, int], count: int,
    class_weights: np.ndarray | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Return the published squared errors, each part weighted and `(batch,)`.

    `targets` are `(batch, M, 5)`: corners in pixels and class, −1 where there is no box. A cell learns the first
    object whose centre it contains; `crowded` counts the others. The box with the largest overlap is responsible for
    the object, and its target confidence is that overlap. The target confidence of every other box is 0.
    `class_weights` `(classes,)` are factors for the class loss of a cell, chosen by its object's class.
    """
    from keras import ops

    from cvlib.models.head_parts import boxes

    raw_boxes, classes = _split(raw, count)
    truth, kinds, occupied = _targets(targets, size, cells, classes.shape[-1])
    overlap = ops.stop_gradient(boxes.iou(_corners(raw_boxes, cells), _boxes_of(truth)[:, :, None]))
    responsible = occupied[..., None] * _responsible(overlap, raw_boxes, truth, cells)
    origin = _origins(cells)
    place = ops.concatenate([truth[..., :2] * _counts(cells) - origin, ops.sqrt(truth[..., 2:])], axis=-1)
    errors = ops.sum((raw_boxes[..., :4] - place[:, :, None]) ** 2, axis=-1)
    confidence = raw_boxes[..., 4]
    found = ops.sum(responsible * (confidence - overlap) ** 2, axis=(1, 2))
    empty = ops.sum((1 - responsible) * confidence**2, axis=(1, 2))
    factor = (
        occupied
        if class_weights is None
        else occupied * ops.sum(kinds * np.asarray(class_weights, np.float32), axis=-1)
    )
    return {
        "box_loss": COORDINATES * ops.sum(responsible * errors, axis=(1, 2)),
        "objectness_loss": found + NO_OBJECT * empty,
        "class_loss": ops.sum(factor * ops.sum((classes - kinds) ** 2, axis=-1), axis=1),
    }


def crowded(targets: Any, size: tuple[int, int], cells: tuple[int, int]) -> Any:
    """Return how many objects of each image share a cell with an earlier one and so aren't learned: `(batch,)`."""
    from keras import ops

    inside = _contains_centre(targets, size, cells)
    return ops.sum(inside * ops.cast(ops.cumsum(inside, axis=1) > 1.5, "float32"), axis=(1, 2))


def _split(raw: Any, count: int) -> tuple[Any, Any]:
    """Split the raw output into boxes `(batch, cells, B, 5)` and classes `(batch, cells, classes)`."""
    from keras import ops

    return ops.reshape(raw[..., : 5 * count], (-1, raw.shape[1], count, 5)), raw[..., 5 * count :]


def _corners(raw_boxes: Any, cells: tuple[int, int]) -> Any:
    """Return boxes in fractions of the image, `(batch, cells, B, 4)`."""
    from keras import ops

    centres = (raw_boxes[..., :2] + _origins(cells)[:, None]) / _counts(cells)
    halves = raw_boxes[..., 2:4] ** 2 / 2
    return ops.concatenate([centres - halves, centres + halves], axis=-1)


def _boxes_of(truth: Any) -> Any:
    from keras import ops

    return ops.concatenate([truth[..., :2] - truth[..., 2:] / 2, truth[..., :2] + truth[..., 2:] / 2], axis=-1)


def _targets(targets: Any, size: tuple[int, int], cells: tuple[int, int], classes: int) -> tuple[Any, Any, Any]:
    """Return for each cell its object's centre and sides in fractions of the image, the object's one-hot class, and
    whether the cell has an object.
    """
    from keras import ops

    corners, labels = targets[..., :4] / _pixels(size), targets[..., 4]
    inside = _contains_centre(targets, size, cells)
    first = inside * ops.cast(ops.cumsum(inside, axis=1) < 1.5, "float32")
    to_cells = ops.transpose(first, (0, 2, 1))
    centres, sides = (corners[..., :2] + corners[..., 2:]) / 2, ops.relu(corners[..., 2:] - corners[..., :2])
    kinds = ops.one_hot(ops.cast(ops.maximum(labels, 0), "int32"), classes)
    truth = ops.matmul(to_cells, ops.concatenate([centres, sides], axis=-1))
    return truth, ops.matmul(to_cells, kinds), ops.sum(first, axis=1)


def _contains_centre(targets: Any, size: tuple[int, int], cells: tuple[int, int]) -> Any:
    """Return 1 where a cell contains an object's centre, else 0: `(batch, M, cells)`."""
    from keras import ops

    x, y = ((targets[..., i] + targets[..., i + 2]) / 2 for i in (0, 1))
    column = ops.clip(ops.floor(x * (cells[1] / size[1])), 0, cells[1] - 1)
    row = ops.clip(ops.floor(y * (cells[0] / size[0])), 0, cells[0] - 1)
    cell = ops.where(targets[..., 4] >= 0, row * cells[1] + column, -1.0)
    return ops.cast(ops.equal(cell[..., None], np.arange(cells[0] * cells[1], dtype=np.float32)), "float32")


def _responsible(overlap: Any, raw_boxes: Any, truth: Any, cells: tuple[int, int]) -> Any:
    """Return the responsible box as one-hot over B `(batch, cells, B)`: the one with the largest overlap.

    If no box overlaps the object, the nearest box is responsible.
    """
    from keras import ops

    centres = (raw_boxes[..., :2] + _origins(cells)[:, None]) / _counts(cells)
    away = ops.concatenate([centres - truth[:, :, None, :2], raw_boxes[..., 2:4] ** 2 - truth[:, :, None, 2:]], axis=-1)
    distance = ops.sum(ops.stop_gradient(away) ** 2, axis=-1)
    worth = ops.where(overlap > 0, overlap, -distance)
    return ops.one_hot(ops.argmax(worth, axis=-1), raw_boxes.shape[2])


def _origins(cells: tuple[int, int]) -> np.ndarray:
    """Return each cell's column and row, row by row: float32 `(cells, 2)`."""
    y, x = np.mgrid[: cells[0], : cells[1]]
    return np.stack([x, y], axis=-1).reshape(-1, 2).astype(np.float32)


def _counts(cells: tuple[int, int]) -> np.ndarray:
    return np.array([cells[1], cells[0]], np.float32)


def _pixels(size: tuple[int, int]) -> np.ndarray:
    return np.array([size[1], size[0]] * 2, np.float32)


HEAD = Grid()
