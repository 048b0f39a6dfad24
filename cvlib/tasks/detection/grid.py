"""The grid head: Redmon et al., You Only Look Once: Unified, Real-Time Object Detection, CVPR 2016.

Each cell of an S×S grid says B boxes and one set of class probabilities. A cell's raw output is B times
(x, y, √w, √h, confidence), then the classes: x and y in cells from the cell's corner, w and h in shares of the image.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from cvlib.tasks.detection import boxes

COORDINATES, NO_OBJECT = 5.0, 0.5  # the published weights


def decode(raw: Any, size: tuple[int, int], cells: tuple[int, int], count: int) -> tuple[Any, Any]:
    """Raw `(batch, cells, 5B + classes)` → boxes `(batch, cells · B, 4)` in pixels and scores of every class.

    A score is confidence times class probability, `(batch, cells · B, classes)` in 0–1. `cells` are rows and
    columns, `count` is B.
    """
    said, classes = _parted(raw, count)
    corners = ops.reshape(_corners(said, cells), (-1, cells[0] * cells[1] * count, 4))
    scores = ops.clip(said[..., 4:], 0.0, 1.0) * ops.clip(classes, 0.0, 1.0)[:, :, None]
    return corners * _pixels(size), ops.reshape(scores, (-1, cells[0] * cells[1] * count, classes.shape[-1]))


def loss_parts(targets: Any, raw: Any, size: tuple[int, int], cells: tuple[int, int], count: int) -> dict[str, Any]:
    """The published squared errors, each part weighted and `(batch,)`.

    `targets` are `(batch, M, 5)`: corners in pixels and class, −1 where there is no box. A cell learns the first
    object whose centre it holds (`crowded` says how many are left over); the box that overlaps it most answers
    for it and its confidence is that overlap; every other box's confidence is to be 0.
    """
    said, classes = _parted(raw, count)
    truth, kinds, there = _targets(targets, size, cells, classes.shape[-1])
    overlap = ops.stop_gradient(boxes.iou(_corners(said, cells), _boxes_of(truth)[:, :, None]))
    responsible = there[..., None] * _responsible(overlap, said, truth, cells)
    origin = _origins(cells)
    place = ops.concatenate([truth[..., :2] * _counts(cells) - origin, ops.sqrt(truth[..., 2:])], axis=-1)
    errors = ops.sum((said[..., :4] - place[:, :, None]) ** 2, axis=-1)
    confidence = said[..., 4]
    found = ops.sum(responsible * (confidence - overlap) ** 2, axis=(1, 2))
    empty = ops.sum((1 - responsible) * confidence**2, axis=(1, 2))
    return {
        "box_loss": COORDINATES * ops.sum(responsible * errors, axis=(1, 2)),
        "objectness_loss": found + NO_OBJECT * empty,
        "class_loss": ops.sum(there * ops.sum((classes - kinds) ** 2, axis=-1), axis=1),
    }


def crowded(targets: Any, size: tuple[int, int], cells: tuple[int, int]) -> Any:
    """How many objects of each image share their cell with an earlier one and so aren't learned: `(batch,)`."""
    held = _held(targets, size, cells)
    return ops.sum(held * ops.cast(ops.cumsum(held, axis=1) > 1.5, "float32"), axis=(1, 2))


def _parted(raw: Any, count: int) -> tuple[Any, Any]:
    """Boxes `(batch, cells, B, 5)` and classes `(batch, cells, classes)`."""
    return ops.reshape(raw[..., : 5 * count], (-1, raw.shape[1], count, 5)), raw[..., 5 * count :]


def _corners(said: Any, cells: tuple[int, int]) -> Any:
    """Boxes in shares of the image, `(batch, cells, B, 4)`."""
    centres = (said[..., :2] + _origins(cells)[:, None]) / _counts(cells)
    halves = said[..., 2:4] ** 2 / 2
    return ops.concatenate([centres - halves, centres + halves], axis=-1)


def _boxes_of(truth: Any) -> Any:
    return ops.concatenate([truth[..., :2] - truth[..., 2:] / 2, truth[..., :2] + truth[..., 2:] / 2], axis=-1)


def _targets(targets: Any, size: tuple[int, int], cells: tuple[int, int], classes: int) -> tuple[Any, Any, Any]:
    """Per cell: its object's centre and sides in shares of the image, its class one-hot, and whether it has one."""
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
    x, y = ((targets[..., i] + targets[..., i + 2]) / 2 for i in (0, 1))
    column = ops.clip(ops.floor(x * (cells[1] / size[1])), 0, cells[1] - 1)
    row = ops.clip(ops.floor(y * (cells[0] / size[0])), 0, cells[0] - 1)
    cell = ops.where(targets[..., 4] >= 0, row * cells[1] + column, -1.0)
    return ops.cast(ops.equal(cell[..., None], np.arange(cells[0] * cells[1], dtype=np.float32)), "float32")


def _responsible(overlap: Any, said: Any, truth: Any, cells: tuple[int, int]) -> Any:
    """One-hot over B `(batch, cells, B)`: the largest overlap; among boxes without any, the nearest."""
    centres = (said[..., :2] + _origins(cells)[:, None]) / _counts(cells)
    away = ops.concatenate([centres - truth[:, :, None, :2], said[..., 2:4] ** 2 - truth[:, :, None, 2:]], axis=-1)
    distance = ops.sum(ops.stop_gradient(away) ** 2, axis=-1)
    worth = ops.where(overlap > 0, overlap, -distance)
    return ops.one_hot(ops.argmax(worth, axis=-1), said.shape[2])


def _origins(cells: tuple[int, int]) -> np.ndarray:
    """Each cell's column and row, row by row: float32 `(cells, 2)`."""
    y, x = np.mgrid[: cells[0], : cells[1]]
    return np.stack([x, y], axis=-1).reshape(-1, 2).astype(np.float32)


def _counts(cells: tuple[int, int]) -> np.ndarray:
    return np.array([cells[1], cells[0]], np.float32)


def _pixels(size: tuple[int, int]) -> np.ndarray:
    return np.array([size[1], size[0]] * 2, np.float32)
