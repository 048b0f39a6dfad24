"""The continuation of a completed run that was given more epochs: its phase, and its learning rate."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from keras import ops

from cvlib.config.schema import Config
from cvlib.models.run_state import RunState
from cvlib.training.optimizer import Schedule


def announce(config: Config, state: RunState, steps_per_epoch: int, say: Callable[[str], None]) -> None:
    """Note in `state` how many epochs are planned; if they are more than before, say how the run continues.

    A continued run stays in its last phase, even if a run of so many epochs would have a longer first phase.
    """
    before, epochs = state.planned_epochs, config.trainer.epochs
    state.planned_epochs = epochs
    if not before or epochs <= before or config.trainer.minutes is not None:
        return
    state.phases_over = max(state.phases_over, state.phase)
    say(f"continues from epoch {state.epoch} to {epochs}; the result of {before} epochs stays until then")
    steps = np.arange(state.step + 1)
    old, new = (ops.convert_to_numpy(Schedule(config.schedule, config.optimizer.lr, steps_per_epoch, length)(steps))
                for length in (before, epochs))  # fmt: skip
    old, new = np.broadcast_to(old, steps.shape), np.broadcast_to(new, steps.shape)
    if np.array_equal(old, new):
        say(f"schedule={config.schedule.name}: the learning rate continues at {new[-1]:.3g}, as in a run of {epochs} "
            "epochs from the start")  # fmt: skip
    else:
        say(f"schedule={config.schedule.name} now spans {epochs} epochs: the learning rate continues at {new[-1]:.3g}, "
            f"after {old[-2]:.3g}; the result differs from a run of {epochs} epochs from the start")  # fmt: skip
    if config.augment.mosaic and config.augment.mosaic_until < 1:
        say(f"augment.mosaic_until={config.augment.mosaic_until:g} now spans {epochs} epochs, too: the result differs "
            f"from a run of {epochs} epochs from the start")  # fmt: skip
