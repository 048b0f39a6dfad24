"""The function behind `cvlib visualize`, called as in a notebook."""

from __future__ import annotations

from pathlib import Path

import cvlib
from cvlib.inspection.visualize import visualize
from tests.small_runs import write_run


def test_the_pictures_of_a_run_are_returned_and_printed(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    messages: list[str] = []
    written = visualize(cvlib.load_run(tmp_path / "run"), layers=["conv1"], steps=0, say=messages.append)
    assert messages == [f"  {path.name}" for path in written]
    assert [path.name for path in written] == [
        "filters.png", "feature_maps_conv1.png", "explanations.png", "embedding_pca.png", "embedding_tsne.png"
    ]  # fmt: skip
    assert all(path.is_file() for path in written)
