"""Pictures of boxes on images, and of precision–recall curves, as uint8 arrays `(height, width, 3)`."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np

from cvlib.data.dataset import Boxes
from cvlib.tasks.detection.coco import Detections
from cvlib.viz.pictures import visible

MIN_DRAWN_SCORE = 0.25  # detections with at least this score are drawn
_MIN_SIDE = 240  # pixels: smaller images are enlarged, so that captions can be read


def colour(label: int) -> tuple[int, int, int]:
    """Return a class's RGB colour; consecutive classes have very different hues."""
    red, green, blue = colorsys.hsv_to_rgb(label * 0.618034 % 1, 0.85, 0.85)
    return round(red * 255), round(green * 255), round(blue * 255)


def boxed(
    image: np.ndarray, boxes: Boxes | Detections, classes: Sequence[str], min_score: float = MIN_DRAWN_SCORE
) -> np.ndarray:
    """Draw boxes on an image `(height, width, 1 or 3)`, 0–255, with classes and scores beside them.

    Boxes are in pixels of the image. Images whose shorter side is under 240 pixels are enlarged. Detections with a
    score below `min_score` are not drawn.
    """
    from PIL import Image, ImageDraw

    pixels = visible(image)
    picture = Image.fromarray(pixels.astype(np.uint8)).convert("RGB")
    scale = max(1, -(-_MIN_SIDE // min(picture.size)))
    picture = picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)
    pen, width = ImageDraw.Draw(picture), max(2, min(picture.size) // 200)
    for corners, label, text in _drawable(boxes, classes, min_score):
        left, top, right, bottom = (float(value) * scale for value in corners)
        pen.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=colour(label), width=width)
        _caption(pen, left, top, text, colour(label), picture.size)
    return np.asarray(picture)


def _drawable(
    boxes: Boxes | Detections, classes: Sequence[str], min_score: float
) -> list[tuple[np.ndarray, int, str]]:  # fmt: skip
    from cvlib.viz.pictures import shortened

    names = [shortened(classes[label], 16) for label in boxes.classes]
    if isinstance(boxes, Boxes):
        texts = [f"{name} (crowd)" if crowd else name for name, crowd in zip(names, boxes.crowd, strict=True)]
        return list(zip(boxes.corners, boxes.classes.tolist(), texts, strict=True))
    texts = [f"{name} {score:.0%}" for name, score in zip(names, boxes.scores, strict=True)]
    rows = list(zip(boxes.corners, boxes.classes.tolist(), texts, strict=True))
    # The box with the highest score is drawn last, on top of the others.
    return [rows[i] for i in np.argsort(boxes.scores, kind="stable") if boxes.scores[i] >= min_score]


def _caption(pen: object, left: float, top: float, text: str, background: tuple[int, int, int],
             size: tuple[int, int]) -> None:  # fmt: skip
    from cvlib.viz.pictures import font

    _, _, width, height = pen.textbbox((0, 0), text, font=font())  # type: ignore[attr-defined]
    x = min(max(0.0, left), max(0.0, size[0] - width - 2))
    y = top - height - 2 if top > height + 2 else top + 2
    pen.rectangle((x, y, x + width + 2, y + height + 2), fill=background)  # type: ignore[attr-defined]
    pen.text((x + 1, y), text, (255, 255, 255), font=font())  # type: ignore[attr-defined]


def sheet(images: np.ndarray, truths: Sequence[Boxes], found: Sequence[Detections | None],
          classes: Sequence[str], names: Sequence[str] = ()) -> np.ndarray:  # fmt: skip
    """Draw images with their true boxes, four per row; any detections are drawn on a copy of the image below.

    If `names` are given, the file name of each sample is written above its true boxes.
    """
    from PIL import Image, ImageDraw

    from cvlib.viz.pictures import font, with_names

    columns, gap, line = 4, 8, 16
    rows, titles = [], []
    for start in range(0, len(images), columns):
        row = slice(start, start + columns)
        rows.append([boxed(*pair, classes) for pair in zip(images[row], truths[row], strict=True)])
        titles.append(with_names(["truth"] * len(rows[-1]), names[row], ": "))
        if found[start] is not None:
            rows.append([boxed(*pair, classes) for pair in zip(images[row], found[row], strict=True)])  # type: ignore[arg-type]
            titles.append(["prediction"])
    height, width = rows[0][0].shape[:2]
    whole = Image.new("RGB", (len(rows[0]) * (width + gap) + gap, len(rows) * (height + line + gap)), "white")
    pen = ImageDraw.Draw(whole)
    for i, (row_titles, row_pictures) in enumerate(zip(titles, rows, strict=True)):
        top = i * (height + line + gap)
        for j, title in enumerate(row_titles if names else row_titles[:1]):
            pen.text((gap + j * (width + gap), top + 1), title, (30, 30, 30), font=font())
        for j, picture in enumerate(row_pictures):
            whole.paste(Image.fromarray(picture), (gap + j * (width + gap), top + line))
    return np.asarray(whole)


def precision_recall(precision: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """Draw the precision–recall curve of each class at IoU 0.5.

    `precision` is `(classes, 101)` at recalls 0, 0.01 … 1. Classes whose precision is NaN are left out.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from cvlib.viz.pictures import shortened

    figure = Figure(figsize=(8, 5), dpi=90, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots()
    recalls = np.linspace(0, 1, precision.shape[1])
    known = [label for label in range(len(classes)) if not np.isnan(precision[label, 0])]
    for label in known:
        name = f"{shortened(classes[label], 16)}  AP {precision[label].mean():.2f}"
        axes.plot(recalls, precision[label], color=np.array(colour(label)) / 255, label=name)
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02), title="at IoU 0.5")
    if 0 < len(known) <= 25:
        figure.legend(fontsize=8, loc="outside right center")  # inside the axes it could cover a curve
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
