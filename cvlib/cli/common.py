"""Code that subcommands of `cvlib` share. Each has its own file and is declared by `add(commands)` there."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cvlib.models.restore import SavedRun


def begin(run: SavedRun) -> None:
    """Import TensorFlow, which is slow, and print the run's notes; called once the arguments are known to be valid."""
    from cvlib.training.devices import import_quietly

    import_quietly()
    for note in run.notes:
        print(note)
