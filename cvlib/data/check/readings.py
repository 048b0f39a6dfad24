"""Every collection that a folder holds labels for, read task by task, each with what its reader had to say."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

from cvlib.config import DataConfig
from cvlib.data import layouts
from cvlib.data.findings import ERROR, Finding
from cvlib.data.layouts.collection import Collection, Sample, name_of
from cvlib.errors import UserError


@dataclass
class Readings:
    """What the readers made of a folder, and what was wrong with it as a whole."""

    collections: list[Collection] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def read(root: Path, layout: str | None, task: str | None) -> Readings:
    """All collections below `root`, of one task where it is given; paths are relative to `root`."""
    readings = Readings()
    config = DataConfig(name="folder", path=str(root), layout=layout)
    try:
        found = layouts.available(root)
    except UserError as error:
        _blame(readings, root, error)
        return readings
    if not found and layout is None:
        _blame(readings, root, UserError(f"no labels found in it; {_hint(root)}"))
        return readings
    tasks = [task] if task else list(found) or ["classification"]
    for each in tasks:
        try:
            collection = layouts.read(root, layout, each, config)
        except UserError as error:
            _blame(readings, root, error)
            continue
        readings.collections.append(collection)
        readings.findings += _relative_to(root, collection)
    return readings


def _hint(root: Path) -> str:
    inner = [folder.name for folder in layouts.collection.subfolders(root) if layouts.available(folder)]
    if inner:
        return f"is {' or '.join(inner)} in it meant?"
    return "give --layout, or put each class's images into a folder of its own"


def _blame(readings: Readings, root: Path, error: UserError) -> None:
    message = str(error).removeprefix(f"{root}: ")
    readings.findings.append(Finding(ERROR, "layout", ".", message))


def _relative_to(root: Path, collection: Collection) -> list[Finding]:
    """The reader's findings, their paths told from `root` where it read in a folder further in."""
    if collection.root == root:
        return collection.findings
    inside = name_of(collection.root, root)
    return [dataclasses.replace(finding, path=f"{inside}/{finding.path}") for finding in collection.findings]


def samples(collection: Collection) -> list[tuple[str, Sample]]:
    """All samples, each with its part."""
    return [(part, sample) for part, members in collection.parts.items() for sample in members]
