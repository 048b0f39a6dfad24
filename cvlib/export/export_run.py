"""Write a run's network, with preprocessing and labels, as SavedModel, ONNX or LiteRT, and check it against Keras.

An exported network takes raw images, 0–255, of any size, and resizes them as Keras does: bilinear with antialiasing.
ONNX and LiteRT do not support this kind of resizing, so it is implemented as two matrix products. For images with more
than 8 bits per channel, an exported network takes the values of the files. The int8 format is an exception: it takes
uint8 images, 0–255, of the network's own size. The network of a run with `data.tiles` takes single tiles in every
format.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from cvlib import tasks
from cvlib.data import depth, tiles
from cvlib.data.dataset import Split
from cvlib.data.images import read_image
from cvlib.data.input_spec import InputSpec
from cvlib.export import forms
from cvlib.export.agreement import compare
from cvlib.export.runtimes import reader
from cvlib.export.writers import write_litert, write_onnx, write_saved_model
from cvlib.inspection import graph
from cvlib.models.pixel_range import takes_file_values, takes_pixels
from cvlib.models.restore import SavedRun
from cvlib.report import model_card
from cvlib.runtime.errors import UserError
from cvlib.runtime.files import write_atomically
from cvlib.tasks import saved
from cvlib.tasks.agreement import Agreement
from cvlib.tasks.base import Task

_TOLERANCE_INT8 = 0.25
_TOLERANCE_ROUNDED = 0.05  # of answers that differ because a resized pixel was rounded to the next whole value
_CALIBRATION = 128  # number of training images that set the int8 ranges


def export(run: SavedRun, form: str, int8: bool, output: Path | None, images: int, tolerance: float | None,
           say: Callable[[str], None]) -> int:  # fmt: skip
    """Write the run's network in format `form` and compare it with Keras on test images.

    Without the run's data, the comparison uses random images. Returns 0, or 1 if the difference exceeds the tolerance.
    Networks see whole pixel values. Where resizing gives a half, the export may round it to the other side than Keras,
    and some networks are sensitive to that. So a larger difference is accepted if there is none without resizing.
    Raises `UserError` if the format can't be written, and for int8 without training images.
    """
    forms.require(form)
    task = tasks.of_config(run.config)
    if int8 and task.served.refuses_int8:
        raise UserError(task.served.refuses_int8)
    path = output or forms.place(run.folder, forms.INT8 if int8 else form)
    _refuse_overwrite(path, form)
    model = servable(run, task, say)
    dataset, missing = saved.dataset_or_reason(run)
    if int8 and dataset is None:
        raise UserError(f"--int8 needs the run's training images to choose the 8-bit ranges: {missing}")
    write(run, model, forms.INT8 if int8 else form, path, dataset.train if dataset else None)
    pictures = _sample_images(dataset.test, images, run.spec) if dataset else _random_images(images, run.spec)
    if int8:  # the int8 format takes pixels 0–255 of the network's own size
        pictures = [graph.as_seen(model, picture[np.newaxis])[0] for picture in pictures]
        model = takes_pixels(model)
    bound = tolerance if tolerance is not None else _TOLERANCE_INT8 if int8 else task.served.tolerance
    say(f"written: {path} ({forms.size(path) / 2**20:.1f} MiB)")
    _write_card(run, task, path, say)
    predict = reader(path, form)
    found, unresized = compare(task, model, predict, pictures), None
    if bound < found.difference <= _TOLERANCE_ROUNDED and not int8 and run.spec.span is None:
        seen = [graph.as_seen(model, picture[np.newaxis])[0] for picture in pictures]
        unresized = compare(task, model, predict, seen).difference
    which = (
        f"test images of {dataset.name}" if dataset else f"random images, because the run's data is missing ({missing})"
    )
    say(f"compared with Keras on {len(pictures)} {which}: " + _summary(found, unresized, bound, task.served.answers))
    decisive = found.difference if unresized is None else unresized
    return 0 if decisive <= bound else 1  # also 1 if the difference is NaN


def _write_card(run: SavedRun, task: Task, path: Path, say: Callable[[str], None]) -> None:
    """Write MODEL_CARD.md beside the export, unless the folder has such a file from somewhere else."""
    card = path.parent / model_card.NAME
    if not model_card.may_replace(card):
        say(f"note: {card} was not written by cvlib, so it is not replaced")
        return
    usual = {forms.place(path, form).name for form in forms.FORMS}
    files = sorted(name for name in {*usual, path.name} if (path.parent / name).exists())
    write_atomically(card, model_card.card(run.record, task.hub_task, files))
    say(f"written: {card}")


def servable(run: SavedRun, task: Task, say: Callable[[str], None]) -> keras.Model:
    """Return the run's network as the formats other than int8 hold it: in float32, for the values of files."""
    return takes_file_values(_in_float32(run, task, say), run.spec)


def write(run: SavedRun, model: keras.Model, form: str, path: Path, train: Split | None) -> None:
    """Write the `servable` network to `path` in a format of `forms`; int8 needs the training images."""
    labels = saved.labels(run)
    if form == "saved_model":
        write_saved_model(model, path, labels)
    elif form == "onnx":
        write_onnx(model, path, labels)
    else:
        calibration = _sample_images(train, _CALIBRATION, run.spec) if form == forms.INT8 and train else None
        write_litert(model, path, labels, calibration)


def _in_float32(run: SavedRun, task: Task, say: Callable[[str], None]) -> keras.Model:
    """Return the run's network in float32, which all runtimes support; after training in half precision, rebuild it."""
    precision = str(run.summary.get("precision") or "float32")
    if precision == "float32":
        return saved.network(run)
    say(f"the run was trained in {precision}; the export is in float32")
    keras.config.set_dtype_policy("float32")
    return task.inference(saved.as_trained(run), saved.labels(run))


def _random_images(count: int, spec: InputSpec) -> list[np.ndarray]:
    """Return uint8 noise (height, width, channels) in the range that the export takes."""
    noise = np.random.default_rng(0).integers(0, 256, (count, *spec.shape), np.uint8)
    return list(noise if spec.span is None else depth.unscaled(noise, spec.span))


def _refuse_overwrite(path: Path, form: str) -> None:
    """Raise `UserError` if the export would replace something other than an earlier export."""
    if form != "saved_model" and path.is_dir():
        raise UserError(f"--output {path} is a folder: give a file, such as {path / forms.place(path, form).name}")
    if form != "saved_model":
        suffix = forms.place(path, form).suffix
        if path.exists() and path.suffix != suffix:
            raise UserError(f"--output {path} is a file whose name does not end in {suffix}, so it is not replaced: "
                            "give another name")  # fmt: skip
    elif path.exists() and not (path / "saved_model.pb").is_file() and not (path.is_dir() and not any(path.iterdir())):
        raise UserError(f"--output {path} is not a SavedModel, so it is not replaced: give a folder that does not "
                        "exist")  # fmt: skip


def _summary(found: Agreement, unresized: float | None, bound: float, answers: str) -> str:
    if not found.answers:
        return f"there are no {answers} to compare, so the check shows only that the export runs"
    agree = f"{found.same} of {found.answers} {answers} agree"
    if unresized is not None and unresized <= bound:
        return (f"largest difference {found.difference:.2g}, because resizing rounds single pixels differently "
                f"(without resizing {unresized:.2g}, within the tolerance of {bound:g}); {agree}")  # fmt: skip
    within = "within" if found.difference <= bound else "ABOVE"
    return f"largest difference {found.difference:.2g}, {within} the tolerance of {bound:g}; {agree}"


def _sample_images(split: Split, count: int, spec: InputSpec) -> list[np.ndarray]:
    """Return at most `count` images (height, width, channels), evenly spaced over a split, as the export takes them."""
    indices = np.unique(np.linspace(0, len(split) - 1, min(count, len(split))).astype(int))
    chosen = [split.images[int(index)] for index in indices]
    read = [read_image(image, spec.channels, spec.span) if isinstance(image, Path) else image for image in chosen]
    read = [tiles.centre(image, spec.size) for image in read] if spec.tiled else read
    return read if spec.span is None else [depth.unscaled(image, spec.span) for image in read]
