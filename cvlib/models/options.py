"""Typed options of a network, read from the `model` part of a composed config. Doesn't import Keras."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from cvlib.config.fields import Options, require, typed
from cvlib.config.parse import parse, refuse_unknown
from cvlib.config.schema import Config, ModelConfig, Suited
from cvlib.models import backbones, heads
from cvlib.models.heads.dense import DenseOptions
from cvlib.runtime.errors import UserError

_COMMON = ("name", "task", "head")


def read_config(composed: Any) -> Config:
    """Return the typed config of a composed mapping. Raises the same errors as `cvlib.config.parse.parse`."""
    return parse(composed, read_model)


def read_model(values: Mapping[str, Any]) -> ModelConfig:
    """Return the typed options of `values`, the `model` part of a config.

    Raises `UserError` for an unknown backbone or head, for a backbone that doesn't fit the head, and for values out of
    bounds.
    """
    head = heads.get(str(values.get("head", "dense")))
    key = head.base_key if head.base_key and values.get(head.base_key) is not None else None
    require("name" in values or key is not None, "model.name", None, "the name of a model")
    name = str(values.get("name"))
    others = [other for other in _base_keys() if values.get(other) is not None]
    if key is None and others and name not in backbones.names():
        raise UserError(f"model.head={head.name} doesn't fit model={name}, whose backbone is set by model.{others[0]}: "
                        "remove model.head, or choose another model")  # fmt: skip
    backbone = backbones.get(str(values[key]) if key else name)
    if head.feature_levels and not backbone.has_feature_levels:
        suitable = [other.name for other in backbones.usable() if other.has_feature_levels]
        raise UserError(f"model.{key or 'name'}={backbone.name} has no feature maps for model={name}: choose one of "
                        f"{', '.join(suitable)}")  # fmt: skip
    known: list[type[Options]] = [Suited, *(other.options for other in backbones.usable())]
    known += [heads.get(other).options for other in heads.names()]
    refuse_unknown("model", values, known, (*_COMMON, *_base_keys()))
    used = backbone.used_options(head.feature_levels)
    own = {option: values[option] for option in used if option in values}
    rest = {option: value for option, value in values.items() if option not in used or option in head.shared_options}
    backbone_options = typed(backbone.options, own, "model")
    if head.feature_levels:
        backbone.feature_levels(backbone_options)  # raises UserError for options that allow no feature maps
    return ModelConfig(
        name=name, task=str(values.get("task", "classification")),
        backbone=backbone.name, backbone_options=backbone_options,
        head=head.name, head_options=typed(head.options, rest, "model"),
        base_key=key, feature_levels=head.feature_levels,
        suited=typed(Suited, values, "model"),
        depthwise=backbone.depthwise,
    )  # fmt: skip


def _base_keys() -> list[str]:
    """Return the keys that name the backbone of a head."""
    return sorted({key for name in heads.names() if (key := heads.get(name).base_key)})


def backbone_config(model: ModelConfig) -> ModelConfig:
    """Return the options of the classifier with the same base. Its weights fit the base of `model`."""
    head = heads.get("dense")
    if not model.feature_levels:
        options = model.head_options
        if isinstance(options, DenseOptions):  # a rule for thresholds is about the model's own classes
            options = dataclasses.replace(options, thresholds=None)
        return dataclasses.replace(model, task="classification", head_options=options)
    return dataclasses.replace(
        model, name=model.backbone, task="classification", base_key=None, head=head.name, head_options=head.options(),
        feature_levels=False,
    )  # fmt: skip


def deciding(values: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return the keys of a model that decide which other keys it uses, each with all its allowed values.

    These keys are the head, the key that names the backbone, and the options of the head with a fixed set of choices.
    """
    head = heads.get(str(values.get("head", "dense")))
    found: dict[str, list[Any]] = {"head": list(heads.names())} if head.base_key else {}
    if head.base_key:
        found[head.base_key] = [backbone.name for backbone in backbones.usable() if backbone.has_feature_levels]
    choices = {item.name: item.metadata.get("choices") for item in dataclasses.fields(head.options)}
    return found | {name: list(allowed) for name, allowed in choices.items() if allowed}
