"""Features in boxes and at pixels, by hand calculation."""

from __future__ import annotations

import numpy as np

from cvlib.recommend import features


def test_a_box_has_the_mean_of_the_cells_that_it_touches() -> None:
    fine, coarse = np.zeros((16, 16, 1)), np.arange(16.0).reshape(4, 4, 1)
    corners = np.array([[0, 0, 31, 15], [16, 16, 17, 17], [0, 0, 0, 0]], np.float32)
    found, targets = features.boxes(
        [fine, coarse], corners, np.array([2, 0, -1]), 5, (64, 64), np.random.default_rng(0)
    )
    assert found[:2, 0].tolist() == [0.5, 5.0]  # cells 0 and 1; cell 5
    assert targets[:2].tolist() == [2, 0] and set(targets[2:].tolist()) <= {5}


def test_background_boxes_lie_apart_from_labelled_ones() -> None:
    corners = np.array([[0, 0, 60, 60]], np.float32)
    found, targets = features.boxes([np.ones((4, 4, 1))], corners, np.array([0]), 1, (64, 64), np.random.default_rng(0))
    assert targets.tolist() == [0] and found.shape == (1, 1)  # every box of this size overlaps the label
    empty, none = features.boxes([np.ones((4, 4, 3))], corners, np.array([-1]), 1, (64, 64), np.random.default_rng(0))
    assert empty.shape == (0, 3) and len(none) == 0


def test_pixels_have_the_features_of_their_cells_and_every_class_an_equal_share() -> None:
    mask = np.full((8, 8), 1)
    mask[0, 0], mask[7, 7] = 2, 255
    fine = np.arange(64.0).reshape(8, 8, 1)
    coarse = np.arange(4.0).reshape(2, 2, 1)
    found, targets = features.pixel_samples([fine, coarse], mask, np.random.default_rng(0))
    assert (targets == 2).sum() == 1 and (targets == 1).sum() == 16 and 255 not in targets
    rows, columns = found[:, 0] // 8, found[:, 0] % 8
    assert np.array_equal(found[:, 1], rows // 4 * 2 + columns // 4)
