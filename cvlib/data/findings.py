"""Findings: problems with a collection's files or labels, and how to fix them."""

from __future__ import annotations

from dataclasses import dataclass

ERROR, WARNING, REMARK = "error", "warning", "remark"  # stops a run | may degrade a run's results | for information


@dataclass(frozen=True)
class Finding:
    """One problem with a file or label; `str()` returns a one-line message."""

    severity: str
    kind: str  # short name shared by similar findings: "truncated image", "box outside"
    path: str  # relative to the collection's root
    message: str  # what is wrong
    advice: str = ""  # what to do
    place: str = ""  # line, object or annotation in the file: "line 3", "object 2 (king)"

    def __str__(self) -> str:
        where = f"{self.path}, {self.place}" if self.place else self.path
        return f"{where}: {self.message}" + (f"; {self.advice}" if self.advice else "")
