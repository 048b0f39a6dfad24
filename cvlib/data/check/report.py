"""Format the report of a check as text or JSON."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from cvlib.data import labels
from cvlib.data.check import Report
from cvlib.data.check.summary import Counts, Pictures
from cvlib.data.findings import ERROR, REMARK, WARNING, Finding
from cvlib.viz.text_table import aligned

_SHOWN = 10  # findings listed per kind; the others are counted
_ROWS = 15  # a table shows this many of the most common classes, and as many of the rarest
_TITLES = {
    ERROR: "Errors, which stop a run", WARNING: "Warnings, which may degrade a run's results",
    REMARK: "Remarks, for information",
}  # fmt: skip


def as_json(report: Report) -> str:
    """Return the complete report as JSON, with all findings in order."""
    numbers = Counter(finding.severity for finding in report.findings)
    content: dict[str, Any] = {
        "path": str(report.root),
        "files": report.files,
        "collections": [dataclasses.asdict(counts) for counts in report.collections],
        "pictures": dataclasses.asdict(report.pictures),
        "numbers": {severity: numbers[severity] for severity in _TITLES},
        "findings": [dataclasses.asdict(finding) for finding in report.findings],
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def as_text(report: Report) -> str:
    """Return the report for a terminal: contents, findings by severity and kind, and a summary line."""
    blocks = [f"{report.root}: {_number(report.files, 'file')}"]
    blocks += [_counts_text(counts) for counts in report.collections if not counts.source]
    blocks.append("\n".join(_counts_line(counts) for counts in report.collections if counts.source))
    blocks.append(_pictures_text(report.pictures))
    for severity, found in groupby(report.findings, lambda finding: finding.severity):
        kinds = groupby(found, lambda finding: finding.kind)
        blocks.append("\n".join([_TITLES[severity], *(line for _, group in kinds for line in _group(list(group)))]))
    blocks.append(_verdict(report))
    return "\n\n".join(block for block in blocks if block) + "\n"


def _counts_text(counts: Counts) -> str:
    splits = list(counts.images)
    kind = labels.named(counts.task)
    table = counts.amount if kind.counts_objects else counts.holding
    rows = [["", *splits], ["images", *(f"{counts.images[split]:,}" for split in splits)]]
    rows += [[f"  {name}", *(f"{table[split][name]:,}" for split in splits)] for name in _shown(counts, table)]
    title = f"{counts.task} (layout {counts.layout}), {kind.counted_as} by class"
    hidden = len(counts.classes) - (len(rows) - 2)
    notes = [f"  {note}" for note in (counts.read_as, *counts.notes) if note]
    if hidden:
        notes.insert(0, f"  only the most common and the rarest classes are shown; --format json lists {hidden:,} more")
    return "\n".join([title, *aligned(rows), *notes])


def _shown(counts: Counts, table: dict[str, dict[str, int]]) -> list[str]:
    """Return all classes if they are few; otherwise the most common and the rarest, in their original order."""
    if len(counts.classes) <= 2 * _ROWS:
        return counts.classes
    by_number = sorted(counts.classes, key=lambda name: -sum(split[name] for split in table.values()))
    kept = {*by_number[:_ROWS], *by_number[-_ROWS:]}
    return [name for name in counts.classes if name in kept]


def _counts_line(counts: Counts) -> str:
    amount = sum(sum(by_class.values()) for by_class in counts.amount.values())
    kind = labels.named(counts.task)
    objects = f", {_number(amount, *kind.unit)}" if kind.counts_objects else ""
    return f"{counts.source}: {counts.task}, {_number(sum(counts.images.values()), 'usable image')}{objects}"


def _pictures_text(pictures: Pictures) -> str:
    if pictures.widths is None or pictures.heights is None:
        return "no readable images"
    sides = (f"{name} {low}–{high} (median {middle})" for name, (low, middle, high)
             in (("widths", pictures.widths), ("heights", pictures.heights)))  # fmt: skip
    return "\n".join([f"pictures: {', '.join(sides)} pixels", f"  formats: {_listed(pictures.formats)}",
                      f"  modes: {_listed(pictures.modes)}"])  # fmt: skip


def _listed(numbers: dict[str, int]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in numbers.items())


def _group(findings: list[Finding]) -> Iterator[str]:
    """Yield the lines of one kind of finding; text shared by all of them appears once, in the title."""
    common = [texts.pop() for texts in ({f.message for f in findings}, {f.advice for f in findings}) if len(texts) == 1]
    shared = [text for text in common if text] if len(findings) > 1 else []
    yield f"  {findings[0].kind} ({len(findings):,})" + (": " + "; ".join(shared) if shared else "")
    for finding in findings[:_SHOWN]:
        where = ", ".join(filter(None, [finding.path, finding.place]))
        own = [text for text in (finding.message, finding.advice) if text and text not in shared]
        yield f"    {where}" + (": " + "; ".join(own) if own else "")
    if len(findings) > _SHOWN:
        yield f"    … and {len(findings) - _SHOWN:,} more"


def _verdict(report: Report) -> str:
    numbers = Counter(finding.severity for finding in report.findings)
    if not report.findings:
        return "no problems found"
    return ", ".join(_number(numbers[severity], severity) for severity in _TITLES if numbers[severity])


def _number(number: int, singular: str, plural: str = "") -> str:
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"
