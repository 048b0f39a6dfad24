"""What reading a large collection has found, kept in the cache until a file below its folder changes.

The key covers the name, the length and the time of change of every file, and the keys of the config that decide what is
read. Only collections with a class for each image are kept.
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

_FORM = 1  # of the files; another form is read anew
_LEAST = 2000  # samples; smaller collections are read as quickly


@dataclass(frozen=True)
class Found:
    """The content of an index: samples by split, the sha256 of the image files by sample name, and plain values."""

    splits: dict[str, Split]
    image_digests: dict[str, str]
    about: dict[str, Any]


def key(config: DataConfig, kind: LabelKind, training: bool) -> Path | None:
    """Return the index file for the present state of the files; None if this collection isn't indexed."""
    if config.path is None or kind != CLASS:
        return None
    root = layouts.place(config.path)
    folder = root.parent if root.is_file() else root
    chosen = {name: getattr(config, name) for name in ("layout", "group", "classes", "merge", "on_error")}
    asked = [
        _FORM,
        metadata.version("cvlib-experiments"),
        str(root),
        kind.name,
        training,
        config.folds is not None,
        chosen,
    ]
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode())
    digest.update(_snapshot(str(folder)))
    return store.root("outputs").absolute() / "index" / f"{digest.hexdigest()[:32]}.npz"


def _snapshot(root: str) -> bytes:
    """Return a digest of the name, length and time of change of every file below `root`, links followed."""
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
                about = entry.stat()
            except OSError:  # a broken link
                lines.append(entry.name)
                continue
            lines.append(f"{entry.name}\0{about.st_size if entry.is_file() else 0}\0{about.st_mtime_ns}")
        digest.update("\n".join(lines).encode("utf-8", "surrogateescape"))
    return digest.digest()


def save(file: Path, found: Found) -> None:
    """Write what was found, unless the collection is small."""
    if sum(map(len, found.splits.values())) < _LEAST:
        return
    arrays: dict[str, np.ndarray] = {}
    for name, split in found.splits.items():
        arrays |= {f"{name}/names": _joined(split.names), f"{name}/images": _joined([str(one) for one in split.images]),
                   f"{name}/labels": np.asarray(split.labels), f"{name}/digests": _of_hex(split.digests or []),
                   f"{name}/image_digests": _of_hex([found.image_digests[one] for one in split.names]),
                   f"{name}/sizes": np.asarray(split.sizes), f"{name}/groups": np.asarray(split.groups)}  # fmt: skip
    about = found.about | {"splits": list(found.splits)}
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    with files.replacing(file, f"{file.stem}.{os.getpid()}.partial.npz") as temporary:
        np.savez(temporary, **arrays)  # type: ignore[arg-type]


def load(file: Path) -> Found | None:
    """Return what was found; None if there is no such file, or it can't be read."""
    splits: dict[str, Split] = {}
    digests: dict[str, str] = {}
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as kept:
            about: dict[str, Any] = json.loads(kept["about"].tobytes())
            for name in about.pop("splits"):
                names = _divided(kept[f"{name}/names"])
                images = [Path(one) for one in _divided(kept[f"{name}/images"])]
                splits[name] = Split(names, images, kept[f"{name}/labels"], _to_hex(kept[f"{name}/digests"]),
                                     kept[f"{name}/sizes"], None, kept[f"{name}/groups"])  # fmt: skip
                digests |= dict(zip(names, _to_hex(kept[f"{name}/image_digests"]), strict=True))
        os.utime(file)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return Found(splits, digests, about)


def _joined(texts: list[str]) -> np.ndarray:
    return np.frombuffer("\0".join(texts).encode("utf-8", "surrogateescape"), np.uint8)


def _divided(array: np.ndarray) -> list[str]:
    text = array.tobytes().decode("utf-8", "surrogateescape")
    return text.split("\0") if text else []


def _of_hex(digests: list[str]) -> np.ndarray:
    return np.frombuffer(bytes.fromhex("".join(digests)), np.uint8).reshape(-1, 32)


def _to_hex(array: np.ndarray) -> list[str]:
    text = array.tobytes().hex()
    return [text[start : start + 64] for start in range(0, len(text), 64)]
