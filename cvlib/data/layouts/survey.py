"""A single scan of a collection's files, from which all layouts take their evidence; nothing is decoded."""

from __future__ import annotations

import os
from collections import defaultdict
from functools import cached_property
from pathlib import Path

from cvlib.data import images

_NOT_IMAGES = frozenset({".txt", ".xml", ".json", ".csv", ".tsv", ".yaml", ".yml", ".md", ".html", ".py", ".names",
                        ".data", ".zip", ".tar", ".gz", ".tgz", ".parquet", ".tfrecord"})  # fmt: skip
_HEAD = 2**16


class Survey:
    """The files below one folder, without hidden ones. Links are followed, except in cycles; folders are sorted."""

    def __init__(self, root: Path):
        self.root = root
        self._heads: dict[Path, str] = {}

    @cached_property
    def folders(self) -> dict[Path, list[Path]]:
        """Every folder, with the files directly in it."""
        found: dict[Path, list[Path]] = {}
        seen = {str(above) for above in Path(os.path.realpath(self.root)).parents}
        for place, inner, files in os.walk(self.root, followlinks=True):
            seen.add(os.path.realpath(place))
            inner[:] = sorted(name for name in inner if not name.startswith((".", "__MACOSX"))
                              and os.path.realpath(Path(place, name)) not in seen)  # fmt: skip
            found[Path(place)] = [Path(place, name) for name in sorted(files) if not name.startswith(".")]
        return found

    @cached_property
    def files(self) -> list[Path]:
        """All files."""
        return [file for files in self.folders.values() for file in files]

    @cached_property
    def images(self) -> list[Path]:
        """The images, recognised by name or, if that is inconclusive, by content."""
        return [file for file in self.files if file.suffix.lower() not in _NOT_IMAGES and images.looks_like_image(file)]

    @cached_property
    def images_in(self) -> dict[Path, list[Path]]:
        """The images by folder."""
        found = defaultdict(list)
        for file in self.images:
            found[file.parent].append(file)
        return dict(found)

    @cached_property
    def by_suffix(self) -> dict[str, list[Path]]:
        """The files by extension, in lower case."""
        found = defaultdict(list)
        for file in self.files:
            found[file.suffix.lower()].append(file)
        return dict(found)

    def subfolders(self, folder: Path) -> list[Path]:
        """Return the direct subfolders of `folder`."""
        return [other for other in self.folders if other.parent == folder and other != folder]

    def head(self, file: Path) -> str:
        """Return the first 64 Ki characters of a text file, or an empty string if it can't be opened."""
        if file not in self._heads and not file.is_file():  # opening a pipe would block forever
            self._heads[file] = ""
        if file not in self._heads:
            try:
                with file.open(encoding="utf-8-sig", errors="replace") as opened:
                    self._heads[file] = opened.read(_HEAD)
            except OSError:
                self._heads[file] = ""
        return self._heads[file]
