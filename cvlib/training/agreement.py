"""What all processes of a run must find alike before they train together (`cvlib.runtime.processes`)."""

from __future__ import annotations

import hashlib

from cvlib.config.schema import Config
from cvlib.models.run_state import RunState
from cvlib.runtime import processes
from cvlib.runtime.errors import UserError
from cvlib.training.training import Training
from cvlib.transfer import freezing


def check_data(config: Config, fingerprint: str) -> None:
    """Raise `UserError` if this process has other data than process 0."""
    if processes.from_first(lambda: fingerprint) != fingerprint:
        raise UserError(f"other images, labels or splits than in process 0: data.path={config.data.path} must hold the "
                        "same on all machines")  # fmt: skip


def check_start(training: Training, state: RunState) -> None:
    """Raise `UserError` if this process would begin with another checkpoint or other weights than process 0."""
    if processes.count() == 1:
        return
    weights = hashlib.sha256()
    freezing.add_weights(weights, training.network.model)
    own = [state.epoch, state.within, weights.hexdigest()]
    first = processes.from_first(lambda: own)
    if first[:2] != own[:2]:
        raise UserError(f"process {processes.number()} doesn't find the checkpoints of process 0 in "
                        f"{training.record.folder}: all machines must share this file system")  # fmt: skip
    if first != own:
        raise UserError(f"process {processes.number()} begins with other weights than process 0: mode.weights and the "
                        "installed packages must be the same on all machines")  # fmt: skip
