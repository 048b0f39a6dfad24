"""`cvlib check`: a collection looked over before training, its files only read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from cvlib.data import layouts
from cvlib.data.check import copies, readings, summary, tree
from cvlib.data.check.pool import Job, Results, do_all
from cvlib.data.findings import ERROR, REMARK, WARNING, Finding
from cvlib.data.layouts.collection import Collection, name_of
from cvlib.errors import UserError

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


def check(data: str, layout: str | None = None, task: str | None = None, workers: int | None = None) -> Report:
    """Look over the collection in the folder `data`: every image decoded once, every label held against its image.

    `layout` None is found out, `task` None means every task that there are labels for; `workers` processes, None
    one per core. Raises `UserError` where there is no such folder; what is wrong inside is in the report.
    """
    root = layouts.place(data)
    if not root.is_dir():
        raise UserError(f"{data}: give the folder of a collection, not a file in it")
    files = tree.walk(root)
    read = readings.read(root, layout, task)
    seen = do_all(_jobs(root, files, read.collections), workers)
    counts = [summary.count(collection, number, seen) for number, collection in enumerate(read.collections)]
    found = [*files.findings, *read.findings, *_of_files(root, read.collections, seen), *_of_labels(seen)]
    for number, collection in enumerate(read.collections):
        found += copies.findings(list(_copyable(root, number, collection, seen)))
        found += summary.findings(counts[number])
    used = {sample.image for collection in read.collections for _, sample in readings.samples(collection)}
    looks = [one.look for path, one in seen.items() if one.look is not None and (path in used or not used)]
    return Report(root, len(files.files), counts, summary.pictures(looks), _in_order(found))


def _jobs(root: Path, files: tree.Tree, collections: list[Collection]) -> list[Job]:
    """One for each file below `root` and each sample's image, but for masks: those are opened with their images."""
    jobs: dict[Path, Job] = {}
    masks = set()
    for number, collection in enumerate(collections):
        for _, sample in readings.samples(collection):
            name = name_of(sample.label_file or sample.image, root)
            jobs.setdefault(sample.image, Job(sample.image)).labels[number] = (sample.label, name)
            if collection.task == "segmentation" and sample.label_file is not None:
                masks.add(sample.label_file)
    for file in files.files:
        path = root / file
        if path not in masks:
            jobs.setdefault(path, Job(path))
    return list(jobs.values())


def _of_files(root: Path, collections: list[Collection], seen: Results) -> Iterator[Finding]:
    """What is wrong with image files by themselves; of those that no sample uses only what can't be read at all."""
    used = {sample.image for collection in collections for _, sample in readings.samples(collection)}
    for path, one in seen.items():
        for fault in one.look.faults if one.look is not None else []:
            finding = Finding(fault.severity, fault.kind, name_of(path, root), fault.message, fault.advice)
            if path in used or not collections:
                yield finding
            elif fault.severity == ERROR:
                yield replace(finding, severity=WARNING, message=f"{fault.message} (used by no label)")


def _of_labels(seen: Results) -> Iterator[Finding]:
    return (finding for one in seen.values() for examined in one.labels.values() for finding in examined.findings)


def _copyable(root: Path, number: int, collection: Collection, seen: Results) -> Iterator[copies.Copyable]:
    for part, sample in readings.samples(collection):
        look = seen[sample.image].look
        if look is not None and look.header is not None:
            label = collection.classes[sample.label] if isinstance(sample.label, int) else None
            yield copies.Copyable(name_of(sample.image, root), part, label, look.digest, look.thumbnail)


def _in_order(findings: list[Finding]) -> list[Finding]:
    """Each finding once, though several tasks or tools have met it, the worst first."""
    first = {(finding.kind, finding.path, finding.place): finding for finding in reversed(findings)}
    return sorted(first.values(), key=lambda f: (_SEVERITIES.index(f.severity), f.kind, f.path, f.place))
