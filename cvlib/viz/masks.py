"""Pictures of masks: palettes, coloured masks, sheets of image | truth | prediction with a legend."""

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

VOID = 255  # the id of pixels without a label, as in the masks of Pascal VOC; they count in no metric
_GREY = (224, 224, 224)  # their colour
_TILE, _GAP, _LINE = 144, 8, 16  # pixels


def palette(classes: int, colours: np.ndarray | None = None) -> np.ndarray:
    """Return colours of 256 ids, uint8 `(256, 3)`: the dataset's own `(classes, 3)`, else made ones; `VOID` is grey.

    Of the made ones 0 is black, and each next one a golden section further round the colour circle, by turns light
    and dark, so that neighbours are easy to tell apart.
    """
    made = np.zeros((256, 3), np.uint8)
    for number in range(1, 256):
        hue, light = number * 0.618034 % 1, (1.0, 0.72, 0.9)[number % 3]
        made[number] = np.rint(255 * np.array(colorsys.hsv_to_rgb(hue, (0.85, 1.0, 0.45)[number % 3], light)))
    if colours is not None:
        made[:classes] = colours
    made[VOID] = _GREY
    return made


def overlay(image: np.ndarray, mask: np.ndarray, colours: np.ndarray, opacity: float = 0.6) -> np.ndarray:
    """Return the image `(height, width, 1 or 3)` under its mask's colours, uint8 RGB; class 0 leaves it as it is."""
    pixels = np.broadcast_to(image[..., :3], (*image.shape[:2], 3)).astype(np.float32)
    share = np.where((mask == 0) | (mask == VOID), 0.0, opacity)[..., np.newaxis]
    mixed: np.ndarray = np.rint(pixels * (1 - share) + colours[mask] * share)
    return mixed.clip(0, 255).astype(np.uint8)


def save_indexed(mask: np.ndarray, colours: np.ndarray, path: Path) -> None:
    """Write class ids, uint8 `(height, width)`, as a PNG with this palette `(256, 3)`, atomically."""
    from PIL import Image

    picture = Image.fromarray(mask.astype(np.uint8), "L").copy()
    picture.putpalette(colours.astype(np.uint8).tobytes())
    content = io.BytesIO()
    picture.save(content, "PNG")
    write_atomically(path, content.getvalue())


def sheet(images: np.ndarray, masks: Sequence[tuple[str, Sequence[np.ndarray] | np.ndarray]], captions: Sequence[str],
          classes: Sequence[str], colours: np.ndarray, columns: int = 2) -> np.ndarray:  # fmt: skip
    """Draw images `(n, height, width, 1 or 3)`, each with its masks beside it, and below them the classes' colours.

    `masks` is a title and n masks `(height, width)` for each of the pictures to the right of the image, `captions` a
    line for each image. The legend has the classes that occur in the masks.
    """
    from PIL import Image, ImageDraw

    tiles = 1 + len(masks)
    width = columns * (tiles * (_TILE + 2) + _GAP) + _GAP
    rows = -(-len(images) // columns)
    step = _TILE + _LINE + _GAP
    occurring = sorted({int(i) for _, some in masks for mask in some for i in np.unique(mask)})
    names = [classes[i] if i < len(classes) else "ignored" for i in occurring]
    per_line = max(1, (width - _GAP) // 110)
    canvas = Image.new("RGB", (width, _LINE + rows * step + _LINE * -(-len(names) // per_line) + _GAP), "white")
    pen, letters = ImageDraw.Draw(canvas), font()
    for number, (image, caption) in enumerate(zip(images, captions, strict=True)):
        x = _GAP + number % columns * (tiles * (_TILE + 2) + _GAP)
        y = _LINE + number // columns * step
        shown = [overlay(image, np.zeros(image.shape[:2], int), colours), *(colours[some[number]] for _, some in masks)]
        for place, picture in enumerate(shown):
            canvas.paste(Image.fromarray(picture).resize((_TILE, _TILE), Image.Resampling.NEAREST),
                         (x + place * (_TILE + 2), y))  # fmt: skip
            if number < columns:
                title = "image" if place == 0 else masks[place - 1][0]
                pen.text((x + place * (_TILE + 2), 1), title, (30, 30, 30), font=letters)
        pen.text((x, y + _TILE + 1), shortened(caption, 60), (30, 30, 30), font=letters)
    _legend(pen, names, [colours[i] for i in occurring], _LINE + rows * step, per_line)
    return np.asarray(canvas)


def legend(classes: Sequence[str], colours: np.ndarray) -> np.ndarray:
    """Draw the ids and names of the classes beside their colours, one below the other."""
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
