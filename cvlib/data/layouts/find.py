"""Find the image that a label file refers to, even if its path was written on another machine."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from functools import cached_property
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from cvlib.data import images
from cvlib.data.layouts import evidence
from cvlib.data.layouts.collection import image_files, inside

_UPLOAD = re.compile(r"^[0-9a-f]{6,}-")  # the prefix that an annotation tool adds to an uploaded file
_ENDINGS = [spelled for ending in sorted(images.EXTENSIONS) for spelled in (ending, ending.upper())]


class ImageFinder:
    """Find images of a collection by the paths written in its label files.

    Args:
        root: the collection's folder; images outside it are never found.
        bases: the folders that a relative path may start from, the most likely first.
        numbers: whether 3 may mean the file 0003, as in a table that lost its leading zeros in a spreadsheet.
    """

    def __init__(self, root: Path, bases: list[Path], numbers: bool = False):
        self.root, self.bases, self.numbers = root, bases, numbers
        self._ending: list[str] = []
        self.guesses: dict[str, list[tuple[str, Path]]] = defaultdict(list)  # reason → (written path, image)

    def find(self, written: str) -> Path | None:
        """Return the image, or None if there is none or the path is ambiguous.

        Raises `ValueError` for a path outside the collection, unless nothing exists there and an image inside matches.
        """
        written = written.strip()
        if not written or "\0" in written:
            return None
        try:
            exact, outside = inside(self.root, written, *self.bases), None
        except ValueError as error:
            exact, outside = None, error
        if exact is not None:
            return exact if images.looks_like_image(exact) else None
        if outside is None and (found := self._with_ending(written)) is not None:
            return found
        place = self.root / written.replace("\\", "/")
        if outside is not None and _exists(place):
            raise outside
        guessed = self._by_tail(written) or self._by_number(written)
        if guessed is None and outside is not None:
            raise outside
        return guessed

    def look_up(self, written: str) -> tuple[Path | None, str]:
        """Return the image that `find` returns, and the problem if it finds none."""
        try:
            return self.find(written), f"there is no image {written}"
        except ValueError as error:
            return None, str(error)

    def images(self) -> list[Path]:
        """Return all images of the collection."""
        return self._all

    def notes(self) -> list[str]:
        """Return one line for each fallback by which images were found when there was none at the written path."""
        return [
            f"{evidence.counted(len(some), 'image')} found by {why}, such as {some[0][0]} → {self._shown(some[0][1])}"
            for why, some in self.guesses.items()
        ]

    def _shown(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def _with_ending(self, written: str) -> Path | None:
        """Return the image of this path without an extension; the extension found last is tried first."""
        for extension in dict.fromkeys([*self._ending, *_ENDINGS]):
            found = inside(self.root, written + extension, *self.bases)
            if found is not None:
                self._ending = [extension]
                return found
        return None

    def _by_tail(self, written: str) -> Path | None:
        """Return the image whose path shares the longest end with the written path."""
        text = unquote(re.sub(r"[?#].*$", "", written)) if re.match(r"^\w+://", written) else written
        parts = PurePosixPath(_key(text.replace("\\", "/"))).parts
        if not parts:
            return None
        name = parts[-1]
        for table in (self._by_name, self._by_stem, self._by_upload):
            candidates = table.get(name) or table.get(_UPLOAD.sub("", name))
            if candidates:
                found = self._likeliest(candidates, parts)
                if found is not None and len(parts) > 1 and not self._is_below_a_base(found, parts):
                    self.guesses["the end of their path"].append((written, found))
                return found
        return None

    def _is_below_a_base(self, found: Path, parts: tuple[str, ...]) -> bool:
        return any((base / Path(*parts[:-1])) == found.parent for base in self.bases)

    def _likeliest(self, candidates: list[Path], parts: tuple[str, ...]) -> Path | None:
        if len(candidates) == 1:
            return candidates[0]

        def shared(path: Path) -> int:
            own = [_key(part) for part in path.relative_to(self.root).parts[:-1]]
            count = 0
            for mine, theirs in zip(reversed(own), reversed(parts[:-1]), strict=False):
                if mine != theirs:
                    break
                count += 1
            return count

        most = max(map(shared, candidates))
        left = [path for path in candidates if shared(path) == most]
        for base in self.bases:
            below = [path for path in left if path.parent == base]
            if len(below) == 1 and base != self.root:
                return below[0]
        return left[0] if len(left) == 1 else None

    def _by_number(self, written: str) -> Path | None:
        stem = re.sub(r"\.0+$", "", written)
        if not self.numbers or not stem.isdecimal():
            return None
        candidates = self._numbered.get(int(stem), [])
        if len(candidates) == 1:
            self.guesses["their number, because the table lacks leading zeros"].append((written, candidates[0]))
            return candidates[0]
        return None

    @cached_property
    def _all(self) -> list[Path]:
        return image_files(self.root)

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        return self._grouped(lambda path: path.name)

    @cached_property
    def _by_stem(self) -> dict[str, list[Path]]:
        return self._grouped(lambda path: path.stem)

    @cached_property
    def _by_upload(self) -> dict[str, list[Path]]:
        """The images by name, without the prefix that an annotation tool adds."""
        return self._grouped(lambda path: _UPLOAD.sub("", path.name))

    @cached_property
    def _numbered(self) -> dict[int, list[Path]]:
        found = defaultdict(list)
        for path in self._all:
            if path.stem.isdecimal():
                found[int(path.stem)].append(path)
        return dict(found)

    def _grouped(self, name: object) -> dict[str, list[Path]]:
        found = defaultdict(list)
        for path in self._all:
            found[_key(name(path))].append(path)  # type: ignore[operator]
        return dict(found)


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
