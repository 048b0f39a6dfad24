"""What `import cvlib` gives in a notebook: the steps of a run as functions of the overrides that `run.py` takes.

    run = cvlib.train("model=cnn", "trainer.epochs=5")
    run.summary["metrics"]["test/accuracy"]
    cvlib.evaluate(run, split="val").by_class
    cvlib.predict(run, "my_images")

Each raises `cvlib.UserError`, in one line, for what can't be.
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from cvlib import tasks
from cvlib.cli.compose import compose, other_data
from cvlib.models import restore
from cvlib.models.restore import SavedRun
from cvlib.runtime.errors import UserError

if TYPE_CHECKING:
    import keras

    from cvlib.config.schema import Config
    from cvlib.data.dataset import Dataset
    from cvlib.evaluation.evaluate_run import Evaluation


def load_data(*overrides: str) -> Dataset:
    """The dataset that a run of these overrides would have: `.train`, `.val` and `.test`, each with `.names`,
    `.images` (uint8 `(n, height, width, channels)`, or files) and `.labels`; `.classes`; `.notes` on what is odd.

    With `task=multilabel` among the overrides a label is a frozenset of class ids, with `model=yolo` or
    `model=segmenter` boxes or a mask.
    """
    return _data(compose(overrides))


def build(*overrides: str) -> keras.Model:
    """The network that a run of these overrides would train, with the weights that it would start from, frozen as in
    the last phase of its mode: raw images `(batch, height, width, channels)`, 0–255 → logits.

    Compile it and fit it as any Keras model; its layer "backbone" is the base.
    """
    config = compose(overrides)
    dataset = _data(config)
    from cvlib.data.input_spec import InputSpec
    from cvlib.models import network as networks
    from cvlib.training import batch_norm, devices
    from cvlib.transfer import freezing, regimes, weights

    devices.start(config)
    spec = InputSpec(*tasks.input_size(config, dataset.size), dataset.channels, tasks.resize(config), span=dataset.span)
    built = networks.build(config.model, spec, len(dataset.classes))
    source = regimes.initial_weights(config.mode)
    if source is not None:
        weights.start_from(built, source)
    batch_norm.prepare(built.model, config.trainer.bn_momentum)
    freezing.apply(built, regimes.phases(config.mode, config.trainer.epochs)[-1])
    return built.model


def train(*overrides: str, folder: str | Path | None = None) -> SavedRun:
    """Do the run of these overrides, as `python run.py` does, and open it; it is printed as it goes.

    `folder` is outputs/runs/NAME/TIME where none is given. With the folder of an unfinished run of the same overrides
    it goes on; interrupt the kernel to stop it. Raises `cvlib.runtime.errors.RunFailed` for a run gone wrong.
    """
    from cvlib import experiment
    from cvlib.runs.record import run_name

    if of_hydra := [one for one in overrides if one.startswith("hydra")]:
        raise UserError(f"{of_hydra[0]}: here folder=… says where a run goes; sweeps are for `python run.py -m`")
    config = compose(overrides)
    now = time.strftime("%Y-%m-%d_%H-%M-%S")
    place = Path(folder) if folder else Path(config.output_root) / "runs" / run_name(dataclasses.asdict(config)) / now
    experiment.run(config, place, {".hydra/overrides.yaml": yaml.safe_dump(list(overrides))})
    return restore.open_run(place)


def load_run(folder: str | Path) -> SavedRun:
    """The run in a folder: its `.summary` (metrics and all that summary.json has), `.config`, `.classes`."""
    return restore.open_run(Path(folder))


def network(run: SavedRun | str | Path) -> keras.Model:
    """A run's best network: raw images `(batch, any, any, channels)`, 0–255 → probabilities, boxes or masks."""
    _start()
    from cvlib.tasks import saved

    return saved.network(_opened(run))


def predict(run: SavedRun | str | Path, images: Any) -> list[Any]:
    """What a run's best network says of images, one answer each.

    Args:
        run: as `load_run` or `train` gives it, or its folder.
        images: a file, a folder, a pattern, an array `(height, width, channels)` or `(n, height, width, channels)` in
            0–255, or a list of these.

    Returns:
        Classification: answers with `.classes` and `.probabilities`, the most probable first. Multi-label: the same of
        the classes found, and `.scores`, the probability of every class. Detection: boxes with
        `.corners` (x_min, y_min, x_max, y_max in the image's pixels), `.scores`, `.classes`. Segmentation: masks, uint8
        `(height, width)`, which count the run's `.classes`.
    """
    opened = _opened(run)
    pixels = [one for given in (images if isinstance(images, list | tuple) else [images])
              for one in _pixels(given, opened)]  # fmt: skip
    from cvlib import prediction

    return prediction.values(opened, network(opened), pixels) if pixels else []


def read_image(run: SavedRun | str | Path, file: str | Path) -> np.ndarray:
    """An image file as the run's network takes it, uint8 `(height, width, channels)`: upright as its EXIF says,
    transparency on white, pixels of more than 8 bits by the run's range. `cvlib predict` reads files so.
    """
    from cvlib.data import images

    opened = _opened(run)
    return images.read_image(Path(file).expanduser(), opened.channels, opened.spec.span)


def evaluate(run: SavedRun | str | Path, *overrides: str, split: str | None = None, tta: bool = False) -> Evaluation:
    """A run's best network measured as `cvlib evaluate` does, on a `split` (train, val or test) of its data, or with
    overrides such as `data=folder` on other data: `.metrics`, `.by_class`, `.results`, `.calibration`, `.pictures`.
    """
    opened = _opened(run)
    _start()
    from cvlib.evaluation import evaluate_run as again
    from cvlib.evaluation import samples

    other = other_data(opened.config, overrides) if overrides else None
    return again.evaluate(opened, samples.choose(opened, split, other), tta)


def _start() -> None:
    from cvlib.training.devices import import_quietly

    import_quietly()


def _data(config: Config) -> Dataset:
    _start()
    from cvlib import data

    return data.load(config.data, config.seed, tasks.of_config(config).label_kind, task=config.model.task)


def _opened(run: SavedRun | str | Path) -> SavedRun:
    return run if isinstance(run, SavedRun) else load_run(run)


def _pixels(given: Any, opened: SavedRun) -> list[np.ndarray]:
    """The images that are meant, uint8 `(height, width, channels)`."""
    channels = opened.channels
    from cvlib.data.images import read_image, to_channels
    from cvlib.prediction import find_files

    if not isinstance(given, np.ndarray):
        return [read_image(file, channels, opened.spec.span) for file in find_files([str(given)])]
    if given.ndim not in (3, 4) or given.shape[-1] not in (1, 3, channels) or 0 in given.shape[-3:]:
        raise UserError(f"an array of the shape {given.shape} is no image: give (height, width, channels) or a batch "
                        "of them, with 1 or 3 channels")  # fmt: skip
    images = np.rint(given).clip(0, 255).astype(np.uint8)
    return list(to_channels(images.reshape(-1, *images.shape[-3:]), channels))
