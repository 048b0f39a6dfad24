"""Measure the time from the command to the first training step, and the time of commands that don't train."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import measure
from measure import Cost, Row

ROOT = Path(__file__).parents[2]
OURS = [str(ROOT / "run.py"), "model=cnn", "trainer.epochs=1", "trainer.checkpoint_every=1", "hydra.run.dir=run"]
NETWORK = """
from pathlib import Path
import numpy as np, sklearn.datasets, keras
from keras import layers
digits = sklearn.datasets.load_digits()
images, labels = digits.images[..., None].astype("float32"), digits.target
class First(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        Path("first").touch()
model = keras.Sequential([keras.Input((8, 8, 1)), layers.Rescaling(1 / 16),
    layers.Conv2D(32, 3, padding="same", activation="relu"), layers.MaxPooling2D(),
    layers.Conv2D(64, 3, padding="same", activation="relu"), layers.MaxPooling2D(),
    layers.Flatten(), layers.Dense(128, "relu"), layers.Dense(10)])
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
"""
BARE = f"""{NETWORK}
model.fit(images, labels, batch_size=32, verbose=0, callbacks=[First()])
"""
# A careful script, which does part of what cvlib does.
CAREFUL = f"""{NETWORK}
import tensorflow as tf
from sklearn.model_selection import train_test_split
images, rest, labels, rest_labels = train_test_split(images, labels, test_size=0.3, stratify=labels, random_state=0)
val, test, val_labels, test_labels = train_test_split(rest, rest_labels, test_size=0.5, stratify=rest_labels)
train = tf.data.Dataset.from_tensor_slices((images, labels)).shuffle(len(images), seed=0).batch(32).prefetch(2)
with tf.summary.create_file_writer("logs/samples").as_default():
    tf.summary.image("samples", next(iter(train))[0][:24] / 16, 0, max_outputs=24)
model.fit(train, validation_data=(val, val_labels), verbose=0, callbacks=[keras.callbacks.TensorBoard("logs"),
    keras.callbacks.ModelCheckpoint("saved.keras", save_freq=1), First()])
"""
COMMANDS = {
    "run.py --help": ([str(ROOT / "run.py"), "--help"], "about a second"),
    "run.py, a misspelt key": ([str(ROOT / "run.py"), "trainer.epoch=3"], "about a second"),
    "cvlib compare --help": (["-m", "cvlib.cli", "compare", "--help"], "about a second"),
}


def startup(quick: bool, **_: Any) -> list[Row]:
    """Measure the time to the first step, cvlib and plain scripts in turns, then the commands that don't train."""
    rounds = 2 if quick else 5
    taken: list[list[Cost]] = []
    for number in range(rounds + 1):  # the first round loads the files into the system's cache
        costs = [until_file(OURS, "run/checkpoints/epoch-*.npz"), until_file(["-c", BARE], "first"),
                 until_file(["-c", CAREFUL], "first")]  # fmt: skip
        if number:
            taken.append(costs)
            print("  round {}: ours {:.2f} s, bare {:.2f} s, careful {:.2f} s".format(
                number, *(cost.seconds for cost in costs)), flush=True)  # fmt: skip
    ours, bare, careful = (list(costs) for costs in zip(*taken, strict=True))
    what = "command to first training step"
    rows = [
        measure.sooner(what, ours, careful, "a script that does the same", target="≥ 0.91",
                       note="it splits the data, shuffles with a seed, writes samples, graph and curves for "
                       "TensorBoard, and saves its first step; ours also composes and checks a config and writes a "
                       "record"),
        measure.sooner(what, ours, bare, "a bare Keras script", note="only fit on arrays in memory"),
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        for what, (arguments, target) in COMMANDS.items():
            costs = [measure.timed_command([sys.executable, *arguments], Path(folder)) for _ in range(rounds)]
            rows.append(measure.alone(what, costs, target=target))
    return rows


def until_file(arguments: list[str], pattern: str) -> Cost:
    """Start Python and measure the time until a file that matches `pattern` exists."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        process = subprocess.Popen([sys.executable, *arguments], cwd=folder, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)  # fmt: skip
        while not any(Path(folder).glob(pattern)):
            if process.poll() is not None:
                raise RuntimeError(f"{arguments[0]} ended before it created {pattern}")
            time.sleep(0.005)
        seconds = time.perf_counter() - started
        fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        process.kill()
        process.wait()
    return Cost(1, seconds, (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"))
