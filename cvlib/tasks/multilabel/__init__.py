"""Multi-label classification: any number of classes for each image."""

from __future__ import annotations

from cvlib.tasks.multilabel.task import Multilabel

TASK = Multilabel()
