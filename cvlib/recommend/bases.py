"""The pretrained backbones at hand: in installed packages, in Keras' cache, and in own runs. Needs no Keras."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cvlib.compare import runs
from cvlib.config import answers
from cvlib.models import backbones
from cvlib.models.applications import ApplicationBackbone
from cvlib.models.backbone import Backbone
from cvlib.runs.run import Run
from cvlib.runtime.errors import UserError
from cvlib.transfer import initial_run
from cvlib.transfer.sources import IMAGENET

_SIZES = ("variant", "depth")  # the options that select one of several published networks
_MOST_RUNS = 3  # own runs that are looked at, the newest of each backbone


@dataclass(frozen=True)
class Base:
    """A backbone with the weights that a run can start from.

    Attributes:
        backbone: its name.
        options: the options that select the network, by name.
        weights: imagenet, or the folder of a run.
        cost: size of the weights in bytes, by which the cheapest is tried first.
    """

    backbone: str
    options: tuple[tuple[str, Any], ...]
    weights: str
    cost: float

    @property
    def name(self) -> str:
        """The backbone with the options that select a published network, or the run that its weights come from."""
        if self.weights != IMAGENET:
            return f"{self.backbone} from {Path(self.weights).name}"
        return " ".join([self.backbone, *(str(value) for _, value in self.options)])

    def overrides(self, template: tuple[str, ...]) -> tuple[str, ...]:
        """Return the overrides that select this base, without its weights."""
        return (*(one.format(backbone=self.backbone) for one in template),
                *(f"model.{key}={'null' if value is None else value}" for key, value in self.options))  # fmt: skip


def at_hand(dense: bool, outputs: Path, data: Mapping[str, Any]) -> list[Base]:
    """Return the backbones with weights on this machine, those with the smallest weights first.

    Args:
        dense: whether a detector or a segmenter has to use them, which takes feature levels.
        outputs: the folder with own runs.
        data: the config of the data; a run on the same data is no source of weights.
    """
    classifiers = set(answers.choices("model"))
    known = [one for one in backbones.usable() if one.name in classifiers and (one.has_feature_levels or not dense)]
    found = [base for backbone in known for base in (*_in_package(backbone), *_in_cache(backbone))]
    names = {backbone.name for backbone in known}
    return sorted([*found, *_own_runs(outputs, data, names, dense)], key=lambda base: (base.cost, base.name))


def _variants(backbone: Backbone) -> Iterator[dict[str, Any]]:
    """Yield the options of every published network; those with the default value are left out."""
    fields = [item for item in dataclasses.fields(backbone.options) if item.name in _SIZES]
    values = [[value for value in item.metadata.get("choices") or [item.default] if value is not None]
              for item in fields]  # fmt: skip
    for chosen in itertools.product(*values):
        yield {item.name: value for item, value in zip(fields, chosen, strict=True) if value != item.default}


def _in_package(backbone: Backbone) -> Iterator[Base]:
    """Yield the networks whose weights an installed package has."""
    source = backbone.source(IMAGENET)
    if source is None or source.installed is None:
        return
    for options in _variants(backbone):
        with contextlib.suppress(UserError):
            size = source.installed(backbone.options(**options)).stat().st_size
            yield Base(backbone.name, tuple(options.items()), IMAGENET, size)


def _in_cache(backbone: Backbone) -> Iterator[Base]:
    """Yield the networks whose weights Keras has downloaded before, going by the names of the files."""
    folder = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "models"
    source = backbone.source(IMAGENET)
    if source is None or source.installed is not None or not folder.is_dir():
        return
    files = {re.sub(r"[^a-z0-9]", "", file.stem.lower()): file for file in folder.glob("*no*top*.h5")}
    for options in _variants(backbone):
        name = _published_name(backbone, backbone.options(**options))
        match = next((file for text, file in files.items() if _is_of(text, name, backbone.name)), None)
        if match is not None:
            yield Base(backbone.name, tuple(options.items()), IMAGENET, match.stat().st_size)


def _is_of(file: str, network: str, family: str) -> bool:
    """Return whether a file's name, without special characters, starts with that of a network of a family.

    A version may follow the name, unless another family has it: inceptionv3 is inception, resnet50v2 isn't resnet.
    """
    found = re.match(rf"(weights)?{network}(v\d)?(?!\d+weights)", file)
    return found is not None and f"{family}{found[2]}" not in {name.replace("_", "") for name in backbones.names()}


def _published_name(backbone: Backbone, options: Any) -> str:
    """Return the name of Keras' network in lower case, such as efficientnetv2b0 or resnet50."""
    if isinstance(backbone, ApplicationBackbone):
        return backbone.application(options, False).function.lower()
    return backbone.name + "".join(str(getattr(options, size)) for size in _SIZES if hasattr(options, size))


def _own_runs(outputs: Path, data: Mapping[str, Any], names: set[str], dense: bool) -> list[Base]:
    """Return the newest completed classifier of each backbone that was trained from scratch on other data."""
    if not outputs.is_dir():
        return []
    with contextlib.suppress(UserError):
        newest: dict[str, Run] = {}
        for run in sorted(runs.find([outputs], lambda line: None), key=lambda run: str(run.summary.get("started"))):
            if _is_source(run, data, names):
                newest.pop(run.model, None)  # so that the order is that of the newest runs
                newest[run.model] = run
        return [_of_run(run, dense) for run in list(newest.values())[-_MOST_RUNS:]]
    return []


def _is_source(run: Run, data: Mapping[str, Any], names: set[str]) -> bool:
    same = initial_run.same_data(run.config.get("data") or {}, data)
    return (run.status == "completed" and run.mode == "scratch" and not same and run.model in names
            and (run.folder / "model.keras").is_file())  # fmt: skip


def _of_run(run: Run, dense: bool) -> Base:
    """Return the base with the options that its weights need; a detector or a segmenter has no dense layers."""
    model = run.config.get("model") or {}
    backbone = backbones.get(run.model)
    options = {}
    for item in dataclasses.fields(backbone.options):
        needed = item.name in backbone.shape_options or (item.metadata.get("classifier_only") and not dense)
        if needed and item.name in model and model[item.name] != item.default:
            options[item.name] = model[item.name]
    return Base(run.model, tuple(options.items()), str(run.folder), (run.folder / "model.keras").stat().st_size)
