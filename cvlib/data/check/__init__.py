"""`cvlib check`: a collection looked over before training, its files only read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from cvlib.data import layouts
from cvlib.data.check import copies, readings, summary, tree
from cvlib.data.check.pool import Job, Labelled, Results, do_all
from cvlib.data.findings import ERROR, REMARK, WARNING, Finding
from cvlib.data.labels import LabelKind
from cvlib.data.layouts.collection import name_of
from cvlib.runtime.errors import UserError

_SEVERITIES = (ERROR, WARNING, REMARK)


@dataclass(frozen=True)
class Report:
    """What a check has found."""

    root: Path
    files: int
    collections: list[summary.Counts]
    pictures: summary.Pictures
    findings: list[Finding]  # by severity, kind and path

    @property
    def spoiled(self) -> bool:
        """Whether something was found that would spoil a run."""
        return any(finding.severity == ERROR for finding in self.findings)


def check(data: str, layout: str | None = None, kind: LabelKind | None = None, workers: int | None = None) -> Report:
    """Look over the collection in the folder, or of the label file, `data`, decoding every image once.

    `layout` None is detected, `kind` None means every kind of label that there is; `workers` processes, None
    one per core. Raises `UserError` where there is no such thing; what is wrong inside is in the report.
    """
    try:
        place = layouts.place(data)
    except UserError as error:
        raise UserError(str(error).removeprefix("data.path=")) from None
    read = readings.read(place, layout, kind)
    root = read.root
    files = tree.walk(root) if place.is_dir() else tree.Tree()
    seen = do_all(_jobs(root, files, read.all), workers)
    used = {sample.image for reading in read.all for _, sample in reading.samples}
    counts = [summary.count(reading, number, seen) for number, reading in enumerate(read.all)]
    told = [finding for finding in read.findings if finding.kind != "unused images"]  # each is named below
    found = [*files.findings, *told, *_of_files(root, used, seen), *_of_labels(seen)]
    found += _of_copies(root, read.all, seen)
    for one, reading in zip(counts, read.all, strict=True):
        found += summary.findings(one, reading)
    found += _unused(root, used, seen, found)
    scans = [one.scan for path, one in seen.items() if one.scan is not None and (path in used or not used)]
    return Report(place, len(files.files) or len(seen), counts, summary.pictures(scans), _in_order(found))


def _jobs(root: Path, files: tree.Tree, read: list[readings.Reading]) -> list[Job]:
    """One for each file below `root` and each sample's image, but for masks: those are opened with their images."""
    jobs: dict[Path, Job] = {}
    masks = set()
    for number, reading in enumerate(read):
        kind = reading.collection.kind
        files_used = Counter(sample.label_file for _, sample in reading.samples)
        for _, sample in reading.samples:
            if kind.classes_of(sample.label) is not None:  # nothing to tell of it, so its name isn't worth making
                jobs.setdefault(sample.image, Job(sample.image)).labels[number] = Labelled(sample.label, kind, "", "")
                continue
            subject = sample.name if sample.label_file and files_used[sample.label_file] > 1 else ""
            labelled = Labelled(sample.label, kind, name_of(sample.label_file or sample.image, root), subject)
            jobs.setdefault(sample.image, Job(sample.image)).labels[number] = labelled
            if kind.label_files_are_images and sample.label_file is not None:
                masks.add(sample.label_file)
    for file in files.files:
        path = root / file
        if path not in masks:
            jobs.setdefault(path, Job(path))
    return list(jobs.values())


def _of_files(root: Path, used: set[Path], seen: Results) -> Iterator[Finding]:
    """What is wrong with image files by themselves; of those that no sample uses only what can't be read at all."""
    for path, one in seen.items():
        for fault in one.scan.faults if one.scan is not None else []:
            finding = Finding(fault.severity, fault.kind, name_of(path, root), fault.message, fault.advice)
            if path in used or not used:
                yield finding
            elif fault.severity == ERROR:
                yield replace(finding, severity=WARNING, message=f"{fault.message} (used by no label)")


def _unused(root: Path, used: set[Path], seen: Results, found: list[Finding]) -> list[Finding]:
    """Sound images that lie beside used ones, but have no label, as far as nothing was said of them yet."""
    places = {path.parent for path in used}
    named = {Path(finding.path).stem for finding in found}  # the image's own name, or that of its annotation
    idle = (path for path, one in seen.items() if one.scan is not None and one.scan.header is not None
            and path not in used and path.parent in places)  # fmt: skip
    names = [name_of(path, root) for path in idle]
    return [Finding(REMARK, "unused image", name, "no label names it: left out") for name in names
            if Path(name).stem not in named]  # fmt: skip


def _of_labels(seen: Results) -> Iterator[Finding]:
    return (finding for one in seen.values() for examined in one.labels.values() for finding in examined.findings)


def _of_copies(root: Path, read: list[readings.Reading], seen: Results) -> Iterator[Finding]:
    """Copies within each collection; what several tell of the same content is told once, of the first."""
    told: set[tuple[str, str, str]] = set()
    for reading in read:
        here: set[tuple[str, str, str]] = set()
        drawn = set(reading.collection.splits) == {"train"}
        for repetition in copies.repetitions(list(_copyable(root, reading, seen))):
            for finding in copies.findings(repetition, drawn):
                key = (finding.kind, repetition.copy.digest, repetition.original.digest)
                here.add(key)
                if key not in told:
                    yield finding
        told |= here


def _copyable(root: Path, reading: readings.Reading, seen: Results) -> Iterator[copies.Copyable]:
    collection = reading.collection
    for split, sample in reading.samples:
        scan = seen[sample.image].scan
        if scan is not None and scan.header is not None:
            held = collection.kind.classes_of(sample.label)
            label = None if held is None else ", ".join(collection.classes[one] for one in sorted(held))
            yield copies.Copyable(name_of(sample.image, root), split, label, scan.digest, scan.thumbnail)


def _in_order(findings: list[Finding]) -> list[Finding]:
    """Each finding once, though several tasks have met it, the worst first."""
    first = {(finding.kind, finding.path, finding.place): finding for finding in reversed(findings)}
    return sorted(first.values(), key=lambda f: (_SEVERITIES.index(f.severity), f.kind, f.path, f.place))
