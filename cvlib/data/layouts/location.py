"""The place of a collection that `data.path` gives: a folder, a label file, or files to unpack into the cache."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

from cvlib.data.layouts import archives, arrays, parquet, text_links, webdataset
from cvlib.runtime.errors import UserError

# The layouts of label files by extension.
BY_SUFFIX = {".json": "coco", ".csv": "csv", ".tsv": "csv", ".yaml": "yolo", ".yml": "yolo", ".data": "yolo",
              ".jsonl": "csv", ".ndjson": "csv", ".manifest": "csv",
              ".txt": "list"}  # fmt: skip


class MissingData(UserError):
    """Raised if `data.path` does not exist, for example because the images have moved."""

    def __str__(self) -> str:
        return super().__str__() + "; if the images have moved, set data.path to their new place"

    @property
    def reason(self) -> str:
        """The message without the advice."""
        return super().__str__()


def without_advice(error: UserError) -> str:
    """Return the message for a caller that `data.path` can't help, such as one that reads an earlier run's data."""
    return error.reason if isinstance(error, MissingData) else str(error)


def place(path: str) -> Path:
    """Return the absolute path of a collection: a folder, or one label file.

    The images of archives, WebDataset shards, Parquet files and arrays are written to the cache first, and so are links
    that a checkout wrote as text. Raises
    `UserError` if `path` is none of these, and `MissingData` if it doesn't exist.
    """
    root = Path(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100  # removes .. but keeps links
    spelled = [root, *(Path(unicodedata.normalize(form, str(root))) for form in ("NFC", "NFD"))]
    found = next((candidate for candidate in spelled if candidate.exists()), None)
    if found is not None and (shards := webdataset.shards_of(found)):
        return webdataset.unpacked(found, shards)
    if found is not None and archives.is_archive(found):
        found = archives.unpacked(found)
    if found is not None and (files := parquet.files_of(found)):
        return parquet.unpacked(found, files)
    if found is not None and (files := arrays.files_of(found)):
        return arrays.unpacked(found, files)
    if found is None or not (found.is_dir() or found.suffix.lower() in BY_SUFFIX):
        if not root.exists():
            raise MissingData(f"data.path={path}: {root} is not a folder or file")
        raise UserError(f"data.path={path}: {root} is not a folder, a label file or an archive")
    return text_links.followed(found) if found.is_dir() else found
