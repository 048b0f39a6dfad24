"""What the config inside a Keras file says about its weights, before they are read. Doesn't import Keras.

The config is read as text. No layer in it is ever built, so none of its code runs.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import h5py

from cvlib.config.fields import word
from cvlib.config.schema import ModelConfig
from cvlib.models import backbones
from cvlib.models.restore import UNSAFE_CLASSES, parts_of
from cvlib.models.torch_names import KERAS, TORCH, TORCH_PIXELS
from cvlib.runtime.errors import UserError
from cvlib.transfer.torch_weights import other_options


def check(file: Path, model: ModelConfig, size: tuple[int, int] | None, source: str) -> None:
    """Raise `UserError` for a file whose config shows that its weights don't fit; name the overrides that would.

    `size` is the height and width of the run's images; None: not known yet. A file without a config is not checked.
    """
    config = _config(file)
    if config is None:
        return
    parts = list(parts_of(config))
    unsafe = next((str(part["class_name"]) for part in parts if part["class_name"] in UNSAFE_CLASSES), None)
    if unsafe:
        raise UserError(f"mode.weights={source} was not loaded: it contains a {unsafe} layer, whose code cvlib never "
                        "runs; save the base alone, as base.save_weights('base.weights.h5')")  # fmt: skip
    changes = _changes(parts, model)
    side = _side(parts)
    if size is not None and side is not None and side != size and _depends_on_size(model):
        changes["data.image_size"] = side[0] if side[0] == side[1] else list(side)
    if changes:
        overrides = " ".join(f"{key}={word(value)}" for key, value in changes.items())
        raise UserError(f"mode.weights={source} has a different architecture than this run's base: set {overrides}, or "
                        "choose other weights")  # fmt: skip


def check_run_size(folder: Path, image_size: Any, model: ModelConfig, size: tuple[int, int]) -> None:
    """Raise `UserError` if a base's weights depend on the image size, and the run in `folder` had another one."""
    side = tuple(image_size) if isinstance(image_size, list) else (image_size, image_size)
    if image_size is not None and side != size and _depends_on_size(model):
        raise UserError(f"mode.weights={folder}: that run's images have {side[0]}×{side[1]} pixels, but this run's "
                        f"have {size[0]}×{size[1]}, and the dense layers of model={model.name} depend on the size: set "
                        f"data.image_size={word(image_size)}")  # fmt: skip


def _depends_on_size(model: ModelConfig) -> bool:
    return not model.feature_levels and backbones.get(model.backbone).depends_on_size(model.backbone_options)


def _config(file: Path) -> Any:
    """Return the config of the network in a file, or None. `weights.load_into` reports a file that can't be read."""
    try:
        if file.suffix == ".keras":
            with zipfile.ZipFile(file) as archive:
                return json.loads(archive.read("config.json"))
        with h5py.File(file, "r") as opened:
            text = opened.attrs.get("model_config")
            return None if text is None else json.loads(text)
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, EOFError, zipfile.BadZipFile) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0][:120]
        raise UserError(f"mode.weights={file} can't be read ({reason}): check that it is complete") from error


def _changes(parts: list[dict[str, Any]], model: ModelConfig) -> dict[str, Any]:
    """Return the options of the model that must change, as overrides, so that the file fits."""
    backbone, own = backbones.get(model.backbone), model.backbone_options
    configs = [part["config"] for part in parts if isinstance(part.get("config"), dict)]
    names = {str(config.get("name")) for config in configs}
    changes: dict[str, Any] = {}
    most = 0
    for options, differing in [(own, {}), *other_options(model)]:
        wanted = {name for known in backbone.torch_names(options)[:1] for name in known.modules}
        if wanted <= names and len(wanted) > most:  # a deeper network has all names of a shallower one, and more
            changes, most = {f"model.{key}": value for key, value in differing.items()}, len(wanted)
    convention = TORCH if TORCH_PIXELS in names else KERAS
    if getattr(own, "convention", convention) != convention:
        changes["model.convention"] = convention
    return changes


def _side(parts: list[dict[str, Any]]) -> tuple[int, int] | None:
    """Return the height and width of the images that the network was built for, if it has a fixed size."""
    shapes = [part["config"].get("batch_shape") or part["config"].get("batch_input_shape") for part in parts
              if part["class_name"] == "InputLayer" and isinstance(part.get("config"), dict)]  # fmt: skip
    fixed = [shape for shape in shapes if isinstance(shape, list) and len(shape) == 4 and all(shape[1:])]
    return (fixed[-1][1], fixed[-1][2]) if fixed else None
