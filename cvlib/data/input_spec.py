"""`InputSpec`: size, channels and pixel range of a network's input, and how images are resized or cut to it."""

from __future__ import annotations

from dataclasses import dataclass, replace

STRETCH, LETTERBOX = "stretch", "letterbox"
METHODS = (STRETCH, LETTERBOX)


@dataclass(frozen=True)
class InputSpec:
    """The input of a network, shared by the feed, the saved model and its exports."""

    height: int  # pixels
    width: int  # pixels
    channels: int  # 1 (grey), 3 (RGB), or as many bands as the images have
    resize: str = STRETCH  # stretch: scale each side independently | letterbox: keep the aspect ratio and pad
    low: float = 0.0  # smallest pixel value
    high: float = 255.0  # largest pixel value
    span: tuple[float, float] | None = None  # pixel values of images with more than 8 bits that map to low and high
    # The input is one tile of an image at full resolution; the share of a side that neighbouring windows have in
    # common. None: the input is a whole image, resized.
    overlap: float | None = None

    def __post_init__(self) -> None:
        if self.resize not in METHODS:
            raise ValueError(f"Invalid resize={self.resize!r}: expected one of {', '.join(METHODS)}")

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.height, self.width

    @property
    def tiled(self) -> bool:
        """Whether images are cut into tiles; see `cvlib.data.tiles`."""
        return self.overlap is not None

    def whole(self) -> InputSpec:
        """Return the spec of pictures of whole images: of tiled images, shrunk ones in a letterbox."""
        return replace(self, overlap=None, resize=LETTERBOX) if self.tiled else self

    @property
    def shape(self) -> tuple[int, int, int]:
        """`(height, width, channels)` of one image."""
        return self.height, self.width, self.channels
