"""Measure `run.py` on TensorFlow, with and without XLA, and on JAX, with one device and with two.

    python experiments/benchmarks/backends.py [--only NETWORK] [--rounds N] [--quick] [--output FILE]

Each contender trains as a command of its own, with its feed, callbacks and records. Its speed is the one that the
epochs after the first report, because compiling takes a large part of the first one. In every round each contender has
one turn, so that other load on the machine affects all of them equally. The table has the medians over the rounds.

The two devices of a processor (`--xla_force_host_platform_device_count=2`) share the same cores. So the ratio of two
devices to one shows what it costs to divide a batch, not what a second device brings. With one device, `run.py` doesn't
use Keras' `DataParallel` at all, so there is no overhead to measure.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import measure

ROOT = Path(__file__).parents[2]
NETWORKS = {  # overrides, with images from the package
    "cnn": ["model=cnn", "data=clothing", "data.image_size=96", "data.batch_size=32"],
    "resnet": ["model=resnet", "data=clothing", "data.image_size=96", "data.batch_size=32", "augment=none"],
    "efficientnet_lite": ["model=efficientnet_lite", "data=clothing", "data.image_size=96", "augment=none"],
    "yolo": ["model=yolo", "data=cards", "data.image_size=160", "augment=none"],
    "segmenter": ["model=segmenter", "data=digits"],
}
TWO = "--xla_force_host_platform_device_count=2"
CONTENDERS = {  # backend, XLA_FLAGS, overrides
    "TensorFlow": ("tensorflow", "", ["trainer.jit=false"]),
    "TensorFlow, XLA": ("tensorflow", "", ["trainer.jit=true"]),
    "JAX": ("jax", "", []),
    "JAX, 2 devices": ("jax", TWO, ["trainer.devices=2"]),
}
EPOCHS, STEPS = 3, 16


def main() -> None:
    """Measure the chosen networks and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=NETWORKS, help="only this network (may be repeated)")
    parser.add_argument("--rounds", type=int, default=2, metavar="N")
    parser.add_argument("--quick", action="store_true", help="two steps per epoch, one round; the figures mean nothing")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the table to this Markdown file")
    chosen = parser.parse_args()
    rounds, steps = (1, 2) if chosen.quick else (chosen.rounds, STEPS)
    lines = [f"| network | {' | '.join(CONTENDERS)} | JAX / faster TensorFlow | 2 devices / 1 | load |",
             "|---|" + "---:|" * (len(CONTENDERS) + 3)]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        # JAX finds the code that it compiled in an earlier round.
        os.environ["JAX_COMPILATION_CACHE_DIR"] = f"{folder}/compiled"
        for network in chosen.only or NETWORKS:
            rates = {name: [] for name in CONTENDERS}
            for turn in range(rounds):
                for number, name in enumerate(CONTENDERS):
                    rates[name].append(rate(network, name, steps, Path(folder) / f"{network}_{number}_{turn}"))
            lines.append(row(network, rates))
    table = f"{_description(rounds, steps)}\n\n" + "\n".join(lines) + "\n"
    print(f"\n{table}")
    if chosen.output:
        chosen.output.write_text(f"# Backends\n\n{table}", encoding="utf-8")


def rate(network: str, contender: str, steps: int, folder: Path) -> float:
    """Train with `run.py`; return the median of the images/s of the epochs after the first one."""
    backend, flags, more = CONTENDERS[contender]
    command = [sys.executable, str(ROOT / "run.py"), *NETWORKS[network], "mode=scratch", "trainer.test=false",
               f"trainer.epochs={EPOCHS}", f"trainer.steps_per_epoch={steps}", f"hydra.run.dir={folder}",
               *more]  # fmt: skip
    started = time.monotonic()
    environment = {**os.environ, "KERAS_BACKEND": backend, "XLA_FLAGS": flags, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, text=True, capture_output=True, check=False, cwd=folder.parent, env=environment)
    if done.returncode:
        sys.exit(f"{network}, {contender}: {done.stderr}")
    median = measure.speed_of(folder)
    print(f"{network}, {contender}: {median:.4g} images/s, {time.monotonic() - started:.0f} s", flush=True)
    return median


def row(network: str, rates: dict[str, list[float]]) -> str:
    """Return a line of the table; ratios are medians over the rounds."""

    def ratio(one: str, *others: str) -> str:
        rivals = [max(turn) for turn in zip(*(rates[other] for other in others), strict=True)]
        return f"{statistics.median(mine / rival for mine, rival in zip(rates[one], rivals, strict=True)):.2f}"

    cells = [network, *(f"{statistics.median(found):.4g}" for found in rates.values()),
             ratio("JAX", "TensorFlow", "TensorFlow, XLA"), ratio("JAX, 2 devices", "JAX"),
             f"{os.getloadavg()[0]:.1f}"]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _description(rounds: int, steps: int) -> str:
    facts = ", ".join(f"{key} {', '.join(value) if isinstance(value, list) else value}"
                      for key, value in measure.machine().items())  # fmt: skip
    count = f"{rounds} round{'s' * (rounds > 1)}"
    return (f"Images per second of `run.py` from scratch: medians of {count}, each with {EPOCHS - 1} epochs of {steps} "
            f"steps after the first epoch. {facts}.")  # fmt: skip


if __name__ == "__main__":
    main()
