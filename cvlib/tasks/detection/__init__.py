"""Boxes around the objects of an image."""

from __future__ import annotations

from cvlib.tasks.detection.task import Detection

TASK = Detection()
