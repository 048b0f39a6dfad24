"""A segmenter's predictions for image files: masks at the images' own size, overlays, and the share of each class."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cvlib.data.input_spec import InputSpec
from cvlib.runtime.files import write_atomically
from cvlib.tasks.base import Named, Tell
from cvlib.tasks.segmentation import sliding
from cvlib.viz import masks, pictures

if TYPE_CHECKING:
    import keras


_LISTED = 5  # classes in the text for an image


def mask_of(model: keras.Model, image: np.ndarray, spec: InputSpec) -> np.ndarray:
    """Return the class ids, uint8 `(height, width)`, of an image, uint8 `(height, width, channels)`.

    If the network takes tiles, a window slides over the image.
    """
    from cvlib.tasks import serving

    call = serving.caller(model)
    probabilities = sliding.log_probabilities(call, image, spec) if spec.tiled else call(image[np.newaxis])[0]
    mask: np.ndarray = probabilities.argmax(axis=-1).astype(np.uint8)
    return mask


def write(
    model: keras.Model, images: Iterable[Named], classes: Sequence[str], spec: InputSpec,
    colours: np.ndarray | None, folder: Path, tell: Tell,
) -> int:  # fmt: skip
    """Write a mask (indexed PNG), an overlay and the share of each class for every image; return the number of images.

    `colours` are the dataset's own colours, uint8 `(classes, 3)`, or None; legend.png shows the colour of each class.
    """
    palette = masks.palette(len(classes), colours)
    rows: list[dict[str, Any]] = []
    for file, name, image in images:
        mask = mask_of(model, image, spec)
        masks.save_indexed(mask, palette, folder / "masks" / f"{name}.png")
        pictures.save_png(masks.overlay(image, mask, palette), folder / "overlays" / f"{name}.png")
        shares = np.bincount(mask.reshape(-1), minlength=len(classes)) / mask.size
        rows.append({"file": str(file), "mask": f"masks/{name}.png",
                     "shares": dict(zip(classes, shares.round(6).tolist(), strict=True))})  # fmt: skip
        largest = np.argsort(-shares, kind="stable")[:_LISTED]
        tell(file, ", ".join(f"{classes[label]} {shares[label]:.0%}" for label in largest if shares[label]))
    if rows:
        pictures.save_png(masks.legend(classes, palette), folder / "legend.png")
        _write_tables(folder, rows, classes)
    return len(rows)


def _write_tables(folder: Path, rows: Sequence[dict[str, Any]], classes: Sequence[str]) -> None:
    content = json.dumps(rows, indent=2, ensure_ascii=False) + "\n"
    write_atomically(folder / "predictions.json", content)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "mask", *classes])
    for row in rows:
        writer.writerow([row["file"], row["mask"], *(f"{share:.6f}" for share in row["shares"].values())])
    write_atomically(folder / "predictions.csv", text.getvalue())
