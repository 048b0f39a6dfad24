"""Pictures of the results of inspection: uint8 (height, width, 3)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cvlib.viz.pictures import contact_sheet

_MAX_TILES = 64


def filters(kernels: np.ndarray) -> np.ndarray:
    """Draw kernels (filters, height, width, channels), each scaled to its largest absolute value; 0 is mid-grey.

    Kernels with one or three channels are shown in grey or RGB, others as the mean of their channels.
    """
    shown = kernels if kernels.shape[-1] in (1, 3) else kernels.mean(axis=-1, keepdims=True)
    shown = shown[:_MAX_TILES]
    strength = np.maximum(np.abs(shown).max(axis=(1, 2, 3), keepdims=True), 1e-12)
    return contact_sheet(127.5 + 127.5 * shown / strength, [str(number) for number in range(len(shown))], columns=8)


def feature_maps(maps: np.ndarray, channels: Sequence[int] | None = None) -> np.ndarray:
    """Draw the channels of a feature map (height, width, channels), each scaled to its own range.

    Each caption shows the channel's number and maximum.
    """
    chosen = list(range(maps.shape[-1])) if channels is None else list(channels)
    tiles = np.stack([_stretched(maps[..., channel]) for channel in chosen[:_MAX_TILES]])
    captions = [f"{channel}: ≤ {maps[..., channel].max():.3g}" for channel in chosen[:_MAX_TILES]]
    return contact_sheet(tiles[..., np.newaxis], captions, columns=8)


def overlay(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Draw a heat map (height, width), 0–1, over a grey version of an image (height, width, 1 or 3), 0–255."""
    import matplotlib

    grey = np.asarray(image, np.float32).mean(axis=-1, keepdims=True).repeat(3, axis=-1)
    colours = matplotlib.colormaps["inferno"](np.clip(heat, 0, 1))[..., :3] * 255
    blended: np.ndarray = np.rint(np.clip(0.4 * grey + 0.75 * colours, 0, 255)).astype(np.uint8)
    return blended


def explanations(rows: Sequence[tuple[np.ndarray, str, dict[str, np.ndarray]]]) -> np.ndarray:
    """Draw a row for each (image, caption, name → heat map): the image, then the image with each heat map over it."""
    tiles, captions = [], []
    for image, caption, heats in rows:
        tiles.append(np.broadcast_to(np.asarray(image, np.float32), (*image.shape[:2], 3)))
        captions.append(caption)
        for name, heat in heats.items():
            tiles.append(overlay(image, heat).astype(np.float32))
            captions.append(name)
    columns = 1 + len(rows[0][2])
    return contact_sheet(np.stack(tiles), captions, columns=columns)


def _stretched(channel: np.ndarray) -> np.ndarray:
    low, high = float(channel.min()), float(channel.max())
    return (channel - low) / max(high - low, 1e-12) * 255


def images(made: np.ndarray, captions: Sequence[str]) -> np.ndarray:
    """Draw images (n, height, width, 1 or 3), 0–255, with their captions."""
    return contact_sheet(made, captions, columns=8)
