"""Files that hold many images, such as Parquet files and WebDataset shards, in a folder.

Every run looks for them, so the search ends at the first file that shows that a folder holds the images themselves.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection
from pathlib import Path


def files_in(root: Path, suffixes: Collection[str], depth: int, unless: Collection[str] = ()) -> list[Path]:
    """Return the files with one of the `suffixes` in `root` and up to `depth` − 1 levels of folders below it, sorted.

    Returns [] as soon as a file with a suffix in `unless` is met. All suffixes are in small letters, with the dot.
    Folders that can't be read are left out.
    """
    found: list[Path] = []
    level = [str(root)]
    for _ in range(depth):
        below: list[str] = []
        for folder in level:
            with contextlib.suppress(OSError), os.scandir(folder) as entries:
                for entry in entries:
                    own = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122  # a Path for each file is slow
                    if own in unless:
                        return []
                    if own in suffixes and entry.is_file():
                        found.append(Path(entry.path))
                    elif entry.is_dir():
                        below.append(entry.path)
        level = below
    return sorted(found)
