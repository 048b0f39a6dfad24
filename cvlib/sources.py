"""What a run starts from, looked at before anything is read or written: its images and its weights. No Keras."""

from __future__ import annotations

from pathlib import Path

import yaml

from cvlib.config import Config, ModelConfig, classifier_of
from cvlib.errors import UserError
from cvlib.record import read_summary

WAYS_ON = "give mode.weights=<a weights file> or mode.weights=<an earlier run's folder>, or train with mode=scratch"
_KINDS = (".keras", ".h5", ".hdf5")


class WeightsUnavailable(UserError):
    """ImageNet weights can't be had here."""


def check(config: Config) -> None:
    """Raise `UserError` where what the config names isn't there, or can't be of use to its model."""
    from cvlib.data import layouts

    if config.data.path is not None:
        layouts.place(config.data.path)
    base, weights = classifier_of(config.model), config.mode.weights
    if weights == "imagenet" and config.data.pretrain_on is None:
        refuse_without_imagenet(base)
    if weights not in (None, "imagenet"):
        weights_file(weights, base)


def refuse_without_imagenet(base: ModelConfig) -> None:
    """Raise `WeightsUnavailable` for a classifier of which no ImageNet weights were ever published."""
    if not base.imagenet:
        raise WeightsUnavailable(f"mode.weights=imagenet: there are no ImageNet weights for {base.name}; {WAYS_ON}")


def weights_file(source: str, base: ModelConfig) -> Path:
    """The file that `mode.weights` means: itself, or the network in a run's folder.

    Raises `UserError` where there is none, or the run is of another model than the classifier `base`.
    """
    path = Path(source).expanduser()
    if not path.exists():
        raise UserError(f"mode.weights={source}: there is no such file or folder; {WAYS_ON}")
    file = _model_of_run(path, base) if path.is_dir() else path
    if file.suffix not in _KINDS:
        raise UserError(f"mode.weights={source}: only .keras, .weights.h5 and .h5 files hold weights that can be read")
    return file


def _model_of_run(folder: Path, base: ModelConfig) -> Path:
    summary = read_summary(folder)
    if summary is None:
        raise UserError(f"mode.weights={folder}: this folder is no run (it has no summary.json); {WAYS_ON}")
    family = _family_of_run(folder) or summary.get("model")
    if family != base.name:
        of = f"model={summary.get('model')}" + (f" on {family}" if family != summary.get("model") else "")
        raise UserError(f"mode.weights={folder} is a run of {of}, but the base here is that of model={base.name}: "
                        "choose a run with the same base")  # fmt: skip
    if not (folder / "model.keras").exists():
        raise UserError(f"mode.weights={folder}: that run is {summary.get('status')} and has no model.keras yet: "
                        f"finish it first with hydra.run.dir={folder}")  # fmt: skip
    return folder / "model.keras"


def _family_of_run(folder: Path) -> str | None:
    """Of a detector's or segmenter's run, the family of its base."""
    if not (folder / "config.yaml").exists():
        return None
    model = (yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8")) or {}).get("model") or {}
    family: str | None = model.get("encoder") or model.get("backbone")
    return family
