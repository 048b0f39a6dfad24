"""Evidence for each layout: how certain it is that a collection has this layout, and why. The most certain wins."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cvlib.data.labels import LabelKind

NEAR = 0.15  # two layouts nearly tie if their certainties differ by no more than this
# Levels of certainty: highest for files specific to a format, lowest for folder names.
CERTAIN, LIKELY, POSSIBLE, WEAK = 0.95, 0.8, 0.4, 0.2


@dataclass(frozen=True)
class Evidence:
    """A reason why a collection may have a layout that provides one kind of label."""

    layout: str
    kind: LabelKind
    root: Path  # the folder or label file to read
    certainty: float  # 0–1
    why: str  # what was found, with a count: "14 xml files beside images"
    title: str  # the name shown to the user: "Pascal VOC"
    refusal: str = ""  # for a known but unsupported format: why it is not read, and what to do
    exclusive: bool = True  # whether this layout explains the folders, so that they are not class folders

    @property
    def sentence(self) -> str:
        """The line that a run and `cvlib check` print."""
        return f"read as {self.title}: {self.why}"


def counted(number: int, singular: str, plural: str = "") -> str:
    """Return a number with its noun: 1 image, 14 images."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def best(table: list[Evidence], kind: LabelKind) -> Evidence | None:
    """Return the most certain evidence for a kind of label; in a tie, the first in the table."""
    return max((item for item in table if item.kind == kind), key=lambda item: item.certainty, default=None)


def near_ties(table: list[Evidence], chosen: Evidence) -> list[Evidence]:
    """Return other layouts that provide the same kind of label and are almost as certain as the chosen one."""
    return [item for item in table if item.kind == chosen.kind and item.layout != chosen.layout
            and item.certainty > POSSIBLE and item.certainty >= chosen.certainty - NEAR]  # fmt: skip
