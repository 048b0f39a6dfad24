"""Check the label of one image against the image, and count its boxes or pixels per class."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cvlib.data.findings import Finding
from cvlib.data.images import Header
from cvlib.data.labels import LabelKind
from cvlib.data.layouts.collection import Label


@dataclass(frozen=True)
class Examined:
    """Findings on a label, and the number of usable boxes or pixels by class."""

    findings: list[Finding]
    counts: dict[int, int]
    usable: bool = True


def examine(label: Label, kind: LabelKind, header: Header, path: str, subject: str) -> Examined:
    """Check the label, read from the file `path`, of an image with this header.

    `subject` names the image if the file labels several images. It becomes the place of findings without a place.
    """
    settled = kind.settle(label, header, path)
    findings = [replace(finding, place=finding.place or subject) for finding in settled.findings]
    return Examined(findings, settled.counts, settled.label is not None)
