"""List the files below a folder, and find unusual names and links."""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from cvlib.data.findings import ERROR, REMARK, WARNING, Finding
from cvlib.data.layouts.collection import text_of

_SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini", "ehthumbs.db", "icon\r"})


@dataclass
class Tree:
    """Paths below a root, relative to it, with slashes; files are sorted as text."""

    files: list[str] = field(default_factory=list)  # without hidden and system files
    folders: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def walk(root: Path) -> Tree:
    """Walk the tree below `root`: follow links except circular ones; report and skip hidden files and folders."""
    tree = Tree()
    ancestors: dict[str, tuple[str, ...]] = {str(root): (os.path.realpath(root),)}
    for place, folders, files in os.walk(root, onerror=lambda error: _unreadable(tree, root, error), followlinks=True):
        within = Path(place).relative_to(root)
        tree.folders.append(within.as_posix())
        above = ancestors.pop(place)
        followed = []
        for name in sorted(folders):
            target = os.path.realpath(Path(place, name))
            if name.startswith(".") or name == "__MACOSX":
                tree.findings.append(_remark(within / name, "hidden folder", "a hidden folder: skipped"))
            elif target in above:
                tree.findings.append(Finding(WARNING, "circular link", _name(within / name),
                                             "a link to a folder above itself: not followed",
                                             "remove the link"))  # fmt: skip
            else:
                ancestors[os.path.join(place, name)] = (*above, target)  # noqa: PTH118 (os.walk's own spelling)
                followed.append(name)
        folders[:] = followed
        _add_files(tree, root, within, files)
        _alike(tree, within, files)
    tree.files.sort()
    return tree


def _unreadable(tree: Tree, root: Path, error: OSError) -> None:
    path = _name(Path(error.filename).relative_to(root))
    tree.findings.append(Finding(ERROR, "unreadable folder", path, f"can't be opened: {error.strerror}",
                                 "make it readable"))  # fmt: skip


def _add_files(tree: Tree, root: Path, within: Path, files: list[str]) -> None:
    for name in files:
        path = within / name
        if name.startswith(".") or name.lower() in _SYSTEM_FILES:
            tree.findings.append(_remark(path, "stray file", "a hidden or system file: skipped"))
        elif not (root / path).exists():
            tree.findings.append(Finding(WARNING, "broken link", _name(path), "a link to a missing file",
                                         "remove it, or restore the file"))  # fmt: skip
        elif (root / path).is_file():
            tree.files.append(path.as_posix())


def _remark(path: Path, kind: str, message: str) -> Finding:
    return Finding(REMARK, kind, _name(path), message)


def _alike(tree: Tree, within: Path, names: list[str]) -> None:
    """Add findings on names in one folder that are the same on systems that ignore case or Unicode form."""
    groups = defaultdict(list)
    for name in sorted(names):
        groups[unicodedata.normalize("NFC", name).casefold()].append(name)
    for group in groups.values():
        if len(group) < 2:
            continue
        forms = {unicodedata.normalize("NFC", name) for name in group}
        difference = "composition (Unicode form)" if len(forms) < len(group) else "upper and lower case"
        others = ", ".join(text_of(name) for name in group[1:])
        tree.findings.append(Finding(WARNING, "names alike", _name(within / group[0]),
                                     f"differs from {others} in the same folder only in {difference}: many systems "
                                     "keep only one of them", "rename one of them"))  # fmt: skip


def _name(path: Path) -> str:
    return text_of(path.as_posix())
