"""Loading a base's weights from ImageNet, a weights file, or an earlier run.

Only arrays are read from a file. A model in it is never built, so no code in it can run. All arrays are read and
compared before any is assigned, so a base that doesn't match stays unchanged.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from cvlib.config.schema import ModelConfig
from cvlib.models import backbones
from cvlib.models.network import Network
from cvlib.runtime.errors import UserError
from cvlib.transfer import channels as channels_of
from cvlib.transfer.channels import Array
from cvlib.transfer.kept_head import keep_head
from cvlib.transfer.sources import ALTERNATIVES, IMAGENET, WeightsUnavailable, refuse_without_imagenet, weights_file


@dataclass(frozen=True)
class Loaded:
    """What was loaded, as recorded in summary.json."""

    source: str
    matched: int  # parameters of the base that were loaded
    skipped: list[str]  # layers of the source that the base doesn't have
    adapted: str = ""  # how the first convolution was adapted to more input channels than the source's three
    classes_kept: list[str] = field(default_factory=list)  # classes whose logits continue those of the source's head
    classes_new: list[str] = field(default_factory=list)  # beside kept classes: classes whose logits start at 0
    head: str = ""  # a description of the kept head; empty: the head is new


def start_from(network: Network, source: str, classes: Sequence[str] | None = None) -> Loaded:
    """Load `source` into the network's base with `load_into`, and initialize the head for a pretrained base.

    With `classes`, the names of the network's classes, the head of a run with classes of the same names is kept; see
    `cvlib.transfer.kept_head`.
    """
    loaded = load_into(network.base, network.config, source)
    network.start_on_loaded_base()
    folder = Path(source).expanduser()
    kept = keep_head(network, folder, classes) if classes is not None and folder.is_dir() else None
    if kept is None:
        return loaded
    return replace(loaded, skipped=[], classes_kept=kept.kept, classes_new=kept.new, head=str(kept))


def load_into(base: keras.Model, config: ModelConfig, source: str) -> Loaded:
    """Load the weights of `source` (imagenet, a file, a run's folder) into a base built from `config`.

    A detector or segmenter has the same base as the classifier with the same backbone, so the source may be any of
    them. Raises `WeightsUnavailable` if ImageNet weights are not available, and `UserError` for a source that can't be
    read or has a different architecture.
    """
    if source == IMAGENET:
        return _from_imagenet(base, config)
    file = weights_file(source, config)
    with _readable(source):
        if file.suffix == ".keras":
            with zipfile.ZipFile(file) as archive, archive.open("model.weights.h5") as inner:
                return _from_tree(base, h5py.File(inner, "r"), source)
        with h5py.File(file, "r") as opened:
            topological = "layer_names" in opened.attrs or "model_weights" in opened
            return (_from_topological if topological else _from_tree)(base, opened, source)


def _from_imagenet(base: keras.Model, config: ModelConfig) -> Loaded:
    refuse_without_imagenet(config)
    published = backbones.get(config.backbone).source(IMAGENET)
    assert published is not None
    try:
        with Path(os.devnull).open("w") as sink, contextlib.redirect_stdout(sink):  # Keras' progress bar
            height, width, channels = base.input_shape[1:]
            loaded = published.load(config.backbone_options, (height, width, min(channels, 3)))
    except UserError:  # its message already explains what is wrong
        raise
    except Exception as error:  # Keras raises a bare Exception when a download fails
        url = re.search(r"https?://\S+", str(error))
        cache = Path(os.environ.get("KERAS_HOME", "~/.keras")) / "models"
        raise WeightsUnavailable(
            f"mode.weights=imagenet: the ImageNet weights of {config.backbone} can't be downloaded from "
            f"{url.group().rstrip(':,.') if url else 'their server'} and aren't in {cache}; {ALTERNATIVES}"
        ) from error
    arrays, adapted = channels_of.adapt_list(
        loaded.get_weights(), [tuple(weight.shape) for weight in base.weights], channels
    )
    base.set_weights(arrays)
    return Loaded(IMAGENET, base.count_params(), [], adapted)


@contextlib.contextmanager
def _readable(source: str) -> Iterator[None]:
    try:
        yield
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, zipfile.BadZipFile, EOFError) as error:
        reason = str(error).splitlines()[0][:120]
        raise UserError(f"mode.weights={source} can't be read ({reason}): check that it is complete") from error


def _from_tree(backbone: keras.Model, file: h5py.File, source: str) -> Loaded:
    """Load a file in Keras 3's format: arrays in a tree that follows the nesting of layers."""
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
        with h5py.File(own, "r+") as written:
            for name in wanted:
                written[name][...] = _finite(name, stored[prefix + name], source)
        backbone.load_weights(own)
    others = [name for name in stored if name.removeprefix(prefix) not in wanted or not name.startswith(prefix)]
    return Loaded(source, backbone.count_params(), _by_layer({name: stored[name].shape for name in others}), adapted)


def _arrays(file: h5py.File) -> dict[str, Array]:
    """Return the arrays of all layers by path, without the state of the optimizer and of random generators."""
    found: dict[str, h5py.Dataset] = {}
    file.visititems(lambda name, item: found.__setitem__(name, item) if isinstance(item, h5py.Dataset) else None)
    _refuse_other_files(file, found)
    return {name: array for name, array in found.items() if not name.startswith(("optimizer", "seed_generator"))
            and "/seed_generator/" not in name}  # fmt: skip


def _refuse_other_files(file: h5py.File, arrays: dict[str, h5py.Dataset]) -> None:
    """Raise `ValueError` for an array that is stored in another file.

    HDF5 can read an array from any file on this machine, but a weights file never needs this.
    """
    for name, array in arrays.items():
        if array.external or array.is_virtual or array.file.filename != file.filename:
            raise ValueError(f"{name} is stored in another file")


def _finite(name: str, array: Array, source: str) -> np.ndarray:
    numbers: np.ndarray = array[...]
    if not np.isfinite(numbers).all():
        raise UserError(f"mode.weights={source}: {name} has values that aren't finite; choose weights of a run that "
                        "hasn't diverged")  # fmt: skip
    return numbers


def _common_prefix(wanted: dict[str, tuple[int, ...]], stored: dict[str, Array], source: str) -> str:
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
    extra: dict[str, tuple[int, ...]], wanted: dict[str, tuple[int, ...]], source: str
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


def _from_topological(backbone: keras.Model, file: h5py.File, source: str) -> Loaded:
    """Load a file in the format of Keras 2 and of the official ImageNet weights: layers listed in order."""
    root = file.get("model_weights", file)
    stored = [(_text(name), root[_text(layer)][_text(name)])
            for layer in root.attrs["layer_names"] for name in root[_text(layer)].attrs["weight_names"]]  # fmt: skip
    _refuse_other_files(file, dict(stored))
    variables = [variable for layer in backbone.layers for variable in layer.weights]
    stored = _by_name(variables, stored)
    adapted = ""
    for number, (variable, (name, array)) in enumerate(zip(variables, stored, strict=False)):
        if channels_of.is_first_for_rgb(array.shape, tuple(variable.shape)):
            stored[number] = name, channels_of.spread(array[...], variable.shape[2])
            adapted = channels_of.note(variable.shape[2])
    for variable, (name, array) in zip(variables, stored, strict=False):
        if tuple(variable.shape) != array.shape:
            raise UserError(
                f"mode.weights={source} has a different architecture: {name} has shape {array.shape}, but "
                f"{variable.path} needs {tuple(variable.shape)}; choose weights of the same model and size"
            )
    if len(stored) < len(variables):
        raise UserError(f"mode.weights={source} has a different architecture: it has {len(stored)} arrays, but the "
                        f"base needs {len(variables)}; choose weights of the same model and size")  # fmt: skip
    top = {name: array.shape for name, array in stored[len(variables) :]}
    if any(len(shape) > 2 for shape in top.values()):
        raise UserError(f"mode.weights={source} has a different architecture: it has {len(top)} additional arrays, "
                        f"such as {next(iter(top))}; choose weights of the same model and size")  # fmt: skip
    arrays = [_finite(name, array, source) for name, array in stored[: len(variables)]]
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
    return Loaded(source, backbone.count_params(), _by_layer(top), adapted)


def _by_name(
    variables: list[Any], stored: list[tuple[str, Array]]
) -> list[tuple[str, Array]]:  # fmt: skip
    """Return the arrays in the order of the variables if their names match, and otherwise in the given order.

    Sorting is needed because Keras lists the trainable arrays of a nested network first.
    """
    keys = [_key(name) for name, _ in stored]
    wanted = [_key(variable.path) for variable in variables]
    if len(set(keys)) < len(keys) or len(set(wanted)) < len(wanted) or not set(wanted) <= set(keys):
        return stored
    by_key = dict(zip(keys, stored, strict=True))
    ordered = [by_key.pop(key) for key in wanted]
    return [*ordered, *by_key.values()]


def _key(name: str) -> str:
    """Return the last layer and the array in a name: resnet50/conv1_bn/gamma:0 → conv1_bn/gamma."""
    return "/".join(name.partition(":")[0].split("/")[-2:])


def _mismatch(source: str, wanted: dict[str, tuple[int, ...]], stored: dict[str, tuple[int, ...]],
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


def _by_layer(shapes: dict[str, tuple[int, ...]]) -> list[str]:
    """Return a text such as `dense (1,290 parameters)` for each layer."""
    sizes: dict[str, int] = {}
    for name, shape in shapes.items():
        layer = name.split("/vars/")[0].rsplit("/", 1)[-1] if "/vars/" in name else name.split("/")[0]
        sizes[layer] = sizes.get(layer, 0) + _count([shape])
    return [f"{layer} ({size:,} parameters)" for layer, size in sizes.items()]


def _count(shapes: Iterable[tuple[int, ...]]) -> int:
    return sum(math.prod(shape) for shape in shapes)


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name
