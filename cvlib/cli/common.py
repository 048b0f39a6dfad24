"""The subcommands of `cvlib`, a file each: `add(commands)` declares it; TensorFlow is imported when it computes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cvlib.models.restore import SavedRun


def begin(run: SavedRun) -> None:
    """Once what was asked for is known to make sense: import TensorFlow, and say what is to be known of the run."""
    from cvlib.training.devices import import_quietly

    import_quietly()
    for note in run.notes:
        print(note)
