"""Datasets that need no download: scanned digits, and letters rendered from fonts."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cvlib.config.schema import DataConfig
from cvlib.data.split import Split
from cvlib.data.splits import hold_out, nested
from cvlib.runtime.errors import UserError

SIDE = 32  # height and width of a letter image, pixels
_FONT_SIZE = 72

# Maps a class name to the characters that are drawn for it.
CHARACTERS = (
    {letter: letter + letter.lower() for letter in "CJKOPSUVWXYZ"}
    | {"I": "Iil"}
    | {letter: letter for letter in "AaBbDdEeFfGgHhLMmNnQqRrTt"}
    | {"ampersand": "&", "at": "@", "dollar": "$", "hash": "#", "percent": "%", "plus": "+", "question": "?",
       "section": "§"}
)  # fmt: skip

_TEX_FONTS = ("cmb10", "cmr10", "cmss10", "cmti10", "cmtt10")  # for letters only: symbols have other code points
_FONTS = (
    "DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique", "DejaVuSansMono",
    "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique", "DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic",
    "DejaVuSerif-BoldItalic", "STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta",
)  # fmt: skip


def digits(config: DataConfig) -> tuple[list[str], list[Split], list[str]]:
    """Return classes, [train, val, test] and notes of scikit-learn's 1,797 scanned digits: (n, 8, 8, 1), ink is 255.

    `config.samples` limits their number; the scans are drawn evenly over the classes, using `config.split_seed`. In the
    original scans, a pixel's ink level is 0–16 (E. Alpaydin, C. Kaynak, 1998).
    """
    from sklearn.datasets import load_digits

    scans = load_digits()
    images = np.rint(scans.images * (255 / 16)).astype(np.uint8)[..., np.newaxis]
    pool = Split([f"digits/{i:04d}" for i in range(len(images))], images, scans.target.astype(np.int64))
    notes: list[str] = []
    if config.samples is not None and config.samples > len(images):
        notes.append(f"data.samples={config.samples}: data=digits has only {len(images)} scans; all are used")
    elif config.samples is not None:
        pool = pool.take(nested(scans.target, config.samples / len(images), config.split_seed))
    return list("0123456789"), hold_out(pool, {}, config), notes


def letters(config: DataConfig) -> tuple[list[str], list[Split], list[str]]:
    """Return classes, [train, val, test] and notes of rendered letters and symbols: (n, 32, 32, 1), ink is bright.

    The dataset is for pretraining a network for `digits`. It therefore contains no digits, and half of the images are
    reduced to 8×8 pixels and enlarged again, like the scanned digits. The fonts are those shipped with matplotlib.
    Size, position, slant, rotation, warp, stroke width, grey levels and sharpness vary. Upper and lower case share a
    class if they differ in size only (C J K O P S U V W X Y Z); I, i and l share a class, too. Other letters have one
    class per case. `config.samples` images (default 6000) are spread evenly over the classes, using
    `config.split_seed`.
    """
    classes = list(CHARACTERS)
    samples = config.samples or 6000
    if samples < len(classes) + 2:
        raise UserError(f"data.samples={samples} is too small: data=letters needs at least {len(classes) + 2}")
    labels = np.arange(samples, dtype=np.int64) % len(classes)
    rng = np.random.default_rng([config.split_seed, 7])
    images = np.stack([_letter(CHARACTERS[classes[label]], rng) for label in labels])[..., np.newaxis]
    pool = Split([f"letters/{i:05d}" for i in range(samples)], images, labels)
    return classes, hold_out(pool, {}, config), []


def _letter(characters: str, rng: np.random.Generator) -> np.ndarray:
    """Return a random image of one of the characters, uint8 (SIDE, SIDE)."""
    character = characters[rng.integers(len(characters))]
    fonts = (*_FONTS, *_TEX_FONTS) if character.isalpha() and character.isascii() else _FONTS
    glyph = _glyph(fonts[rng.integers(len(fonts))], character, int(rng.integers(4)))
    drawn = glyph.transform((SIDE, SIDE), Image.Transform.MESH, _mesh(glyph.size, rng), Image.Resampling.BILINEAR)
    detail = 8 if rng.random() < 0.5 else int(rng.integers(10, SIDE + 1))
    drawn = drawn.resize((detail, detail), Image.Resampling.BOX).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    paper, ink = rng.uniform(0, 30) * (rng.random() < 0.3), rng.uniform(170, 255)
    grey = paper + np.asarray(drawn, np.float32) * ((ink - paper) / 255)
    grey += rng.standard_normal((SIDE, SIDE), np.float32) * rng.uniform(0, 8)
    pixels: np.ndarray = np.clip(np.rint(grey), 0, 255).astype(np.uint8)
    return pixels


def _mesh(size: tuple[int, int], rng: np.random.Generator) -> list[tuple[tuple[int, ...], tuple[float, ...]]]:
    """Return a random warp: the image's four quarters, with their corners' positions in a glyph of `size` (w, h)."""
    turn, slant = np.deg2rad(rng.normal(0, 7)), rng.normal(0, 0.15)
    scale = max(size) / (SIDE * rng.uniform(0.65, 1.0))
    stretch = min(rng.uniform(0.85, 1.2), SIDE * scale / size[0])
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ [[1, slant], [0, 1]]
    grid = np.stack(np.meshgrid([-0.5, 0, 0.5], [-0.5, 0, 0.5]), axis=-1) * SIDE  # (row, column, xy)
    places = (grid + rng.normal(0, 0.9, 2)) @ matrix.T * [scale / stretch, scale] + np.array(size) / 2
    places += rng.normal(0, 0.035 * scale * SIDE, places.shape)
    half = SIDE // 2
    return [
        ((x * half, y * half, (x + 1) * half, (y + 1) * half),
         tuple(np.concatenate([places[y, x], places[y + 1, x], places[y + 1, x + 1], places[y, x + 1]]).tolist()))
        for y in (0, 1) for x in (0, 1)
    ]  # fmt: skip


@cache
def _glyph(font: str, character: str, stroke: int) -> Image.Image:
    """Return the character, bright on black, cropped to its ink; `stroke` thickens it by that many pixels per side."""
    canvas = Image.new("L", (3 * _FONT_SIZE, 3 * _FONT_SIZE))
    ImageDraw.Draw(canvas).text((_FONT_SIZE, _FONT_SIZE), character, 255, _font(font), stroke_width=stroke)
    box = canvas.getbbox()
    assert box is not None, f"{font} draws nothing for {character!r}"
    return canvas.crop(box)


@cache
def _font(name: str) -> ImageFont.FreeTypeFont:
    import matplotlib

    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", f"{name}.ttf")), _FONT_SIZE)
