"""Make the pictures of the pages, in `docs/pictures/`.

`python docs/pictures.py [NAME…]` draws those of the concepts for light and dark pages (under a minute). Their numbers
come from cvlib's own functions or from `experiments/simulations/verdicts.md`, never from this file.
`python docs/pictures.py tutorials` takes those of the tutorials from the runs of their commands, below `outputs/`.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image, ImageDraw

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
OUT = ROOT / "docs/pictures"
SIMULATION = ROOT / "experiments/simulations/verdicts.md"
# The colours differ for people with a colour vision deficiency; they are those of a run's page.
THEMES = {
    "light": {"ink": "#1b1f24", "rule": "#d0d6dc", "cold": "#0072b2", "warm": "#d55e00", "green": "#009e73",
              "pale": "#dbeaf4", "off": "#eceff1", "page": "#ffffff"},
    "dark": {"ink": "#e7eaed", "rule": "#4a525a", "cold": "#56b4e9", "warm": "#ff8c42", "green": "#2fd0a0",
             "pale": "#1f4058", "off": "#2b3137", "page": "#1e2129"},
}  # fmt: skip
Theme = dict[str, str]
_REGIMES = {
    "scratch": [],
    "feature_extractor": [],
    "finetune": ["mode.head_epochs=1"],
    "finetune, freeze=stage3": ["mode.head_epochs=1", "mode.freeze=stage3"],
    "finetune, unfreeze=gradual": ["mode.head_epochs=1", "mode.unfreeze=gradual"],
}


def regimes(theme: Theme) -> Figure:
    """Which blocks of EfficientNet-Lite each regime trains in which of six epochs."""
    figure, plots = plt.subplots(1, len(_REGIMES), figsize=(10, 3.4), sharey=True)
    for axes, (title, overrides) in zip(plots, _REGIMES.items(), strict=True):
        names, trained = _trained(title.split(",")[0], overrides)
        for epoch, column in enumerate(trained):
            for place, on in enumerate(column):
                face = theme["warm"] if on else theme["pale"]
                axes.add_patch(Rectangle((epoch + 0.5, place - 0.5), 1, 1, facecolor=face, edgecolor=theme["rule"]))
                if not on:  # not by the colour alone
                    axes.plot([epoch + 0.8, epoch + 1.2], [place - 0.15, place + 0.15], color=theme["cold"], lw=1)
        axes.set(xlim=(0.5, len(trained) + 0.5), ylim=(-0.5, len(names) - 0.5), xticks=range(1, len(trained) + 1),
                 yticks=range(len(names)), yticklabels=names)  # fmt: skip
        axes.set_title(title.replace(", ", "\n"), fontsize=9)
        axes.set_xlabel("epoch", fontsize=9)
    return figure


def _trained(mode: str, overrides: list[str]) -> tuple[list[str], list[list[bool]]]:
    """Return the names of the blocks with the head, and for each epoch which of them are trained."""
    from cvlib.cli.compose import compose
    from cvlib.data.input_spec import InputSpec
    from cvlib.models.network import build
    from cvlib.transfer import freezing

    config = compose(["model=efficientnet_lite", f"mode={mode}", "trainer.epochs=6", *overrides])
    network = build(config.model, InputSpec(96, 96, 3), 10)
    blocks = network.backbone.blocks(network.base)
    columns = []
    for phase in freezing.phases(network, config.mode, 6):
        freezing.apply(network, phase)
        column = [any(layer.trainable_variables for layer in block.layers) for block in blocks]
        columns += [[*column, True]] * (phase.end - phase.start)
    shown = [place for place, block in enumerate(blocks) if any(layer.weights for layer in block.layers)]
    return ([*(blocks[place].name for place in shown), "head"],
            [[*(column[place] for place in shown), column[-1]] for column in columns])  # fmt: skip


def output_sizes(theme: Theme) -> Figure:
    """How many output units a 3×3 convolution has on a 6×6 map, with Keras' layer."""
    import keras

    cases = [("valid, stride 1", {"padding": "valid"}), ("same, stride 1", {"padding": "same"}),
             ("same, stride 2", {"padding": "same", "strides": 2}),
             ("valid, dilation 2", {"padding": "valid", "dilation_rate": 2})]  # fmt: skip
    figure, plots = plt.subplots(1, len(cases), figsize=(10, 2.1))
    for axes, (title, options) in zip(plots, cases, strict=True):
        side = keras.layers.Conv2D(1, 3, **options).compute_output_shape((None, 6, 6, 1))[1]
        step = options.get("dilation_rate", 1)
        first = -1 if title == "same, stride 1" else 0  # with stride 2, Keras pads only at the bottom and right
        _grid(axes, 6, 0, theme, lambda row, column: "off")
        for row in range(3):
            for column in range(3):
                axes.add_patch(Rectangle((first + column * step, first + row * step), 1, 1, facecolor=theme["warm"],
                                         edgecolor=theme["rule"]))  # fmt: skip
        _grid(axes, side, 8, theme, lambda row, column: "warm" if (row, column) == (0, 0) else "pale")
        axes.annotate("", (7.8, 3), (6.2, 3), arrowprops={"arrowstyle": "->", "color": theme["ink"]})
        axes.set(xlim=(-1.2, 14.2), ylim=(6.2, -1.2), aspect="equal")
        axes.set_title(f"{title}\n6×6 → {side}×{side}", fontsize=9)
        axes.axis("off")
    return figure


def _grid(axes: Axes, side: int, left: float, theme: Theme, colour: Callable[[int, int], str]) -> None:
    for row in range(side):
        for column in range(side):
            axes.add_patch(Rectangle((left + column, row), 1, 1, facecolor=theme[colour(row, column)],
                                     edgecolor=theme["rule"]))  # fmt: skip


def receptive_fields(theme: Theme) -> Figure:
    """The receptive field of the last map of each resolution, and the sides of the boxes in data=cards."""
    from cvlib.cli.compose import compose
    from cvlib.data.input_spec import InputSpec
    from cvlib.inspection.describe import Subject, describe

    figure, axes = plt.subplots(figsize=(7.2, 3.8))
    styles = zip(("darknet", "efficientnet_lite", "vgg", "resnet"), ("cold", "warm", "green", "ink"), "os^D",
                 strict=True)  # fmt: skip
    for name, colour, marker in styles:
        rows = describe(Subject(compose([f"model={name}"]), InputSpec(224, 224, 3), 10, [])).rows
        last = {int(row.fields[0].jump): row.fields[0].size for row in rows if row.fields and row.fields[0].shift}
        axes.plot(list(last), list(last.values()), color=theme[colour], marker=marker, label=name)
    low, middle, high = np.quantile(_sides_of_cards(), (0.1, 0.5, 0.9))
    axes.axhspan(low, high, color=theme["pale"], zorder=0)
    axes.axhline(middle, color=theme["cold"], lw=1, ls="--")
    axes.text(1.02, middle * 1.06, "sides of the boxes in data=cards: 10 %, 50 %, 90 %", fontsize=8)
    axes.set(xscale="log", yscale="log", xlabel="stride of the map in pixels", ylabel="receptive field in pixels",
             xticks=[1, 2, 4, 8, 16, 32], yticks=[1, 10, 100, 1000])  # fmt: skip
    axes.xaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.grid(color=theme["rule"], lw=0.5)
    axes.legend(frameon=False, fontsize=9)
    return figure


def _sides_of_cards() -> np.ndarray:
    """Return √(width × height) of each training box, in pixels of a 224-pixel network input (letterbox)."""
    import cvlib

    train = cvlib.load_data("data=cards", "task=detection", "model=yolo").train
    found = []
    for image, boxes in zip(train.images, train.labels, strict=True):
        with Image.open(image) as opened:
            corners = np.asarray(boxes.corners, float) * 224 / max(opened.size)
        found += list(np.sqrt(np.prod(corners[:, 2:] - corners[:, :2], axis=1)))
    return np.asarray(found)


def upsampling(theme: Theme) -> Figure:
    """The three decoders of model=segmenter on a 2×2 map, by the product's functions."""
    from keras import layers, ops

    from cvlib.models.head_parts.decoders import max_unpool

    coarse = np.array([[1, 2], [3, 4]], np.float32)[None, :, :, None]
    finer = np.array([[5, 1, 0, 2], [2, 3, 7, 1], [1, 0, 2, 2], [0, 6, 3, 9]], np.float32)[None, :, :, None]
    transposed = layers.Conv2DTranspose(1, 2, 2, use_bias=False)
    transposed.build(coarse.shape)
    transposed.set_weights([np.array([[1, 0.5], [0.5, 0]], np.float32)[:, :, None, None]])
    spread = np.asarray(transposed(coarse))[0, :, :, 0]
    resized = np.asarray(ops.image.resize(coarse, (4, 4), interpolation="bilinear"))[0, :, :, 0]
    unpooled = np.asarray(max_unpool(ops.convert_to_tensor(coarse), ops.convert_to_tensor(finer)))[0, :, :, 0]
    maxima = unpooled > 0
    figure, plots = plt.subplots(1, 5, figsize=(10, 2.5))
    _numbers(plots[0], coarse[0, :, :, 0], "coarse map", theme)
    _numbers(plots[1], resized, "interpolate", theme)
    _numbers(plots[2], finer[0, :, :, 0], "encoder's map before\npooling: the maxima", theme, maxima)
    _numbers(plots[3], unpooled, "unpool", theme, maxima)
    _numbers(plots[4], spread, "transpose, with the\nkernel 1 ½ / ½ 0", theme)
    return figure


def _numbers(axes: Axes, values: np.ndarray, title: str, theme: Theme, marked: np.ndarray | None = None) -> None:
    for (row, column), value in np.ndenumerate(values):
        on = marked[row, column] if marked is not None else value != 0
        axes.add_patch(Rectangle((column, row), 1, 1, facecolor=theme["pale" if on else "off"], ec=theme["rule"]))
        axes.text(column + 0.5, row + 0.5, f"{value:.3g}", ha="center", va="center", fontsize=9)
    axes.set(xlim=(-0.05, 4.05), ylim=(4.05, -0.05), aspect="equal")
    axes.set_title(title, fontsize=9)
    axes.axis("off")


def verdicts(theme: Theme) -> Figure:
    """Wrong claims of the verdict in each simulated design, and its power for two classifiers (mean over designs)."""
    lines = re.findall(r"^\|( \w.*[\d–] )\|$", SIMULATION.read_text(encoding="utf-8"), re.MULTILINE)
    rows = [[cell.strip().replace(",", "") for cell in line.split("|")] for line in lines]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5))
    seeds = [int(row[3]) for row in rows]
    shift = np.random.default_rng(0).uniform(0.9, 1.1, len(rows))  # so that equal points don't hide each other
    left.scatter(seeds * shift, [float(row[6]) for row in rows], s=18, color=theme["cold"])
    left.axhline(5, color=theme["warm"], ls="--", lw=1)
    left.set(xlabel="seeds, splits or folds", ylabel="wrong claims in %", ylim=(0, 14),
             title="Without a true difference: claims of a winner")  # fmt: skip
    for images, colour, marker in (("50", "cold", "o"), ("300", "warm", "s"), ("2000", "green", "^")):
        found: dict[int, list[float]] = {}
        for row in rows:
            if row[0] == "classification" and row[2] == images and row[4] == "2" and row[3] != "1":
                found.setdefault(int(row[3]), []).append(float(row[7]))
        points = [(count, np.mean(values)) for count, values in sorted(found.items())]
        right.plot(*zip(*points, strict=True), color=theme[colour], marker=marker, label=f"{int(images):,} test images")
    right.set(xlabel="seeds, splits or folds", ylabel="found in %", ylim=(0, 103),
              title="With a true difference: how often it is found")  # fmt: skip
    right.legend(frameon=False, fontsize=9)
    for axes in (left, right):
        axes.set(xscale="log", xticks=[1, 2, 3, 5, 10])
        axes.xaxis.set_major_formatter("{x:g}")
        axes.minorticks_off()
        axes.grid(color=theme["rule"], lw=0.5)
        axes.title.set_fontsize(10)
    return figure


PICTURES = {
    "regimes": regimes, "output_sizes": output_sizes, "receptive_fields": receptive_fields, "upsampling": upsampling,
    "verdicts": verdicts,
}  # fmt: skip


_TUTORIALS = {  # picture → what a run of the tutorial wrote
    "clothing_confusion.png": "clothing/feature_extractor/report/confusion_matrix.png",
    "clothing_worst.jpg": "clothing/feature_extractor/report/worst.png",
    "clothing_explained.jpg": "clothing/feature_extractor/report/explained.png",
    "cards_predictions.jpg": "runs/cards/report/predictions.png",
    "cats_dogs_predictions.jpg": "runs/cats_dogs/report/predictions.png",
}
_LARGEST = 59_000  # bytes


def tutorials() -> None:
    """Draw training photographs of cards, and copy the pictures of the tutorials' runs that exist, made small."""
    Image.fromarray(_cards()).save(OUT / "cards_boxes.jpg", quality=80, optimize=True)
    for name, source in _TUTORIALS.items():
        file = ROOT / "outputs" / source
        if not file.is_file():
            print(f"{file} is missing: run the commands of the tutorial")
            continue
        picture, target = Image.open(file).convert("RGB"), OUT / name
        if target.suffix == ".png":
            picture.resize((560, 560 * picture.height // picture.width)).quantize(64).save(target, optimize=True)
            continue
        picture.thumbnail((680, 900))
        for quality in range(88, 20, -4):
            picture.save(target, quality=quality, optimize=True)
            if target.stat().st_size < _LARGEST:
                break


def _cards() -> np.ndarray:
    """Return three photographs of data=cards with their boxes, side by side."""
    import cvlib

    data, shown = cvlib.load_data("data=cards", "task=detection", "model=yolo"), []
    for image, boxes in list(zip(data.train.images, data.train.labels, strict=True))[40:160:48]:
        picture = Image.open(image).convert("RGB").resize((298, 224))
        scale = np.array([298, 224] * 2) / np.array(Image.open(image).size * 2)
        draw = ImageDraw.Draw(picture)
        for box, kind in zip(np.asarray(boxes.corners) * scale, boxes.classes, strict=True):
            draw.rectangle(list(box), outline=(0, 255, 255), width=2)
            draw.text((box[0] + 4, box[1] + 2), data.classes[int(kind)], fill=(255, 0, 0))
        shown.append(np.asarray(picture))
    return np.hstack(shown)


def main() -> None:
    """Draw the pictures that are named, or all those of the concepts."""
    OUT.mkdir(exist_ok=True)
    if sys.argv[1:] == ["tutorials"]:
        tutorials()
        return
    for name in sys.argv[1:] or PICTURES:
        for word, theme in THEMES.items():
            colours = dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"),
                                    theme["ink"])  # fmt: skip
            style = {"font.size": 9, "axes.facecolor": theme["page"], "figure.facecolor": theme["page"]}
            with plt.rc_context({**colours, **style}):
                figure = PICTURES[name](theme)
                figure.tight_layout()
                written = io.BytesIO()
                figure.savefig(written, dpi=130)
                plt.close(figure)
            Image.open(written).convert("RGB").quantize(48).save(OUT / f"{name}-{word}.png", optimize=True)


if __name__ == "__main__":
    main()
