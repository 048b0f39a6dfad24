"""The collections of photographs that come with the package: each is a folder here, with its source and licence."""

from __future__ import annotations

from pathlib import Path

NAMES = ("cards", "cats_dogs", "clothing")


def folder(name: str) -> Path | None:
    """Return the folder of the photographs that `data=name` means; None where they don't come with the package."""
    return Path(__file__).parent / name if name in NAMES else None
