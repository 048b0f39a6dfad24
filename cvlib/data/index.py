"""An index of a large collection: the result of reading it, stored in the cache for later runs.

An index is valid while the files in the collection's folder keep their names, sizes and times of change, and while the
package version and the config options that affect reading stay the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from cvlib.config.schema import DataConfig
from cvlib.data import images, label_codecs, layouts
from cvlib.data.label_codecs import ClassSetCodec
from cvlib.data.labels import LabelKind
from cvlib.data.packed import Codec, HexCodec, Packed, PathCodec
from cvlib.data.split import Split
from cvlib.runtime import files, store

OPTIONS = ("layout", "group", "classes", "merge", "on_error")  # the config options that affect reading
_VERSION = 2  # version of the file format; an index of another version is not used
_MIN_SAMPLES = 2000  # smaller collections are not indexed, because reading them is just as fast
_LIMIT = 4 * store.GIGABYTE  # maximum size of all indexes; the least recently used are removed first
_ARRAYS = ("sizes", "groups")
_PACKED: dict[str, Codec[Any]] = {
    "images": PathCodec(), "digests": HexCodec(), "image_digests": HexCodec(), "ids": ClassSetCodec(),
}  # fmt: skip


@dataclass(frozen=True)
class Key:
    """Identifies the index for the current state of a collection's files."""

    file: Path  # path of the index
    folder: Path  # the key covers all files below this folder, without hidden ones


@dataclass(frozen=True)
class Found:
    """The content of an index."""

    splits: dict[str, Split]
    codec: Codec[Any] | None  # codec of the labels, if they are packed
    about: dict[str, Any]  # other properties of the collection, as JSON values


def key(config: DataConfig, kind: LabelKind, training: bool) -> Key | None:
    """Return the key for the current state of the files; None if the collection can't have an index."""
    if config.path is None:
        return None
    root = layouts.place(config.path)
    folder = root.parent if root.is_file() else root
    if root.is_file() and folder.name == "annotations":  # COCO's images are beside this folder
        folder = folder.parent
    parameters = [
        _VERSION,
        metadata.version("cvlib-experiments"),
        sorted(images.EXTENSIONS),  # installing a decoder makes more files readable
        str(root),
        kind.name,
        training,
        config.folds is not None,
        {name: getattr(config, name) for name in OPTIONS},
    ]
    digest = hashlib.sha256(json.dumps(parameters, sort_keys=True, default=str).encode())
    try:
        digest.update(_snapshot(str(folder)))
    except OSError:  # the reader of the collection reports what can't be opened
        return None
    return Key(store.root("outputs").absolute() / "index" / f"{digest.hexdigest()[:32]}.npz", folder)


def _snapshot(root: str) -> bytes:
    """Return a digest of the names, sizes and times of change below `root`, without hidden files; follow links.

    A program that replaces a file may keep its modification time. It can't keep the time of the inode's change.
    """
    digest, seen, waiting = hashlib.sha256(os.fsencode(os.path.realpath(root))), set(), [root]
    while waiting:
        folder = waiting.pop()
        real = os.path.realpath(folder)
        if real in seen:
            continue
        seen.add(real)
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        facts = []
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                waiting.append(entry.path)
            facts.append(_facts(entry))
        digest.update(repr((folder, facts)).encode())
    return digest.digest()


def _facts(entry: os.DirEntry[str]) -> tuple[str | int, ...]:
    target = os.readlink(entry.path) if entry.is_symlink() else ""  # noqa: PTH115  # a Path for each file is slow
    if entry.is_dir():
        return entry.name, target
    try:
        status = entry.stat()
    except OSError:  # a broken link
        return entry.name, target
    return entry.name, target, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def covers(key: Key, file: Path) -> bool:
    """Return whether the key changes when the file does."""
    path, folder = str(file), f"{key.folder}{os.sep}"
    return path.startswith(folder) and f"{os.sep}." not in path[len(folder) - 1 :]


def save(file: Path, found: Found) -> None:
    """Write the index, unless the collection is small; raise `OSError` if it can't be written."""
    count = sum(map(len, found.splits.values()))
    if count < _MIN_SAMPLES:
        return
    about = found.about | {"splits": list(found.splits), "label_maps": label_codecs.maps_as_json(found.codec)}
    about["images"] = count
    arrays = {"about": np.frombuffer(json.dumps(about).encode(), np.uint8)}
    for name, split in found.splits.items():
        arrays |= {f"{name}/{column}": array for column, array in _columns(split).items()}
    store.make_room(file.parent, _LIMIT - sum(array.nbytes for array in arrays.values()))
    with files.replacing(file) as temporary, temporary.open("wb") as stream:
        np.savez(stream, **arrays)  # type: ignore[arg-type]


def _columns(split: Split) -> dict[str, np.ndarray]:
    """Return the columns of a split as arrays."""
    columns = {"names": np.frombuffer("\0".join(split.names).encode("utf-8", "surrogateescape"), np.uint8)}
    columns |= {name: np.asarray(getattr(split, name)) for name in _ARRAYS}
    for name in (*_PACKED, "labels"):
        column = getattr(split, name)
        if name == "image_digests" and column is split.digests:
            continue
        if isinstance(column, Packed):
            columns[name], columns[f"{name}/ends"] = column.arrays()
        elif column is not None:
            columns[name] = np.asarray(column)
    return columns


def load(file: Path, kind: LabelKind) -> Found | None:
    """Return the content of an index; None if the file is missing. Raises `ValueError` if it is unreadable."""
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            found = _found(arrays, kind)
    except FileNotFoundError:
        return None
    except Exception as error:  # NumPy and zipfile raise many types, depending on the damaged byte
        raise ValueError(f"{type(error).__name__}: {error}") from error
    with contextlib.suppress(OSError):  # the file may belong to another user
        os.utime(file)  # marks the file as recently used
    return found


def _found(arrays: Any, kind: LabelKind) -> Found:
    about: dict[str, Any] = json.loads(arrays["about"].tobytes())
    del about["images"]
    codec = label_codecs.with_maps(kind, about.pop("label_maps"))
    codecs = _PACKED | ({} if codec is None else {"labels": codec})
    splits = {}
    for name in about.pop("splits"):
        own = [column for column in arrays.files if column.startswith(f"{name}/")]
        columns = {column.removeprefix(f"{name}/"): arrays[column] for column in own}
        text = columns["names"].tobytes().decode("utf-8", "surrogateescape")
        values = {column: columns[column] for column in (*_ARRAYS, "labels") if column in columns}
        values |= {column: Packed.from_arrays((columns[column], columns[f"{column}/ends"]), one)
                   for column, one in codecs.items() if column in columns}  # fmt: skip
        values.setdefault("image_digests", values["digests"])
        splits[name] = Split(names=text.split("\0") if text else [], **values)
    return Found(splits, codec, about)
