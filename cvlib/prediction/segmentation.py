"""What a run's segmenter says of every pixel of image files: masks of their own size."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cvlib.models import restore as saved
from cvlib.prediction import readable
from cvlib.runtime.files import write_atomically
from cvlib.viz import masks, pictures

if TYPE_CHECKING:
    import keras

    from cvlib.models.restore import Run


def predict(
    run: Run, model: keras.Model, files: Sequence[Path], folder: Path, bad: Callable[[Path, str], None],
    tick: Callable[[], None],
) -> int:  # fmt: skip
    """A mask for every readable file as an indexed PNG with the classes' colours, an overlay, and shares per class.

    legend.png says what the colours mean.
    """
    own = saved.labels(run).get("colours")
    colours = masks.palette(len(run.classes), None if own is None else np.array(own, np.uint8))
    rows: list[dict[str, Any]] = []
    for file, name, image in readable(files, run.channels, bad):
        (mask,) = values(run, model, [image])
        masks.save_indexed(mask, colours, folder / "masks" / f"{name}.png")
        pictures.save_png(masks.overlay(image, mask, colours), folder / "overlays" / f"{name}.png")
        shares = np.bincount(mask.reshape(-1), minlength=len(run.classes)) / mask.size
        rows.append({"file": str(file), "mask": f"masks/{name}.png",
                     "shares": dict(zip(run.classes, shares.round(6).tolist(), strict=True))})  # fmt: skip
        tick()
    if rows:
        pictures.save_png(masks.legend(run.classes, colours), folder / "legend.png")
        _write(folder, rows, run.classes)
    return len(rows)


def values(run: Run, model: keras.Model, images: Sequence[np.ndarray]) -> list[np.ndarray]:
    """For every image, uint8 `(height, width, channels)`, its mask: uint8 `(height, width)`, indices of the classes."""
    # A call, for `predict` traces the network anew for every size of image.
    said = [np.asarray(model(image[np.newaxis].astype(np.float32), training=False))[0] for image in images]
    return [probabilities.argmax(axis=-1).astype(np.uint8) for probabilities in said]


def _write(folder: Path, rows: Sequence[dict[str, Any]], classes: Sequence[str]) -> None:
    content = json.dumps(rows, indent=2, ensure_ascii=False) + "\n"
    write_atomically(folder / "predictions.json", content.encode())
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "mask", *classes])
    for row in rows:
        writer.writerow([row["file"], row["mask"], *(f"{share:.6f}" for share in row["shares"].values())])
    write_atomically(folder / "predictions.csv", text.getvalue().encode())
