"""Which changes an augmentation config activates, and which random streams these changes use."""

from __future__ import annotations

from cvlib.config.schema import AugmentConfig

TILES = 4  # images in a mosaic: upper left, upper right, lower left, lower right


def is_geometric(config: AugmentConfig) -> bool:
    """Return whether any change moves pixels."""
    return bool(config.horizontal_flip or config.vertical_flip or config.rotation or resizes(config))


def is_photometric(config: AugmentConfig) -> bool:
    """Return whether any change alters colours."""
    return bool(config.brightness or config.contrast or config.saturation or config.hue)


def resizes(config: AugmentConfig) -> bool:
    """Return whether the augmentation crops or zooms out."""
    return config.crop < 1 or config.zoom_out > 1


def changes(config: AugmentConfig) -> bool:
    """Return whether the augmentation changes images at all."""
    return bool(is_geometric(config) or is_photometric(config) or config.blur or config.mosaic)


def images_in_sample(config: AugmentConfig | None) -> int:
    """Return how many images of the split one sample combines."""
    return TILES if config is not None and config.mosaic else 1


def streams_in_use(config: AugmentConfig | None) -> tuple[str, ...]:
    """Return the names of the random streams that the active changes draw from; see `cvlib.data.streams`."""
    if config is None:
        return ()
    single = ("horizontal_flip", "vertical_flip", "rotation", "brightness", "contrast", "saturation", "hue", "blur")
    used = [name for name in single if getattr(config, name)]
    used += ["crop_area", "crop_aspect", "crop_x", "crop_y"] if resizes(config) else []
    used += ["mosaic", "mosaic_x", "mosaic_y", "mosaic_scale"] if config.mosaic else []
    return tuple(used)
