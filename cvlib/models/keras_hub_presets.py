"""The presets of keras-hub: their configuration and weights, in folders or as downloads. Doesn't import Keras.

A preset is a name that keras-hub can download, or a folder that `backbone.save_to_preset` wrote. keras-hub is only
imported for a name.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import json
import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cvlib.runtime.errors import UserError

PACKAGE = "keras_hub"
_OTHER_SIZES = ("position_embedding_shape", "rope_theta", "window_size")  # arguments of networks for images of any size


@dataclass(frozen=True)
class Preset:
    """The configuration of a preset.

    Attributes:
        name: a name that keras-hub knows, or a folder.
        kind: the class of the backbone, such as ViTBackbone.
        arguments: the arguments of that class.
        converter: the arguments of the image converter; empty without one.
        pooling: "token" or "gap", if the preset holds a classifier that says so.
    """

    name: str
    kind: str
    arguments: dict[str, Any]
    converter: dict[str, Any]
    pooling: str | None

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width in pixels of the images that it was trained on, if it says so."""
        older = [self.converter.get("height"), self.converter.get("width")]  # earlier versions of keras-hub
        shapes: tuple[Any, ...] = (self.converter.get("image_size"), older, self.arguments.get("image_shape"))
        sides = next((shape[:2] for shape in shapes if shape and all(shape[:2])), None)
        return None if sides is None else (int(sides[0]), int(sides[1]))

    @property
    def only_size(self) -> tuple[int, int] | None:
        """Height and width in pixels that its weights are limited to, because each patch has a learned position."""
        shape = self.arguments.get("image_shape")
        fixed = self.patch is not None and not any(key in self.arguments for key in _OTHER_SIZES)
        return (int(shape[0]), int(shape[1])) if fixed and shape and all(shape[:2]) else None

    @property
    def patch(self) -> tuple[int, int] | None:
        """Height and width of a patch in pixels; None for networks without patches."""
        found = self.arguments.get("patch_size")
        if found is None:
            return None
        return (int(found), int(found)) if isinstance(found, int) else (int(found[0]), int(found[1]))

    def scaling(self) -> tuple[list[float], list[float]]:
        """Return scale and offset of the pixels 0–255, one number for all channels or one per channel."""
        scale, offset = self.converter.get("scale"), self.converter.get("offset")
        if "mean" in self.converter and "variance" in self.converter:  # presets of earlier versions of keras-hub
            means, deviations = self.converter["mean"], [math.sqrt(value) for value in self.converter["variance"]]
            factor = 1.0 if scale is None else float(scale)
            return ([factor / deviation for deviation in deviations],
                    [-mean / deviation for mean, deviation in zip(means, deviations, strict=True)])  # fmt: skip
        if not self.converter:
            scale = 1.0 if self.arguments.get("include_rescaling") else 1 / 255
        return _listed(scale, 1.0), _listed(offset, 0.0)


def _listed(value: Any, default: float) -> list[float]:
    return [float(one) for one in (value if isinstance(value, list | tuple) else [default if value is None else value])]


@functools.cache
def description(name: str) -> Preset:
    """Return the configuration of a preset, which is downloaded if it is not a folder.

    Raises `UserError` for an unknown preset, one without a backbone for images, a failed download, and without
    keras-hub.
    """
    backbone = _file(name, "config.json", required=True)
    kind, arguments = str(backbone.get("class_name")), backbone.get("config")
    if str(backbone.get("module")).split(".")[0] != PACKAGE or not isinstance(arguments, dict):
        raise UserError(f"model.preset={name}: {kind} is not a backbone of keras-hub: choose another preset")
    converter = _file(name, "image_converter.json").get("config")
    task = _file(name, "task.json").get("config")
    pooling = task.get("pooling") if isinstance(task, dict) else None
    return Preset(name, kind, arguments, converter if isinstance(converter, dict) else {}, pooling)


def _file(preset: str, name: str, required: bool = False) -> dict[str, Any]:
    """Return the content of a JSON file of a preset; empty if the preset doesn't have the file."""
    folder = Path(preset).expanduser()
    if folder.is_dir():
        path = folder / name
        if required and not path.is_file():
            raise UserError(f"model.preset={preset}: the folder has no {name}: write one with "
                            "backbone.save_to_preset(folder)")  # fmt: skip
    else:
        path = Path(_download(preset, name, required))
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"model.preset={preset}: {name} can't be read as JSON: restore the preset") from error
    return content if isinstance(content, dict) else {}


def _download(preset: str, name: str, required: bool) -> str:
    """Return the path of a file of a published preset; an empty path if the preset doesn't have the file."""
    presets = library()
    if preset not in presets.BUILTIN_PRESETS and "://" not in preset:
        near = difflib.get_close_matches(preset, _image_presets(), n=3, cutoff=0.4) or _image_presets()[:3]
        raise UserError(f"model.preset={preset}: there is no such folder, and keras-hub has no such preset: did you "
                        f"mean {', '.join(near)}?")  # fmt: skip
    try:
        return str(presets.get_file(preset, name))
    except FileNotFoundError:
        if not required:
            return ""
        raise UserError(f"model.preset={preset} has no {name}: choose another preset") from None
    except Exception as error:  # keras-hub passes on the exceptions of several download libraries
        raise _unavailable(preset, error) from error


def _unavailable(preset: str, error: Exception) -> UserError:
    reason = (str(error) or type(error).__name__).strip().splitlines()[0][:120]
    return UserError(f"model.preset={preset} can't be downloaded ({reason}): download it on a machine with internet "
                     "access, and set model.preset to its folder")  # fmt: skip


def require_weights(preset: Preset) -> None:
    """Raise `UserError` if the preset's weights are missing or can't be downloaded."""
    names = ("model.weights.h5", "model.weights.json")  # the second one lists the parts of large weights
    folder = Path(preset.name).expanduser()
    found = [folder / name for name in names] if folder.is_dir() else (
        Path(_download(preset.name, name, required=False)) for name in names)  # fmt: skip
    if not any(path.is_file() for path in found):
        raise UserError(f"model.preset={preset.name} has no weights ({names[0]}): train with mode=scratch, or choose "
                        "another preset")  # fmt: skip


def library() -> Any:
    """Return keras-hub's module of presets."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about its dependencies
            import keras_hub  # noqa: F401  registers the presets
            from keras_hub.src.utils import preset_utils
    except ImportError as error:
        raise UserError(f"model=hub needs keras-hub, which can't be imported ({str(error).splitlines()[0][:120]}): run "
                        "`pip install 'cvlib-experiments[hub]'`") from error  # fmt: skip
    return preset_utils


def _image_presets() -> list[str]:
    """Return the names of the presets whose backbone has an argument `image_shape`."""
    return sorted(name for kind, presets in library().BUILTIN_PRESETS_FOR_BACKBONE.items()
                  if "image_shape" in inspect.signature(kind.__init__).parameters for name in presets)  # fmt: skip


def size_word(size: tuple[int, int]) -> str:
    """Return a size as a value of `data.image_size`."""
    return str(size[0]) if size[0] == size[1] else f"[{size[0]},{size[1]}]"
