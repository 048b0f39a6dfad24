"""Parquet files of images, as the Hugging Face `datasets` library writes them: converted once to images and a table.

The files have a column of images, `{"bytes": …, "path": …}`, and a column of labels: a class, a list of classes, or
objects with boxes. The class names are in the files' metadata. The images and the table are written to the cache
folder, and the table is then read like any other.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cvlib.data.layouts import containers, names
from cvlib.runtime import store
from cvlib.runtime.errors import UserError

_BATCH = 64  # rows in memory at a time
_ENDINGS = {b"\xff\xd8": ".jpg", b"\x89P": ".png", b"GI": ".gif", b"BM": ".bmp", b"RI": ".webp", b"II": ".tif",
            b"MM": ".tif"}  # fmt: skip
_LABELS = ("label", "labels", "fine_label", "class", "category", "target")
_OTHERS = (".csv", ".tsv", ".jpg", ".jpeg", ".png", ".xml")
_SHARD = re.compile(r"-\d{5}-of-\d{5}.*$")


def files_of(root: Path) -> list[Path]:
    """Return the Parquet files that `root` is or contains; [] if it also contains images or other tables."""
    if root.is_file():
        return [root] if root.suffix.lower() == ".parquet" else []
    found = containers.files_in(root, (".parquet",), 3, _OTHERS)
    if not found or any(file.suffix.lower() in _OTHERS for file in root.rglob("*")):
        return []
    return found


def unpacked(root: Path, files: list[Path]) -> Path:
    """Return the cache folder with the images of `files` and their labels.csv; write it on the first call.

    Rows without a label are left out. Raises `UserError` for files without a column of images or of labels.
    """
    folder = store.root("outputs") / "parquet"
    return store.made_once(folder, files, f"images of {root.name}", lambda home: _write(root, files, home))


def _write(root: Path, files: list[Path], home: Path) -> None:
    import pyarrow.parquet as arrow

    print(f"writing the images of {root} to the cache")
    boxes = False
    rows: list[list[Any]] = []
    for file in files:
        try:
            opened = arrow.ParquetFile(file)
            image, label, classes = _columns(file, opened.schema_arrow)
            boxes = label == "objects"
            for row in _rows(opened, [image, label]):
                rows += _record(row[image], row[label], classes, _split(root, file), home, len(rows))
        except (OSError, ValueError) as error:  # pyarrow raises a ValueError for a damaged file
            raise UserError(f"{file}: can't be read: {' '.join(str(error).split())[:200]}") from error
    header = ["file", "label", "split", *(["xmin", "ymin", "xmax", "ymax"] if boxes else [])]
    with (home / "labels.csv").open("w", newline="", encoding="utf-8") as table:
        csv.writer(table).writerows([header, *rows])


def _columns(file: Path, schema: Any) -> tuple[str, str, list[str] | None]:
    """Return the columns of images and of labels, and the class names by number if the metadata contain them."""
    features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}")).get("info", {}).get("features", {})
    image = next((field.name for field in schema if _holds_images(field.type)), None)
    if image is None:
        raise UserError(f"{file}: no column holds images: its columns are {', '.join(schema.names[:8])}")
    label = "objects" if "objects" in schema.names else next((name for name in _LABELS if name in schema.names), None)
    if label is None:
        raise UserError(f"{file}: no column holds labels: its columns are {', '.join(schema.names[:8])}; expected one "
                        f"of {', '.join(_LABELS)}")  # fmt: skip
    return image, label, _class_names(features.get(label))


def _holds_images(kind: Any) -> bool:
    import pyarrow

    return pyarrow.types.is_struct(kind) and {"bytes", "path"} <= {kind.field(i).name for i in range(kind.num_fields)}


def _class_names(feature: Any) -> list[str] | None:
    """Return the names that a feature's ClassLabel declares, however deeply it is nested; None without one."""
    if isinstance(feature, dict):
        if isinstance(feature.get("names"), list):
            return [str(name) for name in feature["names"]]
        feature = list(feature.values())
    found = (_class_names(inner) for inner in feature) if isinstance(feature, list) else iter(())
    return next((item for item in found if item is not None), None)


def _rows(opened: Any, columns: list[str]) -> Iterator[dict[str, Any]]:
    for batch in opened.iter_batches(_BATCH, columns=columns):
        yield from batch.to_pylist()


def _split(root: Path, file: Path) -> str:
    """Return the split that the name of the file or of its folder indicates; train if neither does."""
    own = names.split_of(_SHARD.sub("", file.stem))
    return own or (names.split_of(file.parent.name) if file.parent != root else None) or "train"


def _record(
    image: dict[str, Any] | None, label: Any, classes: list[str] | None, split: str, home: Path, number: int
) -> list[list[Any]]:  # fmt: skip
    """Write an image and return its rows for the table; [] if it has no label."""
    content = (image or {}).get("bytes")
    if content is None:
        raise ValueError(f"an image is given only by its path ({(image or {}).get('path')}): save the "
                         "dataset with its images embedded")  # fmt: skip
    if label is None or label == -1:
        return []
    file = Path("images", split, f"{number:07d}{_ENDINGS.get(content[:2], '.png')}")
    (home / file).parent.mkdir(parents=True, exist_ok=True)
    (home / file).write_bytes(content)
    if not isinstance(label, dict):
        several = label if isinstance(label, list) else [label]
        return [[file.as_posix(), "|".join(_name(item, classes) for item in several), split]]
    class_ids: list[Any] = next(
        (value for key, value in label.items() if key in ("category", "categories", "label", "labels")), []
    )
    boxes = label.get("bbox") or []
    class_ids = class_ids if class_ids else [0] * len(boxes)
    return [[file.as_posix(), _name(class_id, classes), split, x, y, x + width, y + height]
            for class_id, (x, y, width, height) in zip(class_ids, boxes, strict=True)] or [
        [file.as_posix(), "", split, "", "", "", ""]
    ]  # fmt: skip


def _name(label: Any, classes: list[str] | None) -> str:
    return classes[label] if classes is not None and isinstance(label, int) else str(label)
