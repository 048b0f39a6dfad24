"""Photograph collections included in the package: one folder each, with its source and licence."""

from __future__ import annotations

from pathlib import Path

NAMES = ("cards", "cats_dogs", "clothing")


def folder(name: str) -> Path | None:
    """Return the folder of the photographs of `data=name`; None if the package does not include them."""
    return Path(__file__).parent / name if name in NAMES else None
