"""The smallest config that a record accepts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

CONFIG: dict[str, Any] = {
    "model": {"name": "cnn", "task": "classification"}, "mode": {"name": "scratch"}, "data": {"name": "digits"},
    "trainer": {"precision": "float32"}, "seed": 0, "name": None, "output_root": "outputs",
}  # fmt: skip


def config_in(root: Path) -> dict[str, Any]:
    return CONFIG | {"output_root": str(root / "outputs")}
