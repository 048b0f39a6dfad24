"""Names of classes that labels give as numbers: from a file of names, or from the names of the images."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from cvlib.data.layouts import names
from cvlib.data.layouts.collection import text_of
from cvlib.data.layouts.table_file import whole

_WORDS = frozenset({"class", "classes", "classname", "classnames", "label", "labels", "name", "names", "labellist",
                    "category", "categories", "synset", "synsets", "labelmap", "meta"})  # fmt: skip
_SUFFIXES = (".txt", ".names")
_FIRST = re.compile(r"(\d+)\s*[\s:;,=]\s*(\D.*|\d+[^\d\s].*)")  # 3 big cat
_LAST = re.compile(r"(.*\D)[\s:;,=]+(\d+)")  # /a/airfield 3
_MAX_LINES = 100_000


def is_names_file(file: Path) -> bool:
    """Return whether a file may list the names of classes, judging by its own name."""
    return file.suffix.lower() in _SUFFIXES and bool(_WORDS & set(names.words(file.stem)))


def in_files(numbers: set[str], folders: Iterable[Path]) -> tuple[dict[str, str], Path] | None:
    """Return the names of all `numbers` and the file that gives them; None if no file in `folders` does.

    A line is a number and a name, or a name. Names without numbers count from 0; from 1 if there are as many as the
    highest number and no 0 occurs.
    """
    for folder in dict.fromkeys(folders):
        for file in sorted(folder.iterdir()):
            if is_names_file(file) and file.is_file() and (found := _named(file, numbers)):
                return found, file
    return None


def _named(file: Path, numbers: set[str]) -> dict[str, str] | None:
    lines = [line.strip() for line in file.read_text("utf-8-sig", errors="replace").splitlines()[:_MAX_LINES]]
    lines = [line for line in lines if line]
    for form, number, name in ((_FIRST, 1, 2), (_LAST, 2, 1)):
        matches = [form.fullmatch(line) for line in lines]
        if lines and all(matches):
            known = {whole(match[number]) or "": match[name].strip() for match in matches if match}
            return _of(known, numbers) if len(known) == len(lines) else None
    highest = max(map(int, numbers), default=0)
    start = 1 if "0" not in numbers and highest == len(lines) else 0
    return _of({str(index): line for index, line in enumerate(lines, start)}, numbers)


def _of(known: dict[str, str], numbers: set[str]) -> dict[str, str] | None:
    found = {number: _plain(known[number]) for number in numbers if number in known}
    return found if len(found) == len(numbers) == len(set(found.values())) else None


def _plain(name: str) -> str:
    """Return a name without the folders before it (/a/airfield), if it is a path from the root."""
    return text_of(name.removeprefix("/").split("/", 1)[-1] if name.startswith("/") else name)


def in_images(numbered: Iterable[tuple[str, Path]]) -> tuple[dict[str, str], str] | None:
    """Return the names of the numbers of images, and where they are from; None if images don't give one for each.

    Each number must go with one name: that of the images' folder, or what their file names begin with.
    """
    pairs = list(numbered)
    ways = (("the folders of their images", _folder), ("the beginnings of the file names", _beginning))
    for origin, name_in in ways:
        names_of: dict[str, set[str]] = {}
        for number, image in pairs:
            names_of.setdefault(number, set()).add(name_in(image))
        found = {number: next(iter(some)) for number, some in names_of.items() if len(some) == 1}
        if len(found) == len(names_of) == len(set(found.values())) > 1 and all(found.values()):
            return found, origin
    return None


def _folder(image: Path) -> str:
    name = image.parent.name
    return "" if names.split_of(name) or names.only_role(name) else text_of(name)


def _beginning(image: Path) -> str:
    """Return the words of an image's name before its number: Abyssinian_12 → Abyssinian."""
    match = re.fullmatch(r"(.*[^\W\d_])[\W_]*\d+", image.stem)
    return text_of(match[1]) if match else ""
