"""Train several cases on 1, 2 and 4 devices: `python -m tests.device_losses FOLDER CASES RESULT`.

CASES is a JSON object, name → overrides. RESULT receives, for each case and number of devices, the losses of the first
20 steps and the weights after them; and the same for the first case with `trainer.remat` on 2 devices. All start from
the same initial weights.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from cvlib.models import run_state
from tests.first_losses import trained

STEPS = 20


def main(folder: Path, cases: dict[str, list[str]], result: Path) -> None:
    """Write the arrays `case/devices/losses`, `case/devices/weight/NAME` and `case/devices/kept` to `result`."""
    arrays: dict[str, Any] = {}

    def train(name: str, key: str, overrides: list[str]) -> None:
        losses, model = trained(folder / name, [*cases[name], *overrides], STEPS)
        arrays[f"{name}/{key}/losses"] = np.asarray(losses)
        for path, value in run_state.values(model.variables).items():
            arrays[f"{name}/{key}/weight/{path}"] = value
        if name == next(iter(cases)):
            arrays[f"{name}/{key}/kept"] = kept_bytes(model)

    for name in cases:
        (folder / name).mkdir()
        for devices in (1, 2, 4):
            train(name, str(devices), [f"trainer.devices={devices}"])
    train(next(iter(cases)), "remat", ["trainer.devices=2", "trainer.remat=true"])
    np.savez(result, **arrays)


def kept_bytes(classifier: Any) -> int:
    """Return the size of the arrays that a step keeps between its forward and its backward pass."""
    import jax

    state = classifier._get_jax_state(trainable_variables=True, non_trainable_variables=True, optimizer_variables=True,
                                      metrics_variables=True)  # fmt: skip
    images, labels = np.zeros((8, *classifier.input_shape[1:]), np.float32), np.zeros(8, np.int32)

    def loss(weights: Any) -> Any:
        return classifier.compute_loss_and_updates(weights, state[1], state[3], images, labels, None, training=True,
                                                   optimizer_variables=state[2])[0]  # fmt: skip

    backward = jax.eval_shape(lambda weights: jax.vjp(loss, weights)[1], state[0])
    return sum(array.size * array.dtype.itemsize for array in jax.tree.leaves(backward))


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]), Path(sys.argv[3]))
