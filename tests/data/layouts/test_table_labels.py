"""Tables of sets of classes: lists with any separator, columns of 0 and 1, and how both are detected."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cvlib.config.schema import DataConfig
from cvlib.data import layouts
from cvlib.data.findings import ERROR
from cvlib.data.labels import CLASS, CLASS_SET, LabelKind
from cvlib.data.layouts.collection import Collection
from cvlib.runtime.errors import UserError

SETS = [{"cat", "dog"}, {"cat"}, {"dog"}, set(), {"bird", "cat", "dog"}, {"bird"}]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a folder with six images, 0.png to 5.png."""
    for number in range(6):
        noise = np.random.default_rng(number).integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{number}.png")
    return tmp_path


def read(root: Path, kind: LabelKind = CLASS_SET) -> Collection:
    return layouts.read(root, None, kind, DataConfig())


def class_names(collection: Collection) -> list[set[str]]:
    """Return the class names of each training image."""
    return [{collection.classes[label] for label in sample.label} for sample in collection.splits["train"]]  # type: ignore[union-attr]


def write(root: Path, cells: list[str], header: str = "file,labels") -> None:
    lines = [f"{number}.png,{cell}" for number, cell in enumerate(cells)]
    (root / "labels.csv").write_text("\n".join([header, *lines]) + "\n")


@pytest.mark.parametrize("separator", ["|", ";", ",", " ", ", ", " | "])
def test_lists_can_have_any_separator(root: Path, separator: str) -> None:
    write(root, [f'"{separator.join(sorted(names))}"' for names in SETS])
    collection = read(root)
    assert (collection.classes, class_names(collection)) == (["bird", "cat", "dog"], SETS)
    assert collection.findings == []


@pytest.mark.parametrize(("yes", "no"), [("1", "0"), ("1.0", "0.0"), ("True", "FALSE"), ("yes", "no")])
def test_columns_of_zeros_and_ones_are_read(root: Path, yes: str, no: str) -> None:
    cells = [",".join(yes if name in names else no for name in ("dog", "cat", "bird", "fish")) for names in SETS]
    write(root, [f"{number + 20},{cell}" for number, cell in enumerate(cells)], "file,age,dog,cat,bird,fish")
    collection = read(root)
    assert (collection.classes, class_names(collection)) == (["bird", "cat", "dog", "fish"], SETS)
    message = "labels.csv: columns left out because their values are not 0 and 1: age"
    assert [str(finding) for finding in collection.findings] == [message]


def test_names_in_lists_with_another_separator_may_contain_spaces(root: Path) -> None:
    write(root, ["hot dog|pizza", "hot dog", "pizza", "", "", ""])
    assert read(root).classes == ["hot dog", "pizza"]


def test_tables_of_splits_share_classes_and_separator(root: Path) -> None:
    (root / "train.csv").write_text("file,labels\n0.png,cat\n1.png,dog\n2.png,\n")
    (root / "test.csv").write_text("file,labels\n3.png,cat|dog\n4.png,bird\n")
    collection = read(root)
    assert collection.classes == ["bird", "cat", "dog"]
    assert [sample.label for sample in collection.splits["test"]] == [{1, 2}, {0}]


@pytest.mark.parametrize(("cells", "header", "place", "words"), [
    (["cat|dog", "nan", "dog", "cat", "", ""], "file,labels", "line 3", "leave the cell empty if"),
    (["0,1", "1,", "1,1", "0,0", "1,0", "1,0"], "file,cat,dog", "line 3", "column dog is empty, expected 0 or 1"),
    (["0,1", "1,0", "1,-1", "0,0", "1,1", "1,0"], "file,cat,dog", "line 4", "column dog is -1, expected 0 or 1"),
    (["cat,dog", "cat", "dog", "", "cat", "dog"], "file,labels", "line 2", "quote lists that contain commas"),
    (["0,1", "1", "1,1", "0,0", "1,0", "1,0"], "file,cat,dog", "line 3", "found 2 columns, expected 3"),
])  # fmt: skip
def test_bad_cells_are_reported_by_line_and_left_out(
    root: Path, cells: list[str], header: str, place: str, words: str
) -> None:
    write(root, cells, header)
    collection = read(root)
    (finding,) = (error for error in collection.findings if error.severity == "error")
    assert finding.place == place
    assert words in finding.message
    assert len(collection.splits["train"]) == 5


def test_an_image_with_two_different_lists_is_left_out(root: Path) -> None:
    write(root, ["cat|dog", "cat", "dog", "", "cat", "dog"])
    with (root / "labels.csv").open("a") as file:
        file.write("0.png,cat\n3.png,dog\n1.png,cat\n")
    messages = [finding.message for finding in read(root).findings]
    assert messages == ["1.png is listed twice: kept once", "it has different labels: cat and cat|dog",
                        "it has different labels: dog and no class"]  # fmt: skip


@pytest.mark.parametrize(("cells", "header"), [
    (["cat", "dog", "cat", "dog", "cat", "dog"], "file,label"),
    (["a/b", "b", "a", "a/c", "b", "c"], "file,label"),  # not a known separator
    (["hot dog", "ice cream", "pizza", "hot dog", "pizza", "pizza"], "file,label"),  # no word occurs in two labels
    (["0,1", "1,0", "1,0", "0,1", "1,0", "1,0"], "file,cat,dog"),
])  # fmt: skip
def test_the_error_for_single_classes_says_which_task_to_choose(root: Path, cells: list[str], header: str) -> None:
    write(root, cells, header)
    with pytest.raises(UserError, match=r"every image has exactly one class.*: omit task=multilabel, or"):
        read(root)
    collection = read(root, CLASS)
    assert len(collection.splits["train"]) == 6
    assert collection.findings == []


@pytest.mark.parametrize(("cells", "header"), [
    (["cat|dog", "cat", "dog", "cat", "cat", "dog"], "file,label"),
    (["cat;dog", "cat;bird", "dog;bird", "cat", "cat", "dog"], "file,label"),
    (['"cat, dog"', "cat", "dog", "cat", "cat", "dog"], "file,label"),
    (["0,1", "1,0", "1,1", "0,1", "1,0", "1,0"], "file,cat,dog"),
    (["0,1", "1,0", "0,0", "0,1", "1,0", "1,0"], "file,cat,dog"),
])  # fmt: skip
@pytest.mark.parametrize("layout", [None, "csv"])
def test_the_error_for_sets_of_classes_says_which_task_to_choose(
    root: Path, cells: list[str], header: str, layout: str | None
) -> None:
    write(root, cells, header)
    assert list(layouts.available(root)) == [CLASS_SET]
    with pytest.raises(UserError, match=r"labels.csv: images can have several classes.*: choose task=multilabel"):
        layouts.read(root, layout, CLASS, DataConfig())


@pytest.mark.parametrize("cells", [
    ["Animal|Dog", "Animal|Cat", "Plant|Rose", "Plant|Oak", "Plant|Oak", "Plant|Oak"],
    ['"T-shirt, top"', "trouser", "bag", "bag", "bag", "bag"],
    ["hot dog", "dog", "pizza", "pizza", "pizza", "pizza"],
])  # fmt: skip
def test_class_names_that_contain_separators_are_kept(root: Path, cells: list[str]) -> None:
    write(root, cells, "file,label")
    collection = read(root, CLASS)
    assert collection.classes == sorted({cell.strip('"') for cell in cells})
    assert collection.findings == []


def test_labels_with_repeated_words_give_a_warning(root: Path) -> None:
    write(root, ["clear water", "clear", "water", "haze water", "haze", "clear haze"], "file,label")
    (warning,) = read(root, CLASS).findings
    assert str(warning) == ("labels.csv: its labels may be lists of 3 classes; if they are, choose task=multilabel")
    assert read(root).classes == ["clear", "haze", "water"]


def test_an_empty_label_is_allowed_only_for_sets_of_classes(root: Path) -> None:
    write(root, ["cat", "dog", "", "dog", "cat", "dog"])
    (error,) = [finding for finding in read(root, CLASS).findings if finding.severity == ERROR]
    assert error.message == "the label is empty, which only task=multilabel allows"
    assert class_names(read(root))[2] == set()


def test_class_folders_beside_a_table_of_attributes_are_read_as_folders(tmp_path: Path, root: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for number in (0, 1):
            image = root / f"{number}.png"
            (tmp_path / name / image.name).write_bytes(image.read_bytes() + name.encode())
    lines = [f"{name}/{number}.png,1,{number}\n" for name in ("cat", "dog") for number in (0, 1)]
    (tmp_path / "labels.csv").write_text("file,indoors,blurred\n" + "".join(lines))
    assert layouts.available(tmp_path) == {CLASS: ("folder", tmp_path), CLASS_SET: ("csv", tmp_path)}
    assert read(tmp_path, CLASS).classes == ["cat", "dog"]
    assert read(tmp_path).classes == ["blurred", "indoors"]


def test_the_error_for_class_folders_says_which_task_to_choose(tmp_path: Path, root: Path) -> None:
    for number, name in enumerate(("cat", "dog")):
        (tmp_path / "in" / name).mkdir(parents=True)
        (root / f"{number}.png").rename(tmp_path / "in" / name / "0.png")
    with pytest.raises(UserError, match=r"only for image classes \(folder: .*\): choose task=classification, or other"):
        read(tmp_path / "in")
