"""The record of a run in all of its processes but the first one, which alone writes it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cvlib.runs.identity import identity
from cvlib.runs.record import Record, remove_if_empty
from cvlib.runs.unrecorded import Unrecorded
from cvlib.runtime import processes
from cvlib.runtime.errors import UserError


class Follower(Unrecorded):
    """Holds the summary that process 0 has read or begun, but writes and prints nothing."""

    def say(self, line: str = "") -> None:
        """Do nothing, because process 0 prints it."""

    def keep_data(self, fingerprint: str) -> None:
        """Do nothing, because process 0 checks it."""

    def follow(self, facts: dict[str, Any]) -> None:
        """Take the folder and the summary of process 0; raise `UserError` if it was started with another config."""
        if facts["identity"] != identity(self.mapping):
            raise UserError(f"process {processes.number()} has another config than process 0: start every process with "
                            "the same overrides, and set trainer.precision to a value that all machines "
                            "support")  # fmt: skip
        if self.folder.resolve() != Path(facts["folder"]):  # Hydra has made this one from the time of the day
            remove_if_empty(self.folder, Path(self.mapping["output_root"]))
        self.folder, self.home = Path(facts["folder"]), Path(facts["home"])
        self.summary, self.resumed = facts["summary"], facts["resumed"]


@contextlib.contextmanager
def opened(record: Record) -> Iterator[Record]:
    """Enter the record in the process that writes it, and let the records of other processes follow it."""
    with contextlib.ExitStack() as stack:

        def enter() -> dict[str, Any]:
            stack.enter_context(record)
            return {"identity": identity(record.mapping), "folder": str(record.folder.resolve()),
                    "home": str(record.home.resolve()), "summary": record.summary,
                    "resumed": record.resumed}  # fmt: skip

        facts = processes.from_first(enter)
        if isinstance(record, Follower):
            record.follow(facts)
        yield record
