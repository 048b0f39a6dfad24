"""Which changes an augmentation config activates, and which random streams these changes use."""

from __future__ import annotations

from cvlib.config.schema import AugmentConfig

MIXED = 2  # images in a sample of mixup or CutMix
TILES = 4  # images in a mosaic: upper left, upper right, lower left, lower right


def is_geometric(config: AugmentConfig) -> bool:
    """Return whether any change moves pixels."""
    return bool(
        config.horizontal_flip or config.vertical_flip or config.rotation or resizes(config) or config.rand_operations
    )


def is_photometric(config: AugmentConfig) -> bool:
    """Return whether any change alters colours."""
    return bool(config.brightness or config.contrast or config.saturation or config.hue)


def resizes(config: AugmentConfig) -> bool:
    """Return whether the augmentation crops or zooms out."""
    return config.crop < 1 or config.zoom_out > 1


def changes(config: AugmentConfig) -> bool:
    """Return whether the augmentation changes images at all."""
    joined = config.mosaic or mixes(config)
    return bool(is_geometric(config) or is_photometric(config) or config.blur or config.erase or joined)


def described(config: AugmentConfig) -> str:
    """Return the active changes and their strengths, such as "horizontal_flip=0.5, crop=0.6"."""
    neutral = AugmentConfig()
    active = [f"{key}={value:g}" for key, value in vars(config).items()
              if isinstance(value, int | float) and value != getattr(neutral, key)]  # fmt: skip
    return ", ".join(active)


def mixes(config: AugmentConfig | None) -> bool:
    """Return whether samples are made of two images, with the labels of both."""
    return config is not None and bool(config.mixup or config.cutmix)


def images_in_sample(config: AugmentConfig | None) -> int:
    """Return how many images of the split one sample combines."""
    if config is not None and config.mosaic:
        return TILES
    return MIXED if mixes(config) else 1


def streams_in_use(config: AugmentConfig | None) -> tuple[str, ...]:
    """Return the names of the random streams that the active changes draw from; see `cvlib.data.streams`."""
    if config is None:
        return ()
    single = ("horizontal_flip", "vertical_flip", "rotation", "brightness", "contrast", "saturation", "hue", "blur")
    used = [name for name in single if getattr(config, name)]
    used += ["crop_area", "crop_aspect", "crop_x", "crop_y"] if resizes(config) else []
    used += ["mosaic", "mosaic_x", "mosaic_y", "mosaic_scale"] if config.mosaic else []
    for step in range(1, config.rand_operations + 1):
        used += [f"rand_operation_{step}", f"rand_sign_{step}"]
    used += ["erase", "erase_area", "erase_aspect", "erase_x", "erase_y"] if config.erase else []
    used += ["mix_share"] if mixes(config) else []
    used += ["cutmix_x", "cutmix_y", "mix_choice"] if config.cutmix else []
    return tuple(used)
