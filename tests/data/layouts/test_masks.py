"""Images with masks beside them: every way to write a mask gives the same ids; what is wrong is named."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cvlib import data
from cvlib.config import DataConfig
from cvlib.data import images, layouts
from cvlib.errors import UserError

MESSY = Path(__file__).parents[4] / "shared" / "data" / "messy" / "segmentation"
COLOURS = {0: (0, 0, 0), 1: (220, 60, 60), 2: (60, 110, 220), 255: (224, 224, 192)}
LABELS = "id,name,r,g,b\n" + "".join(
    f"{number},{name},{','.join(map(str, COLOURS[number]))}\n"
    for number, name in ((0, "background"), (1, "cat"), (2, "dog"), (255, "void"))
)
IDS = np.zeros((6, 9), np.uint8)
IDS[1:4, 2:5], IDS[4, 6:9], IDS[5, 0] = 1, 2, 255


def _palette(colours: dict[int, tuple[int, int, int]]) -> list[int]:
    return [value for index in range(256) for value in colours.get(index, (0, 0, 0))]


def _indexed(ids: np.ndarray, colours=COLOURS) -> Image.Image:
    picture = Image.fromarray(ids, "P")
    picture.putpalette(_palette(colours))
    return picture


def _painted(ids: np.ndarray) -> np.ndarray:
    table = np.zeros((256, 3), np.uint8)
    for index, colour in COLOURS.items():
        table[index] = colour
    return table[ids]


def _image(root: Path, name: str, size=(9, 6), **options) -> None:
    (root / "images").mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng([*name.encode()]).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(noise).save(root / "images" / f"{name}.png", **options)


def _mask(root: Path, name: str, picture: Image.Image | np.ndarray, kind="png") -> None:
    (root / "masks").mkdir(parents=True, exist_ok=True)
    picture = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    picture.save(root / "masks" / f"{name}.{kind}")


def _read(root: Path, **options):
    return layouts.read(root, None, "segmentation", DataConfig(**options))


def _load(root: Path, **options):
    return data.load(DataConfig(name="folder", path=str(root), **options), 0, "segmentation")


def _examined(root: Path) -> dict[str, tuple]:
    """Each sample's mask and findings by its stem."""
    collection = _read(root)
    return {Path(sample.name).stem: sample.label.examine(images.header(sample.image), sample.name)
            for sample in collection.parts["train"]}  # fmt: skip


@pytest.mark.parametrize(("picture", "kind"), [
    (_indexed(IDS), "png"),
    (Image.fromarray(IDS), "png"),
    (Image.fromarray(IDS), "bmp"),
    (Image.fromarray(IDS.astype(np.uint16)), "png"),
    (Image.fromarray(IDS.astype(np.int32)), "tif"),
    (Image.fromarray(_painted(IDS)), "png"),
    (Image.fromarray(np.dstack([_painted(IDS), np.full(IDS.shape, 9, np.uint8)])), "png"),
    (Image.fromarray(np.dstack([IDS] * 3)), "png"),
    (Image.fromarray(np.dstack([IDS, np.full(IDS.shape, 255, np.uint8)])), "png"),
])  # fmt: skip
def test_ids_are_read_however_they_are_written(tmp_path, picture, kind):
    _image(tmp_path, "a")
    _mask(tmp_path, "a", picture, kind)
    (tmp_path / "labels.csv").write_text(LABELS)
    collection = _read(tmp_path)
    assert collection.layout == "masks" and collection.classes == ["background", "cat", "dog"]
    assert collection.colours.tolist() == [list(COLOURS[0]), list(COLOURS[1]), list(COLOURS[2])]
    reader = pickle.loads(pickle.dumps(collection.parts["train"][0].label))
    assert reader().dtype == np.uint8 and np.array_equal(reader(), IDS)
    mask, findings = _examined(tmp_path)["a"]
    assert np.array_equal(mask, IDS) and findings == []


def test_two_levels_are_the_ids_0_and_1(tmp_path):
    _image(tmp_path, "a")
    _mask(tmp_path, "a", Image.fromarray(IDS == 1))
    (tmp_path / "labels.csv").write_text(LABELS)
    assert np.array_equal(_read(tmp_path).parts["train"][0].label(), IDS == 1)


def test_ids_need_not_count_and_void_has_any_id(tmp_path):
    _image(tmp_path, "a")
    _mask(tmp_path, "a", np.array([[7, 30], [4, 255]], np.uint8).repeat(3, 0).repeat(5, 1)[:, :9])
    (tmp_path / "labels.csv").write_text("id;name;colour\n30;road;#010203\n7;car;10 20 30\n4;Void;0 0 0\n")
    collection = _read(tmp_path)
    assert collection.classes == ["road", "car"] and collection.colours.tolist() == [[1, 2, 3], [10, 20, 30]]
    mask = collection.parts["train"][0].label()
    assert mask[0, 0] == 1 and mask[0, 8] == 0 and mask[5, 0] == 255 and mask[5, 8] == 255


def test_a_list_of_names_counts_the_ids(tmp_path):
    _image(tmp_path, "a")
    _mask(tmp_path, "a", IDS)
    (tmp_path / "classes.txt").write_text("sky\ncat\ndog\n")
    collection = _read(tmp_path)
    assert collection.classes == ["sky", "cat", "dog"] and collection.colours is None
    assert np.array_equal(collection.parts["train"][0].label(), IDS)


@pytest.mark.parametrize(("name", "text"), [
    ("labelmap.txt", "# label:colour:parts:actions\nbackground:0,0,0::\ncat:220,60,60::\ndog:60,110,220::\n"),
    ("class_dict.csv", "name, r, g, b\nbackground, 0, 0, 0\ncat, 220, 60, 60\ndog, 60, 110, 220\n"),
    ("labels.csv", "id,label,rgb\n0,background,#000000\n1,cat,dc3c3c\n2,dog,60 110 220\n"),
])  # fmt: skip
def test_other_label_files(tmp_path, name, text):
    _image(tmp_path, "a")
    ids = np.where(IDS == 255, 0, IDS)
    _mask(tmp_path, "a", _painted(ids))
    (tmp_path / name).write_text(text)
    collection = _read(tmp_path)
    assert collection.classes == ["background", "cat", "dog"]
    assert np.array_equal(collection.parts["train"][0].label(), ids)


@pytest.mark.parametrize(("text", "words"), [
    ("id,name\none,cat\n", "invalid literal"),
    ("id,name\n0,cat\n1\n", "row 2 has no name"),
    ("id,name,colour\n0,cat,blue\n", "'blue' is no colour"),
])  # fmt: skip
def test_a_label_file_that_cannot_be_understood(tmp_path, text, words):
    _image(tmp_path, "a")
    _mask(tmp_path, "a", IDS)
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(UserError, match=rf"labels\.csv: a label file needs the columns id,name.*{words}"):
        _read(tmp_path)


@pytest.mark.parametrize(("mask", "classes", "expected"), [
    (IDS, ["0", "1", "2"], IDS),
    (np.where(IDS == 1, 255, 0).astype(np.uint8), ["background", "foreground"], IDS == 1),
    (np.where(IDS == 1, 9, 3).astype(np.uint8), ["3", "9"], IDS == 1),
    (np.where((IDS == 1)[..., None], [0, 0, 9], [1, 2, 3]).astype(np.uint8), ["#000009", "#010203"], IDS != 1),
])  # fmt: skip
def test_without_a_label_file_the_values_are_the_classes(tmp_path, mask, classes, expected):
    _image(tmp_path, "a")
    _mask(tmp_path, "a", mask)
    collection = _read(tmp_path)
    assert collection.classes == classes and collection.notes[0].startswith("no label file")
    assert np.array_equal(collection.parts["train"][0].label(), expected)


def test_photographs_are_no_masks(tmp_path):
    _image(tmp_path, "a")
    _mask(tmp_path, "a", np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8))
    with pytest.raises(UserError, match="different values and no label file says what they mean"):
        _read(tmp_path)


def test_a_reordered_palette_is_read_by_its_colours(tmp_path):
    _image(tmp_path, "a")
    swapped = {2: COLOURS[0], 1: COLOURS[1], 0: COLOURS[2], 3: COLOURS[255]}
    ids = np.select([IDS == 0, IDS == 1, IDS == 2, IDS == 255], [2, 1, 0, 3]).astype(np.uint8)
    _mask(tmp_path, "a", _indexed(ids, swapped))
    (tmp_path / "labels.csv").write_text(LABELS)
    mask, findings = _examined(tmp_path)["a"]
    assert np.array_equal(mask, IDS) and [finding.kind for finding in findings] == ["palette reordered"]


def test_what_makes_a_mask_unusable(tmp_path):
    (tmp_path / "masks").mkdir()
    (tmp_path / "labels.csv").write_text(LABELS)
    undefined = IDS.copy()
    undefined[0, :4] = 77
    big = np.zeros((60, 90), np.uint8)
    big[20:40, 30:60] = 2
    masks = {"smaller": IDS[:-1], "turned": IDS.T, "undefined": undefined, "undefined_indexed": _indexed(undefined)}
    for name, mask in masks.items():
        _image(tmp_path, name)
        _mask(tmp_path, name, mask)
    for name in ("lossy", "smoothed"):
        _image(tmp_path, name, size=(90, 60))
    _mask(tmp_path, "lossy", Image.fromarray(_painted(big)), "jpg")
    sharp = Image.fromarray(np.where(big, 200, 0).astype(np.uint8))
    _mask(tmp_path, "smoothed", sharp.resize((45, 30)).resize((90, 60)))
    for name, content in {"empty": b"", "cut": (tmp_path / "masks" / "undefined.png").read_bytes()[:60]}.items():
        _image(tmp_path, name)
        (tmp_path / "masks" / f"{name}.png").write_bytes(content)
    found = _examined(tmp_path)
    assert all(mask is None for mask, _ in found.values())
    kinds = {name: [finding.kind for finding in findings] for name, (_, findings) in found.items()}
    assert kinds == {
        "smaller": ["mask size"], "turned": ["mask size"], "undefined": ["undefined ids"],
        "undefined_indexed": ["undefined ids"], "lossy": ["lossy mask", "undefined ids"],
        "smoothed": ["undefined ids"], "empty": ["unreadable mask"], "cut": ["unreadable mask"],
    }  # fmt: skip
    assert "ids that no label has: 77, 4 pixels" in found["undefined"][1][0].message
    assert found["smaller"][1][0].message == "the mask is 9×5, its image 9×6"


def test_a_mask_without_pixels_to_learn_from_is_told(tmp_path):
    _image(tmp_path, "a")
    _mask(tmp_path, "a", np.full((6, 9), 255, np.uint8))
    _image(tmp_path, "b")
    _mask(tmp_path, "b", np.where(IDS == 1, 255, 0).astype(np.uint8))
    (tmp_path / "labels.csv").write_text(LABELS)
    kinds = {name: [(f.severity, f.kind) for f in findings] for name, (_, findings) in _examined(tmp_path).items()}
    assert kinds == {"a": [("warning", "mask all void")], "b": [("warning", "binary mask")]}


@pytest.mark.parametrize("orientation", [6, 8])
@pytest.mark.parametrize("lying", [True, False])
def test_masks_of_rotated_photographs(tmp_path, orientation, lying):
    exif = Image.Exif()
    exif[0x0112] = orientation
    _image(tmp_path, "a", exif=exif)
    upright = np.rot90(IDS, -1 if orientation == 6 else 1)
    _mask(tmp_path, "a", np.ascontiguousarray(IDS if lying else upright))
    (tmp_path / "labels.csv").write_text(LABELS)
    mask, findings = _examined(tmp_path)["a"]
    assert np.array_equal(mask, upright) and findings == []
    assert np.array_equal(_read(tmp_path).parts["train"][0].label(), upright)


def _many(root: Path, names: str) -> None:
    for name in names:
        _image(root, name)
        _mask(root, name, IDS)
    (root / "labels.csv").write_text(LABELS)


def test_lists_split_and_their_faults_are_named(tmp_path):
    _many(tmp_path, "abcdef")
    (tmp_path / "train.txt").write_text("a\nb.png\nimages/c.png\nnowhere\ne\n")
    (tmp_path / "val.txt").write_text("d\ne\n")
    (tmp_path / "masks" / "c.png").unlink()
    collection = _read(tmp_path)
    assert {part: [Path(s.name).stem for s in samples] for part, samples in collection.parts.items()} == {
        "train": ["a", "b"], "val": ["d", "e"]}  # fmt: skip
    assert [(f.severity, f.kind, f.path, f.place) for f in collection.findings] == [
        ("error", "in two splits", "val.txt", "line 2"), ("error", "missing mask", "images/c.png", ""),
        ("error", "missing image", "train.txt", "line 4"), ("remark", "unlisted image", "images/f.png", ""),
    ]  # fmt: skip


@pytest.mark.parametrize("inside", [True, False])
def test_folders_split(tmp_path, inside):
    for part, names in (("train", "abc"), ("val", "d"), ("test", "ef")):
        root = tmp_path / part if inside else tmp_path / "new"
        _many(root, names)
        if not inside:
            for kind in ("images", "masks"):
                (tmp_path / kind / part).parent.mkdir(exist_ok=True)
                (root / kind).rename(tmp_path / kind / part)
    (tmp_path / "labels.csv").write_text(LABELS)
    dataset = _load(tmp_path)
    assert [len(part) for part in (dataset.train, dataset.val, dataset.test)] == [3, 1, 2] and dataset.notes == []
    assert dataset.layout == "masks" and dataset.task == "segmentation"


def test_what_no_list_splits_is_split_by_us(tmp_path):
    _many(tmp_path, "abcdefghij")
    (tmp_path / "masks" / "b.png").rename(tmp_path / "masks" / "b_mask.png")
    dataset = _load(tmp_path, val_fraction=0.2, test_fraction=0.2)
    assert [len(part) for part in (dataset.train, dataset.val, dataset.test)] == [6, 2, 2]


def test_one_of_two_images_of_the_same_stem_is_left_out(tmp_path):
    _many(tmp_path, "ab")
    Image.new("RGB", (9, 6)).save(tmp_path / "images" / "a.bmp")
    collection = _read(tmp_path)
    assert [sample.name for sample in collection.parts["train"]] == ["images/a.bmp", "images/b.png"]
    assert [(f.severity, f.kind, f.path) for f in collection.findings] == [("warning", "same stem", "images/a.png")]


def test_chosen_classes_and_what_becomes_of_the_others(tmp_path):
    _many(tmp_path, "abcdef")
    dogs = _load(tmp_path, classes=["background", "dog"])
    assert dogs.classes == ["background", "dog"] and dogs.colours.tolist() == [list(COLOURS[0]), list(COLOURS[2])]
    mask = pickle.loads(pickle.dumps(dogs.train.labels[0]))()
    assert np.array_equal(mask, np.select([IDS == 2, IDS == 255], [1, 255], 0))
    pets = _load(tmp_path, classes=["dog", "cat"])
    assert np.array_equal(pets.train.labels[0](), np.select([IDS == 2, IDS == 1], [0, 1], 255))


def test_the_fingerprint_sees_a_pixel_of_a_mask(tmp_path):
    _many(tmp_path, "abcdef")
    first = _load(tmp_path)
    changed = IDS.copy()
    changed[0, 0] = 2
    _mask(tmp_path, "c", changed)
    assert data.fingerprint(_load(tmp_path)) != data.fingerprint(first)
    _mask(tmp_path, "c", _indexed(IDS))  # the same ids, written another way
    assert data.fingerprint(_load(tmp_path)) == data.fingerprint(first)


@pytest.mark.skipif(not MESSY.is_dir(), reason="the shared data isn't here")
def test_the_messy_collection():
    dataset = _load(MESSY, on_error="skip")
    assert dataset.classes == ["background", "cat", "dog"]
    assert sorted(dataset.skipped) == sorted([
        *(f"val.txt, line {number}" for number in range(1, 5)), "images/mask_missing.jpg",
        "masks/image_missing.png", "train.txt, line 31", *(f"masks/{name}" for name in (
            "mask_smaller.png", "mask_transposed.png", "mask_off_by_one.png", "label_undefined.png", "mask_jpeg.jpg",
            "mask_antialiased.png", "mask_empty_file.png", "mask_truncated.png"))])  # fmt: skip
    names = {Path(name).stem for part in (dataset.train, dataset.val, dataset.test) for name in part.names}
    assert {"mask_rgb", "mask_rgba", "mask_grey", "mask_16bit", "mask_1bit", "mask_palette_permuted", "exif_rotated",
            "image_cmyk", "image_grey", "mask_all_background"} <= names  # fmt: skip
    assert len(names) == 20


@pytest.mark.parametrize(("value", "words"), [(0, r"only one class \(0\)"), (255, "no class, they are void")])
def test_masks_with_nothing_to_tell_apart_are_refused(tmp_path: Path, value: int, words: str) -> None:
    for number in range(9):
        _image(tmp_path, str(number))
        _mask(tmp_path, str(number), np.full((6, 9), value, np.uint8))
    with pytest.raises(UserError, match=f"the masks hold {words}: nothing to tell apart"):
        _load(tmp_path)
