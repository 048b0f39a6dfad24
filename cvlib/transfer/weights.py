"""Loading a base's weights from ImageNet, a weights file, or an earlier run.

Only arrays are read from a file. A model in it is never built, so no code in it can run. All arrays are read and
compared before any is assigned, so a base that doesn't match stays unchanged.
"""

from __future__ import annotations

import contextlib
import os
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import h5py
import keras

from cvlib.config.schema import ModelConfig
from cvlib.models import backbones, torch_names
from cvlib.models.network import Network
from cvlib.runtime.errors import UserError
from cvlib.transfer import channels as channels_of
from cvlib.transfer import h5_files, legacy_h5, torch_weights
from cvlib.transfer.kept_head import keep_head
from cvlib.transfer.sources import (
    ALTERNATIVES,
    IMAGENET,
    WeightsUnavailable,
    check_source,
    refuse_other_convention,
    refuse_without_imagenet,
    weights_file,
)


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
    check_source(source, config, base.input_shape[1:3])
    file = weights_file(source, config)
    return _from_torch(base, config, file, source) if file.suffix in torch_weights.KINDS else _from_keras(
        base, config, file, source)  # fmt: skip


def _from_torch(base: keras.Model, config: ModelConfig, file: Path, source: str) -> Loaded:
    """Load a state dict of torchvision or timm."""
    tensors, names = torch_weights.read(file, config, source)
    try:
        by_layer = torch_names.arrays(base, names, tensors)
    except UserError as error:
        raise UserError(f"mode.weights={source} has a different architecture: {error}; choose weights of the same "
                        "architecture") from error  # fmt: skip
    for layer, arrays in by_layer.items():
        for array in arrays:
            h5_files.finite(names.modules[layer], array, source)
    variables = [variable for layer in base.layers for variable in layer.weights]
    adapted, note = channels_of.adapt_list([array for arrays in by_layer.values() for array in arrays],
                                           [tuple(variable.shape) for variable in variables],
                                           base.input_shape[-1])  # fmt: skip
    for variable, array in zip(variables, adapted, strict=True):
        variable.assign(array)
    left_out = torch_weights.left_out(tensors, names)
    return Loaded(source, base.count_params(), h5_files.by_layer(left_out), note)


def _from_keras(base: keras.Model, config: ModelConfig, file: Path, source: str) -> Loaded:
    """Load a file that Keras wrote, in any of its formats."""
    with _readable(source):
        if file.suffix == ".keras":
            with zipfile.ZipFile(file) as archive, archive.open("model.weights.h5") as inner:
                found = h5_files.from_tree(base, h5py.File(inner, "r"), source)
        else:
            with h5py.File(file, "r") as opened:
                topological = "layer_names" in opened.attrs or "model_weights" in opened
                load = legacy_h5.load if topological else h5_files.from_tree
                found = load(base, opened, source)
    left_out, adapted = found
    return Loaded(source, base.count_params(), h5_files.by_layer(left_out), adapted)


def _from_imagenet(base: keras.Model, config: ModelConfig) -> Loaded:
    refuse_without_imagenet(config)
    refuse_other_convention(config)
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
    name = published.described(config.backbone_options) if published.described else IMAGENET
    return Loaded(name, base.count_params(), [], adapted)


@contextlib.contextmanager
def _readable(source: str) -> Iterator[None]:
    try:
        yield
    except (
        OSError,
        KeyError,
        TypeError,
        ValueError,
        RuntimeError,
        AttributeError,
        zipfile.BadZipFile,
        EOFError,
    ) as error:
        reason = str(error).splitlines()[0][:120]
        raise UserError(f"mode.weights={source} can't be read ({reason}): check that it is complete") from error
