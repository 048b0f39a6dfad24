"""What a network receives: size, channels, pixel range, and how images of other sizes are brought to it."""

from __future__ import annotations

from dataclasses import dataclass

STRETCH, LETTERBOX = "stretch", "letterbox"
METHODS = (STRETCH, LETTERBOX)


@dataclass(frozen=True)
class InputSpec:
    """The input of a network: the one truth for the feed, the saved model and its exports."""

    height: int  # pixels
    width: int  # pixels
    channels: int  # 1 (grey), 3 (RGB), or as many bands as the images have
    resize: str = STRETCH  # stretch: each side by itself | letterbox: the aspect is kept, and the rest is padded
    low: float = 0.0  # the least value of a pixel
    high: float = 255.0  # the greatest value of a pixel
    span: tuple[float, float] | None = None  # values in files of more than 8 bits that become low and high

    def __post_init__(self) -> None:
        if self.resize not in METHODS:
            raise ValueError(f"resize={self.resize!r}: expected one of {', '.join(METHODS)}")

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.height, self.width

    @property
    def shape(self) -> tuple[int, int, int]:
        """`(height, width, channels)` of one image."""
        return self.height, self.width, self.channels
