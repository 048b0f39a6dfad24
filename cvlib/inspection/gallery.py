"""The output folder for pictures of a run's network."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np


class Gallery:
    """A writer of pictures to FOLDER/visualizations/NAME.png and to FOLDER/tensorboard/visualizations."""

    def __init__(self, folder: Path, say: Callable[[str], None]):
        from cvlib.training.event_file import EventFile

        self.folder = folder / "visualizations"
        self.board = folder / "tensorboard" / "visualizations"
        for earlier in self.board.glob("events.out.tfevents.*"):
            earlier.unlink()  # pictures of an earlier call would look like another epoch next to the new ones
        self._writer = EventFile(self.board)
        self._say = say
        self.written: list[Path] = []

    def add(self, name: str, picture: np.ndarray) -> None:
        """Write one picture, uint8 (height, width, 3)."""
        from cvlib.viz.pictures import save_png

        path = self.folder / f"{_file_name(name)}.png"
        save_png(picture, path)
        self._writer.image(name, picture, 0)
        self.written.append(path)
        self._say(f"  {path.name}")

    def close(self) -> None:
        """Flush and close TensorBoard's writer."""
        self._writer.close()


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name)
