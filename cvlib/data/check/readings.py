"""Read every collection that a folder has labels for, one per kind of label, with the readers' findings."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

from cvlib.config.schema import DataConfig
from cvlib.data import layouts
from cvlib.data.findings import ERROR, Finding
from cvlib.data.labels import LabelKind
from cvlib.data.layouts.collection import Collection, Sample, name_of, subfolders
from cvlib.runtime.errors import UserError


@dataclass(frozen=True)
class Reading:
    """One collection, and the label file it was read from if there are alternatives."""

    collection: Collection
    source: str = ""

    @property
    def samples(self) -> list[tuple[str, Sample]]:
        """All samples as (split, sample) pairs."""
        return [(split, sample) for split, members in self.collection.splits.items() for sample in members]


@dataclass
class Readings:
    """The collections read from a folder or label file, and the findings of their readers."""

    root: Path  # the folder that paths in findings are relative to
    all: list[Reading] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def read(place: Path, layout: str | None, kind: LabelKind | None) -> Readings:
    """Read all collections in the folder or label file `place`, or only those of one kind of label.

    COCO files whose names don't identify their splits are each read separately.
    """
    readings = Readings(place if place.is_dir() else _home(place))
    found = layouts.available(place)
    if layout is not None and layout not in layouts.LAYOUTS:
        raise UserError(f"Invalid --layout={layout}: expected one of {', '.join(layouts.LAYOUTS)}")
    if not found and layout is None:
        _blame(readings, UserError(f"{place}: no labels found; {_hint(place)}"))
    kinds = list(found)
    if layout is not None:
        supported = layouts.LAYOUTS[layout].kinds
        kinds = [kind for kind in supported if kind in found] or [supported[0]]
    for each in [kind] if kind else kinds:
        try:
            _add(readings, place, layout, each)
        except UserError as error:
            _blame(readings, error)
            for file in _alternatives(place, layout or found.get(each, ("", place))[0]):
                try:
                    _add(readings, file, "coco", each, name_of(file, readings.root))
                except UserError as file_error:
                    _blame(readings, file_error)
    return readings


def _home(file: Path) -> Path:
    return file.parent.parent if file.parent.name.lower() in ("annotations", "labels") else file.parent


def _alternatives(place: Path, layout: str) -> list[Path]:
    if layout != "coco" or not place.is_dir():
        return []
    return [file for folder in (place, place / "annotations") for file in sorted(folder.glob("*.json"))]


def _add(readings: Readings, place: Path, layout: str | None, kind: LabelKind, source: str = "") -> None:
    config = DataConfig(name="folder", path=str(place), layout=layout)
    collection = layouts.read(place, layout, kind, config)
    readings.all.append(Reading(collection, source))
    inside = "" if collection.root == readings.root else name_of(collection.root, readings.root) + "/"
    readings.findings += [dataclasses.replace(finding, path=inside + finding.path) for finding in collection.findings]


def _blame(readings: Readings, error: UserError) -> None:
    """Add a finding for an error of the whole collection, at the path with which the message begins."""
    start, _, rest = str(error).partition(": ")
    named = Path(start)
    if rest and named == readings.root:
        readings.findings.append(Finding(ERROR, "layout", ".", rest))
    elif rest and named.is_absolute() and named.is_relative_to(readings.root):
        readings.findings.append(Finding(ERROR, "can't be read", name_of(named, readings.root), rest))
    else:
        readings.findings.append(Finding(ERROR, "layout", ".", str(error)))


def _hint(place: Path) -> str:
    inner = [folder.name for folder in subfolders(place) if layouts.available(folder)] if place.is_dir() else []
    if inner:
        return f"did you mean its subfolder {' or '.join(inner)}?"
    return "set --layout, or put the images of each class into a separate folder"
