"""Arrays in the HDF5 files of Keras 3, in a tree that follows the nesting of layers."""

from __future__ import annotations

import math
import re
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import h5py
import keras
import numpy as np

from cvlib.models.preprocessing import IMAGENET_RGB_MEAN
from cvlib.runtime.errors import UserError
from cvlib.transfer import channels as channels_of
from cvlib.transfer.channels import Array

Shape = tuple[int, ...]
_MEAN = re.compile(r"(^|/)normalization(_\d+)?/(vars/0|mean(:0)?)$")  # of Normalization, in files of Keras 3 and 2


def from_tree(backbone: keras.Model, file: h5py.File, source: str) -> tuple[dict[str, Shape], str]:
    """Load a file; return the shapes of the arrays that the base doesn't have, and how the first layer was adapted."""
    stored = _arrays(file)
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder) / "own.weights.h5"
        backbone.save_weights(own)
        with h5py.File(own, "r") as written:
            wanted = {name: array.shape for name, array in _arrays(written).items()}
        stored, adapted = channels_of.adapt_by_name(stored, wanted)
        prefix = _common_prefix(wanted, stored, source)
        inside = {name.removeprefix(prefix): array.shape for name, array in stored.items() if name.startswith(prefix)}
        _refuse_other_layers({name: shape for name, shape in inside.items() if name not in wanted}, wanted, source)
        others = [name for name in stored if name.removeprefix(prefix) not in wanted or not name.startswith(prefix)]
        refuse_other_pixels({name: stored[name] for name in others}, source)
        with h5py.File(own, "r+") as written:
            for name in wanted:
                written[name][...] = finite(name, stored[prefix + name], source)
        backbone.load_weights(own)
    return {name: stored[name].shape for name in others}, adapted


def _arrays(file: h5py.File) -> dict[str, Array]:
    """Return the arrays of all layers by path, without the state of the optimizer and of random generators."""
    found: dict[str, h5py.Dataset] = {}
    file.visititems(lambda name, item: found.__setitem__(name, item) if isinstance(item, h5py.Dataset) else None)
    refuse_other_files(file, found)
    return {name: array for name, array in found.items() if not name.startswith(("optimizer", "seed_generator"))
            and "/seed_generator/" not in name}  # fmt: skip


def refuse_other_files(file: h5py.File, arrays: dict[str, h5py.Dataset]) -> None:
    """Raise `ValueError` for an array that is stored in another file.

    HDF5 can read an array from any file on this machine, but a weights file never needs this.
    """
    for name, array in arrays.items():
        if array.external or array.is_virtual or array.file.filename != file.filename:
            raise ValueError(f"{name} is stored in another file")


def finite(name: str, array: Array, source: str) -> np.ndarray:
    numbers: np.ndarray = array[...]
    if not np.isfinite(numbers).all():
        raise UserError(f"mode.weights={source}: {name} has values that aren't finite; choose weights of a run that "
                        "hasn't diverged")  # fmt: skip
    return numbers


def refuse_other_pixels(left_out: Mapping[str, Array], source: str) -> None:
    """Raise `UserError` if a Normalization layer before the base makes other pixels than ImageNet's mean does.

    Keras builds EfficientNet with such a layer. With `weights=None`, its mean is 0 until somebody adapts it: the
    network was then trained on other pixels, so its base computes something else on those of cvlib.
    """
    for name, array in left_out.items():
        mean = array[...].ravel() if _MEAN.search(name) else np.array(IMAGENET_RGB_MEAN)
        if mean.size != 3 or not np.allclose(mean, IMAGENET_RGB_MEAN, atol=1e-3):
            found = ", ".join(f"{value:.3g}" for value in mean[:3])
            raise UserError(f"mode.weights={source} was trained on other pixels than this run's base expects: its "
                            f"Normalization layer has the mean {found} instead of ImageNet's 0.485, 0.456, 0.406, as "
                            "in keras.applications with weights=None; choose weights that were trained with "
                            "weights='imagenet'")  # fmt: skip


def _common_prefix(wanted: dict[str, Shape], stored: dict[str, Array], source: str) -> str:
    """Return the path under which all wanted arrays are stored; raise `UserError` naming the closest mismatch."""
    prefixes = sorted({name.removesuffix(path) for path in wanted for name in stored if name.endswith(path)}, key=len)
    best, fewest = None, len(wanted) + 1
    for prefix in prefixes:
        wrong = [name for name, shape in wanted.items()
                 if prefix + name not in stored or stored[prefix + name].shape != shape]  # fmt: skip
        if not wrong:
            return prefix
        if len(wrong) < fewest:
            best, fewest = (prefix, wrong[0]), len(wrong)
    raise _mismatch(source, wanted, {name: array.shape for name, array in stored.items()}, best)


def _refuse_other_layers(
    extra: dict[str, Shape], wanted: dict[str, Shape], source: str
) -> None:  # fmt: skip
    """Raise `UserError` for layers in the file that belong neither to the base nor to a classifier's top.

    A top may consist of normalization, and of dense layers if the base has none.
    """
    own_dense = any(_layer(name).startswith("dense") for name in wanted)
    foreign = sorted(name for name, shape in extra.items() if (own_dense if _layer(name).startswith("dense")
                                                               else len(shape) > 1 or own_dense))  # fmt: skip
    foreign = [name for name in foreign if "vars" in name and name.count("layers/") <= 1]
    if foreign:
        raise UserError(f"mode.weights={source} has a different architecture: it has {len(foreign)} additional arrays, "
                        f"such as {foreign[0]}; choose weights of the same model and size")  # fmt: skip


def _mismatch(source: str, wanted: dict[str, Shape], stored: dict[str, Shape],
              nearest: tuple[str, str] | None) -> UserError:  # fmt: skip
    counts = f"it has {_count(stored.values()):,} parameters, but {_count(wanted.values()):,} are needed"
    advice = "choose weights of the same model, depth, channels and size"
    if nearest is None:
        return UserError(f"mode.weights={source} has a different architecture ({counts}): {advice}")
    prefix, name = nearest
    theirs, ours = stored.get(prefix + name), wanted[name]
    if theirs is None:
        problem = f"{name}, which has shape {ours} in the base, is missing"
    else:
        problem = f"{name} has shape {theirs}, but {ours} in the base"
        if len(theirs) == len(ours) == 4 and {theirs[2], ours[2]} == {1, 3}:  # one is for grey images, one for RGB
            advice = (f"set data.channels={theirs[2]}, or choose weights of a network trained with "
                      f"data.channels={ours[2]}")  # fmt: skip
    return UserError(f"mode.weights={source} has a different architecture ({counts}): {problem}; {advice}")


def _layer(name: str) -> str:
    return name.removeprefix("layers/").split("/")[0]


def by_layer(shapes: dict[str, Shape]) -> list[str]:
    """Return a text such as `dense (1,290 parameters)` for each layer."""
    sizes: dict[str, int] = {}
    for name, shape in shapes.items():
        layer = name.split("/vars/")[0].rsplit("/", 1)[-1] if "/vars/" in name else name.split("/")[0]
        sizes[layer] = sizes.get(layer, 0) + _count([shape])
    return [f"{layer} ({size:,} parameters)" for layer, size in sizes.items()]


def _count(shapes: Iterable[Shape]) -> int:
    return sum(math.prod(shape) for shape in shapes)
