"""The backbone of YOLOv8, as keras-cv builds it: Jocher et al., Ultralytics YOLO, 2023."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cvlib.config.fields import Options, option
from cvlib.models.backbone import Backbone, Level

if TYPE_CHECKING:
    import keras

_CHANNELS = {"n": (32, 64, 128, 256), "s": (64, 128, 256, 512), "m": (96, 192, 384, 576)}  # of the stacks, by size
_DEPTHS = {"n": (1, 2, 2, 1), "s": (1, 2, 2, 1), "m": (2, 4, 4, 2)}  # pairs of convolutions in each stack


@dataclass
class Yolov8Options(Options):
    """The options of YOLOv8's backbone."""

    size: str = option("n", choices=("n", "s", "m"))  # 1.3, 5.1 or 11.9 million parameters


class Yolov8Backbone(Backbone):
    """Pixels 0–1 → the map at stride 32."""

    name = "yolov8_backbone"
    options = Yolov8Options
    shape_options = ("size",)

    def smallest_side(self, options: Yolov8Options, feature_levels: bool) -> int:
        """Return 32, which is one pixel after halving five times."""
        return 32

    def build(self, options: Yolov8Options, input_shape: tuple[int, int, int], feature_levels: bool) -> keras.Model:
        """Build keras-cv's YOLOV8Backbone from its published configuration, with random weights."""
        from cvlib.models import keras_cv

        return keras_cv.backbone(list(_CHANNELS[options.size]), list(_DEPTHS[options.size]), input_shape)

    def feature_levels(self, options: Yolov8Options) -> list[Level]:
        """Return the stem's first convolution and the end of each stack, at strides 2 to 32."""
        names = ["stack1_c2f_output", "stack2_c2f_output", "stack3_c2f_output", "stack4_spp_fast_output"]
        channels = _CHANNELS[options.size]
        return [Level("stem_1", 2, channels[0] // 2)] + [
            Level(name, 2**number, count) for number, (name, count) in enumerate(zip(names, channels, strict=True), 2)
        ]


BACKBONE = Yolov8Backbone()
