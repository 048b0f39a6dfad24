"""A config as small as a record takes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

ASKED: dict[str, Any] = {
    "model": {"name": "cnn", "task": "classification"}, "mode": {"name": "scratch"}, "data": {"name": "digits"},
    "trainer": {"precision": "float32"}, "seed": 0, "name": None, "output_root": "outputs",
}  # fmt: skip


def config_in(root: Path) -> dict[str, Any]:
    return ASKED | {"output_root": str(root / "outputs")}
