"""An index of a large collection: the result of reading it, stored in the cache for later runs.

An index is valid while the files in the collection's folder keep their names, sizes and modification times, and while
the package version and the config options that affect reading stay the same. Only collections with one class per image
are indexed.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from cvlib.config.schema import DataConfig
from cvlib.data import layouts
from cvlib.data.labels import CLASS, LabelKind
from cvlib.data.split import Split
from cvlib.runtime import files, store

_VERSION = 1  # version of the file format; an index of another version is not used
_MIN_SAMPLES = 2000  # smaller collections are not indexed, because reading them is just as fast


@dataclass(frozen=True)
class Found:
    """The content of an index."""

    splits: dict[str, Split]
    image_digests: dict[str, str]  # maps sample names to the sha256 of the image file
    about: dict[str, Any]  # other properties of the collection, as JSON values


def key(config: DataConfig, kind: LabelKind, training: bool) -> Path | None:
    """Return the path of the index for the current state of the files; None if the collection can't have one."""
    if config.path is None or kind != CLASS:
        return None
    root = layouts.place(config.path)
    folder = root.parent if root.is_file() else root
    chosen = {name: getattr(config, name) for name in ("layout", "group", "classes", "merge", "on_error")}
    parameters = [
        _VERSION,
        metadata.version("cvlib-experiments"),
        str(root),
        kind.name,
        training,
        config.folds is not None,
        chosen,
    ]
    digest = hashlib.sha256(json.dumps(parameters, sort_keys=True, default=str).encode())
    digest.update(_snapshot(str(folder)))
    return store.root("outputs").absolute() / "index" / f"{digest.hexdigest()[:32]}.npz"


def _snapshot(root: str) -> bytes:
    """Return a digest of the names, sizes and modification times below `root`, without hidden files; follow links."""
    digest, seen, waiting = hashlib.sha256(), set(), [root]
    while waiting:
        folder = waiting.pop()
        real = os.path.realpath(folder)
        if real in seen:
            continue
        seen.add(real)
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        lines = [folder]
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                waiting.append(entry.path)
            try:
                status = entry.stat()
            except OSError:  # a broken link
                lines.append(entry.name)
                continue
            lines.append(f"{entry.name}\0{status.st_size if entry.is_file() else 0}\0{status.st_mtime_ns}")
        digest.update("\n".join(lines).encode("utf-8", "surrogateescape"))
    return digest.digest()


def save(file: Path, found: Found) -> None:
    """Write the index, unless the collection is small."""
    if sum(map(len, found.splits.values())) < _MIN_SAMPLES:
        return
    arrays: dict[str, np.ndarray] = {}
    for name, split in found.splits.items():
        arrays |= {f"{name}/names": _encoded(split.names), f"{name}/images": _encoded(list(map(str, split.images))),
                   f"{name}/labels": np.asarray(split.labels), f"{name}/digests": _from_hex(split.digests or []),
                   f"{name}/image_digests": _from_hex([found.image_digests[sample] for sample in split.names]),
                   f"{name}/sizes": np.asarray(split.sizes), f"{name}/groups": np.asarray(split.groups)}  # fmt: skip
    about = found.about | {"splits": list(found.splits)}
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    with files.replacing(file, f"{file.stem}.{os.getpid()}.partial.npz") as temporary:
        np.savez(temporary, **arrays)  # type: ignore[arg-type]


def load(file: Path) -> Found | None:
    """Return the content of an index; None if the file is missing or unreadable."""
    splits: dict[str, Split] = {}
    digests: dict[str, str] = {}
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            about: dict[str, Any] = json.loads(arrays["about"].tobytes())
            for name in about.pop("splits"):
                names = _decoded(arrays[f"{name}/names"])
                images = [Path(path) for path in _decoded(arrays[f"{name}/images"])]
                splits[name] = Split(names, images, arrays[f"{name}/labels"], _to_hex(arrays[f"{name}/digests"]),
                                     arrays[f"{name}/sizes"], None, arrays[f"{name}/groups"])  # fmt: skip
                digests |= dict(zip(names, _to_hex(arrays[f"{name}/image_digests"]), strict=True))
        os.utime(file)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return Found(splits, digests, about)


def _encoded(texts: list[str]) -> np.ndarray:
    return np.frombuffer("\0".join(texts).encode("utf-8", "surrogateescape"), np.uint8)


def _decoded(array: np.ndarray) -> list[str]:
    text = array.tobytes().decode("utf-8", "surrogateescape")
    return text.split("\0") if text else []


def _from_hex(digests: list[str]) -> np.ndarray:
    return np.frombuffer(bytes.fromhex("".join(digests)), np.uint8).reshape(-1, 32)


def _to_hex(array: np.ndarray) -> list[str]:
    text = array.tobytes().hex()
    return [text[start : start + 64] for start in range(0, len(text), 64)]
