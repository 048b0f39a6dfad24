"""TensorFlow Datasets by name: downloaded by that library, and exported once to image files and lists of labels."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cvlib.data.labels import BOXES, CLASS, KINDS, MASK, LabelKind
from cvlib.data.labels import raw_boxes as boxes
from cvlib.data.layouts import label_map, names
from cvlib.data.layouts.collection import Collection, Label, Sample, made_into
from cvlib.data.layouts.mask_file import MaskFile
from cvlib.runtime import backend
from cvlib.runtime.errors import UserError
from cvlib.runtime.files import replacing
from cvlib.runtime.quiet import quiet_import

_RETRIES = 3  # per download; with the library's default of ten, it takes minutes to report that there is no internet
_CROWD = ("is_crowd", "is_difficult", "difficult")
_LABEL_MAPS = {"oxford_iiit_pet": label_map.PETS}  # meaning of the mask ids if the library doesn't define it


@dataclass(frozen=True)
class _Features:
    """Names of the features that hold the images and each kind of label; None if the dataset has no such feature."""

    image: str
    label: str | None
    objects: str | None
    mask: str | None

    def kinds(self) -> list[LabelKind]:
        """Return the kinds of labels that the dataset has."""
        feature_of = {CLASS: self.label, BOXES: self.objects, MASK: self.mask}
        return [kind for kind in KINDS if feature_of.get(kind) is not None]


def read(name: str, kind: LabelKind) -> Collection:
    """Return the dataset `name` of TensorFlow Datasets (`beans`, `voc/2012`), with its own splits.

    It is downloaded and prepared in that library's data folder (`TFDS_DATA_DIR`). Its images are exported once to the
    subfolder `cvlib` of that folder. A held-out split without any labels, as in contests, is left out. Raises
    `UserError` for an unknown name, for a kind of label that the dataset doesn't have, and if the download fails.
    """
    builder = _builder(name)
    features = _features(name, builder.info.features)
    if kind not in features.kinds() and kind.made_from in features.kinds():
        return made_into(read(name, kind.made_from), kind)
    if kind not in features.kinds():
        served = " and ".join(other.subfolder for other in features.kinds()) or "unsupported tasks"
        raise UserError(f"data.tfds={name} has labels for {served}, not for {kind.subfolder}")
    folder = _exported(name, builder, features)
    splits = {split: _lines(folder / f"{split}.jsonl") for split in ("train", "val", "test")}
    collection = Collection(folder, "tfds", kind, [], {})
    labels = _LABELS[kind](builder, features, folder, splits)
    collection.classes = labels.classes
    for split, lines in splits.items():
        if lines and split != "train" and not any(labels.has_any(line) for line in lines):
            collection.notes.append(f"the {split} split of {name} has no labels: left out")
        elif lines:
            collection.splits[split] = [
                Sample(line["image"], folder / line["image"], labels.of(line)) for line in lines
            ]
    return collection


def _builder(name: str) -> Any:
    backend.require_tensorflow(f"data.tfds={name}")
    with quiet_import():
        import tensorflow_datasets as tfds
        from tensorflow_datasets.core.download import downloader

    downloader.MAX_RETRIES = _RETRIES
    try:
        return tfds.builder(name, try_gcs=False, data_dir=os.environ.get("TFDS_DATA_DIR"))
    except tfds.core.DatasetNotFoundError:
        raise UserError(f"data.tfds={name} is not a dataset of TensorFlow Datasets {tfds.__version__}: choose a name "
                        "from its catalogue, such as beans, oxford_iiit_pet or voc/2012") from None  # fmt: skip
    except Exception as error:  # a wrong config or version raises exceptions of many types
        raise UserError(f"data.tfds={name}: {_line(error)}") from error


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else text[:300] + "…"


def _features(name: str, features: Any) -> _Features:
    import tensorflow_datasets as tfds

    top = dict(features.items()) if hasattr(features, "items") else {}
    pictures = {key: feature for key, feature in top.items() if isinstance(feature, tfds.features.Image)}
    masks = [key for key, feature in pictures.items() if feature.shape[-1] == 1 and key != "image"
             and any(word in key for word in ("mask", "segmentation", "label"))]  # fmt: skip
    images = [key for key in pictures if key not in masks]
    image = "image" if "image" in images else images[0] if len(images) == 1 else None
    if image is None:
        raise UserError(f"data.tfds={name} has no images: its features are {', '.join(top)}")
    labels = [key for key, feature in top.items() if isinstance(feature, tfds.features.ClassLabel)]
    label = "label" if "label" in labels else labels[0] if len(labels) == 1 else None
    objects = [key for key, feature in top.items() if _is_objects(feature)]
    return _Features(image, label, objects[0] if objects else None, masks[0] if masks else None)


def _is_objects(feature: Any) -> bool:
    import tensorflow_datasets as tfds

    inner = getattr(feature, "feature", None)
    if not isinstance(inner, tfds.features.FeaturesDict):
        return False
    fields = dict(inner.items())
    return isinstance(fields.get("bbox"), tfds.features.BBoxFeature) and "label" in fields


def _exported(name: str, builder: Any, features: _Features) -> Path:
    """Return the folder of the dataset's image files and lists; the first call writes it, completely or not at all."""
    data_root = Path(builder.data_dir).parents[len(Path(builder.info.full_name).parts) - 1]
    folder: Path = data_root / "cvlib" / builder.info.full_name
    if folder.is_dir():
        return folder
    try:
        builder.download_and_prepare()
    except Exception as error:  # downloads and dataset builders raise exceptions of many types
        ways = "prepare it there with internet access, set data.path to a copy on disk, or use data=digits"
        raise UserError(f"data.tfds={name} is not available in {builder.data_dir} ({_line(error)}): {ways}") from error
    with replacing(folder) as temporary:
        _export(builder, features, temporary)
    return folder


def _export(builder: Any, features: _Features, folder: Path) -> None:
    import tensorflow_datasets as tfds

    encoded = [key for key in (features.image, features.mask) if key is not None]
    decoders = {key: tfds.decode.SkipDecoding() for key in encoded}
    print(f"writing the images of {builder.info.full_name} below {folder.parent}")
    for name in builder.info.splits:
        split = names.exact_split(name)
        if split is None:
            continue
        (folder / split).mkdir(parents=True, exist_ok=True)
        examples = tfds.as_numpy(builder.as_dataset(split=name, shuffle_files=False, decoders=decoders))
        with (folder / f"{split}.jsonl").open("w", encoding="utf-8") as lines:
            for index, example in enumerate(examples):
                lines.write(json.dumps(_record(example, features, folder, f"{split}/{index:06d}")) + "\n")


def _record(example: dict[str, Any], features: _Features, folder: Path, stem: str) -> dict[str, Any]:
    """Write the example's image files, and return the content of its line in the list."""
    record: dict[str, Any] = {"image": _written(example[features.image], folder, stem)}
    if features.label:
        record["label"] = int(example[features.label])
    if features.objects:
        objects = example[features.objects]
        crowd = next((objects[key] for key in _CROWD if key in objects), np.zeros(len(objects["label"])))
        # y_min, x_min, y_max, x_max, relative to the sides
        record["boxes"] = np.asarray(objects["bbox"], float).tolist()
        record["classes"] = [int(label) for label in objects["label"]]
        record["crowd"] = [bool(value) for value in crowd]
    if features.mask:
        record["mask"] = _written(example[features.mask], folder, f"{stem}_mask")
    return record


def _written(content: bytes, folder: Path, stem: str) -> str:
    name = f"{stem}.jpg" if content.startswith(b"\xff\xd8") else f"{stem}.png"
    (folder / name).write_bytes(content)
    return name


def _lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.is_file() else []


Lines = dict[str, list[dict[str, Any]]]  # split → the parsed lines of its list


class _ClassLabels:
    """Convert lines to class labels."""

    def __init__(self, builder: Any, features: _Features, folder: Path, splits: Lines):
        self.classes = [str(name) for name in builder.info.features[features.label].names]

    def of(self, line: dict[str, Any]) -> Label:
        label: int = line["label"]
        return label

    def has_any(self, line: dict[str, Any]) -> bool:
        return True


class _BoxLabels:
    """Convert lines to box labels."""

    def __init__(self, builder: Any, features: _Features, folder: Path, splits: Lines):
        self.classes = [str(name) for name in builder.info.features[features.objects].feature["label"].names]

    def of(self, line: dict[str, Any]) -> Label:
        corners = [(x_min, y_min, x_max, y_max) for y_min, x_min, y_max, x_max in line["boxes"]]
        places = [f"object {number}" for number in range(1, len(corners) + 1)]
        return boxes.raw(corners, line["classes"], line["crowd"], places, relative=True)

    def has_any(self, line: dict[str, Any]) -> bool:
        return bool(line["boxes"])


class _MaskLabels:
    """Convert lines to mask labels."""

    def __init__(self, builder: Any, features: _Features, folder: Path, splits: Lines):
        self.folder = folder
        names = getattr(builder.info.features[features.mask], "names", None)
        if builder.name in _LABEL_MAPS:
            self.label_map = _LABEL_MAPS[builder.name]
        elif names:
            self.label_map = label_map.named([str(label) for label in names])
        else:
            self.label_map = label_map.found_in([folder / line["mask"] for lines in splits.values() for line in lines])
        self.classes = self.label_map.classes

    def of(self, line: dict[str, Any]) -> Label:
        return MaskFile(self.folder / line["mask"], self.folder / line["image"], self.label_map)

    def has_any(self, line: dict[str, Any]) -> bool:
        return True


_LABELS: dict[LabelKind, Callable[[Any, _Features, Path, Lines], _ClassLabels | _BoxLabels | _MaskLabels]] = {
    CLASS: _ClassLabels, BOXES: _BoxLabels, MASK: _MaskLabels,
}  # fmt: skip
