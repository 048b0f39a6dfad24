"""The journal of a recommendation: every decision, in the order in which it was made.

A recommendation that is interrupted, or given more time, is begun again from the start. A decision in the journal is
not made again, so the same decisions lead to the same runs, and completed runs are read from their folders.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cvlib.runtime.errors import UserError

NAME = "recommend.jsonl"
_LONGEST_STEP = (
    3600.0  # seconds between decisions that are counted after a kill; the times of copied files mean nothing
)


class Journal:
    """The decisions by name, and the time that the recommendation has used.

    Attributes:
        path: the file; each line is one decision in JSON.
        used: seconds that earlier processes have used.
    """

    def __init__(self, path: Path):
        """Read the journal; raise `UserError` if it isn't one. A last line that was cut short is removed."""
        self.path, self._values = path, dict[str, Any]()
        self.used, self._started = 0.0, time.monotonic()
        content = path.read_text(encoding="utf-8") if path.is_file() else ""
        whole = content[: content.rfind("\n") + 1]
        if whole != content:
            path.write_text(whole, encoding="utf-8")
        at = None
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                entry = json.loads(line)
                self._values[entry["what"]] = entry["value"]
                self.used, at = float(entry["used"]), float(entry["at"])
            except (ValueError, KeyError, TypeError):
                raise UserError(f"{path}, line {number}, is not a decision: delete the file to start again") from None
        if at is not None:  # the work after the last decision is seen from its files
            self.used += min(max(0.0, _last_change(path.parent) - at), _LONGEST_STEP)

    @property
    def elapsed(self) -> float:
        """Seconds used so far, over all processes."""
        return self.used + time.monotonic() - self._started

    def __contains__(self, what: str) -> bool:
        return what in self._values

    def get(self, what: str, default: Any = None) -> Any:
        """Return a decision, or `default` if it has not been made."""
        return self._values.get(what, default)

    @property
    def names(self) -> list[str]:
        """The names of all decisions, in order."""
        return list(self._values)

    def decide(self, what: str, choose: Callable[[], Any]) -> Any:
        """Return the decision `what` from the journal; if it isn't there, make it with `choose` and write it down.

        A decision consists of what JSON can hold.
        """
        if what not in self._values:
            value = choose()
            entry = {"what": what, "value": value, "used": round(self.elapsed, 2), "at": round(time.time(), 2)}
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry, ensure_ascii=False) + "\n")
            self._values[what] = json.loads(json.dumps(value))
        return self._values[what]


def _last_change(folder: Path) -> float:
    """Return when a run below the folder last wrote its summary, its metrics or a checkpoint."""
    files = [
        file for pattern in ("*/summary.json", "*/metrics.csv", "*/checkpoints/*") for file in folder.glob(pattern)
    ]
    return max((file.stat().st_mtime for file in files), default=0.0)
