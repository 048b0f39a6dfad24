"""Train a head on a frozen ResNet50 at 96 px for 20 epochs: cached features against the base in the graph."""

from __future__ import annotations

import csv
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import measure
from measure import Cost, Row

ROOT = Path(__file__).parents[2]
EPOCHS = 20


def frozen(quick: bool, data: Path | None = None, **_: Any) -> list[Row]:
    """Measure each variant once. With the base in the graph, a few epochs run, and their time is extrapolated to 20."""
    what = f"{EPOCHS} epochs of a head on a frozen ResNet50"
    if data is None:
        return [measure.left_out(what, "needs --data, images in class folders")]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_weights(folder / "base.weights.h5")
        runs = ((True, EPOCHS), (False, 1), (False, 1 if quick else 2))
        cached, one, two = (_run(folder / str(i), folder, data, *chosen) for i, chosen in enumerate(runs))
    base, epochs = "the base in the graph", one["epochs"] + two["epochs"]
    before, graph, head = one["setup"], EPOCHS * sum(epochs) / len(epochs), sum(cached["epochs"])
    note = (f"{cached['images']:,} training images of {data.name}; with the base in the graph, {len(epochs)} epochs "
            f"ran, and their time is extrapolated to {EPOCHS}; the start of {before:.0f} s, in which both import "
            f"libraries and check all images, isn't counted; {EPOCHS} head epochs took {head:.1f} s")  # fmt: skip
    rest, ratio = one["processor"], None
    if epoch := two["processor"] - one["processor"] if not quick else 0:
        rest -= epoch
        ratio = EPOCHS * epoch / (cached["processor"] - rest)
    return [
        _row(what, cached["setup"] - before + head, graph, base, ratio, target="≥ 12", note=note),
        _row(f"{what}, including start", cached["setup"] + head, before + graph, base, None),
    ]


def _row(what: str, ours: float, theirs: float, against: str, by_processor: float | None, **more: Any) -> Row:
    row = measure.sooner(what, [Cost(1, ours, ours)], [Cost(1, theirs, theirs)], against, **more)
    return replace(row, by_processor=by_processor)


def _run(run: Path, folder: Path, data: Path, cached: bool, epochs: int) -> dict[str, Any]:
    command = [sys.executable, str(ROOT / "run.py"), "data=folder", f"data.path='{data.resolve()}'", "model=resnet",
               "mode=feature_extractor", f"mode.weights={folder / 'base.weights.h5'}", "data.image_size=96",
               f"mode.cache_features={str(cached).lower()}", f"trainer.epochs={epochs}",
               f"hydra.run.dir={run}"]  # fmt: skip
    print(f"  {'cached features' if cached else 'base in the graph'}: {epochs} epochs", flush=True)
    cost = measure.timed_command(command, folder)
    summary = json.loads((run / "summary.json").read_text())
    with (run / "metrics.csv").open() as file:
        seconds = [float(row["seconds"]) for row in csv.DictReader(file)]
    return {"setup": summary["timing"]["setup"], "epochs": seconds, "images": summary["samples"]["train"],
            "processor": cost.processor}  # fmt: skip


def _write_weights(path: Path) -> None:
    """Write random weights, because the values of weights don't affect the time."""
    from cvlib.training.devices import import_quietly

    import_quietly()
    from shipped import model_config

    from cvlib.data.input_spec import InputSpec
    from cvlib.models.network import build

    build(model_config("resnet"), InputSpec(96, 96, 3), classes=10).base.save_weights(path)
