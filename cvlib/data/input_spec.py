"""What a network takes: the one truth for the feed, the saved model and the export."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class InputSpec:
    """Images as a network gets them.

    Attributes:
        height, width: in pixels; every image is brought to this size.
        channels: 1 (grey) or 3 (RGB).
        resize: stretch | letterbox, how images of another shape are brought to the size.
        low, high: the range of the pixels' values.
    """

    height: int
    width: int
    channels: int
    resize: str = "stretch"
    low: float = 0.0
    high: float = 255.0

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.height, self.width

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of one image."""
        return self.height, self.width, self.channels
