"""The table of evidence: how sure each layout is that a collection is its own, and why; the best explained wins."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cvlib.data.labels import LabelKind

NEAR = 0.15  # two layouts whose certainty differs by less than this nearly tie
# How sure a sign makes a layout. Files of a format's own say the most, names of folders the least.
CERTAIN, LIKELY, PLAUSIBLE, POSSIBLE, WEAK = 0.95, 0.8, 0.6, 0.4, 0.2


@dataclass(frozen=True)
class Evidence:
    """Why a collection may have a layout for one kind of label."""

    layout: str
    kind: LabelKind
    root: Path  # the folder, or the label file, that the layout is read from
    sure: float  # 0–1
    why: str  # what was seen, with a count: "14 xml files beside images"
    title: str  # the layout's name for people: "Pascal VOC"
    refusal: str = ""  # why this is not read and what to do, for a format that is known but not read
    exclusive: bool = True  # whether folders that lie here are explained by it, and are no classes

    @property
    def sentence(self) -> str:
        """The line that a run and `cvlib check` print."""
        return f"read as {self.title}: {self.why}"


def counted(number: int, one: str, many: str = "") -> str:
    """A number and its noun: 1 image, 14 images."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def best(table: list[Evidence], kind: LabelKind) -> Evidence | None:
    """The surest evidence for a kind of label; of equally sure ones the first in the table."""
    return max((one for one in table if one.kind == kind), key=lambda one: one.sure, default=None)


def near_ties(table: list[Evidence], chosen: Evidence) -> list[Evidence]:
    """Other layouts that explain the same kind of label nearly as well as the chosen one."""
    return [one for one in table if one.kind == chosen.kind and one.layout != chosen.layout and one.sure > POSSIBLE
            and one.sure >= chosen.sure - NEAR]  # fmt: skip
