"""Detections in overlapping windows, merged by hand-calculated cases."""

from __future__ import annotations

import numpy as np

from cvlib.data.input_spec import InputSpec
from cvlib.tasks.detection import tiles
from cvlib.tasks.detection.coco import Detections

# Windows of 100 pixels at x = 0 and 60 of an image 160 pixels wide; they share the columns 60 to 100.
SPEC, SIZE = InputSpec(100, 100, 1, overlap=0.4), (100, 160)


def boxes(*rows: tuple[float, float, float, float, float, int]) -> Detections:
    """Return boxes from rows (x_min, y_min, x_max, y_max, score, class)."""
    table = np.array(rows, np.float32).reshape(-1, 6)
    return Detections(table[:, :4], table[:, 4], table[:, 5].astype(np.int64))


def merged(left: Detections, right: Detections) -> list[list[float]]:
    found = tiles.merged([left, right], SIZE, SPEC)
    return [[*corners, round(score, 3), label] for corners, score, label in
            zip(found.corners.tolist(), found.scores.tolist(), found.classes.tolist(), strict=True)]  # fmt: skip


def test_an_object_in_the_overlap_is_found_once_with_its_higher_score() -> None:
    # x 70–90 of the image is 10–30 of the right window. IoU = 20 / 22.
    assert merged(boxes((70, 10, 90, 30, 0.7, 1)), boxes((10, 10, 32, 30, 0.9, 1))) == [[70, 10, 92, 30, 0.9, 1]]
    two = merged(boxes((70, 10, 90, 30, 0.7, 1)), boxes((10, 10, 32, 30, 0.9, 2)))
    assert [row[-1] for row in two] == [2, 1]  # of different classes


def test_the_whole_object_wins_over_its_part_at_a_seam() -> None:
    part, whole = boxes((80, 10, 100, 30, 0.9, 1)), boxes((20, 10, 50, 30, 0.5, 1))
    # The part ends at the left window's seam: 0.9 · 0.5 < 0.5. IoU = 20 / 30, and with a longer whole 20 / 60.
    assert merged(part, whole) == [[80, 10, 110, 30, 0.5, 1]]
    assert merged(part, boxes((20, 10, 80, 30, 0.5, 1))) == [[80, 10, 140, 30, 0.5, 1]]
    # A part can look like another class. It stays if the other box covers less than half of it.
    assert merged(part, boxes((20, 10, 50, 30, 0.5, 2))) == [[80, 10, 110, 30, 0.5, 2]]
    assert len(merged(part, boxes((31, 10, 60, 30, 0.5, 2)))) == 2
    # A part with more than twice the score wins.
    assert merged(part, boxes((20, 10, 50, 30, 0.4, 1))) == [[80, 10, 100, 30, 0.9, 1]]


def test_boxes_of_one_window_and_distant_boxes_stay() -> None:
    close = boxes((10, 10, 30, 30, 0.9, 1), (12, 10, 32, 30, 0.8, 1))
    assert len(merged(close, boxes())) == 2
    assert len(merged(boxes((0, 10, 20, 30, 0.9, 1)), boxes((80, 10, 100, 30, 0.9, 1)))) == 2
    # The right end of the right window is the end of the image, not a seam.
    assert merged(boxes(), boxes((80, 10, 100, 30, 0.9, 1))) == [[140, 10, 160, 30, 0.9, 1]]


def test_boxes_in_the_padding_of_a_small_image_are_left_out() -> None:
    found = tiles.merged([boxes((10, 10, 30, 30, 0.9, 1), (60, 10, 90, 30, 0.8, 1))], (50, 50), SPEC)
    assert found.corners.tolist() == [[10, 10, 30, 30]]


def test_an_image_of_one_tile_has_the_plain_predictions() -> None:
    plain = boxes((10, 10, 30, 30, 0.9, 1), (12, 10, 32, 30, 0.8, 1), (0, 0, 100, 100, 0.3, 2))
    found = tiles.found_in(lambda images: [plain] * len(images), np.zeros((100, 100, 1), np.uint8), SPEC)
    assert found.corners.tolist() == plain.corners.tolist() and found.scores.tolist() == plain.scores.tolist()
