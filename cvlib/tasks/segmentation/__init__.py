"""A class for each pixel of an image."""

from __future__ import annotations

from cvlib.tasks.segmentation.task import Segmentation

TASK = Segmentation()
