"""Check that networks, losses and regimes train on an accelerator, and that the results match those of the CPU.

    KERAS_BACKEND=jax python experiments/benchmarks/accelerator.py [--only NAME] [--steps N] [--output FILE]

KERAS_BACKEND selects TensorFlow or JAX; JAX needs no TensorFlow. Each network of conf/ trains on one batch of digits or
of digit scenes, in float32 and with bfloat16. These are the checks:

- With the same weights, outputs and loss on the accelerator match those on the CPU (in float32, with full float32
  products): 99.9 % of the outputs differ by at most OUTPUT times the largest output, and the loss by at most LOSS times
  the first loss. Some outputs may differ more, because rounding can change the position that unpooling chooses.
- After N steps on the batch, the loss is finite and at most FALL times the first loss.
- images/s is the speed of `fit` on arrays, including data transfer: the median of ROUNDS rounds of N steps.
- The network is saved as in a run and loaded again. It has the same weights, and its outputs match as above.
- In the other regimes, no frozen weight or BatchNorm average has changed, and every trained weight has changed.

Each row is printed when it is complete, and the table at the end. The exit code is 1 if any check failed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # cvlib may not be installed on the machine with the accelerator

OUTPUT, LOSS, FALL, ROUNDS = 1e-3, 1e-3, 0.8, 3
SCHEDULED = 100  # steps per epoch, for the learning-rate schedule
NETWORKS = {  # the fastest first
    "cnn": ["model=cnn"],
    "segmenter-interpolate": ["model=segmenter", "model.decoder=interpolate"],
    "segmenter-unpool": ["model=segmenter", "model.decoder=unpool"],
    "segmenter-transpose": ["model=segmenter", "model.decoder=transpose"],
    "yolo-grid": ["model=yolo", "model.head=grid"],
    "yolo-anchor_free": ["model=yolo", "model.head=anchor_free"],
    "alexnet": ["model=alexnet", "data.image_size=96"],
    "vgg": ["model=vgg", "data.image_size=96"],
    "fcn": ["model=fcn"],
    "resnet": ["model=resnet", "data.image_size=96"],
    "inception": ["model=inception", "data.image_size=96"],
}
REGIMES = {  # finetune first trains only the head
    "cnn": ["feature_extractor", "finetune"],
    "segmenter-interpolate": ["feature_extractor"],
    "yolo-anchor_free": ["finetune"],
    "resnet": ["finetune"],
}
HEADER = ("network", "regime", "precision", "output differs", "loss differs", "loss", "frozen", "moved", "images/s",
          "loaded differs", "seconds", "verdict")  # fmt: skip


@dataclass
class Row:
    """The results for one network. A measurement that wasn't requested or wasn't reached is missing."""

    network: str
    regime: str
    precision: str
    measures: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def check(self, column: str, value: str, holds: bool) -> None:
        """Record a measure, and a failure if the check doesn't hold."""
        self.measures[column] = value
        if not holds:
            self.failures.append(column)

    def __str__(self) -> str:
        known = {"network": self.network, "regime": self.regime, "precision": self.precision, **self.measures,
                 "verdict": f"FAILED: {', '.join(self.failures)}" if self.failures else "passed"}  # fmt: skip
        return "| " + " | ".join(known.get(column, "") for column in HEADER) + " |"


def main() -> None:
    """Run the requested checks and measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=NETWORKS, help="only this network (may be repeated)")
    parser.add_argument("--precision", action="append", choices=("float32", "bfloat16"), help="only this precision")
    parser.add_argument(
        "--steps", type=int, default=40, metavar="N", help="training steps, also in each speed round (default: 40)"
    )
    parser.add_argument("--batch", type=int, metavar="N", help="batch size (default: as in conf/)")
    parser.add_argument("--jobs", type=int, default=0, metavar="N",
                        help="compile beforehand in N parallel processes (JAX)")  # fmt: skip
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the table to this Markdown file")
    chosen = parser.parse_args()
    names, precisions = chosen.only or list(NETWORKS), chosen.precision or ["float32", "bfloat16"]
    with tempfile.TemporaryDirectory() as folder:
        # Loaded networks and other regimes are compiled again. JAX then finds the compiled code in this cache.
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", f"{folder}/compiled")
        os.environ |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
                       "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1"}  # fmt: skip
        if chosen.jobs:
            compile_ahead(names, precisions, chosen)
        rows = measured(names, precisions, chosen, Path(folder))
    table = "\n".join([*machine(), "", *head(), *map(str, rows)]) + "\n"
    print(f"\n{table}")
    if chosen.output:
        chosen.output.write_text(table)
    sys.exit(any(row.failures for row in rows))


def head() -> list[str]:
    """Return the first two lines of the table."""
    return ["| " + " | ".join(HEADER) + " |", "|" + "---|" * len(HEADER)]


def machine() -> list[str]:
    """Describe the versions and the devices."""
    import keras

    backend = keras.config.backend()
    library = __import__(backend)
    if backend == "jax":
        devices = [getattr(device, "device_kind", str(device)) for device in library.devices()]
    else:
        details = library.config.experimental.get_device_details
        devices = [details(device).get("device_name", device.device_type)
                   for device in library.config.list_physical_devices()]  # fmt: skip
    return [f"- Keras {keras.__version__}, {backend} {library.__version__}", f"- {', '.join(devices)}"]


def compile_ahead(names: list[str], precisions: list[str], chosen: argparse.Namespace) -> None:
    """Run one step of every network, several networks at a time, so that later measurements find compiled code."""
    started, waiting, running = time.monotonic(), list(reversed(names)), []
    given = [f"--precision={one}" for one in precisions] + ([f"--batch={chosen.batch}"] if chosen.batch else [])
    while waiting or running:
        running = [process for process in running if process.poll() is None]
        if waiting and len(running) < chosen.jobs:
            command = [sys.executable, __file__, "--only", waiting.pop(0), "--steps=1", *given]
            running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                            env={**os.environ, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}))  # fmt: skip
        time.sleep(0.2)
    print(f"compiled beforehand in {time.monotonic() - started:.0f} s", flush=True)


def measured(names: list[str], precisions: list[str], chosen: argparse.Namespace, folder: Path) -> list[Row]:
    """Return a row for each network, regime and precision; float32 comes first for all networks."""
    from cvlib.training.devices import import_quietly

    import_quietly()
    print("\n".join([*machine(), "", *head()]), flush=True)
    rows = []
    for precision in precisions:
        for name in names:
            regimes = ["scratch", *(REGIMES.get(name, []) if precision == "float32" else [])]
            for regime in regimes:
                row, started = Row(name, regime, precision), time.monotonic()
                try:
                    examine(row, chosen, folder / f"{name}.keras")
                except Exception as error:
                    traceback.print_exc()
                    row.failures.append(f"{type(error).__name__}: {(str(error) or '-').splitlines()[0][:100]}")
                row.measures["seconds"] = f"{time.monotonic() - started:.1f}"
                rows.append(row)
                print(row, flush=True)
    return rows


def examine(row: Row, chosen: argparse.Namespace, file: Path) -> None:
    """Run all checks of one row. `file` stores the network trained from scratch, which other regimes load."""
    from cvlib import tasks
    from cvlib.cli.compose import compose
    from cvlib.training import devices
    from cvlib.transfer import freezing, regimes, weights

    batch = [f"data.batch_size={chosen.batch}"] if chosen.batch else []
    # With seed 0, the new head would start with the same weights as the head that the base was trained with.
    regime = [] if row.regime == "scratch" else [f"mode={row.regime}", f"mode.weights={file}", "seed=1"]
    half = ["mode.freeze=0.5"] if row.regime == "finetune" else []
    common = ["data.samples=128", f"trainer.precision={row.precision}"]
    config = compose([*NETWORKS[row.network], *common, *batch, *regime, *half])
    devices.start(config)
    network, images, targets, class_weights = built(config)
    model = network.model
    source = regimes.initial_weights(config.mode)
    if source is not None:
        weights.load_into(network.base, config.model, source)
    losses: list[float] = []
    for phase in regimes.phases(config.mode, config.trainer.epochs):
        freezing.apply(network, phase)
        compile_for(phase, network, config, class_weights)
        frozen = freezing.frozen_hashes(network)
        before = arrays(model.trainable_variables)
        losses += model.fit(images, targets, batch_size=len(images), epochs=chosen.steps, shuffle=False,
                            verbose=0).history["loss"]  # fmt: skip
        moved = [not equal for equal in identical(before, arrays(model.trainable_variables))]
        if row.regime != "scratch":
            row.check("frozen", f"{freezing.verify_frozen(frozen, freezing.frozen_hashes(network))}",
                      bool(frozen))  # fmt: skip
        row.check("moved", f"{sum(moved)} of {len(moved)}", all(moved))
    fallen = bool(np.isfinite(losses).all()) and losses[-1] <= FALL * losses[0]
    row.check("loss", f"{losses[0]:.4g} → {losses[-1]:.4g}", fallen)
    if row.regime != "scratch":
        return
    row.measures["images/s"] = f"{speed(model, images, targets, chosen.steps):.0f}"
    difference, same = saved_and_loaded(tasks.of_config(config).inference(network), images, file)
    row.check("loaded differs", f"{difference:.1e}", same and difference <= OUTPUT)
    if row.precision == "float32":
        (output, loss), (others, other) = (
            outputs_and_loss(model, images, targets, processor) for processor in (False, True)
        )
        apart = relative_difference(output, others)
        row.check("output differs", f"{apart:.1e}", apart <= OUTPUT)
        apart = abs(float(loss) - float(other)) / losses[0]
        row.check("loss differs", f"{apart:.1e}", apart <= LOSS)


def built(config: Any) -> tuple[Any, np.ndarray, Any, np.ndarray | None]:
    """Return the network, a batch of float32 images (0–255), the targets of its outputs, and the class weights."""
    from cvlib import data, tasks
    from cvlib.data.input_spec import InputSpec
    from cvlib.data.labels import Form
    from cvlib.data.labels.boxes import padded
    from cvlib.models.network import build
    from cvlib.training import batch_norm

    task, count = tasks.of_config(config), config.data.batch_size
    dataset = data.load(config.data, config.seed, task.label_kind, task.name)
    height, width = tasks.input_size(config, dataset.size)
    images = np.asarray(dataset.train.images[:count], np.float32)
    images = images.repeat(height // dataset.size[0], axis=1).repeat(width // dataset.size[1], axis=2)
    spec = InputSpec(images.shape[1], images.shape[2], images.shape[3], tasks.resize(config))
    network = build(config.model, spec, len(dataset.classes))
    batch_norm.prepare(network.model, config.trainer.bn_momentum)
    scheme = config.data.class_weights
    weights = task.class_weights(dataset.train, len(dataset.classes), scheme) if scheme else None
    labels = dataset.train.labels[:count]
    if task.label_kind.form is Form.BOXES:
        corners, classes = padded(list(labels))
        return network, images, np.concatenate([corners, classes[..., None].astype(np.float32)], -1), weights
    targets = np.asarray(labels, np.int32)
    names = [output.name for output in network.outputs]
    return network, images, targets if len(names) == 1 else dict.fromkeys(names, targets), weights


def compile_for(phase: Any, network: Any, config: Any, class_weights: np.ndarray | None) -> None:
    """Compile the network with its optimizer, loss and metrics, for the phase's trainable variables."""
    from cvlib import tasks
    from cvlib.training import optimizer

    update = optimizer.build(config, network, phase, network.model.trainable_variables, SCHEDULED, first_steps={})
    arguments = tasks.of_config(config).compile_arguments(network, config, class_weights)
    network.model.compile(optimizer=update, **arguments)


def speed(model: Any, images: np.ndarray, targets: Any, steps: int) -> float:
    """Return the images per second of `fit`, which returns when the loss of the last step is known."""
    import keras

    many, theirs = keras.tree.map_structure(lambda array: np.concatenate([array] * steps), (images, targets))
    rates = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        model.fit(many, theirs, batch_size=len(images), shuffle=False, verbose=0)
        rates.append(len(many) / (time.perf_counter() - started))
    return statistics.median(rates)


def saved_and_loaded(network: Any, images: np.ndarray, file: Path) -> tuple[float, bool]:
    """Save and load the network. Return how far its predictions differ, and whether its weights are the same."""
    import keras

    network.save(file)
    loaded = keras.saving.load_model(file, compile=False)
    same = all(identical(arrays(network.weights), arrays(loaded.weights)))
    return relative_difference(loaded.predict_on_batch(images), network.predict_on_batch(images)), same


def arrays(variables: list[Any]) -> list[np.ndarray]:
    """Return the current values of variables."""
    import keras

    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def identical(ones: list[np.ndarray], others: list[np.ndarray]) -> list[bool]:
    """Return which pairs of arrays are bit-identical."""
    return [np.array_equal(one, other) for one, other in zip(ones, others, strict=True)]


def outputs_and_loss(model: Any, images: np.ndarray, targets: Any, processor: bool) -> tuple[Any, Any]:
    """Return outputs and loss on the CPU or on the accelerator, in inference mode, with full float32 products."""
    import keras

    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        device = tf.config.list_logical_devices("CPU" if processor else None)[0 if processor else -1]
        tf.config.experimental.enable_tensor_float_32_execution(False)
        with tf.device(device.name):
            outputs = model(images, training=False)
            return outputs, model.compute_loss(images, targets, outputs)
    import jax

    variables = [*model.variables, *model.metrics_variables]

    def evaluate(values: list[Any], images: Any, targets: Any) -> tuple[Any, Any]:
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            outputs = model(images, training=False)
            return outputs, model.compute_loss(images, targets, outputs)

    device = jax.devices("cpu" if processor else None)[0]
    given = jax.device_put(([variable.value for variable in variables], images, targets), device)
    with jax.default_device(device), jax.default_matmul_precision("highest"):
        return jax.device_get(jax.jit(evaluate)(*given))


def relative_difference(found: Any, expected: Any) -> float:
    """Return the 0.999 quantile of the outputs' differences, as a share of the largest output."""
    import keras

    worst = 0.0
    for one, other in zip(keras.tree.flatten(found), keras.tree.flatten(expected), strict=True):
        one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
        worst = max(worst, float(np.quantile(np.abs(one - other), 0.999) / max(np.abs(other).max(), 1e-9)))
    return worst


if __name__ == "__main__":
    main()
