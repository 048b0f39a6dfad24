"""Train several cases in one or more processes: `python -m tests.process_losses FOLDER CASES RESULT [COORDINATOR]`.

CASES is a JSON object, name → overrides. RESULT receives the losses of the first 20 steps of each case and the weights
after them. The first call for a folder saves the initial weights there, and later calls start from them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from cvlib.models import run_state
from cvlib.runtime import processes
from cvlib.training import devices
from tests.first_losses import trained

STEPS = 20


def main(folder: Path, cases: dict[str, list[str]], result: Path, coordinator: str | None = None) -> None:
    """Write the arrays `case/losses` and `case/weight/NAME` to `result`."""
    arrays: dict[str, Any] = {}
    devices.import_quietly()
    with processes.joined(processes.place(coordinator, coordinator and 2)):
        for name, overrides in cases.items():
            (folder / name).mkdir(exist_ok=True)
            losses, model = trained(folder / name, [*overrides, "trainer.devices=all"], STEPS)
            arrays[f"{name}/losses"] = np.asarray(losses)
            for path, value in run_state.values(model.variables).items():
                arrays[f"{name}/weight/{path}"] = value
    np.savez(result, **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]), Path(sys.argv[3]), *sys.argv[4:])
