"""`cvlib visualize RUN`: filters, feature maps, maximized units, explanations and the embedding, as pictures."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cvlib.cli.common import begin
from cvlib.runtime.errors import UserError

if TYPE_CHECKING:
    import keras

    from cvlib.data.dataset import Dataset, Split
    from cvlib.models.restore import Run

_IMAGES = 6  # of the test set, where none are given
_UNITS = 16  # of a layer that are maximized: the most active ones
_MOST_EMBEDDED = 1000
_BATCH = 32


def add(commands: argparse._SubParsersAction[Any]) -> None:
    """Declare the subcommand."""
    parser = commands.add_parser(
        "visualize", help="what a run's network has learned to look for, as pictures",
        description="Writes pictures into RUN/visualizations and into TensorBoard: filters, feature maps, images that "
        "excite units and classes most, Grad-CAM, saliency, occlusion, and the test set's features in two dimensions.",
    )  # fmt: skip
    parser.add_argument("run", type=Path, metavar="RUN", help="a run's folder")
    parser.add_argument("--image", type=Path, action="append", default=[], metavar="FILE",
                        help="explain this image (may be repeated; default: some of the test set)")  # fmt: skip
    parser.add_argument("--layers", nargs="+", default=[], metavar="NAME",
                        help="feature maps to show and maximize, the last also for Grad-CAM "
                        "(default: the last of every resolution; `cvlib inspect` lists them)")  # fmt: skip
    parser.add_argument("--steps", type=_count, default=128, help="of activation maximization; 0 leaves it out")
    parser.set_defaults(command=run)


def run(chosen: argparse.Namespace) -> int:
    """Draw everything that the run's task has; return 0."""
    from cvlib.models import restore as saved

    opened = saved.open_run(chosen.run)
    begin(opened)
    from cvlib.inspection import graph

    model = saved.network(opened)
    names = [step.name for step in graph.maps(model)]
    for layer in chosen.layers:
        graph.check_name(layer, names)
    dataset, remark = _data(opened, needed=not chosen.image)
    samples = _samples(model, opened, dataset, chosen.image)
    gallery = Gallery(opened.folder)
    _learned(gallery, model, samples, chosen.layers, chosen.steps)
    if opened.config.model.task != "detection":
        _explained(gallery, model, opened, samples, chosen.layers[-1:], chosen.steps)
    else:
        print("a detector has no class for a whole image: no Grad-CAM, saliency or occlusion")
    if dataset is not None:
        _embedded(gallery, model, dataset)
    else:
        print(f"no embedding: {remark}")
    gallery.close()
    print(f"{len(gallery.written)} pictures in {gallery.folder}")
    return 0


@dataclass(frozen=True)
class Sample:
    """One image as the network sees it, with its name and, where it is known, its class."""

    name: str
    pixels: np.ndarray  # float32 (height, width, channels), 0–255, resized by the network itself
    truth: str | None


class Gallery:
    """Where pictures go: RUN/visualizations/NAME.png, and RUN/tensorboard/visualizations."""

    def __init__(self, run_folder: Path):
        import tensorflow as tf

        self.folder = run_folder / "visualizations"
        self.board = run_folder / "tensorboard" / "visualizations"
        for earlier in self.board.glob("events.out.tfevents.*"):
            earlier.unlink()  # the pictures of an earlier call, shown beside these they would look like another epoch
        self._writer = tf.summary.create_file_writer(str(self.board))
        self.written: list[str] = []

    def hang(self, name: str, picture: np.ndarray) -> None:
        """Write one picture, uint8 (height, width, 3)."""
        import tensorflow as tf

        from cvlib.viz.pictures import save_png

        save_png(picture, self.folder / f"{_file_name(name)}.png")
        with self._writer.as_default():
            tf.summary.image(name, picture[np.newaxis], 0)
        self.written.append(name)
        print(f"  {_file_name(name)}.png")

    def close(self) -> None:
        self._writer.close()


def _learned(gallery: Gallery, model: keras.Model, samples: list[Sample], layers: list[str], steps: int) -> None:
    """Filters; for every layer the maps of the first image, and images that excite its most active units."""
    from cvlib.inspection import features, graph, sheets

    gallery.hang("filters", sheets.filters(features.first_filters(model)))
    first = samples[0]
    names = layers or [step.name for step in graph.stages(model)]
    for name, maps in features.feature_maps(model, first.pixels, names).items():
        units = features.most_active(maps, 64)
        gallery.hang(f"feature_maps/{name}", sheets.feature_maps(maps, units))
        if steps:
            made = features.maximize(model, name, units[:_UNITS], first.pixels.shape[:2], steps)
            gallery.hang(f"maximized/{name}", sheets.images(made, [f"unit {unit}" for unit in units[:_UNITS]]))


def _explained(gallery: Gallery, model: keras.Model, opened: Run, samples: list[Sample], layer: list[str],
               steps: int) -> None:  # fmt: skip
    """For each image, or its most frequent class of pixels, why the network says what it says; for each class an image
    that is most of it."""
    from cvlib.inspection import attribution, features, graph, sheets

    classes = opened.classes
    rows = []
    for sample in samples:
        label, caption, where = _said(model, sample, classes)
        rows.append((sample.pixels, caption, {
            **where,
            "Grad-CAM": attribution.grad_cam(model, sample.pixels, label, *layer),
            "saliency": attribution.saliency(model, sample.pixels, label),
            "occlusion": attribution.occlusion(model, sample.pixels, label),
        }))  # fmt: skip
    gallery.hang("explanations", sheets.explanations(rows))
    if steps:
        shown = list(range(min(len(classes), _UNITS)))
        made = features.maximize(model, graph.scores(model).name, shown, samples[0].pixels.shape[:2], steps)
        gallery.hang("maximized/classes", sheets.images(made, [classes[label] for label in shown]))


def _said(model: keras.Model, sample: Sample, classes: list[str]) -> tuple[int, str, dict[str, np.ndarray]]:
    """The class to explain and its caption; of a segmenter the class of most pixels but for the first, and these."""
    from cvlib.inspection import graph

    probabilities = graph.as_array(model(sample.pixels[np.newaxis], training=False))[0]
    if probabilities.ndim == 1:
        label = int(probabilities.argmax())
        truth = "" if sample.truth is None else "✓" if sample.truth == classes[label] else f"is {sample.truth}"
        return label, f"{classes[label]} {probabilities[label]:.0%}\n{truth}", {}
    mask = probabilities.argmax(axis=-1)
    pixels = np.bincount(mask.ravel(), minlength=len(classes))
    label = 1 + int(pixels[1:].argmax()) if pixels[1:].any() else 0  # the first is most often the background
    return label, f"{classes[label]}\n{pixels[label] / mask.size:.0%} of pixels", {"pixels": (mask == label) * 1.0}


def _embedded(gallery: Gallery, model: keras.Model, dataset: Dataset) -> None:
    """The test set's features by PCA and t-SNE, and for TensorBoard's projector."""
    from cvlib.inspection import embedding, graph

    split = dataset.test
    chosen = np.unique(np.linspace(0, len(split) - 1, min(len(split), _MOST_EMBEDDED)).astype(int))
    if isinstance(split.images, np.ndarray):
        images = list(graph.as_seen(model, split.images[chosen]))
    else:
        images = [_resized(model, _pixels(split, int(index), dataset.channels)) for index in chosen]
    batches = [np.stack(images[start : start + _BATCH]) for start in range(0, len(images), _BATCH)]
    values = embedding.features(model, batches)
    labels = np.asarray(split.labels)[chosen] if dataset.task == "classification" else None
    for method in ("pca", "tsne") if len(values) >= 5 else ("pca",):
        points = embedding.project(values, method)
        title = f"{len(values)} test images of {dataset.name}, {method}"
        gallery.hang(f"embedding/{method}", embedding.scatter(points, labels, dataset.classes, title))
    names = [split.names[index] for index in chosen]
    words = [dataset.name] * len(names) if labels is None else [dataset.classes[label] for label in labels]
    small = [np.rint(image).astype(np.uint8) for image in images]
    embedding.write_projector(gallery.board, values, names, words, small)


def _data(opened: Run, needed: bool) -> tuple[Dataset | None, str]:
    """The run's data; where it can't be had and images were given, None and why."""
    from cvlib.models import restore as saved

    try:
        return saved.dataset(opened), ""
    except UserError as error:
        if needed:
            raise UserError(f"{error}; give images with --image to do without the run's data") from None
        return None, str(error)


def _samples(model: keras.Model, opened: Run, dataset: Dataset | None, files: list[Path]) -> list[Sample]:
    """The given images, or some of the test set: of different classes where it has classes."""
    from cvlib.data.images import read_image

    if files:
        return [Sample(file.name, _resized(model, read_image(file, opened.channels)), None) for file in files]
    assert dataset is not None
    split = dataset.test
    if dataset.task == "classification":
        labels = np.asarray(split.labels)
        firsts = [int(np.flatnonzero(labels == label)[0]) for label in np.unique(labels)]
        chosen = [firsts[i] for i in np.unique(np.linspace(0, len(firsts) - 1, _IMAGES).astype(int))]
        truths: list[str | None] = [dataset.classes[labels[index]] for index in chosen]
    else:
        chosen = [int(i) for i in np.unique(np.linspace(0, len(split) - 1, _IMAGES).astype(int))]
        truths = [None] * len(chosen)
    return [Sample(split.names[index], _resized(model, _pixels(split, index, dataset.channels)), truth)
            for index, truth in zip(chosen, truths, strict=True)]  # fmt: skip


def _pixels(split: Split, index: int, channels: int) -> np.ndarray:
    from cvlib.data.images import read_image

    found = split.images[index]
    return read_image(found, channels) if isinstance(found, Path) else found


def _resized(model: keras.Model, image: np.ndarray) -> np.ndarray:
    """The image as the network's own resizing makes it."""
    from cvlib.inspection import graph

    seen: np.ndarray = graph.as_seen(model, np.asarray(image)[np.newaxis])[0]
    return seen


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name)


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text} is no whole number from 0 on")
    return int(text)
