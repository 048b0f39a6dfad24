"""Clipping, dropping and rotating boxes, compared with corners computed by hand and with drawn rectangles."""

from __future__ import annotations

import numpy as np
import pytest

from cvlib.data import images
from cvlib.data.images import Header
from cvlib.data.labels import raw_boxes as boxes

HEADER = Header((100, 200), 1)  # height 100, width 200


def _settle(corners, classes=None, **options):
    classes = classes or [0] * len(corners)
    label = boxes.raw(corners, classes, [False] * len(classes), [f"object {i + 1}" for i in range(len(classes))],
                      **options)  # fmt: skip
    return boxes.settle(label, options.pop("header", HEADER), "a.xml")


def _kinds(findings):
    return [(finding.severity, finding.kind, finding.place) for finding in findings]


def test_a_valid_box_is_unchanged():
    found, findings = _settle([(10.25, 20, 30, 40.5)], [3])
    assert found.corners.tolist() == [[10.25, 20, 30, 40.5]] and found.corners.dtype == np.float32
    assert found.classes.tolist() == [3] and found.crowd.tolist() == [False] and findings == []


def test_an_image_without_boxes_is_a_negative_example():
    found, findings = _settle([])
    assert len(found) == 0 and found.corners.shape == (0, 4) and findings == []


def test_boxes_that_extend_beyond_the_image_are_clipped():
    found, findings = _settle([(-20, -5, 30, 40), (150, 50, 260, 160)])
    assert found.corners.tolist() == [[0, 0, 30, 40], [150, 50, 200, 100]]
    assert _kinds(findings) == [("warning", "box outside", "object 1"), ("warning", "box outside", "object 2")]
    assert "(150, 50, 260, 160) extends beyond the 200×100 image" in findings[1].message


def test_a_box_one_pixel_beyond_the_edge_is_clipped_without_a_warning():
    found, findings = _settle([(-1, 0, 201, 101)])
    assert found.corners.tolist() == [[0, 0, 200, 100]] and findings == []


@pytest.mark.parametrize(("corners", "kind"), [
    ((30, 10, 20, 40), "degenerate box"),
    ((30, 10, 30, 10), "degenerate box"),
    ((0, 50, 200, 50), "degenerate box"),
    ((210, 10, 240, 40), "box fully outside"),
    ((10, -40, 40, 0), "box fully outside"),
    ((float("nan"), 10, 40, 40), "invalid box number"),
    ((0, 0, float("inf"), 40), "invalid box number"),
    ((0, 0, 1e308, 40), "invalid box number"),
])  # fmt: skip
def test_an_invalid_box_is_dropped_and_the_others_are_kept(corners, kind):
    found, findings = _settle([corners, (1, 2, 30, 40)], [0, 5])
    assert found.corners.tolist() == [[1, 2, 30, 40]] and found.classes.tolist() == [5]
    assert _kinds(findings) == [("error", kind, "object 1")]


def test_a_repeated_box_is_kept_once_and_a_second_class_is_reported():
    found, findings = _settle([(1, 2, 30, 40)] * 3, [4, 4, 6])
    assert found.classes.tolist() == [4, 6]
    assert _kinds(findings) == [
        ("warning", "repeated box", "object 2"), ("warning", "box with two classes", "object 3")]  # fmt: skip


def test_tiny_boxes_are_reported_and_kept():
    found, findings = _settle([(10, 10, 11, 40)])
    assert len(found) == 1 and _kinds(findings) == [("warning", "tiny box", "object 1")]


def test_relative_coordinates_are_converted_to_pixels():
    found, findings = _settle([(0.25, 0.5, 0.75, 1.0)], relative=True)
    assert found.corners.tolist() == [[50, 50, 150, 100]] and findings == []


def test_a_wrong_size_in_the_annotation_is_reported_and_boxes_are_unchanged():
    found, findings = _settle([(1, 2, 30, 40)], size=(200, 100))
    assert found.corners.tolist() == [[1, 2, 30, 40]]
    assert _kinds(findings) == [("warning", "size tag", "")]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_annotated_on_the_stored_image_are_rotated_with_it(orientation):
    stored = np.zeros((60, 100), np.uint8)
    stored[10:25, 30:70] = 1
    picture = images.upright(stored, orientation)
    header = Header(picture.shape, orientation)
    label = boxes.raw([(30, 10, 70, 25)], [0], [False], ["object 1"], size=(60, 100))
    found, findings = boxes.settle(label, header, "a.xml")
    rows, columns = np.nonzero(picture)
    expected = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    if orientation >= 5:  # the annotated size shows that the boxes belong to the image as stored
        assert found.corners[0].tolist() == expected and findings == []
    elif orientation == 1:
        assert found.corners[0].tolist() == [30, 10, 70, 25] == expected


def test_boxes_of_the_upright_image_are_unchanged():
    label = boxes.raw([(5, 6, 50, 90)], [0], [False], ["object 1"], size=(100, 60))
    found, findings = boxes.settle(label, Header((100, 60), 6), "a.xml")
    assert found.corners.tolist() == [[5, 6, 50, 90]] and findings == []


def test_an_image_with_only_difficult_boxes_gives_a_remark():
    label = boxes.raw([(5, 6, 50, 90)], [0], [True], ["object 1"])
    found, findings = boxes.settle(label, HEADER, "a.xml")
    assert found.crowd.tolist() == [True] and _kinds(findings) == [("remark", "all difficult", "")]
