"""`cvlib check`: check a collection before training, without changing its files."""

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
from cvlib.data.layouts import names as layout_names
from cvlib.data.layouts.collection import name_of
from cvlib.runtime.errors import UserError

_SEVERITIES = (ERROR, WARNING, REMARK)


@dataclass(frozen=True)
class Report:
    """The result of a check."""

    root: Path
    files: int
    collections: list[summary.Counts]
    pictures: summary.Pictures
    findings: list[Finding]  # sorted by severity, kind and path

    @property
    def spoiled(self) -> bool:
        """Whether there are findings that would stop a run."""
        return any(finding.severity == ERROR for finding in self.findings)


def check(data: str, layout: str | None = None, kind: LabelKind | None = None, workers: int | None = None) -> Report:
    """Check the collection in the folder or label file `data`; every image is decoded once.

    Args:
        data: path of a folder or label file.
        layout: None detects the layout.
        kind: kind of label to check; None checks every kind that the collection has.
        workers: number of processes; None uses one per core.

    Raises `UserError` if `data` doesn't exist. Problems inside the collection are listed in the report.
    """
    try:
        place = layouts.place(data)
    except UserError as error:
        raise UserError(layouts.without_advice(error).removeprefix("data.path=")) from None
    read = readings.read(place, layout, kind)
    root = read.root
    files = tree.walk(root) if place.is_dir() else tree.Tree()
    seen = do_all(_jobs(root, files, read.all), workers)
    used = {sample.image for reading in read.all for _, sample in reading.samples}
    counts = [summary.count(reading, number, seen) for number, reading in enumerate(read.all)]
    reported = [finding for finding in read.findings if finding.kind != "unused images"]  # listed one by one below
    found = [*files.findings, *reported, *_file_findings(root, used, seen), *_label_findings(seen)]
    found += _duplicate_findings(root, read.all, seen)
    for reading_counts, reading in zip(counts, read.all, strict=True):
        found += summary.findings(reading_counts, reading)
    found += _unused(root, used, seen, found)
    scans = [result.scan for path, result in seen.items() if result.scan is not None and (path in used or not used)]
    return Report(place, len(files.files) or len(seen), counts, summary.pictures(scans), _sorted_unique(found))


def _jobs(root: Path, files: tree.Tree, read: list[readings.Reading]) -> list[Job]:
    """Return one job for each file below `root` and each sample's image. Masks are checked with their images."""
    jobs: dict[Path, Job] = {}
    masks = set()
    for number, reading in enumerate(read):
        kind = reading.collection.kind
        files_used = Counter(sample.label_file for _, sample in reading.samples)
        for _, sample in reading.samples:
            if kind.classes_of(sample.label) is not None:  # such a label never has findings, so no name is needed
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


def _file_findings(root: Path, used: set[Path], seen: Results) -> Iterator[Finding]:
    """Yield findings on image files; for files that no sample uses, yield only errors, reported as warnings."""
    for path, result in seen.items():
        for fault in result.scan.faults if result.scan is not None else []:
            finding = Finding(fault.severity, fault.kind, name_of(path, root), fault.message, fault.advice)
            if path in used or not used:
                yield finding
            elif fault.severity == ERROR:
                yield replace(finding, severity=WARNING, message=f"{fault.message} (no label refers to the file)")


def _unused(root: Path, used: set[Path], seen: Results, found: list[Finding]) -> list[Finding]:
    """Return remarks on readable, unlabelled images in folders of used images, unless `found` names them."""
    folders = {path.parent for path in used}
    named = {_key(finding.path) for finding in found}  # of the image, or of its annotation
    unused = (path for path, result in seen.items() if result.scan is not None and result.scan.header is not None
              and path not in used and path.parent in folders)  # fmt: skip
    names = [name_of(path, root) for path in unused]
    return [Finding(REMARK, "unused image", name, "no label refers to it: left out") for name in names
            if _key(name) not in named]  # fmt: skip


def _key(name: str) -> tuple[str, ...]:
    """Return what the paths of an image and of its label file share: train/images/7.png and train/labels/7.txt."""
    path = Path(name)
    return (*(part for part in path.parts[:-1] if layout_names.only_role(part) is None), path.stem)


def _label_findings(seen: Results) -> Iterator[Finding]:
    return (finding for result in seen.values() for examined in result.labels.values() for finding in examined.findings)


def _duplicate_findings(root: Path, read: list[readings.Reading], seen: Results) -> Iterator[Finding]:
    """Yield findings on duplicates within each collection; report a pair only once, for the first collection."""
    reported: set[tuple[str, str, str]] = set()
    for reading in read:
        current: set[tuple[str, str, str]] = set()
        drawn = set(reading.collection.splits) == {"train"}
        for repetition in copies.repetitions(list(_copyable(root, reading, seen))):
            for finding in copies.findings(repetition, drawn):
                key = (finding.kind, repetition.copy.digest, repetition.original.digest)
                current.add(key)
                if key not in reported:
                    yield finding
        reported |= current


def _copyable(root: Path, reading: readings.Reading, seen: Results) -> Iterator[copies.Copyable]:
    collection = reading.collection
    for split, sample in reading.samples:
        scan = seen[sample.image].scan
        if scan is not None and scan.header is not None:
            classes = collection.kind.classes_of(sample.label)
            label = None if classes is None else ", ".join(collection.classes[index] for index in sorted(classes))
            yield copies.Copyable(name_of(sample.image, root), split, label, scan.digest, scan.thumbnail)


def _sorted_unique(findings: list[Finding]) -> list[Finding]:
    """Remove findings repeated for several tasks, and sort by severity, kind, path and place."""
    first = {(finding.kind, finding.path, finding.place): finding for finding in reversed(findings)}
    return sorted(first.values(), key=lambda f: (_SEVERITIES.index(f.severity), f.kind, f.path, f.place))
