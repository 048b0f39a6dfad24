"""Contact sheets and confusion matrices, drawn as uint8 arrays `(height, width, 3)`."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from cvlib.runtime.files import write_atomically

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

_TILE = 112  # pixels: the side of an image in a contact sheet
_LINE = 15  # pixels: the height of a caption's line
_NAME_LENGTH = 16  # characters of a file name in a caption
GREEN, RED, _BLACK = (0, 120, 60), (200, 30, 30), (30, 30, 30)


def contact_sheet(
    images: np.ndarray | Sequence[np.ndarray], captions: Sequence[str],
    colours: Sequence[tuple[int, int, int]] | None = None, columns: int = 6,
) -> np.ndarray:  # fmt: skip
    """Draw images `(n, height, width, 1 or 3)`, 0–255, in rows, each above its caption (lines separated by \\n)."""
    from PIL import Image, ImageDraw

    lines = max((caption.count("\n") + 1 for caption in captions), default=0)
    step_x, step_y = _TILE + 8, _TILE + lines * _LINE + 10
    rows = -(-len(images) // columns)
    sheet = Image.new("RGB", (min(columns, len(images)) * step_x + 8, rows * step_y + 8), "white")
    pen = ImageDraw.Draw(sheet)
    for number, (image, caption) in enumerate(zip(images, captions, strict=True)):
        x, y = 8 + number % columns * step_x, 8 + number // columns * step_y
        sheet.paste(_tile(image), (x, y))
        for line, text in enumerate(caption.split("\n")):
            colour = colours[number] if colours else _BLACK
            pen.text((x, y + _TILE + 1 + line * _LINE), _fitting(text, pen), colour, font=font())
    return np.asarray(sheet)


def _fitting(text: str, pen: ImageDraw) -> str:
    """Truncate a line of a caption to the width of its image."""
    length = len(text)
    while pen.textlength(shortened(text, length), font=font()) > _TILE + 4:
        length -= 1
    return shortened(text, length)


def predictions(images: np.ndarray, truths: np.ndarray, guesses: np.ndarray, scores: np.ndarray,
                classes: Sequence[str], names: Sequence[str] = ()) -> np.ndarray:  # fmt: skip
    """Draw a contact sheet with prediction and score above the truth, in green if correct and red if wrong.

    If `names` are given, the file name of each sample is the first line of its caption.
    """
    captions = [
        f"{shortened(classes[guess], 12)} {score:.0%}\n" + ("✓" if guess == truth else f"is {classes[truth]}")
        for truth, guess, score in zip(truths, guesses, scores, strict=True)
    ]
    colours = [GREEN if t == g else RED for t, g in zip(truths, guesses, strict=True)]
    return contact_sheet(images, with_names(captions, names), colours)


def with_names(captions: Sequence[str], names: Sequence[str], separator: str = "\n") -> list[str]:
    """Return the captions, each behind the file name of its sample; unchanged without `names`.

    A long file name keeps its end, which usually has the number.
    """
    if not names:
        return list(captions)
    files = [PurePosixPath(name).name for name in names]
    short = [file if len(file) <= _NAME_LENGTH else "…" + file[1 - _NAME_LENGTH :] for file in files]
    return [f"{name}{separator}{caption}" for name, caption in zip(short, captions, strict=True)]


def confusion_matrix(matrix: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """Draw counts `(classes, classes)`, with the true classes as rows, shaded by their share of the row."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    count = len(classes)
    side = min(4 + 0.4 * count, 16)
    figure = Figure(figsize=(side, side), dpi=90, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots()
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    size = max(4.0, 9 - count / 14)
    names = [shortened(name, 16) for name in classes]
    axes.set_xticks(range(count), names, rotation=90, fontsize=size)
    axes.set_yticks(range(count), names, fontsize=size)
    axes.set_xlabel("prediction")
    axes.set_ylabel("truth")
    if count <= 30:
        for row, column in np.argwhere(matrix):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(matrix[row, column]), ha="center", va="center", color=colour, fontsize=size)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # the font draws a box for a missing glyph
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def spread(indices: np.ndarray, count: int) -> np.ndarray:
    """Return at most `count` of the indices, evenly spaced."""
    chosen: np.ndarray = indices[np.linspace(0, len(indices) - 1, min(len(indices), count)).astype(int)]
    return chosen


def save_png(picture: np.ndarray, path: Path) -> None:
    """Write a picture atomically as a PNG file."""
    write_atomically(path, png(picture))


def png(picture: np.ndarray) -> bytes:
    """Return the content of a PNG file."""
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(picture).save(content, "PNG")
    return content.getvalue()


def shortened(text: str, longest: int) -> str:
    """Truncate text to at most `longest` characters; a truncated text ends in …."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def visible(pixels: np.ndarray) -> np.ndarray:
    """Return pixels `(height, width, channels)` as Pillow expects them: grey, or the first three bands as RGB."""
    return pixels[..., 0] if pixels.shape[-1] < 3 else pixels[..., :3]


def _tile(image: np.ndarray) -> PillowImage:
    """Return a square tile with the whole image; small images are enlarged so that single pixels stay visible."""
    from PIL import Image

    pixels = np.rint(np.clip(image, 0, 255)).astype(np.uint8)
    picture = Image.fromarray(visible(pixels)).convert("RGB")
    scale = _TILE / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    picture = picture.resize(size, Image.Resampling.NEAREST if scale > 2 else Image.Resampling.BICUBIC)
    tile = Image.new("RGB", (_TILE, _TILE), (235, 235, 235))
    tile.paste(picture, ((_TILE - size[0]) // 2, (_TILE - size[1]) // 2))
    return tile


@cache
def font() -> FreeTypeFont:
    """Return matplotlib's own font, 11 pixels high, which has glyphs for most languages."""
    import matplotlib
    from PIL import ImageFont

    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")), 11)
