"""What a run shows in TensorBoard: the same tags for training and validation, so that both share a chart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams_api
from tensorflow.core.util import event_pb2

_RESULTS = ".results"  # ends the name of the event file that holds what is shown after the training


class Board:
    """The event files `train` and `validation` in a run's `tensorboard` folder.

    Steps are epochs from 1; what is shown before the training has step 0. A run that goes on after epoch k drops
    what was written of later epochs, and of results, so that no curve has a point twice.
    """

    def __init__(self, folder: Path, done_epochs: int):
        self._writers = {}
        for split in ("train", "validation"):
            for path in folder.glob(f"{split}/events.out.tfevents.*"):
                if done_epochs and not path.name.endswith(_RESULTS):
                    _drop_after(path, done_epochs)
                else:
                    path.unlink()
            self._writers[split] = tf.summary.create_file_writer(str(folder / split))
        self._folder = folder

    def scalars(self, step: int, train: dict[str, float], validation: dict[str, float]) -> None:
        """Curves; on disk when this returns, so that a kill loses none."""
        for split, values in (("train", train), ("validation", validation)):
            with self._writers[split].as_default():
                for name, value in values.items():
                    tf.summary.scalar(name, value, step)
            self._writers[split].flush()

    def image(self, split: str, tag: str, picture: np.ndarray, step: int) -> None:
        """One picture, uint8 `(height, width, 3)`."""
        with self._writers[split].as_default():
            tf.summary.image(tag, picture[None], step)

    def text(self, split: str, tag: str, markdown: str, step: int) -> None:
        """A text in Markdown."""
        with self._writers[split].as_default():
            tf.summary.text(tag, markdown, step)

    def graph(self, model: keras.Model) -> None:
        """The network's graph, for the Graphs tab."""
        function = tf.function(lambda pixels: model(pixels, training=False))
        concrete = function.get_concrete_function(tf.TensorSpec(model.input_shape, tf.float32))
        with self._writers["train"].as_default():
            tf.summary.graph(concrete.graph.as_graph_def())

    def hparams(self, config: dict[str, Any], metrics: dict[str, float], step: int) -> None:
        """The config, flattened, with the final metrics beside it in the HParams tab."""
        with self._writers["validation"].as_default():
            hparams_api.hparams(flatten(config))
            for name, value in metrics.items():
                tf.summary.scalar(name, value, step)

    def begin_results(self) -> None:
        """What validation is shown from now on goes into a file of its own: a kill before its end takes all back."""
        self._writers["validation"].close()
        place = str(self._folder / "validation")
        self._writers["validation"] = tf.summary.create_file_writer(place, filename_suffix=_RESULTS)

    def close(self) -> None:
        """Write out what is pending."""
        for writer in self._writers.values():
            writer.close()


def flatten(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted keys; None and lists as text, for the HParams tab takes numbers, truth values and text only."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value if isinstance(value, (bool, int, float, str)) else str(value)
    return flat


def _drop_after(path: Path, step: int) -> None:
    """Rewrite an event file of an earlier process without the events after `step`."""
    kept = []
    try:
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            if event_pb2.Event.FromString(record).step <= step:
                kept.append(record)
    except tf.errors.DataLossError:
        pass  # a kill in the middle of a record: what came before it is kept
    partial = path.with_name("partial." + path.name.removeprefix("events.out.tfevents."))
    with tf.io.TFRecordWriter(str(partial)) as writer:
        for record in kept:
            writer.write(record)
    partial.replace(path)
