"""A run's folder with the parts of its page."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cvlib.viz.pictures import save_png
from tests.compare.conftest import write_run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a completed run with 30 of 40 correct test images, two phases and a confusion matrix."""
    phases = [{"first_epoch": first, "last_epoch": last, "trained": trained}
              for first, last, trained in ((1, 1, 650), (2, 3, 9000))]  # fmt: skip
    fields = {"phases": phases, "classes": ["cat", "dog <b>"], "notes": ["two files look alike"]}
    run = write_run(tmp_path / "run", {"mode.name": "finetune"}, [1] * 30 + [0] * 10, **fields)
    picture = np.full((40, 60, 3), 200, np.uint8)
    for name in ("worst", "cell_0_1", "confusion_matrix"):
        save_png(picture, run / f"report/{name}.png")
    (run / "report/by_class.csv").write_text("class,f1,support\ncat,0.123456,7\ndog,,3\n")
    content = {"classes": ["cat", "dog <b>"], "counts": [[6, 4], [0, 30]], "pictures": {"0,1": "cell_0_1.png"}}
    (run / "report/confusion.json").write_text(json.dumps(content))
    return run
