"""`EventFile`: a file of events for TensorBoard, written with its own package, whose formats need no TensorFlow."""

from __future__ import annotations

import io
import itertools
import os
import socket
import struct
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from PIL import Image
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c
from tensorboard.plugins.image import metadata as image_metadata
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.plugins.text.summary_v2 import text_pb
from tensorboard.summary.writer.record_writer import RecordWriter
from tensorboard.util.tensor_util import make_tensor_proto

from cvlib.runtime import backend

PREFIX = "events.out.tfevents."  # before the time of creation in the name of an event file
_NUMBERS = itertools.count()  # two files of one process in one second need different names


class EventFile:
    """A new event file in `folder`; the end of its name is `suffix`."""

    def __init__(self, folder: Path, suffix: str = ""):
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{PREFIX}{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.{next(_NUMBERS)}.v2{suffix}"
        self._records = _record_writer(folder / name)
        self._add(event_pb2.Event(file_version="brain.Event:2"))
        self.flush()

    def scalar(self, tag: str, value: float, step: int) -> None:
        """Add a point of a curve."""
        self.summary(scalar_pb(tag, value), step)

    def text(self, tag: str, markdown: str, step: int) -> None:
        """Add a Markdown text."""
        self.summary(text_pb(tag, markdown), step)

    def image(self, tag: str, picture: np.ndarray, step: int) -> None:
        """Add a picture, uint8 `(height, width, 3)`."""
        encoded = io.BytesIO()
        Image.fromarray(picture).save(encoded, "png")
        sides = [str(picture.shape[1]).encode(), str(picture.shape[0]).encode()]
        summary, metadata = summary_pb2.Summary(), image_metadata.create_summary_metadata(None, None)
        tensor = make_tensor_proto([*sides, encoded.getvalue()], dtype=np.object_)
        summary.value.add(tag=tag, metadata=metadata, tensor=tensor)
        self.summary(summary, step)

    def graph(self, definition: bytes) -> None:
        """Add a network's graph, a serialized GraphDef of TensorFlow."""
        self._add(event_pb2.Event(graph_def=definition))

    def summary(self, summary: summary_pb2.Summary, step: int) -> None:
        """Add a summary in the format of one of TensorBoard's plugins."""
        self._add(event_pb2.Event(step=step, summary=summary))

    def flush(self) -> None:
        """Write what is buffered to the file."""
        self._records.flush()

    def close(self) -> None:
        """Flush and close the file."""
        self._records.close()

    def _add(self, event: event_pb2.Event) -> None:
        event.wall_time = time.time()
        self._records.write(event.SerializeToString())


def write(path: Path, events: Iterable[event_pb2.Event]) -> None:
    """Write a whole event file."""
    records = _record_writer(path)
    for event in events:
        records.write(event.SerializeToString())
    records.close()


def read(path: Path) -> Iterator[event_pb2.Event]:
    """Yield the events of a file up to the first damaged record: a process may have been killed while writing it."""
    with path.open("rb") as file:
        while len(header := file.read(12)) == 12:
            length, checksum = struct.unpack("<QI", header)
            if masked_crc32c(header[:8]) != checksum or len(record := file.read(length + 4)) < length + 4:
                return
            try:
                yield event_pb2.Event.FromString(record[:length])
            except DecodeError:
                return


def _record_writer(path: Path) -> Any:
    """Return a writer of records: TensorFlow's, or TensorBoard's own, which takes 0.2 s to check a megabyte."""
    if backend.has_tensorflow():
        import tensorflow as tf

        return tf.io.TFRecordWriter(str(path))
    return RecordWriter(path.open("wb"))
