"""Pictures of masks: palettes, overlays, and sheets of image | truth | prediction with a legend."""

from __future__ import annotations

import colorsys
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cvlib.runtime.files import write_atomically
from cvlib.viz.pictures import font, shortened

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

VOID = 255  # the id of unlabelled pixels, as in the masks of Pascal VOC; metrics ignore them
_GREY = (224, 224, 224)  # the colour of unlabelled pixels
_TILE, _GAP, _LINE = 144, 8, 16  # pixels


def palette(classes: int, colours: np.ndarray | None = None) -> np.ndarray:
    """Return the colours of 256 ids, uint8 `(256, 3)`: the dataset's `colours` `(classes, 3)`, or generated ones.

    `VOID` is grey. Generated colours start with black for id 0. Each further hue is a golden-ratio step around the
    colour circle, with alternating saturation and brightness, so that neighbouring ids are easy to distinguish.
    """
    table = np.zeros((256, 3), np.uint8)
    for number in range(1, 256):
        hue, value = number * 0.618034 % 1, (1.0, 0.72, 0.9)[number % 3]
        table[number] = np.rint(255 * np.array(colorsys.hsv_to_rgb(hue, (0.85, 1.0, 0.45)[number % 3], value)))
    if colours is not None:
        table[:classes] = colours
    table[VOID] = _GREY
    return table


def overlay(image: np.ndarray, mask: np.ndarray, colours: np.ndarray, opacity: float = 0.6) -> np.ndarray:
    """Blend an image `(height, width, 1 or 3)` with its mask's colours, uint8 RGB; class 0 leaves pixels unchanged."""
    pixels = np.broadcast_to(image[..., :3], (*image.shape[:2], 3)).astype(np.float32)
    share = np.where((mask == 0) | (mask == VOID), 0.0, opacity)[..., np.newaxis]
    mixed: np.ndarray = np.rint(pixels * (1 - share) + colours[mask] * share)
    return mixed.clip(0, 255).astype(np.uint8)


def save_indexed(mask: np.ndarray, colours: np.ndarray, path: Path) -> None:
    """Write class ids, uint8 `(height, width)`, atomically as a PNG with the palette `colours`, `(256, 3)`."""
    from PIL import Image

    picture = Image.fromarray(mask.astype(np.uint8), "L").copy()
    picture.putpalette(colours.astype(np.uint8).tobytes())
    content = io.BytesIO()
    picture.save(content, "PNG")
    write_atomically(path, content.getvalue())


def sheet(images: np.ndarray, masks: Sequence[tuple[str, Sequence[np.ndarray] | np.ndarray]], captions: Sequence[str],
          classes: Sequence[str], colours: np.ndarray, columns: int = 2) -> np.ndarray:  # fmt: skip
    """Draw images `(n, height, width, 1 or 3)`, each with its masks beside it, and a legend below all of them.

    `masks` holds a title and n masks `(height, width)` for each picture to the right of the image. `captions` holds
    one line for each image. The legend shows the classes that occur in the masks.
    """
    from PIL import Image, ImageDraw

    tiles = 1 + len(masks)
    width = columns * (tiles * (_TILE + 2) + _GAP) + _GAP
    rows = -(-len(images) // columns)
    step = _TILE + _LINE + _GAP
    occurring = sorted({int(i) for _, column in masks for mask in column for i in np.unique(mask)})
    names = [classes[i] if i < len(classes) else "ignored" for i in occurring]
    per_line = max(1, (width - _GAP) // 110)
    canvas = Image.new("RGB", (width, _LINE + rows * step + _LINE * -(-len(names) // per_line) + _GAP), "white")
    pen, letters = ImageDraw.Draw(canvas), font()
    for number, (image, caption) in enumerate(zip(images, captions, strict=True)):
        x = _GAP + number % columns * (tiles * (_TILE + 2) + _GAP)
        y = _LINE + number // columns * step
        shown = [
            overlay(image, np.zeros(image.shape[:2], int), colours),
            *(colours[column[number]] for _, column in masks),
        ]
        for column, picture in enumerate(shown):
            canvas.paste(Image.fromarray(picture).resize((_TILE, _TILE), Image.Resampling.NEAREST),
                         (x + column * (_TILE + 2), y))  # fmt: skip
            if number < columns:
                title = "image" if column == 0 else masks[column - 1][0]
                pen.text((x + column * (_TILE + 2), 1), title, (30, 30, 30), font=letters)
        pen.text((x, y + _TILE + 1), shortened(caption, 60), (30, 30, 30), font=letters)
    _legend(pen, names, [colours[i] for i in occurring], _LINE + rows * step, per_line)
    return np.asarray(canvas)


def legend(classes: Sequence[str], colours: np.ndarray) -> np.ndarray:
    """Draw the colour, id and name of each class, one class per line."""
    from PIL import Image, ImageDraw

    canvas = Image.new("RGB", (_GAP * 2 + 240, _LINE * len(classes) + _GAP), "white")
    names = [f"{i} {name}" for i, name in enumerate(classes)]
    _legend(ImageDraw.Draw(canvas), names, list(colours[: len(names)]), _GAP // 2, 1)
    return np.asarray(canvas)


def _legend(pen: ImageDraw, names: Sequence[str], colours: Sequence[np.ndarray], top: int, per_line: int) -> None:
    longest = 14 if per_line > 1 else 32
    for number, (name, colour) in enumerate(zip(names, colours, strict=True)):
        x, y = _GAP + number % per_line * 110, top + number // per_line * _LINE
        pen.rectangle((x, y + 2, x + 11, y + 13), tuple(int(part) for part in colour), outline=(120, 120, 120))
        pen.text((x + 16, y), shortened(name, longest), (30, 30, 30), font=font())
