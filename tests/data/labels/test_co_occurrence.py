"""Classes that always or never occur together, compared with counts by hand."""

from __future__ import annotations

from cvlib.data.labels import co_occurrence

CLASSES = ["bird", "cat", "dog"]


def findings_of(*labels: tuple[set[int], int]) -> list[tuple[str, str, str, str]]:
    """Return the findings for images with these sets of classes, each repeated the given number of times."""
    images = [frozenset(label) for label, times in labels for _ in range(times)]
    return [(f.severity, f.kind, f.path, f.message) for f in co_occurrence.findings(images, CLASSES)]


def test_classes_that_occur_in_the_same_images_are_reported() -> None:
    assert findings_of(({0, 1}, 3), ({2}, 4), ({0, 1, 2}, 2)) == [
        (
            "warning",
            "always together",
            "classes bird, cat",
            "both classes are in the same 5 images, so they can't be distinguished",
        ),
    ]


def test_a_class_that_occurs_only_with_another_is_reported() -> None:
    assert findings_of(({0, 1}, 5), ({0}, 4), ({2}, 1), ({0, 2}, 1)) == [
        ("remark", "always together", "classes bird, cat", "all 5 images of cat have bird too"),
    ]


def test_a_class_in_every_image_is_reported() -> None:
    assert findings_of(({0, 1}, 3), ({0, 2}, 3), ({0, 1, 2}, 1)) == [
        ("warning", "in every image", "class bird", "all 7 images have bird"),
    ]


def test_a_pair_that_never_occurs_is_reported_if_chance_predicts_it() -> None:
    # 10 of 20 images have a bird and 10 have a dog, so chance predicts 5 with both. With 9 of each, it predicts 4.
    assert findings_of(({0}, 9), ({2}, 9), ({0, 1}, 1), ({1, 2}, 1)) == [
        ("remark", "never together", "classes bird, dog", "no image has both; about 5 are expected by chance"),
    ]
    assert findings_of(({0}, 8), ({2}, 8), ({0, 1}, 1), ({1, 2}, 1), (set(), 2)) == []


def test_a_collection_with_one_class_per_image_is_reported() -> None:
    assert findings_of(({0}, 9), ({1}, 9)) == [
        ("remark", "never together", "classes", "no image has more than one class")
    ]
    assert findings_of((set(), 3)) == []
