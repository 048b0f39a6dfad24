"""The functions of `import cvlib`, for notebooks. They take the same overrides as `run.py`.

    run = cvlib.train("model=cnn", "trainer.epochs=5")
    run.summary["metrics"]["test/accuracy"]
    cvlib.evaluate(run, split="val").by_class
    cvlib.predict(run, "my_images")

Each function raises `cvlib.UserError` with a one-line message for invalid input.
"""

from __future__ import annotations

import dataclasses
import functools
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from cvlib import tasks
from cvlib.cli.compose import compose, other_data
from cvlib.models import restore
from cvlib.models.restore import SavedRun
from cvlib.runtime.errors import UserError
from cvlib.training.own_state import unchanged

if TYPE_CHECKING:
    import keras

    from cvlib.config.schema import Config
    from cvlib.data.dataset import Dataset
    from cvlib.evaluation.evaluate_run import Evaluation
    from cvlib.tasks.base import Picture


@unchanged()
def load_data(*overrides: str) -> Dataset:
    """Load the dataset that a run with these overrides would use.

    It has `.train`, `.val` and `.test`, each with `.names`, `.images` (uint8 `(n, height, width, channels)`, or files)
    and `.labels`. It also has `.classes`, and `.notes` about possible problems.

    By default, a label is a class id. With `task=multilabel`, it is a frozenset of class ids. With `model=yolo`, it is
    the boxes, and with `model=segmenter`, the mask.
    """
    return _data(compose(overrides))


@unchanged()
def build(*overrides: str) -> keras.Model:
    """Build the network that a run with these overrides would train, with its initial weights.

    Layers are frozen as in the last phase of the mode. The network takes raw images `(batch, height, width, channels)`,
    0–255, and returns logits. Compile and fit it like any Keras model. Its layer "backbone" is the base.
    """
    config = compose(overrides)
    dataset = _data(config)
    from cvlib.models import network as networks
    from cvlib.training import batch_norm, devices
    from cvlib.transfer import freezing, regimes, weights

    devices.start(config)
    spec = tasks.input_spec(config, dataset.size, dataset.channels, dataset.span)
    built = networks.build(config.model, spec, len(dataset.classes))
    source = regimes.initial_weights(config.mode)
    if source is not None:
        weights.start_from(built, source, dataset.classes if regimes.keeps_classes(config.mode) else None)
    batch_norm.prepare(built.model, config.trainer.bn_momentum)
    freezing.apply(built, regimes.phases(config.mode, config.trainer.epochs)[-1])
    return built.model


@unchanged()
def train(*overrides: str, folder: str | Path | None = None) -> SavedRun:
    """Train with these overrides, as `python run.py` does, print the progress, and return the opened run.

    `folder` defaults to outputs/runs/NAME/TIME. If it holds an unfinished run with the same overrides, that run
    resumes. Interrupt the kernel to stop the run. Raises `cvlib.runtime.errors.RunFailed` if the run fails.
    """
    from cvlib import experiment
    from cvlib.runs.record import run_name

    if hydra_overrides := [override for override in overrides if override.startswith("hydra")]:
        raise UserError(f"{hydra_overrides[0]}: not available in cvlib.train; set the run's folder with folder=…, and "
                        "run sweeps with `python run.py -m`")  # fmt: skip
    config = compose(overrides)
    start_time = time.strftime("%Y-%m-%d_%H-%M-%S")
    run_folder = (
        Path(folder)
        if folder
        else Path(config.output_root) / "runs" / run_name(dataclasses.asdict(config)) / start_time
    )
    experiment.run(config, run_folder, {".hydra/overrides.yaml": yaml.safe_dump(list(overrides))})
    return restore.open_run(run_folder)


def load_run(folder: str | Path) -> SavedRun:
    """Open the run in a folder. It has `.summary` (the content of summary.json), `.config` and `.classes`."""
    return restore.open_run(Path(folder))


@unchanged()
def network(run: SavedRun | str | Path) -> keras.Model:
    """Load a run's best network.

    It takes images `(batch, height, width, channels)` of any size, as `read_image` returns them, and returns
    probabilities, boxes or masks. The network of a run with `data.tiles` takes single tiles of that size only;
    `predict` takes whole images.
    """
    _start()
    from cvlib.models.pixel_range import takes_file_values
    from cvlib.tasks import saved

    opened = _opened(run)
    return takes_file_values(saved.network(opened), opened.spec)


@unchanged()
def predict(run: SavedRun | str | Path, images: Any) -> list[Any]:
    """Return the predictions of a run's best network, one for each image.

    Args:
        run: the result of `load_run` or `train`, or a run's folder.
        images: a file, a folder, a pattern, an array `(height, width, channels)` or `(n, height, width, channels)` with
            the values that `read_image` returns, or a list of these.

    Returns:
        Classification: `.classes` and `.probabilities`, the most probable first. Multi-label: the same for the
        predicted classes, and `.scores` with the probability of every class. Detection: boxes with `.corners` (x_min,
        y_min, x_max, y_max in the image's pixels), `.scores` and `.classes`. Segmentation: masks, uint8
        `(height, width)`, whose values are indices into the run's `.classes`. Except for masks, `.file` is the image's
        file, or None.
    """
    _start()
    opened = _opened(run)
    pictures = [picture for given in (images if isinstance(images, list | tuple) else [images])
                for picture in _pictures(given, opened)]  # fmt: skip
    from cvlib import prediction

    return prediction.values(opened, _network(opened), pictures) if pictures else []


def read_image(run: SavedRun | str | Path, file: str | Path) -> np.ndarray:
    """Read an image file for the run's network, as `cvlib predict` does.

    EXIF rotation is applied, and transparent pixels become white.

    Returns:
        `(height, width, channels)`, uint8 in 0–255. If the run's images have more than 8 bits per channel: float32 in
        the range of these images (`range` in labels.json), in 256 steps, because the network sees no more.
    """
    from cvlib.data import depth, images

    opened = _opened(run)
    span = opened.spec.span
    pixels = images.read_image(Path(file).expanduser(), opened.channels, span)
    return pixels if span is None else depth.unscaled(pixels, span)


@unchanged()
def evaluate(run: SavedRun | str | Path, *overrides: str, split: str | None = None, tta: bool = False) -> Evaluation:
    """Evaluate a run's best network, as `cvlib evaluate` does.

    By default, the network is evaluated on the run's own data; `split` is train, val or test. Overrides such as
    `data=folder` choose other data. The result has `.metrics`, `.by_class`, `.results`, `.calibration` and `.pictures`.
    With `tta`, the predictions for each image and its mirror image are averaged.
    """
    opened = _opened(run)
    _start()
    from cvlib.evaluation import evaluate_run, samples

    other = other_data(opened.config, overrides) if overrides else None
    return evaluate_run.evaluate(opened, samples.choose(opened, split, other), tta)


def _start() -> None:
    from cvlib.training.devices import import_quietly

    import_quietly()


def _data(config: Config) -> Dataset:
    _start()
    from cvlib import data

    return data.load(config.data, config.seed, tasks.of_config(config).label_kind, task=config.model.task)


def _network(run: SavedRun) -> keras.Model:
    """Return a run's best network; that of the last completed run is kept for the next prediction."""
    from cvlib.tasks import saved

    file = run.folder / "model.keras"
    return _kept(run.folder.absolute(), file.stat().st_mtime_ns) if file.is_file() else saved.network(run)


@functools.lru_cache(maxsize=1)
def _kept(folder: Path, changed: int) -> keras.Model:
    from cvlib.tasks import saved

    return saved.network(load_run(folder))


def _opened(run: SavedRun | str | Path) -> SavedRun:
    return run if isinstance(run, SavedRun) else load_run(run)


def _pictures(given: Any, opened: SavedRun) -> list[Picture]:
    """Return the given images with their files; for arrays, the files are None."""
    channels = opened.channels
    from cvlib.data import depth
    from cvlib.data.images import read_image, to_channels
    from cvlib.prediction import find_files

    if not isinstance(given, np.ndarray):
        return [(file, read_image(file, channels, opened.spec.span)) for file in find_files([str(given)])]
    if given.ndim not in (3, 4) or given.shape[-1] not in (1, 3, channels) or 0 in given.shape[-3:]:
        raise UserError(f"invalid image array of shape {given.shape}: expected (height, width, channels) or a batch of "
                        "such images, with 1 or 3 channels")  # fmt: skip
    span = opened.spec.span
    if span is not None and given.dtype != np.uint8:
        images = depth.scaled(given, span)
    else:
        if given.size and given.dtype.kind == "f" and 0 < given.max() <= 1 and given.min() >= 0:
            warnings.warn("all pixels are between 0 and 1, but the network takes 0 to 255: multiply them by 255 if "
                          "they were scaled", stacklevel=4)  # fmt: skip
        images = np.rint(given).clip(0, 255).astype(np.uint8)
    return [(None, image) for image in to_channels(images.reshape(-1, *images.shape[-3:]), channels)]
