"""The colours of the page: readable on both backgrounds, also with a colour vision deficiency."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from cvlib.viz import plots

STYLE = Path(plots.__file__).with_name("page.css").read_text(encoding="utf-8")
LIGHT, DARK = STYLE.split("@media (prefers-color-scheme: dark)")
# Machado, Oliveira and Fernandes 2009, severity 1, for linear RGB
DEFICIENCIES = {
    "none": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]]),
}  # fmt: skip
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def colours(style: str) -> list[np.ndarray]:
    """Return the background and the colours of the lines, as linear RGB."""
    found = dict(re.findall(r"--(page|c\d): (#[0-9a-f]+)", style))
    texts = [found[name][1:] for name in ("page", *(f"c{index}" for index in range(plots.COLOURS)))]
    full = ["".join(2 * digit for digit in text) if len(text) == 3 else text for text in texts]
    values = np.array([[int(text[start : start + 2], 16) / 255 for start in (0, 2, 4)] for text in full])
    return list(np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4))


def lab(linear: np.ndarray) -> np.ndarray:
    """Return the CIE L*a*b* colour for linear RGB, D65."""
    ratio = XYZ @ np.clip(linear, 0, 1) / np.array([0.95047, 1.0, 1.08883])
    x, y, z = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("style", [LIGHT, DARK], ids=["light", "dark"])
def test_lines_stand_out_from_the_background(style: str) -> None:
    page, *lines = (float(XYZ[1] @ colour) + 0.05 for colour in colours(style))
    assert all(max(page, line) / min(page, line) >= 3 for line in lines)  # WCAG 2.1, graphical objects


@pytest.mark.parametrize("style", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_lines_differ_also_with_a_colour_vision_deficiency(style: str, deficiency: str) -> None:
    seen = [lab(DEFICIENCIES[deficiency] @ colour) for colour in colours(style)[1:]]
    distances = {
        pair: float(np.linalg.norm(seen[pair[0]] - seen[pair[1]])) for pair in itertools.combinations(range(8), 2)
    }
    assert min(distances.values()) > 8
    assert min(distances[index, index + 4] for index in range(4)) > 12  # these pairs have the same dashes and markers
