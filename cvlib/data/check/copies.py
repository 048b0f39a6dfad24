"""Find duplicate images: exact copies, and copies that were re-encoded, resized, brightened or mirrored."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

from cvlib.data.findings import ERROR, REMARK, WARNING, Finding
from cvlib.data.near_duplicates import near_pairs

_ORDER = {"train": 0, "val": 1, "test": 2}


@dataclass(frozen=True)
class Copyable:
    """The properties of a sample that identify duplicates."""

    name: str
    split: str  # train, val or test
    label: str | None  # class names; None for boxes and masks
    digest: str
    thumbnail: bytes


@dataclass(frozen=True)
class Repetition:
    """A sample that is an exact or near duplicate of another sample."""

    copy: Copyable
    original: Copyable
    exact: bool
    mirrored: bool = False


def repetitions(items: list[Copyable]) -> list[Repetition]:
    """Return every duplicate with its original.

    Among exact copies, the original is the one with the most common label; ties go to train, then to val. Among near
    duplicates, it is the one in train, then the one in val.
    """
    groups = defaultdict(list)
    for item in items:
        groups[item.digest].append(item)
    found: list[Repetition] = []
    originals: list[Copyable] = []
    for group in groups.values():
        votes = Counter(item.label for item in group)
        group.sort(key=lambda item: (-votes[item.label], _ORDER[item.split], item.name))
        originals.append(group[0])
        found += [Repetition(copy, group[0], exact=True) for copy in group[1:]]
    originals.sort(key=lambda item: (_ORDER[item.split], item.name))
    pairs = near_pairs([item.thumbnail for item in originals])
    return found + [
        Repetition(originals[later], originals[earlier], False, flipped) for later, earlier, flipped in pairs
    ]


def findings(repetition: Repetition, drawn: bool) -> list[Finding]:
    """Return findings on a duplicate, depending on both labels and splits; `drawn`: a run draws the splits."""
    copy, original = repetition.copy, repetition.original
    near, severity, ordinary = ("", ERROR, WARNING) if repetition.exact else ("near ", WARNING, REMARK)
    manner = ", byte for byte" if repetition.exact else ", mirrored" if repetition.mirrored else ""
    same = f"{'' if repetition.exact else 'nearly '}the same image as {original.name}{manner}"
    found = []
    if copy.label != original.label:
        message = f"{same}: labelled {copy.label} here, {original.label} there"
        found.append(
            Finding(severity, f"{near}duplicate with another label", copy.name, message, "keep the correct one")
        )
    if copy.split != original.split:
        message = f"{same}: {copy.split} contains an image of {original.split}"
        found.append(Finding(severity, f"{near}duplicate in another split", copy.name, message, "keep one of them"))
    advice = "keep one of them" + (": held-out splits could receive a copy of a training image" if drawn else "")
    return found or [Finding(ordinary, f"{near}duplicate", copy.name, same, advice)]
