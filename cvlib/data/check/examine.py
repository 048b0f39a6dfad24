"""The label of one image held against the image itself: what is wrong with it, and how much there is of each class."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cvlib.data.findings import Finding
from cvlib.data.images import Header
from cvlib.data.labels import LabelKind
from cvlib.data.layouts.collection import Label


@dataclass(frozen=True)
class Examined:
    """What is wrong with a label, and its boxes or pixels by class, as far as it can be used."""

    findings: list[Finding]
    counts: dict[int, int]
    usable: bool = True


def examine(label: Label, kind: LabelKind, header: Header, path: str, subject: str) -> Examined:
    """The label of an image with this header, read from the file `path`.

    `subject` names the image where the file labels several; a finding that tells no other place is told of it.
    """
    settled = kind.settle(label, header, path)
    findings = [replace(finding, place=finding.place or subject) for finding in settled.findings]
    return Examined(findings, settled.counts, settled.label is not None)
