"""Pictures of a run's network: filters, feature maps, maximized units, explanations and the embedding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cvlib import tasks
from cvlib.inspection.gallery import Gallery
from cvlib.inspection.samples import Sample, choose, data_of, pixels, resized

if TYPE_CHECKING:
    import keras

    from cvlib.data.dataset import Dataset
    from cvlib.models.restore import SavedRun
    from cvlib.tasks.base import Task

_UNITS = 16  # number of units of a layer to maximize: the most active ones
_MAX_EMBEDDED = 1000
_BATCH = 32


def visualize(
    run: SavedRun, images: Sequence[str | Path] = (), layers: Sequence[str] = (), steps: int = 128,
    say: Callable[[str], None] = print, folder: Path | None = None,
) -> list[Path]:  # fmt: skip
    """Draw what a run's network has learned, into RUN/visualizations and TensorBoard.

    Args:
        run: an opened run.
        images: image files to explain; if empty, some images of the test set.
        layers: names of feature maps to show and maximize; the last one is also used for Grad-CAM. If empty, the last
            feature map of every resolution.
        steps: number of steps of activation maximization; 0 skips it.
        say: receives the name of each picture, and the reason for each omission.
        folder: where to create `visualizations` and `tensorboard`; None: the run's folder.

    Returns:
        The picture files.

    Raises:
        UserError: for an unknown layer, an image that can't be read, or needed data that is not available.
    """
    from cvlib.inspection import attribution, graph
    from cvlib.tasks import saved

    model = saved.network(run)
    names = [step.name for step in graph.maps(model)]
    for layer in layers:
        graph.check_name(layer, names)
    data, remark = data_of(run, needed=not images)
    shown = choose(model, run, data, [Path(image) for image in images])
    if run.spec.tiled:
        say(f"data.tiles={run.spec.height}: the middle tile of each image is shown")
    gallery = Gallery(folder or run.folder, say)
    _learned(gallery, model, shown, layers, steps)
    task = tasks.of_config(run.config)
    if task.explains_classes:
        if not layers and not attribution.has_places(model):
            say("no Grad-CAM: the network has no feature map with several units")
        _explained(gallery, model, run, shown, layers[-1:], steps)
    else:
        say(f"{task.name} predicts no class for a whole image: no Grad-CAM, saliency or occlusion")
    if data is not None:
        _embedded(gallery, model, task, data)
    else:
        say(f"no embedding: {remark}")
    gallery.close()
    return gallery.written


def _learned(gallery: Gallery, model: keras.Model, samples: list[Sample], layers: Sequence[str], steps: int) -> None:
    """Draw the filters and, for each layer, maps of the first image and images that maximize its most active units."""
    from cvlib.inspection import features, graph, sheets

    filters = features.first_filters(model)
    if filters is not None:
        gallery.add("filters", sheets.filters(filters))
    first = samples[0]
    names = layers or [step.name for step in graph.stages(model)]
    for name, maps in features.feature_maps(model, first.pixels, names).items():
        units = features.most_active(maps, 64)
        gallery.add(f"feature_maps/{name}", sheets.feature_maps(maps, units))
        if steps:
            made = features.maximize(model, name, units[:_UNITS], first.pixels.shape[:2], steps)
            gallery.add(f"maximized/{name}", sheets.images(made, [f"unit {unit}" for unit in units[:_UNITS]]))


def _explained(gallery: Gallery, model: keras.Model, opened: SavedRun, samples: list[Sample], layer: Sequence[str],
               steps: int) -> None:  # fmt: skip
    """Draw the evidence for each explained class of an image; with `steps`, also an input optimized for each class."""
    from cvlib.inspection import attribution, features, graph, sheets

    classes = opened.classes
    places = bool(layer) or attribution.has_places(model)
    rows = []
    for sample in samples:
        for label, caption, masks in _explained_classes(model, sample, opened):
            rows.append((sample.pixels, caption, {
                **masks,
                **({"Grad-CAM": attribution.grad_cam(model, sample.pixels, label, *layer)} if places else {}),
                "saliency": attribution.saliency(model, sample.pixels, label),
                "occlusion": attribution.occlusion(model, sample.pixels, label),
            }))  # fmt: skip
    gallery.add("explanations", sheets.explanations(rows))
    if steps:
        shown = list(range(min(len(classes), _UNITS)))
        made = features.maximize(model, graph.scores(model).name, shown, samples[0].pixels.shape[:2], steps)
        gallery.add("maximized/classes", sheets.images(made, [classes[label] for label in shown]))


def _explained_classes(
    model: keras.Model, sample: Sample, run: SavedRun
) -> list[tuple[int, str, dict[str, np.ndarray]]]:  # fmt: skip
    """Return the classes to explain, each with its caption and masks.

    For a segmenter, this is the class with the most pixels, other than the first class, with the mask of its pixels.
    """
    from cvlib.inspection import graph

    classes = run.classes
    probabilities = graph.as_array(model(sample.pixels[np.newaxis], training=False))[0]
    if probabilities.ndim == 1:
        labels = tasks.of_config(run.config).explained_classes(run, probabilities)
        return [(label, f"{classes[label]} {probabilities[label]:.0%}\n{_verdict(sample, classes[label])}", {})
                for label in labels]  # fmt: skip
    mask = probabilities.argmax(axis=-1)
    pixels = np.bincount(mask.ravel(), minlength=len(classes))
    label = 1 + int(pixels[1:].argmax()) if pixels[1:].any() else 0  # the first class is usually the background
    caption = f"{classes[label]}\n{pixels[label] / mask.size:.0%} of pixels"
    return [(label, caption, {"pixels": (mask == label) * 1.0})]


def _verdict(sample: Sample, name: str) -> str:
    """Return a text that says whether the image has the class; empty if this is unknown."""
    if sample.truth is None:
        return ""
    return "✓" if name in sample.truth else f"is {', '.join(sorted(sample.truth)) or 'nothing'}"


def _embedded(gallery: Gallery, model: keras.Model, task: Task, dataset: Dataset) -> None:
    """Draw the test set's features by PCA and t-SNE, and write them for TensorBoard's projector."""
    from cvlib.inspection import embedding, graph

    split = dataset.test
    chosen = np.unique(np.linspace(0, len(split) - 1, min(len(split), _MAX_EMBEDDED)).astype(int))
    if isinstance(split.images, np.ndarray) and None in model.input_shape[1:3]:
        images = list(graph.as_seen(model, split.images[chosen]))
    else:
        images = [resized(model, pixels(split, int(index), dataset.channels, dataset.span)) for index in chosen]
    batches = [np.stack(images[start : start + _BATCH]) for start in range(0, len(images), _BATCH)]
    values = embedding.features(model, batches)
    classes = task.image_classes(split)
    labels = None if classes is None else classes[chosen]
    for method in ("pca", "tsne") if len(values) >= 5 else ("pca",):
        points = embedding.project(values, method)
        title = f"{len(values)} test images of {dataset.name}, {method}"
        gallery.add(f"embedding/{method}", embedding.scatter(points, labels, dataset.classes, title))
    names = [split.names[index] for index in chosen]
    class_names = (
        [dataset.name] * len(names)
        if labels is None
        else [dataset.classes[label] if label >= 0 else "no object" for label in labels]
    )
    thumbnails = [np.rint(image).astype(np.uint8) for image in images]
    embedding.write_projector(gallery.board, values, names, class_names, thumbnails)
