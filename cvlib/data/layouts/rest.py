"""Reports of files that a layout's reader doesn't use, and of unsupported formats, in one line each."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from cvlib.data import images
from cvlib.data.findings import REMARK, WARNING
from cvlib.data.labels import KINDS
from cvlib.data.layouts import label_map
from cvlib.data.layouts.collection import Collection, name_of
from cvlib.data.layouts.survey import Survey

# Files that document or configure a collection, or list its contents; they need no label.
_HELPERS = frozenset({".txt", ".md", ".yaml", ".yml", ".html", ".pdf", ".py", ".ipynb", ".names", ".data", ".cfg",
                      ".log", ".bib", ".rst", ".sh", ".ini", ".toml", ".db"})  # fmt: skip
_LABELS = frozenset({".xml", ".json", ".csv", ".tsv"})


def report(collection: Collection, has_other_labels: bool) -> None:
    """Add findings for unsupported formats, for images without a label, and for other unused files.

    `has_other_labels` tells whether the collection has labels of other kinds, which may use the remaining files.
    """
    survey = Survey(collection.root)
    line = images.unread_in(survey.files)
    if line:
        collection.blame(WARNING, "image format", ".", line)
    left = [file for file in _left(collection, survey) if images.unread(file) is None]
    places = {sample.image.parent for samples in collection.splits.values() for sample in samples}
    beside = [file for file in left if file.parent in places and file.suffix.lower() not in _LABELS]
    if beside:
        count = "1 image" if len(beside) == 1 else f"{len(beside)} images"
        collection.blame(REMARK, "unused images", ".", f"{count} without a label beside labelled ones, such as "
                         f"{name_of(beside[0], collection.root)}: left out")  # fmt: skip
    left = [file for file in left if file not in beside]
    if not left or has_other_labels:
        return
    pictures = sum(file.suffix.lower() not in _LABELS for file in left)
    used = sum(len(samples) for samples in collection.splits.values())
    kinds = Counter(file.suffix.lower() or "without an extension" for file in left)
    listed = ", ".join(f"{count} {suffix}" for suffix, count in kinds.most_common(4))
    files = "1 file is" if len(left) == 1 else f"{len(left)} files are"
    message = f"{files} not used by this layout ({listed}), such as {name_of(left[0], collection.root)}"
    collection.blame(WARNING if 2 * pictures > used else REMARK, "not read", ".", message,
                     "check that the right folder is read")  # fmt: skip


def _left(collection: Collection, survey: Survey) -> list[Path]:
    """Return the files that no sample, label file, finding or set-aside folder accounts for."""
    used = {sample.image for samples in collection.splits.values() for sample in samples}
    used |= {sample.label_file for samples in collection.splits.values() for sample in samples if sample.label_file}
    for samples in collection.splits.values():
        for sample in samples:
            used.update(getattr(sample.label, "paths", ()))
    blamed = {finding.path for finding in collection.findings}
    known = {Path(finding.path).stem for finding in collection.findings}
    others = [collection.root / kind.subfolder for kind in KINDS if kind != collection.kind]
    aside = [*collection.without_labels, *others]  # files in a folder of another kind of label belong to that kind
    suffixes = {file.suffix.lower() for file in used if file.suffix.lower() in _LABELS}
    places = {file.parent for file in used}

    def explained(file: Path) -> bool:
        suffix = file.suffix.lower()
        if (
            file in used
            or suffix in _HELPERS
            or file.name in label_map.FILES
            or any(file == item or item in file.parents for item in aside)
        ):
            return True
        name = name_of(file, collection.root)
        above = {item.as_posix() for item in Path(name).parents}
        if name in blamed or blamed & above - {"."} or file.stem in known:
            return True
        if suffix in _LABELS and (suffix in suffixes or (not suffixes and file.parent not in places)):
            return suffix in suffixes or file.parent == collection.root
        return file not in pictures and suffix not in _LABELS

    pictures = set(survey.images)
    return [file for file in survey.files if not explained(file)]
