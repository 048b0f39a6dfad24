"""Classes that always, or never, occur together; counted by hand."""

from __future__ import annotations

from cvlib.data.labels import co_occurrence

CLASSES = ["bird", "cat", "dog"]


def found(*labels: tuple[set[int], int]) -> list[tuple[str, str, str, str]]:
    """What is found in images with these classes, each set so many times."""
    images = [frozenset(label) for label, times in labels for _ in range(times)]
    return [(one.severity, one.kind, one.path, one.message) for one in co_occurrence.findings(images, CLASSES)]


def test_classes_of_the_same_images_can_not_be_told_apart() -> None:
    assert found(({0, 1}, 3), ({2}, 4), ({0, 1, 2}, 2)) == [
        (
            "warning",
            "always together",
            "classes bird, cat",
            "both classes are in the same 5 images, so they can't be distinguished",
        ),
    ]


def test_a_class_that_comes_with_another_one_only() -> None:
    assert found(({0, 1}, 5), ({0}, 4), ({2}, 1), ({0, 2}, 1)) == [
        ("remark", "always together", "classes bird, cat", "all 5 images of cat have bird too"),
    ]


def test_a_class_in_every_image() -> None:
    assert found(({0, 1}, 3), ({0, 2}, 3), ({0, 1, 2}, 1)) == [
        ("warning", "in every image", "class bird", "all 7 images have bird"),
    ]


def test_pairs_that_chance_would_have_brought_together() -> None:
    # 10 of 20 images with a bird and 10 with a dog: by chance 5 would have both; with one image less of each, 4
    assert found(({0}, 9), ({2}, 9), ({0, 1}, 1), ({1, 2}, 1)) == [
        ("remark", "never together", "classes bird, dog", "no image has both; about 5 are expected by chance"),
    ]
    assert found(({0}, 8), ({2}, 8), ({0, 1}, 1), ({1, 2}, 1), (set(), 2)) == []


def test_images_of_one_class_each() -> None:
    assert found(({0}, 9), ({1}, 9)) == [("remark", "never together", "classes", "no image has more than one class")]
    assert found((set(), 3)) == []
