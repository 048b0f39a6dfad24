"""The datasets that need no download: scanned digits, and letters drawn from fonts."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cvlib.config.schema import DataConfig
from cvlib.data.split import Split
from cvlib.data.splits import hold_out, nested
from cvlib.runtime.errors import UserError

SIDE = 32  # of a letter's picture, pixels
_FONT_SIZE = 72

# A class's name → the characters that are drawn for it.
CHARACTERS = (
    {letter: letter + letter.lower() for letter in "CJKOPSUVWXYZ"}
    | {"I": "Iil"}
    | {letter: letter for letter in "AaBbDdEeFfGgHhLMmNnQqRrTt"}
    | {"ampersand": "&", "at": "@", "dollar": "$", "hash": "#", "percent": "%", "plus": "+", "question": "?",
       "section": "§"}
)  # fmt: skip

_TEX_FONTS = ("cmb10", "cmr10", "cmss10", "cmti10", "cmtt10")  # the letters; their symbols lie elsewhere
_FONTS = (
    "DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique", "DejaVuSansMono",
    "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique", "DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic",
    "DejaVuSerif-BoldItalic", "STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta",
)  # fmt: skip


def digits(config: DataConfig) -> tuple[list[str], list[Split], list[str]]:
    """Classes, [train, val, test] and notes of scikit-learn's 1,797 scanned digits: (n, 8, 8, 1), ink is 255.

    `config.samples` of them, evenly over the classes, chosen by `config.split_seed`; more there are not. The scans
    come as ink per pixel, 0–16 (E. Alpaydin, C. Kaynak, 1998).
    """
    from sklearn.datasets import load_digits

    scans = load_digits()
    images = np.rint(scans.images * (255 / 16)).astype(np.uint8)[..., np.newaxis]
    pool = Split([f"digits/{i:04d}" for i in range(len(images))], images, scans.target.astype(np.int64))
    notes: list[str] = []
    if config.samples is not None and config.samples > len(images):
        notes.append(f"data.samples={config.samples}: data=digits has {len(images)} scans, all are used")
    elif config.samples is not None:
        pool = pool.take(nested(scans.target, config.samples / len(images), config.split_seed))
    return list("0123456789"), hold_out(pool, {}, config), notes


def letters(config: DataConfig) -> tuple[list[str], list[Split], list[str]]:
    """Classes, [train, val, test] and notes of drawn letters and symbols: (n, 32, 32, 1), ink is bright.

    A task to pretrain on before digits, so there are no digits in it, and half of the pictures have passed
    through 8×8 pixels, as the scanned digits have. Fonts are those that matplotlib ships; size, place, slant,
    turn, bend, thickness, grey levels and sharpness vary. Capital and small letter are one class where they
    differ in size alone (C J K O P S U V W X Y Z), and so are I, i and l; the other letters have a class for
    each case. `config.samples` pictures (6000), evenly over the classes, fixed by `config.split_seed`.
    """
    classes = list(CHARACTERS)
    samples = config.samples or 6000
    if samples < len(classes) + 2:
        raise UserError(f"data.samples={samples} is too few: data=letters needs at least {len(classes) + 2}")
    labels = np.arange(samples, dtype=np.int64) % len(classes)
    rng = np.random.default_rng([config.split_seed, 7])
    images = np.stack([_letter(CHARACTERS[classes[label]], rng) for label in labels])[..., np.newaxis]
    pool = Split([f"letters/{i:05d}" for i in range(samples)], images, labels)
    return classes, hold_out(pool, {}, config), []


def _letter(characters: str, rng: np.random.Generator) -> np.ndarray:
    """One picture, uint8 (SIDE, SIDE)."""
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
    """Four quarters of the picture and where each corner looks into a glyph of `size` (width, height)."""
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
    """The character, bright on black, cropped to its ink; `stroke` makes it thicker by so many pixels a side."""
    canvas = Image.new("L", (3 * _FONT_SIZE, 3 * _FONT_SIZE))
    ImageDraw.Draw(canvas).text((_FONT_SIZE, _FONT_SIZE), character, 255, _font(font), stroke_width=stroke)
    box = canvas.getbbox()
    assert box is not None, f"{font} draws nothing for {character!r}"
    return canvas.crop(box)


@cache
def _font(name: str) -> ImageFont.FreeTypeFont:
    import matplotlib

    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", f"{name}.ttf")), _FONT_SIZE)
