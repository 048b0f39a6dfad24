"""One class for each image."""

from __future__ import annotations

from cvlib.tasks.classification.task import Classification

TASK = Classification()
