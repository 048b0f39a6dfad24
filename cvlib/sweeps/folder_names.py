"""Names for the folders of a sweep's jobs."""

from __future__ import annotations

import hashlib
import re

_LONGEST_NAME = 150  # bytes; file systems allow 255, but TensorBoard's list of runs must stay readable
_READABLE = 20  # bytes that an override needs to stay readable


def folder_name(overrides: str) -> str:
    """Return a folder name for a job's overrides: readable, without slashes, and short enough for any file system.

    The name depends only on these overrides, so that the next sweep finds the folder again. The function doesn't know
    which overrides vary, so it shortens long parts and keeps every key and value at least partly visible.
    """
    name = re.sub(r"[^\w.,=+-]", "_", overrides) or "defaults"
    if name == overrides and len(name.encode()) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(overrides.encode()).hexdigest()[:8]
    return _within(name, _LONGEST_NAME - 9) + "-" + digest


def _within(name: str, room: int) -> str:
    """Return the overrides in at most `room` bytes. Choices such as model=cnn and the seed come first.

    The middle of the longest overrides is left out. If that isn't enough, the keys' groups are left out too. For
    example, `data.path=_home_me_photographs_birds,seed=3` becomes `seed=3,data.path=_..aphs_birds`.
    """
    parts = sorted(re.split(r",(?=[\w.]+=)", name), key=lambda part: "." in part.partition("=")[0])
    each = _share(parts, room)
    if each < _READABLE:
        parts = [re.sub(r"^[\w.]*\.(?=\w+=)", "", part) for part in parts]
        each = _share(parts, room)
    return _cut(",".join(_cut(part, each) for part in parts), room)


def _share(parts: list[str], room: int) -> int:
    """Return the maximum bytes per part such that all parts and the commas between them fit into `room` bytes."""
    sizes = [len(part.encode()) for part in parts]
    fitting = (each for each in range(room, 4, -1) if sum(min(size, each) + 1 for size in sizes) <= room + 1)
    return next(fitting, 4)


def _cut(text: str, room: int) -> str:
    """Return the text in at most `room` bytes; the middle of a longer text is left out."""
    whole, end = text.encode(), max(room - 2, 0) // 2
    if len(whole) <= room:
        return text
    return whole[: room - 2 - end].decode(errors="ignore") + ".." + whole[len(whole) - end :].decode(errors="ignore")
