"""Where the pictures of a run's network go."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np


class Gallery:
    """Where pictures go: RUN/visualizations/NAME.png, and RUN/tensorboard/visualizations."""

    def __init__(self, run_folder: Path, say: Callable[[str], None]):
        import tensorflow as tf

        self.folder = run_folder / "visualizations"
        self.board = run_folder / "tensorboard" / "visualizations"
        for earlier in self.board.glob("events.out.tfevents.*"):
            earlier.unlink()  # the pictures of an earlier call, shown beside these they would look like another epoch
        self._writer = tf.summary.create_file_writer(str(self.board))
        self._say = say
        self.written: list[Path] = []

    def hang(self, name: str, picture: np.ndarray) -> None:
        """Write one picture, uint8 (height, width, 3)."""
        import tensorflow as tf

        from cvlib.viz.pictures import save_png

        path = self.folder / f"{_file_name(name)}.png"
        save_png(picture, path)
        with self._writer.as_default():
            tf.summary.image(name, picture[np.newaxis], 0)
        self.written.append(path)
        self._say(f"  {path.name}")

    def close(self) -> None:
        """Write what TensorBoard's writer still holds."""
        self._writer.close()


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name)
