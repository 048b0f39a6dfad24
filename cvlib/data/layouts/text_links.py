"""Links to folders that a checkout wrote as text files, as git does on systems without symbolic links.

Such a file has the link's name and contains only the target's relative path. Its folder is rebuilt in the cache, with
real links to everything in it.
"""

from __future__ import annotations

import os
from pathlib import Path

from cvlib.runtime import store

_MAX_BYTES = 1024  # of a path


def followed(folder: Path) -> Path:
    """Return a folder in the cache in which the text links of `folder` are real links; without any, `folder` itself."""
    with os.scandir(folder) as entries:  # a folder of a million images has no `Path` for each
        files = sorted(Path(entry.path) for entry in entries
                       if not os.path.splitext(entry.name)[1] and entry.is_file())  # noqa: PTH122  # fmt: skip
    links = {file: target for file in files if (target := _target(file)) is not None}
    if not links:
        return folder

    def link(home: Path) -> None:
        for entry in folder.iterdir():
            (home / entry.name).symlink_to(links.get(entry, entry).absolute())

    return store.made_once(store.root("outputs") / "links", [folder, *links], f"links of {folder.name}", link)


def _target(file: Path) -> Path | None:
    """Return the folder whose relative path is the whole content of a file."""
    if not 0 < file.stat().st_size <= _MAX_BYTES:
        return None
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    if "\n" in text or "\0" in text or Path(text).is_absolute():
        return None
    target = file.parent / text
    return target if target.is_dir() else None
