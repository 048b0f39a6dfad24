"""Images with masks beside them: every way to write a mask gives the same ids, and errors are reported."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from masks_on_disk import COLOURS, IDS, LABELS, coloured, indexed, read, write_image, write_mask
from PIL import Image

from cvlib import data
from cvlib.config.schema import DataConfig
from cvlib.data import images
from cvlib.data.labels import MASK
from cvlib.runtime.errors import UserError

MESSY = Path(__file__).parents[4] / "shared" / "data" / "messy" / "segmentation"


def _load(root: Path, **options):
    return data.load(DataConfig(name="folder", path=str(root), **options), 0, MASK)


def _examine(root: Path) -> dict[str, tuple]:
    """Return each sample's mask and findings by file stem."""
    collection = read(root)
    return {Path(sample.name).stem: sample.label.examine(images.header(sample.image), sample.name)
            for sample in collection.splits["train"]}  # fmt: skip


@pytest.mark.parametrize(("picture", "kind"), [
    (indexed(IDS), "png"),
    (Image.fromarray(IDS), "png"),
    (Image.fromarray(IDS), "bmp"),
    (Image.fromarray(IDS.astype(np.uint16)), "png"),
    (Image.fromarray(IDS.astype(np.int32)), "tif"),
    (Image.fromarray(coloured(IDS)), "png"),
    (Image.fromarray(np.dstack([coloured(IDS), np.full(IDS.shape, 9, np.uint8)])), "png"),
    (Image.fromarray(np.dstack([IDS] * 3)), "png"),
    (Image.fromarray(np.dstack([IDS, np.full(IDS.shape, 255, np.uint8)])), "png"),
])  # fmt: skip
def test_ids_are_read_from_every_kind_of_mask_file(tmp_path, picture, kind):
    write_image(tmp_path, "a")
    write_mask(tmp_path, "a", picture, kind)
    (tmp_path / "labels.csv").write_text(LABELS)
    collection = read(tmp_path)
    assert collection.layout == "masks" and collection.classes == ["background", "cat", "dog"]
    assert collection.colours.tolist() == [list(COLOURS[0]), list(COLOURS[1]), list(COLOURS[2])]
    reader = pickle.loads(pickle.dumps(collection.splits["train"][0].label))
    assert reader().dtype == np.uint8 and np.array_equal(reader(), IDS)
    mask, findings = _examine(tmp_path)["a"]
    assert np.array_equal(mask, IDS) and findings == []


def test_a_bilevel_mask_has_the_ids_0_and_1(tmp_path):
    write_image(tmp_path, "a")
    write_mask(tmp_path, "a", Image.fromarray(IDS == 1))
    (tmp_path / "labels.csv").write_text(LABELS)
    assert np.array_equal(read(tmp_path).splits["train"][0].label(), IDS == 1)


def test_a_reordered_palette_is_read_by_its_colours(tmp_path):
    write_image(tmp_path, "a")
    swapped = {2: COLOURS[0], 1: COLOURS[1], 0: COLOURS[2], 3: COLOURS[255]}
    ids = np.select([IDS == 0, IDS == 1, IDS == 2, IDS == 255], [2, 1, 0, 3]).astype(np.uint8)
    write_mask(tmp_path, "a", indexed(ids, swapped))
    (tmp_path / "labels.csv").write_text(LABELS)
    mask, findings = _examine(tmp_path)["a"]
    assert np.array_equal(mask, IDS) and [finding.kind for finding in findings] == ["palette reordered"]


def test_unusable_masks_are_reported(tmp_path):
    (tmp_path / "masks").mkdir()
    (tmp_path / "labels.csv").write_text(LABELS)
    undefined = IDS.copy()
    undefined[0, :4] = 77
    big = np.zeros((60, 90), np.uint8)
    big[20:40, 30:60] = 2
    masks = {"smaller": IDS[:-1], "turned": IDS.T, "undefined": undefined, "undefined_indexed": indexed(undefined)}
    for name, mask in masks.items():
        write_image(tmp_path, name)
        write_mask(tmp_path, name, mask)
    for name in ("lossy", "smoothed"):
        write_image(tmp_path, name, size=(90, 60))
    write_mask(tmp_path, "lossy", Image.fromarray(coloured(big)), "jpg")
    sharp = Image.fromarray(np.where(big, 200, 0).astype(np.uint8))
    write_mask(tmp_path, "smoothed", sharp.resize((45, 30)).resize((90, 60)))
    for name, content in {"empty": b"", "cut": (tmp_path / "masks" / "undefined.png").read_bytes()[:60]}.items():
        write_image(tmp_path, name)
        (tmp_path / "masks" / f"{name}.png").write_bytes(content)
    found = _examine(tmp_path)
    assert all(mask is None for mask, _ in found.values())
    kinds = {name: [finding.kind for finding in findings] for name, (_, findings) in found.items()}
    assert kinds == {
        "smaller": ["mask size"], "turned": ["mask size"], "undefined": ["undefined ids"],
        "undefined_indexed": ["undefined ids"], "lossy": ["lossy mask", "undefined ids"],
        "smoothed": ["undefined ids"], "empty": ["unreadable mask"], "cut": ["unreadable mask"],
    }  # fmt: skip
    assert "ids without a label: 77; 4 pixels" in found["undefined"][1][0].message
    assert found["smaller"][1][0].message == "the mask is 9×5, but its image is 9×6"


def test_void_masks_and_binary_masks_give_warnings(tmp_path):
    write_image(tmp_path, "a")
    write_mask(tmp_path, "a", np.full((6, 9), 255, np.uint8))
    write_image(tmp_path, "b")
    write_mask(tmp_path, "b", np.where(IDS == 1, 255, 0).astype(np.uint8))
    (tmp_path / "labels.csv").write_text(LABELS)
    kinds = {name: [(f.severity, f.kind) for f in findings] for name, (_, findings) in _examine(tmp_path).items()}
    assert kinds == {"a": [("warning", "mask all void")], "b": [("warning", "binary mask")]}


@pytest.mark.parametrize("orientation", [6, 8])
@pytest.mark.parametrize("as_stored", [True, False])
def test_masks_of_rotated_photographs_are_read_upright(tmp_path, orientation, as_stored):
    exif = Image.Exif()
    exif[0x0112] = orientation
    write_image(tmp_path, "a", exif=exif)
    upright = np.rot90(IDS, -1 if orientation == 6 else 1)
    write_mask(tmp_path, "a", np.ascontiguousarray(IDS if as_stored else upright))
    (tmp_path / "labels.csv").write_text(LABELS)
    mask, findings = _examine(tmp_path)["a"]
    assert np.array_equal(mask, upright) and findings == []
    assert np.array_equal(read(tmp_path).splits["train"][0].label(), upright)


def _write_samples(root: Path, names: str) -> None:
    for name in names:
        write_image(root, name)
        write_mask(root, name, IDS)
    (root / "labels.csv").write_text(LABELS)


def test_lists_define_the_splits_and_their_errors_are_reported(tmp_path):
    _write_samples(tmp_path, "abcdef")
    (tmp_path / "train.txt").write_text("a\nb.png\nimages/c.png\nnowhere\ne\n")
    (tmp_path / "val.txt").write_text("d\ne\n")
    (tmp_path / "masks" / "c.png").unlink()
    collection = read(tmp_path)
    assert {split: [Path(s.name).stem for s in samples] for split, samples in collection.splits.items()} == {
        "train": ["a", "b"], "val": ["d", "e"]}  # fmt: skip
    assert [(f.severity, f.kind, f.path, f.place) for f in collection.findings] == [
        ("error", "in two splits", "val.txt", "line 2"), ("error", "missing mask", "images/c.png", ""),
        ("error", "missing image", "train.txt", "line 4"), ("remark", "unlisted image", "images/f.png", ""),
    ]  # fmt: skip


@pytest.mark.parametrize("inside", [True, False])
def test_folders_define_the_splits(tmp_path, inside):
    for split, names in (("train", "abc"), ("val", "d"), ("test", "ef")):
        root = tmp_path / split if inside else tmp_path / "new"
        _write_samples(root, names)
        if not inside:
            for kind in ("images", "masks"):
                (tmp_path / kind / split).parent.mkdir(exist_ok=True)
                (root / kind).rename(tmp_path / kind / split)
            (root / "labels.csv").unlink()
    (tmp_path / "labels.csv").write_text(LABELS)
    dataset = _load(tmp_path)
    assert [len(split) for split in (dataset.train, dataset.val, dataset.test)] == [3, 1, 2] and dataset.notes == []
    assert dataset.layout == "masks" and dataset.task == "segmentation"


def test_a_collection_without_lists_is_split_by_the_fractions(tmp_path):
    _write_samples(tmp_path, "abcdefghij")
    (tmp_path / "masks" / "b.png").rename(tmp_path / "masks" / "b_mask.png")
    dataset = _load(tmp_path, val_fraction=0.2, test_fraction=0.2)
    assert [len(split) for split in (dataset.train, dataset.val, dataset.test)] == [6, 2, 2]


def test_one_of_two_images_with_the_same_stem_is_left_out(tmp_path):
    _write_samples(tmp_path, "ab")
    Image.new("RGB", (9, 6)).save(tmp_path / "images" / "a.bmp")
    collection = read(tmp_path)
    assert [sample.name for sample in collection.splits["train"]] == ["images/a.bmp", "images/b.png"]
    assert [(f.severity, f.kind, f.path) for f in collection.findings] == [("warning", "same stem", "images/a.png")]


def test_pixels_of_other_classes_become_background_or_are_ignored(tmp_path):
    _write_samples(tmp_path, "abcdef")
    dogs = _load(tmp_path, classes=["background", "dog"])
    assert dogs.classes == ["background", "dog"] and dogs.colours.tolist() == [list(COLOURS[0]), list(COLOURS[2])]
    mask = pickle.loads(pickle.dumps(dogs.train.labels[0]))()
    assert np.array_equal(mask, np.select([IDS == 2, IDS == 255], [1, 255], 0))
    pets = _load(tmp_path, classes=["dog", "cat"])
    assert np.array_equal(pets.train.labels[0](), np.select([IDS == 2, IDS == 1], [0, 1], 255))


def test_the_fingerprint_depends_on_the_ids_of_the_masks(tmp_path):
    _write_samples(tmp_path, "abcdef")
    first = _load(tmp_path)
    changed = IDS.copy()
    changed[0, 0] = 2
    write_mask(tmp_path, "c", changed)
    assert data.fingerprint(_load(tmp_path)) != data.fingerprint(first)
    write_mask(tmp_path, "c", indexed(IDS))  # the same ids, written another way
    assert data.fingerprint(_load(tmp_path)) == data.fingerprint(first)


@pytest.mark.skipif(not MESSY.is_dir(), reason="the shared data isn't available")
def test_the_bad_entries_of_the_messy_collection_are_skipped():
    dataset = _load(MESSY, on_error="skip")
    assert dataset.classes == ["background", "cat", "dog"]
    assert sorted(dataset.skipped) == sorted([
        *(f"val.txt, line {number}" for number in range(1, 5)), "images/mask_missing.jpg",
        "masks/image_missing.png", "train.txt, line 31", *(f"masks/{name}" for name in (
            "mask_smaller.png", "mask_transposed.png", "mask_off_by_one.png", "label_undefined.png", "mask_jpeg.jpg",
            "mask_antialiased.png", "mask_empty_file.png", "mask_truncated.png"))])  # fmt: skip
    names = {Path(name).stem for split in (dataset.train, dataset.val, dataset.test) for name in split.names}
    assert {"mask_rgb", "mask_rgba", "mask_grey", "mask_16bit", "mask_1bit", "mask_palette_permuted", "exif_rotated",
            "image_cmyk", "image_grey", "mask_all_background"} <= names  # fmt: skip
    assert len(names) == 20


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize(
    ("value", "words"), [(0, r"training masks contain only one class \((0|sky)\)"), (255, "train masks is void")]
)
def test_training_masks_with_a_single_class_are_refused(tmp_path: Path, value: int, words: str, labelled: bool) -> None:
    if labelled:
        (tmp_path / "classes.txt").write_text("sky\ncat\n")
    for number in range(9):
        write_image(tmp_path, str(number))
        write_mask(tmp_path, str(number), np.full((6, 9), value, np.uint8))
    with pytest.raises(UserError, match=words):
        _load(tmp_path)


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_held_out_split_with_only_void_masks_is_refused(tmp_path: Path, split: str) -> None:
    _write_samples(tmp_path, "abcdef")
    for name, ids in (("train", "abcd"), ("val", "e"), ("test", "f")):
        (tmp_path / f"{name}.txt").write_text("\n".join(ids))
    void = "e" if split == "val" else "f"
    write_mask(tmp_path, void, np.full(IDS.shape, 255, np.uint8))
    with pytest.raises(UserError, match=f"every pixel of the {split} masks is void"):
        _load(tmp_path)


def test_classes_without_a_training_pixel_are_noted(tmp_path: Path) -> None:
    _write_samples(tmp_path, "abcdef")
    (tmp_path / "labels.csv").unlink(missing_ok=True)
    (tmp_path / "classes.txt").write_text("background\ncat\ndog\ncow\n")
    assert "no training mask has a pixel of cow" in _load(tmp_path).notes
    assert "no training mask has a pixel of cow" in _load(tmp_path, classes=["background", "cow", "cat"]).notes
    with pytest.raises(UserError, match=r"only one class \(background\)"):
        _load(tmp_path, classes=["background", "cow"])


NAMES = ["background", "cat", "dog"]


@pytest.mark.parametrize(("ids", "chosen", "expected"), [
    (IDS, NAMES, IDS),
    (IDS, ["2", "1"], np.select([IDS == 2, IDS == 1], [0, 1], 255)),  # a selection of the masks' own values
    (np.where(IDS == 1, 255, 0), ["background", "cat"], np.where(IDS == 1, 1, 0)),
])  # fmt: skip
def test_chosen_classes_name_the_ids_of_masks_without_a_label_file(tmp_path, ids, chosen, expected):
    for name in "abcdef":
        write_image(tmp_path, name)
        write_mask(tmp_path, name, ids.astype(np.uint8))
    dataset = _load(tmp_path, classes=chosen)
    assert dataset.classes == chosen and dataset.notes[0].startswith("no label file")
    assert np.array_equal(dataset.train.labels[0](), expected)


def test_too_few_names_for_the_ids_are_refused(tmp_path):
    for name in "abcdef":
        write_image(tmp_path, name)
        write_mask(tmp_path, name, IDS)
    with pytest.raises(UserError, match="unknown class 'background'; similar names: 0, 1, 2"):
        _load(tmp_path, classes=["background", "cat"])
