"""The files below a folder, and what is odd about their names and links."""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from cvlib.data.findings import ERROR, REMARK, WARNING, Finding
from cvlib.data.layouts.collection import text_of

_LEFT_BEHIND = frozenset({"thumbs.db", "desktop.ini", "ehthumbs.db", "icon\r"})


@dataclass
class Tree:
    """All files below a root by their paths relative to it, with slashes, in order of text."""

    files: list[str] = field(default_factory=list)  # those that count
    folders: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def walk(root: Path) -> Tree:
    """The tree below `root`: links followed, though not in circles; hidden files and folders named and left out."""
    tree = Tree()
    ancestors: dict[str, tuple[str, ...]] = {str(root): (os.path.realpath(root),)}
    for place, folders, files in os.walk(root, onerror=lambda error: _unreadable(tree, root, error), followlinks=True):
        within = Path(place).relative_to(root)
        tree.folders.append(within.as_posix())
        above = ancestors.pop(place)
        kept = []
        for name in sorted(folders):
            target = os.path.realpath(Path(place, name))
            if name.startswith(".") or name == "__MACOSX":
                tree.findings.append(_left(within / name, "hidden folder", "a hidden folder: left out"))
            elif target in above:
                tree.findings.append(Finding(WARNING, "circular link", _name(within / name),
                                             "a link to a folder above itself: not followed",
                                             "remove the link"))  # fmt: skip
            else:
                ancestors[os.path.join(place, name)] = (*above, target)  # noqa: PTH118 (os.walk's own spelling)
                kept.append(name)
        folders[:] = kept
        _sort_files(tree, root, within, files)
        _alike(tree, within, files)
    tree.files.sort()
    return tree


def _unreadable(tree: Tree, root: Path, error: OSError) -> None:
    path = _name(Path(error.filename).relative_to(root))
    tree.findings.append(Finding(ERROR, "unreadable folder", path, f"can't be opened: {error.strerror}",
                                 "make it readable"))  # fmt: skip


def _sort_files(tree: Tree, root: Path, within: Path, files: list[str]) -> None:
    for name in files:
        path = within / name
        if name.startswith(".") or name.lower() in _LEFT_BEHIND:
            tree.findings.append(_left(path, "stray file", "left by a desktop or a tool: not read"))
        elif not (root / path).exists():
            tree.findings.append(Finding(WARNING, "broken link", _name(path), "a link to a file that isn't there",
                                         "remove it, or put the file back"))  # fmt: skip
        elif (root / path).is_file():
            tree.files.append(path.as_posix())


def _left(path: Path, kind: str, message: str) -> Finding:
    return Finding(REMARK, kind, _name(path), message)


def _alike(tree: Tree, within: Path, names: list[str]) -> None:
    """Names in one folder that a system which folds case or Unicode takes for one."""
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
                                     f"differs from {others} beside it in {difference} only: many systems keep just "
                                     "one", "rename one of them"))  # fmt: skip


def _name(path: Path) -> str:
    return text_of(path.as_posix())
