"""Image embeddings: a network's features before the last layer, in two dimensions and for TensorBoard's projector."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import keras
import numpy as np

from cvlib.inspection import graph
from cvlib.inspection.graph import Step
from cvlib.runtime.files import write_atomically
from cvlib.viz.pictures import visible

_BEFORE_TSNE = 50  # PCA dimensions before t-SNE, as its authors recommend
_SPRITE = 48  # side of a picture in the projector, in pixels
_SPRITE_SHEET = 8192  # maximum side of the sprite sheet that browsers support, in pixels


def features_step(model: keras.Model) -> Step:
    """Return the step whose output a classifier's last layer reads; for other networks, the last feature map."""
    listed = graph.steps(model)
    by_output = {number: step for step in listed for number in step.outputs}
    last = by_output[graph.outputs(model)[0]]
    while len(graph.shape_of(last)) == 1 and not hasattr(last.operation, "kernel") and last.inputs[0] in by_output:
        last = by_output[last.inputs[0]]
    if len(graph.shape_of(last)) == 1 and last.inputs[0] in by_output:
        return by_output[last.inputs[0]]
    return graph.stages(model)[-1]


def features(model: keras.Model, batches: Iterable[np.ndarray]) -> np.ndarray:
    """Return the features, float32 (images, features), of batches of images (batch, height, width, channels).

    A feature map is averaged over its positions.
    """
    name = features_step(model).name
    found = []
    for batch in batches:
        values = graph.as_array(graph.activations(model, np.asarray(batch, np.float32), [name])[name])
        found.append(values.reshape(len(values), -1, values.shape[-1]).mean(axis=1))
    return np.concatenate(found).astype(np.float32)


def project(values: np.ndarray, method: str = "pca", seed: int = 0) -> np.ndarray:
    """Project features (images, features) to two dimensions (images, 2).

    `method` is pca or tsne (van der Maaten & Hinton 2008), which needs at least five images.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    dimensions = min(_BEFORE_TSNE if method == "tsne" else 2, *values.shape)
    points = PCA(dimensions, random_state=seed).fit_transform(values.astype(np.float64))
    if method == "tsne":
        perplexity = min(30.0, (len(values) - 1) / 3)
        with threadpool_limits(1):  # synchronizing threads a thousand times is slow on a busy machine
            points = TSNE(2, perplexity=perplexity, init="random", random_state=seed).fit_transform(points)
    if points.shape[1] < 2:
        points = np.column_stack([points, np.zeros(len(points))])
    projected: np.ndarray = points.astype(np.float32)
    return projected


def scatter(points: np.ndarray, labels: np.ndarray | None, classes: Sequence[str], title: str) -> np.ndarray:
    """Draw points (images, 2), coloured by class if labels are given: uint8 (height, width, 3).

    Points with the label −1 are not drawn.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 6.4), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots()
    colours = matplotlib.colormaps["tab10" if len(classes) <= 10 else "gist_rainbow"]
    for number, name in enumerate(classes if labels is not None else ["images"]):
        chosen = points if labels is None else points[labels == number]
        if len(chosen):
            colour = colours(number if len(classes) <= 10 else number / len(classes))
            axes.scatter(chosen[:, 0], chosen[:, 1], s=12, color=colour, alpha=0.8, linewidths=0, label=name)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(title)
    if labels is not None and len(classes) <= 40:
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8, ncols=1 + len(classes) // 25, markerscale=2)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def write_projector(folder: Path, values: np.ndarray, names: Sequence[str], labels: Sequence[str],
                    images: Sequence[np.ndarray]) -> None:  # fmt: skip
    """Write the files of TensorBoard's projector into `folder`: vectors, names with labels, and small pictures.

    `images` are uint8 (height, width, 1 or 3). Without images, the projector shows plain points.
    """
    vectors = "".join("\t".join(f"{value:.6g}" for value in row) + "\n" for row in values)
    write_atomically(folder / "features.tsv", vectors)
    rows = [f"{_cell(name)}\t{_cell(label)}" for name, label in zip(names, labels, strict=True)]
    write_atomically(folder / "features_metadata.tsv", "\n".join(["name\tclass", *rows, ""]))
    config = ['embeddings {', '  tensor_name: "features"', '  tensor_path: "features.tsv"',
              '  metadata_path: "features_metadata.tsv"']  # fmt: skip
    if len(images):
        side = min(_SPRITE, _SPRITE_SHEET // int(np.ceil(np.sqrt(len(images)))))
        write_atomically(folder / "features_sprite.png", _sprite(images, side))
        config.append(f'  sprite {{ image_path: "features_sprite.png" single_image_dim: [{side}, {side}] }}')
    write_atomically(folder / "projector_config.pbtxt", "\n".join([*config, "}", ""]))


def _cell(text: str) -> str:
    return " ".join(text.split())


def _sprite(images: Sequence[np.ndarray], side: int) -> bytes:
    """Return a PNG with the pictures row by row on a square grid, as the projector expects."""
    from PIL import Image

    columns = int(np.ceil(np.sqrt(len(images))))
    sheet = Image.new("RGB", (columns * side, columns * side), "white")
    for number, image in enumerate(images):
        picture = Image.fromarray(visible(image)).convert("RGB")
        sheet.paste(picture.resize((side, side)), (number % columns * side, number // columns * side))
    content = io.BytesIO()
    sheet.save(content, "PNG")
    return content.getvalue()
