"""Where a base's weights come from: ImageNet, a weights file, or an earlier run.

Only arrays are read from a file: no model in it is ever built, so nothing in it can run. Everything is read and
compared first and assigned last: a base that doesn't match is left as it was.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from cvlib.config.schema import ModelConfig
from cvlib.models import backbones
from cvlib.models.network import Network
from cvlib.runtime.errors import UserError
from cvlib.transfer.sources import IMAGENET, WAYS_ON, WeightsUnavailable, refuse_without_imagenet, weights_file


@dataclass(frozen=True)
class Loaded:
    """What was taken from where, as summary.json keeps it."""

    source: str
    matched: int  # numbers that now stand in the base
    skipped: list[str]  # what else the source held
    adapted: str = ""  # how the first convolution was made to take more channels than the source's three


def start_from(network: Network, source: str) -> Loaded:
    """Load `source` into the network's base, as `load_into`, and let its head begin accordingly."""
    loaded = load_into(network.base, network.config, source)
    network.start_on_loaded_base()
    return loaded


def load_into(base: keras.Model, config: ModelConfig, source: str) -> Loaded:
    """Put the weights of `source` (imagenet, a file, a run's folder) into the base of a network of `config`.

    The base of a detector or a segmenter is that of the classifier with the same backbone, so that any network with
    the same base can give them. Raises `WeightsUnavailable` where ImageNet weights are not available, `UserError` for
    a source that can't be read or holds another architecture.
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
    except UserError:  # the source says itself what is wrong
        raise
    except Exception as error:  # Keras raises a bare Exception where a download fails
        url = re.search(r"https?://\S+", str(error))
        cache = Path(os.environ.get("KERAS_HOME", "~/.keras")) / "models"
        raise WeightsUnavailable(
            f"mode.weights=imagenet: the ImageNet weights of {config.backbone} can't be downloaded from "
            f"{url.group().rstrip(':,.') if url else 'their server'} and aren't in {cache}; {WAYS_ON}"
        ) from error
    arrays, adapted = _for_channels(loaded.get_weights(), [tuple(one.shape) for one in base.weights], channels)
    base.set_weights(arrays)
    return Loaded(IMAGENET, base.count_params(), [], adapted)


def _for_channels(
    arrays: list[np.ndarray], shapes: list[tuple[int, ...]], channels: int
) -> tuple[list[np.ndarray], str]:  # fmt: skip
    """Adapt the first convolution from three colours to `channels`; return all arrays, and a line about the change.

    Every channel gets the mean of the colours' kernels times 3 / channels, so that the sum over the input is as large.
    """
    if channels <= 3:
        return arrays, ""
    changed = next(i for i, (one, shape) in enumerate(zip(arrays, shapes, strict=True)) if one.shape != shape)
    mean = arrays[changed].mean(axis=2, keepdims=True) * (3 / channels)
    arrays = [*arrays[:changed], np.repeat(mean, channels, axis=2), *arrays[changed + 1 :]]
    return (
        arrays,
        f"the first convolution takes {channels} channels: each has the mean of the colours' kernels × 3/{channels}",
    )


@contextlib.contextmanager
def _readable(source: str) -> Iterator[None]:
    try:
        yield
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, zipfile.BadZipFile, EOFError) as error:
        reason = str(error).splitlines()[0][:120]
        raise UserError(f"mode.weights={source} can't be read ({reason}): is the file whole?") from error


def _from_tree(backbone: keras.Model, file: h5py.File, source: str) -> Loaded:
    """From a file as Keras 3 writes it: arrays in a tree that follows the nesting of layers."""
    held = _arrays(file)
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder) / "own.weights.h5"
        backbone.save_weights(own)
        with h5py.File(own, "r") as written:
            wanted = {name: array.shape for name, array in _arrays(written).items()}
        prefix = _place(wanted, held, source)
        inside = {name.removeprefix(prefix): array.shape for name, array in held.items() if name.startswith(prefix)}
        _refuse_other_layers({name: shape for name, shape in inside.items() if name not in wanted}, wanted, source)
        with h5py.File(own, "r+") as written:
            for name in wanted:
                written[name][...] = _finite(name, held[prefix + name], source)
        backbone.load_weights(own)
    others = [name for name in held if name.removeprefix(prefix) not in wanted or not name.startswith(prefix)]
    return Loaded(source, backbone.count_params(), _by_layer({name: held[name].shape for name in others}))


def _arrays(file: h5py.File) -> dict[str, h5py.Dataset]:
    """Every array of layers by its path; the optimizer's are no weights."""
    found: dict[str, h5py.Dataset] = {}
    file.visititems(lambda name, item: found.__setitem__(name, item) if isinstance(item, h5py.Dataset) else None)
    _refuse_other_files(file, found)
    return {name: array for name, array in found.items() if not name.startswith(("optimizer", "seed_generator"))
            and "/seed_generator/" not in name}  # fmt: skip


def _refuse_other_files(file: h5py.File, arrays: dict[str, h5py.Dataset]) -> None:
    """HDF5 can take an array from any file of this machine; no weights file does."""
    for name, array in arrays.items():
        if array.external or array.is_virtual or array.file.filename != file.filename:
            raise ValueError(f"{name} lies in another file")


def _finite(name: str, array: h5py.Dataset, source: str) -> np.ndarray:
    numbers: np.ndarray = array[...]
    if not np.isfinite(numbers).all():
        raise UserError(f"mode.weights={source}: {name} holds numbers that aren't finite; take weights of a run that "
                        "hasn't diverged")  # fmt: skip
    return numbers


def _place(wanted: dict[str, tuple[int, ...]], held: dict[str, h5py.Dataset], source: str) -> str:
    """The path below which all wanted arrays lie; raises naming the nearest miss."""
    prefixes = sorted({name.removesuffix(one) for one in wanted for name in held if name.endswith(one)}, key=len)
    best, least = None, len(wanted) + 1
    for prefix in prefixes:
        wrong = [name for name, shape in wanted.items()
                 if prefix + name not in held or held[prefix + name].shape != shape]  # fmt: skip
        if not wrong:
            return prefix
        if len(wrong) < least:
            best, least = (prefix, wrong[0]), len(wrong)
    raise _mismatch(source, wanted, {name: array.shape for name, array in held.items()}, best)


def _refuse_other_layers(
    extra: dict[str, tuple[int, ...]], wanted: dict[str, tuple[int, ...]], source: str
) -> None:  # fmt: skip
    """Beside the base's own layers there may only be a top: normalization, and dense layers where the base has none."""
    own_dense = any(_layer(name).startswith("dense") for name in wanted)
    foreign = sorted(name for name, shape in extra.items() if (own_dense if _layer(name).startswith("dense")
                                                               else len(shape) > 1 or own_dense))  # fmt: skip
    foreign = [name for name in foreign if "vars" in name and name.count("layers/") <= 1]
    if foreign:
        raise UserError(f"mode.weights={source} holds another architecture: it has {len(foreign)} more arrays, such as "
                        f"{foreign[0]}; choose weights of the same model and size")  # fmt: skip


def _from_topological(backbone: keras.Model, file: h5py.File, source: str) -> Loaded:
    """From a file as Keras 2 and the official ImageNet files have it: layers listed in order."""
    root = file.get("model_weights", file)
    held = [(_text(name), root[_text(layer)][_text(name)])
            for layer in root.attrs["layer_names"] for name in root[_text(layer)].attrs["weight_names"]]  # fmt: skip
    _refuse_other_files(file, dict(held))
    variables = [variable for layer in backbone.layers for variable in layer.weights]
    held = _by_name(variables, held)
    for variable, (name, array) in zip(variables, held, strict=False):
        if tuple(variable.shape) != array.shape:
            raise UserError(
                f"mode.weights={source} holds another architecture: {name} is {array.shape} there, "
                f"{variable.path} needs {tuple(variable.shape)}; choose weights of the same model and size"
            )
    if len(held) < len(variables):
        raise UserError(f"mode.weights={source} holds another architecture: {len(held)} arrays there, the base needs "
                        f"{len(variables)}; choose weights of the same model and size")  # fmt: skip
    top = {name: array.shape for name, array in held[len(variables) :]}
    if any(len(shape) > 2 for shape in top.values()):
        raise UserError(f"mode.weights={source} holds another architecture: it has {len(top)} more arrays, such as "
                        f"{next(iter(top))}; choose weights of the same model and size")  # fmt: skip
    arrays = [_finite(name, array, source) for name, array in held[: len(variables)]]
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
    return Loaded(source, backbone.count_params(), _by_layer(top))


def _by_name(
    variables: list[Any], held: list[tuple[str, h5py.Dataset]]
) -> list[tuple[str, h5py.Dataset]]:  # fmt: skip
    """The arrays in the order of the variables, where the names of layer and array tell which is which.

    Keras lists a nested network's trainable arrays first, so that their order is another one.
    """
    keys = [_key(name) for name, _ in held]
    wanted = [_key(variable.path) for variable in variables]
    if len(set(keys)) < len(keys) or len(set(wanted)) < len(wanted) or not set(wanted) <= set(keys):
        return held
    places = dict(zip(keys, held, strict=True))
    ordered = [places.pop(key) for key in wanted]
    return [*ordered, *places.values()]


def _key(name: str) -> str:
    """The last layer and the array in a name: resnet50/conv1_bn/gamma:0 → conv1_bn/gamma."""
    return "/".join(name.partition(":")[0].split("/")[-2:])


def _mismatch(source: str, wanted: dict[str, tuple[int, ...]], held: dict[str, tuple[int, ...]],
              nearest: tuple[str, str] | None) -> UserError:  # fmt: skip
    counts = f"{_count(held.values()):,} parameters there, {_count(wanted.values()):,} needed"
    advice = "choose weights of the same model, depth, channels and size"
    if nearest is None:
        return UserError(f"mode.weights={source} holds another architecture ({counts}): {advice}")
    prefix, name = nearest
    there, here = held.get(prefix + name, "missing"), wanted[name]
    if len(there) == len(here) == 4 and {there[2], here[2]} == {1, 3}:  # a convolution of grey or of coloured images
        advice = f"give data.channels={there[2]}, or weights of a network trained with data.channels={here[2]}"
    return UserError(f"mode.weights={source} holds another architecture ({counts}): {name} is {there} there and "
                     f"{here} in the base; {advice}")  # fmt: skip


def _layer(name: str) -> str:
    return name.removeprefix("layers/").split("/")[0]


def _by_layer(shapes: dict[str, tuple[int, ...]]) -> list[str]:
    """`dense (1,290 parameters)` for each layer."""
    sizes: dict[str, int] = {}
    for name, shape in shapes.items():
        layer = name.split("/vars/")[0].rsplit("/", 1)[-1] if "/vars/" in name else name.split("/")[0]
        sizes[layer] = sizes.get(layer, 0) + _count([shape])
    return [f"{layer} ({size:,} parameters)" for layer, size in sizes.items()]


def _count(shapes: Iterable[tuple[int, ...]]) -> int:
    return sum(math.prod(shape) for shape in shapes)


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name
