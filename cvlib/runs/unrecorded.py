"""A run that leaves nothing behind, for commands that train a network only to learn something about it."""

from __future__ import annotations

from typing import Any

from cvlib.runs.record import Record


class Unrecorded(Record):
    """Prints the messages of a run and keeps its summary in memory, but writes no file. It isn't entered."""

    def update(self, **fields: Any) -> None:
        """Set fields of the summary."""
        self.summary.update(fields)

    def say(self, line: str = "") -> None:
        """Print a line."""
        print(line, flush=True)

    def check_place(self) -> None:
        """Do nothing, because there is no folder."""

    def write_text(self, name: str, text: str) -> None:
        """Do nothing."""

    def write_bytes(self, name: str, content: bytes) -> None:
        """Do nothing."""
