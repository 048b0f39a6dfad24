"""What is wrong with a file or a label of a collection, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass

ERROR, WARNING, REMARK = "error", "warning", "remark"  # would spoil a run | may spoil its result | good to know


@dataclass(frozen=True)
class Finding:
    """One thing that was found; `str()` is its line for people."""

    severity: str
    kind: str  # a short name, the same for all findings alike: "truncated image", "box outside"
    path: str  # relative to the collection's root
    message: str  # what is wrong
    advice: str = ""  # what to do
    place: str = ""  # the line, object or annotation in the file: "line 3", "object 2 (king)"

    def __str__(self) -> str:
        where = f"{self.path}, {self.place}" if self.place else self.path
        return f"{where}: {self.message}" + (f"; {self.advice}" if self.advice else "")
