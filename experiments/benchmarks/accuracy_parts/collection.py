"""The images, labels and splits that all rows share, as cvlib reads them.

    python -m accuracy_parts.collection OUTPUT.json LIMIT OVERRIDE …

writes them to a file; this needs cvlib. Peers call `read`, which doesn't. LIMIT is the largest number of images in each
split; 0: all images.
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from cvlib.data.dataset import Dataset
    from cvlib.data.split import Split

_READ_BY_ALL = {".jpg", ".jpeg", ".png"}


@dataclass(frozen=True)
class Sample:
    """An image and its label."""

    file: str  # JPEG or PNG, grey or RGB with 8 bits
    height: int  # pixels, upright
    width: int
    # Classification: the class id. Segmentation: a PNG file of class ids, 255 where undefined. Detection: "corners"
    # (x_min, y_min, x_max, y_max in pixels), "classes" and "crowd" (true: neither learned nor scored).
    label: Any


@dataclass(frozen=True)
class Collection:
    """The classes, and the samples of each split: train, val and test."""

    classes: list[str]
    splits: dict[str, list[Sample]]
    fingerprint: str  # depends on the images' names and sizes and on the labels, not on folders


def read(file: Path) -> Collection:
    """Read the file that this module writes."""
    content = json.loads(file.read_text())
    splits = {name: [Sample(**sample) for sample in samples] for name, samples in content["splits"].items()}
    return Collection(content["classes"], splits, content["fingerprint"])


def _fingerprint(splits: dict[str, list[Sample]]) -> str:
    digest = hashlib.sha256()
    for name, samples in splits.items():
        for sample in samples:
            label = Path(sample.label).read_bytes() if isinstance(sample.label, str) else sample.label
            digest.update(repr((name, Path(sample.file).name, sample.height, sample.width, label)).encode())
    return digest.hexdigest()[:16]


def export(dataset: Dataset, folder: Path, limit: int) -> Collection:
    """Return the collection of cvlib's dataset; masks, and images that peers can't read, are written to `folder`."""
    splits = {}
    for name, split in dataset.splits.items():
        spread = np.linspace(0, len(split) - 1, min(len(split), limit or len(split))).astype(int)
        splits[name] = _samples(dataset, split.take(spread), folder / name)
    return Collection(list(dataset.classes), splits, _fingerprint(splits))


def _samples(dataset: Dataset, split: Split, folder: Path) -> list[Sample]:
    from cvlib.data.split import image_sizes

    folder.mkdir(parents=True, exist_ok=True)
    samples = []
    for number, (height, width) in enumerate(image_sizes(split).tolist() if len(split) else []):
        file = _image(dataset, split.images[number], folder / f"{number:06d}.png")
        label = _label(split.labels[number], folder / f"{number:06d}_mask.png")
        samples.append(Sample(str(file), height, width, label))
    return samples


def _image(dataset: Dataset, image: Any, copy: Path) -> Path:
    """Return the image's file, or a copy if peers can't read it: arrays, other formats, more than 8 bits."""
    from cvlib.data.images import read_image

    if isinstance(image, Path) and image.suffix.lower() in _READ_BY_ALL:
        with Image.open(image) as opened:
            if opened.mode in ("L", "RGB"):
                return image.absolute()
    pixels = read_image(image, 3, dataset.span) if isinstance(image, Path) else image
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(copy)
    return copy


def _label(label: Any, copy: Path) -> Any:
    from cvlib.data.labels import Boxes

    if isinstance(label, Boxes):
        return {name: getattr(label, name).tolist() for name in ("corners", "classes", "crowd")}
    if callable(label) or getattr(label, "ndim", 0) == 2:
        Image.fromarray(label() if callable(label) else label).save(copy)
        return str(copy)
    return int(label)


def main() -> None:
    """Write the collection of the given data."""
    import cvlib

    output, limit, *overrides = sys.argv[1:]
    file = Path(output)
    content = export(cvlib.load_data(*overrides), file.parent / "collection", int(limit))
    file.write_text(json.dumps(asdict(content)) + "\n")


if __name__ == "__main__":
    main()
