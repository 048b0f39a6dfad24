"""Upgrade earlier formats of a run's folder to the current format; "form" in summary.json is the format's number.

Format 1 is that of version 0.1: summary.json has no "form", and config.yaml holds every key of a group, used or not. In
format 2, config.yaml holds only the keys that the chosen answers use; summary.json has a "form" and describes its
metrics. Keys and metrics that were renamed within format 2 are read under their new names.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from cvlib.runs import metric_specs
from cvlib.runs.identity import identity
from cvlib.runs.metric_specs import MetricSpec
from cvlib.runtime.errors import UserError

FORM = 2  # the format that this version writes
_FORM_1 = Path(__file__).with_name("form_1.yaml")
_METRICS = {"recall": "ar_100"}  # earlier name → name
_MODEL_KEYS = {"neck": "neck_channels"}
# Keys of models that were added later, and what a run without them has if another key has this value.
_LATER = (
    ("head", "anchor_free", {"bins": None, "neck_growth": 1}),
    ("decoder", "unpool", {"unpool_convolution": True}),
)


def upgrade(summary: Mapping[str, Any], config: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a run's summary and config in the current format; the arguments are not changed.

    An upgraded summary has `upgraded_from`, `upgrade_notes` and the `config_hash` of the upgraded config (or the
    recorded hash if the config is empty). Raises `UserError` for the format of a later version.
    """
    summary, config = _with_new_metrics(summary), _with_new_keys(config)
    form = summary.get("form", 1)
    if form == FORM:
        model = config.get("model")
        return summary, {**config, "model": _with_later_keys(model)} if isinstance(model, Mapping) else config
    if form != 1:
        raise UserError(
            f"this run has format {form}, but this version of cvlib reads formats up to {FORM}: update cvlib"
        )
    notes: list[str] = []
    upgraded = _used(config, notes)
    specs = metric_specs.to_json(form_1_specs(str(summary.get("task"))))
    data = config.get("data")
    resize = data.get("resize") if isinstance(data, Mapping) else None
    fields: dict[str, Any] = {
        "form": FORM, "upgraded_from": 1, "upgrade_notes": notes, "metric_specs": specs,
        "resize": resize or _vocabulary()["resize"].get(str(summary.get("task"))),
        "config_hash": identity(upgraded) if upgraded else summary.get("config_hash"),
    }  # fmt: skip
    if notes:
        fields["mode"] = upgraded["mode"]["name"]
    return {**summary, **fields}, upgraded


def _with_new_metrics(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return the summary; for a detector, metrics, last metrics and metric specs have their new names."""
    renamed = dict(summary)
    if not any(str(key).endswith("/mAP75") for key in summary.get("metrics") or ()):  # only detectors have this metric
        return renamed
    for field in ("metrics", "last_metrics"):
        if isinstance(values := summary.get(field), Mapping):
            renamed[field] = {_new_metric(key): value for key, value in values.items()}
    if isinstance(specs := summary.get("metric_specs"), list):
        renamed["metric_specs"] = [
            {**spec, "name": _new_metric(spec["name"])} if isinstance(spec, dict) and "name" in spec else spec
            for spec in specs
        ]
    return renamed


def _new_metric(key: Any) -> Any:
    split, slash, name = str(key).rpartition("/")
    return f"{split}{slash}{_METRICS[name]}" if name in _METRICS else key


def _with_new_keys(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config with the new names of its keys and of the metric in trainer.monitor."""
    renamed = dict(config)
    if isinstance(model := config.get("model"), Mapping):
        renamed["model"] = {_MODEL_KEYS.get(str(key), key): value for key, value in model.items()}
    trainer = config.get("trainer")
    if isinstance(trainer, Mapping) and trainer.get("monitor") is not None:
        renamed["trainer"] = {**trainer, "monitor": _new_metric(trainer["monitor"])}
    return renamed


def _with_later_keys(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return a model's keys with those that are newer than the run, and the values that describe the run's network."""
    later = next((keys for key, value, keys in _LATER if model.get(key) == value), {})
    return {**later, **model}


def form_1_specs(task: str) -> tuple[MetricSpec, ...]:
    """Return the specs of a task's metrics in format 1; empty for a task that format 1 doesn't have."""
    return metric_specs.from_json(_vocabulary()["metric_specs"].get(task))


def _used(config: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    """Return the config without the keys that its answers don't use, in the same order."""
    upgraded = dict(config)
    for group in ("model", "mode", "optimizer", "schedule"):
        values = config.get(group)
        if not isinstance(values, Mapping):
            continue
        if group == "mode":
            values = _as_finetuning(values, notes)
        try:
            upgraded[group] = _chosen(values, _vocabulary()[group])
        except TypeError:  # a damaged file has a list where a name belongs
            upgraded[group] = dict(values)
    return upgraded


def _chosen(values: Mapping[str, Any], vocabulary: dict[str, Any]) -> dict[str, Any]:
    """Return the keys of a group that its answer uses; all keys if the answer is unknown."""
    answer = vocabulary["answers"].get(values.get("name"))
    if answer is None:
        return dict(values)
    values = {**values, **answer.get("set", {})}
    keys = {*vocabulary["common"], *answer["keys"]}
    for key, usual in answer.get("base", {}).items():
        values[key] = values.get(key) or usual
        keys |= {key, *vocabulary["bases"].get(values[key], [])}
    base = next((str(values[key]) for key in answer.get("base", {})), str(values.get("name")))
    for key, meaning in vocabulary.get("null_means", {}).get(base, {}).items():
        values[key] = meaning if values.get(key) is None else values[key]
    for key, by_value in answer.get("depending", {}).items():
        keys |= set(by_value.get(values.get(key), []))
    return _with_later_keys({key: value for key, value in values.items() if key in keys})


def _as_finetuning(mode: Mapping[str, Any], notes: list[str]) -> Mapping[str, Any]:
    """Convert a feature extractor with a partly trained base to fine-tuning; return other modes unchanged."""
    freeze = mode.get("freeze", "all")
    whole = freeze == "all" or freeze is True or (isinstance(freeze, float) and freeze == 1.0)
    if mode.get("name") != "feature_extractor" or whole:
        return mode
    notes.append(f"mode=feature_extractor had mode.freeze={'null' if freeze is None else freeze}, so part of the base "
                 "was trained: read as mode=finetune with mode.head_epochs=0")  # fmt: skip
    return {**mode, "name": "finetune", "head_epochs": 0}


@cache
def _vocabulary() -> dict[str, Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    content: dict[str, Any] = yaml.load(_FORM_1.read_text(encoding="utf-8"), loader)
    return content
