"""Names for the folders of a sweep's jobs."""

from __future__ import annotations

import hashlib
import re

_LONGEST_NAME = 150  # bytes; file systems take 255, TensorBoard's list of runs is read by people
_READABLE = 20  # bytes of an override


def folder_name(overrides: str) -> str:
    """A folder's name for a job's overrides: readable, flat, short enough for any file system.

    It depends on these overrides alone, for the next sweep must find the folder again: as nobody can know which of
    them vary, room is made by what is long, and every key and value stays visible at least in short.
    """
    name = re.sub(r"[^\w.,=+-]", "_", overrides) or "defaults"
    if name == overrides and len(name.encode()) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(overrides.encode()).hexdigest()[:8]
    return _within(name, _LONGEST_NAME - 9) + "-" + digest


def _within(name: str, room: int) -> str:
    """Overrides in so many bytes: the middle of the longest is left out, and where that isn't enough the keys' groups.

    Answers such as model=cnn and the seed come first.
    `data.path=_home_me_photographs_birds,seed=3` → `seed=3,data.path=_..aphs_birds`.
    """
    parts = sorted(re.split(r",(?=[\w.]+=)", name), key=lambda part: "." in part.partition("=")[0])
    each = _share(parts, room)
    if each < _READABLE:
        parts = [re.sub(r"^[\w.]*\.(?=\w+=)", "", part) for part in parts]
        each = _share(parts, room)
    return _cut(",".join(_cut(part, each) for part in parts), room)


def _share(parts: list[str], room: int) -> int:
    """The most bytes for any one part with which all of them, and the commas between, take no more than `room`."""
    sizes = [len(part.encode()) for part in parts]
    fitting = (each for each in range(room, 4, -1) if sum(min(size, each) + 1 for size in sizes) <= room + 1)
    return next(fitting, 4)


def _cut(text: str, room: int) -> str:
    """The text in at most so many bytes, its middle left out where it is longer."""
    whole, end = text.encode(), max(room - 2, 0) // 2
    if len(whole) <= room:
        return text
    return whole[: room - 2 - end].decode(errors="ignore") + ".." + whole[len(whole) - end :].decode(errors="ignore")
