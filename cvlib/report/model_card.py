"""The model card of an exported run: Mitchell et al., Model Cards for Model Reporting, FAT* 2019.

The file starts with metadata in YAML, as hubs for models expect it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from cvlib.report import parts
from cvlib.report.headline import interval
from cvlib.runs.metric_specs import MetricSpec
from cvlib.runs.run import Run
from cvlib.viz.text_table import markdown

NAME = "MODEL_CARD.md"
_MARK = "<!-- written by cvlib export -->"
_MOST_CLASSES = 50
_MOST_OF_TOP5 = 5  # with so many classes, the true one is always among the five most probable ones
_LOADING = (
    "import keras",
    "",
    'model = keras.saving.load_model("model.keras")',
    "answers = model.predict(images)  # (1, height, width, channels), the values of the files",
)
_ONNX = (
    "import json, numpy as np, onnxruntime",
    "from PIL import Image",
    "",
    'session = onnxruntime.InferenceSession("model.onnx")',
    'labels = json.loads(session.get_modelmeta().custom_metadata_map["labels"])',
)
_READING = {1: 'image = np.array(Image.open("image.png").convert("L"), "float32")[None, ..., None]',
            3: 'image = np.array(Image.open("image.png").convert("RGB"), "float32")[None]'}  # fmt: skip
_ANY_IMAGE = "image = …  # (1, height, width, channels), the values of the file in float32"
_UNKNOWN = "The network can't report that an image is unlike all training images."
_OTHERS = ("The results hold for images that are taken like the test images. Other cameras, places or groups of people "
           "can lower them.")  # fmt: skip


def may_replace(path: Path) -> bool:
    """Return whether there is no file at `path`, or a card that `cvlib export` wrote."""
    return not path.exists() or _MARK in path.read_text(encoding="utf-8", errors="replace")


def card(run: Run, hub_task: str, files: list[str]) -> str:
    """Return the card as Markdown.

    Args:
        run: the run.
        hub_task: what hubs call its task, such as image-classification.
        files: the names of the exported files.
    """
    title = str(run.summary.get("name") or run.name)
    return "\n".join([
        "---", yaml.safe_dump(_metadata(run, title, hub_task), sort_keys=False, allow_unicode=True).strip(), "---", "",
        f"# {title}", _MARK, "", _what(run), "", "## Data", "", *_data(run), "", "## Results", "", *_results(run), "",
        "## Limits", "", *_limits(run), "", "## Licence", "", _licence(run), "", "## Use", "", *_use(run, files), "",
        "## Repeat", "", *_repeat(run), "",
    ])  # fmt: skip


def _metadata(run: Run, title: str, hub_task: str) -> dict[str, Any]:
    value = run.metric(run.headline)
    metric = run.headline.split("/", 1)[1]
    results = [] if value is None else [{
        "task": {"type": hub_task},
        "dataset": {"name": run.data, "type": "image", "split": "test"},
        "metrics": [{"type": metric, "value": round(value, 4)}],
    }]  # fmt: skip
    return {"license": "other", "library_name": "keras", "pipeline_tag": hub_task, "tags": ["cvlib", run.model],
            "model-index": [{"name": title, "results": results}]}  # fmt: skip


def _what(run: Run) -> str:
    height, width = run.size
    total = run.number("parameters", "total") or 0
    channels = f"{run.channels} channel{'s' * (run.channels > 1)}"
    takes = f"images of any size with {channels} and resizes them to {height}×{width} pixels."
    if run.settings.get("data.tiles"):
        takes = (f"tiles of {height}×{width} pixels with {channels}, cut from larger images at full resolution. `cvlib "
                 "predict` cuts images into tiles and joins the answers; other programs have to do so themselves."
                 )  # fmt: skip
    return (f"A network for {run.task} with {total:,.0f} parameters (model={run.model}, mode={run.mode}). It takes "
            f"{takes}")  # fmt: skip


def _data(run: Run) -> list[str]:
    samples = run.summary.get("samples") or {}
    counts = ", ".join(f"{count} images for {split}" for split, count in samples.items())
    names = run.classes
    more = " …" * (len(names) > _MOST_CLASSES)
    lines = [f"- Data: {run.data} ({counts})"] if counts else []
    lines.append(f"- {len(names)} classes: {', '.join(names[:_MOST_CLASSES])}{more}")
    return lines + [f"- {note}" for note in run.summary.get("notes") or []]


def _results(run: Run) -> list[str]:
    """Return the table of the task's metrics on the test split, with the 95 % interval of each."""
    rows = []
    for spec in run.metric_specs:
        value = run.metric(f"test/{spec.name}")
        if value is not None and not (spec.name == "top5_accuracy" and len(run.classes) <= _MOST_OF_TOP5):
            rows.append({"metric": spec.name, "test": f"{value:.4f}", "95 % interval": _interval(run, spec)})
    if not rows:
        return ["The run has no test results."]
    return [*markdown(rows), "", "The intervals are for this network on other images of the same kind."]


def _interval(run: Run, spec: MetricSpec) -> str:
    found = interval(run, f"test/{spec.name}")
    return "–" if found is None else f"{found[0]:.4f} to {found[1]:.4f}"


def _limits(run: Run) -> list[str]:
    lines = [_UNKNOWN, _OTHERS]
    if run.status != "completed":
        lines.append(f"The run has the status {run.status}: its training was not finished.")
    return [f"- {line}" for line in lines]


def _licence(run: Run) -> str:
    source = (run.summary.get("weights") or {}).get("source")
    start = f"The weights start from {source}; their licence applies." if source else "The weights start at random."
    return f"{start} The licence of the training images applies too. State your own licence in the metadata above."


def _use(run: Run, files: list[str]) -> list[str]:
    shown = ", ".join(f"`{name}`" for name in files)
    lines = [f"Files: {shown}. `model.keras` in the run's folder loads with Keras:", "", "```python", *_LOADING, "```"]
    if "model.onnx" in files:
        code = [*_ONNX, _READING.get(run.channels, _ANY_IMAGE), 'answers = session.run(None, {"image": image})']
        lines += ["", "`model.onnx` needs onnxruntime:", "", "```python", *code, "```"]
    return lines


def _repeat(run: Run) -> list[str]:
    given = parts.overrides(run.folder)
    command = parts.command(given) if given is not None else "cvlib train  # with the settings of config.yaml"
    versions = ", ".join(f"{name} {version}" for name, version in (run.summary.get("versions") or {}).items())
    return ["```bash", command, "```", "", f"Versions: {versions}."]
