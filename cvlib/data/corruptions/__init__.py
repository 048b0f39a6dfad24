"""Fifteen common corruptions of images in five strengths, for measuring robustness.

Hendrycks and Dietterich, Benchmarking Neural Network Robustness to Common Corruptions and Perturbations, ICLR 2019.
The kinds are theirs. The implementations are independent, so results can't be compared with published ones. They depart
from the paper in four ways. Each corruption grows with its strength, measured by the PSNR. Lengths are relative to the
image's size. Noise is weaker on small images. And no corruption moves an object by more than a few pixels, so classes,
boxes and masks stay valid; `elastic_transform` states its largest displacement.

Every corruption is a function of (image, strength, generator). The image is uint8 `(height, width, channels)` with any
number of channels, the strength is 0 to 5, and the result is uint8 of the same shape. Strength 0 returns the image. The
random numbers don't depend on the strength. NumPy, SciPy and Pillow only.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from cvlib.data.corruptions import blur, digital, noise, weather
from cvlib.data.corruptions.base import STRENGTHS, Corruption
from cvlib.runtime.errors import UserError

__all__ = ["BY_NAME", "FAMILIES", "STRENGTHS", "Corruption", "chosen_names", "chosen_strengths", "generator"]

FAMILIES: dict[str, dict[str, Corruption]] = {
    "noise": {
        "gaussian_noise": noise.gaussian_noise, "shot_noise": noise.shot_noise, "impulse_noise": noise.impulse_noise,
    },
    "blur": {
        "defocus_blur": blur.defocus_blur, "glass_blur": blur.glass_blur, "motion_blur": blur.motion_blur,
        "zoom_blur": blur.zoom_blur,
    },
    "weather": {
        "snow": weather.snow, "frost": weather.frost, "fog": weather.fog, "brightness": weather.brightness,
    },
    "digital": {
        "contrast": digital.contrast, "elastic_transform": digital.elastic_transform, "pixelate": digital.pixelate,
        "jpeg_compression": digital.jpeg_compression,
    },
}  # fmt: skip
BY_NAME: dict[str, Corruption] = {name: one for family in FAMILIES.values() for name, one in family.items()}


def generator(name: str, seed: int, image: str) -> np.random.Generator:
    """Return the generator for the corruption `name` of an image, which is identified by its name in the data."""
    return np.random.default_rng([seed, *(zlib.crc32(word.encode("utf-8", "surrogateescape"))
                                          for word in (name, image))])  # fmt: skip


def chosen_names(text: str) -> list[str]:
    """Return the corruptions in a list such as `fog,noise`: names, families, or `all`; raise `UserError`."""
    found: list[str] = []
    for word in text.split(","):
        family = BY_NAME if word == "all" else FAMILIES.get(word) or {name: BY_NAME[name] for name in BY_NAME
                                                                      if name == word}  # fmt: skip
        if not family:
            raise UserError(f"--corrupt {word or text}: expected all, {', '.join(FAMILIES)} (groups), or "
                            f"{', '.join(BY_NAME)}; several are separated by commas")  # fmt: skip
        found += family
    return [name for name in BY_NAME if name in found]


def chosen_strengths(text: str) -> list[int]:
    """Return the strengths in a list such as `1,3,5`, in order and without repeats; raise `UserError`."""
    words: Sequence[str] = text.split(",")
    if not all(word.strip() in map(str, STRENGTHS) for word in words):
        raise UserError(f"--strengths {text}: expected numbers from 1 to {STRENGTHS[-1]}, separated by commas")
    return sorted({int(word) for word in words})
