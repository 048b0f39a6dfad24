"""Code that the subcommands of `cvlib` share. Each subcommand has its own file, where `add(commands)` declares it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cvlib.models.restore import SavedRun


def begin(run: SavedRun) -> None:
    """Import TensorFlow and print the run's notes. Call it after the arguments are checked: the import is slow."""
    from cvlib.training.devices import import_quietly

    import_quietly()
    for note in run.notes:
        print(note)
