"""WebDataset shards: tar archives of samples, converted once to images and a table.

The files of a sample have the same name up to the first dot of their base name: an image, and a label in `.cls` or in
a field of `.json`. The class names are in a file classnames.txt, if there is one. The format is that of the package
`webdataset` (Breuel, https://github.com/webdataset/webdataset).
"""

from __future__ import annotations

import csv
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from cvlib.data.layouts import containers, names
from cvlib.runtime import store
from cvlib.runtime.errors import UserError

_IMAGES = ("jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff", "gif")
_LABEL_FIELDS = ("label", "class", "cls", "category", "target")
_LOOKED_AT = 32  # members of the first shard
_CLASS_NAMES = "classnames.txt"


def shards_of(root: Path) -> list[Path]:
    """Return the shards that `root` is or contains; [] if the first archive has no sample with a label."""
    found = (
        [root]
        if root.is_file()
        else (
            containers.files_in(root, (".tar",), 2, {f".{suffix}" for suffix in _IMAGES})
            or containers.files_in(root, (".tar",), 1)
        )
    )
    if not found or found[0].suffix.lower() != ".tar":
        return []
    try:
        with tarfile.open(found[0]) as opened:
            some = [member.name for member, _ in zip(opened, range(_LOOKED_AT), strict=False) if member.isreg()]
            sample = next(iter(_samples(opened)), None) if _has_pairs(some) else None
            return found if sample and _label(sample[1]) is not None else []
    except (tarfile.TarError, OSError, EOFError):
        return []


def _has_pairs(members: list[str]) -> bool:
    """Return whether an image and a label share their name."""
    keys = [_key(name) for name in members]
    labelled = {key for key, suffix in keys if suffix in ("cls", "json")}
    return any(key in labelled for key, suffix in keys if suffix in _IMAGES)


def unpacked(root: Path, shards: list[Path]) -> Path:
    """Return the cache folder with the images of the shards and their labels.csv; write it on the first call.

    Samples without an image or a label are left out, and their number is printed. Raises `UserError` for a damaged
    shard.
    """
    folder = store.root("outputs") / "webdataset"
    sources = [*shards, *_names_file(root)]
    return store.made_once(folder, sources, f"images of {root.name}", lambda home: _write(root, shards, home))


def _names_file(root: Path) -> list[Path]:
    home = root if root.is_dir() else root.parent
    return [home / _CLASS_NAMES] if (home / _CLASS_NAMES).is_file() else []


def _write(root: Path, shards: list[Path], home: Path) -> None:
    print(f"writing the images of {root} to the cache")
    classes = [line.strip() for file in _names_file(root) for line in file.read_text(encoding="utf-8").splitlines()]
    rows: list[list[str]] = []
    skipped = 0
    for shard in shards:
        split = _split(root, shard)
        try:
            _refuse_cut_short(shard)
            with tarfile.open(shard) as opened:
                for _, sample in _samples(opened):
                    suffix = next((suffix for suffix in _IMAGES if suffix in sample), None)
                    label = _label(sample)
                    if suffix is None or label is None:
                        skipped += 1
                        continue
                    file = Path("images", split, f"{len(rows):07d}.{suffix}")
                    (home / file).parent.mkdir(parents=True, exist_ok=True)
                    (home / file).write_bytes(sample[suffix])
                    rows.append([file.as_posix(), _name(label, classes), split])
        except (tarfile.TarError, OSError, EOFError) as error:
            raise UserError(f"{shard}: can't be read: {error}") from error
    if skipped:
        print(f"left out: {skipped} samples without an image or a label")
    with (home / "labels.csv").open("w", newline="", encoding="utf-8") as table:
        csv.writer(table).writerows([["file", "label", "split"], *rows])


def _refuse_cut_short(shard: Path) -> None:
    """Raise `OSError` for an archive without its end mark; `tarfile` would read it as if it were complete."""
    with shard.open("rb") as file:
        file.seek(max(0, shard.stat().st_size - 512))
        if any(file.read()):
            raise OSError("its end is missing")


def _samples(opened: tarfile.TarFile) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Yield the key and the files of each sample, by suffix. The files of a sample follow each other in the archive."""
    current, files = None, dict[str, bytes]()
    for member in opened:
        content = opened.extractfile(member) if member.isreg() else None
        if content is None:
            continue
        key, suffix = _key(member.name)
        if key != current and files:
            yield str(current), files
            files = {}
        current = key
        files[suffix] = content.read()
    if files:
        yield str(current), files


def _key(name: str) -> tuple[str, str]:
    """Return the name of a sample and the suffix, in small letters: a/0001.seg.png → a/0001, seg.png."""
    path = PurePosixPath(name)
    stem, _, suffix = path.name.partition(".")
    return str(path.parent / stem), suffix.lower()


def _label(sample: dict[str, bytes]) -> str | None:
    """Return the label of a sample as text; None if it has none."""
    if "cls" in sample:
        return sample["cls"].decode("utf-8", "replace").strip() or None
    try:
        content = json.loads(sample.get("json", b"{}"))
    except ValueError:
        return None
    fields = content if isinstance(content, dict) else {}
    found = next((fields[name] for name in _LABEL_FIELDS if isinstance(fields.get(name), int | str)), None)
    return None if found is None else str(found)


def _name(label: str, classes: list[str]) -> str:
    return classes[int(label)] if label.isdecimal() and int(label) < len(classes) else label


def _split(root: Path, shard: Path) -> str:
    """Return the split that the shard's name or its folder's name indicates; train if neither does."""
    folder = [] if shard.parent == root or root.is_file() else [shard.parent.name]
    candidates = [*names.words(shard.stem), *folder]
    return next((split for name in candidates if (split := names.split_of(name))), "train")
