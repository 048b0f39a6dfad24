"""A run's network for other runtimes: SavedModel, ONNX, LiteRT; its preprocessing and labels inside, checked.

Each takes raw images, 0–255, of any size, and resizes them itself as Keras does: bilinear with antialiasing, written
as two matrix products, because neither ONNX nor LiteRT has that kind of resizing. Only the int8 form takes images of
the network's own size, in uint8.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from cvlib import tasks
from cvlib.data.dataset import Split
from cvlib.data.images import read_image
from cvlib.data.input_spec import InputSpec
from cvlib.export.agreement import compare
from cvlib.export.runtimes import reader
from cvlib.export.writers import write_litert, write_onnx, write_saved_model
from cvlib.inspection import graph
from cvlib.models.restore import SavedRun
from cvlib.runtime.errors import UserError
from cvlib.tasks import saved
from cvlib.tasks.agreement import Agreement

_NAMES = {"saved_model": "saved_model", "onnx": "model.onnx", "litert": "model.tflite"}
_TOLERANCE_INT8 = 0.25
_CALIBRATION = 128  # training images that fix the ranges of 8-bit numbers


def export(run: SavedRun, form: str, int8: bool, output: Path | None, images: int, tolerance: float | None,
           say: Callable[[str], None]) -> int:  # fmt: skip
    """Write the run's network as `form`, compare it with Keras on test images; return 0, or 1 above the tolerance.

    Raises `UserError` for what can't be written or has no data to be compared on.
    """
    require(form)
    task = tasks.of_config(run.config)
    if int8 and task.served.refuses_int8:
        raise UserError(task.served.refuses_int8)
    path = output or run.folder / "export" / ("model_int8.tflite" if int8 else _NAMES[form])
    _refuse_in_place_of_others(path, form)
    model, dataset = saved.network(run), saved.dataset(run)
    labels = saved.labels(run)
    if form == "saved_model":
        write_saved_model(model, path, labels)
    elif form == "onnx":
        write_onnx(model, path, labels)
    else:
        write_litert(model, path, labels, _some(dataset.train, _CALIBRATION, run.spec) if int8 else None)
    pictures = _some(dataset.test, images, run.spec)
    if int8:  # which takes images of the network's own size
        pictures = [graph.as_seen(model, picture[np.newaxis])[0] for picture in pictures]
    bound = tolerance if tolerance is not None else _TOLERANCE_INT8 if int8 else task.served.tolerance
    say(f"written: {path} ({_size(path) / 2**20:.1f} MiB)")
    found = compare(task, model, reader(path, form), pictures)
    say(f"compared with Keras on {len(pictures)} test images of {dataset.name}: "
        + _words(found, bound, task.served.answers))  # fmt: skip
    return 0 if found.difference <= bound else 1  # a NaN isn't


def _refuse_in_place_of_others(path: Path, form: str) -> None:
    """Raise `UserError` where something other than an earlier export would be replaced."""
    if form != "saved_model" and path.is_dir():
        raise UserError(f"--output {path} is a folder: give a file, such as {path / _NAMES[form]}")
    own = not path.exists() or (path / "saved_model.pb").is_file() or (path.is_dir() and not any(path.iterdir()))
    if form == "saved_model" and not own:
        raise UserError(f"--output {path} is there and is no SavedModel: give a folder that isn't there yet")


def _words(found: Agreement, bound: float, answers: str) -> str:
    if not found.answers:
        return f"there are no {answers} in them, so all that is known is that it runs"
    within = "within" if found.difference <= bound else "ABOVE"
    return (f"largest difference {found.difference:.2g}, {within} {bound:g}; "
            f"the same answer for {found.same} of {found.answers} {answers}")  # fmt: skip


def require(form: str) -> None:
    """Raise `UserError` where the packages that a format needs are missing."""
    wanted = {"onnx": ("onnx", "tf2onnx", "onnxruntime"), "litert": ("ai_edge_litert",)}.get(form, ())
    from importlib.util import find_spec

    missing = [name for name in wanted if find_spec(name) is None]
    if missing:
        raise UserError(f"--format {form} needs {', '.join(missing)}: pip install -e '.[export]'")


def _some(split: Split, count: int, spec: InputSpec) -> list[np.ndarray]:
    """Return images evenly over a split, uint8 (height, width, channels)."""
    chosen = np.unique(np.linspace(0, len(split) - 1, min(count, len(split))).astype(int))
    found = [split.images[int(index)] for index in chosen]
    return [read_image(image, spec.channels, spec.span) if isinstance(image, Path) else image for image in found]


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
