"""Several runs as one predictor: the mean of their probabilities, or one network with the mean of their weights.

Averaging weights is for networks that were fine-tuned from the same pretrained weights (model soups; Wortsman et al.,
ICML 2022). Networks from different random weights don't compute similar functions of their weights, so it is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cvlib import data, tasks
from cvlib.evaluation.evaluate_run import Evaluation, measure, predictions
from cvlib.evaluation.samples import Samples, choose
from cvlib.models.restore import SavedRun
from cvlib.runs.record import Record
from cvlib.runtime.errors import UserError
from cvlib.tasks import saved, temperature
from cvlib.tasks.predictions import Predictions
from cvlib.training import devices

if TYPE_CHECKING:
    import keras

PREDICTIONS, WEIGHTS = "predictions", "weights"
_COSTS = (("parameters", ("total", "trainable", "frozen")), ("timing", ("setup", "train", "latency")))


def check(runs: Sequence[SavedRun], average: str) -> None:
    """Raise `UserError` unless the runs can be averaged: different runs with the same task, classes and input."""
    first = runs[0]
    task = tasks.of_config(first.config)
    if not task.averages:
        raise UserError(f"{first.folder}: the predictions of several runs can't be averaged for {task.name}: evaluate "
                        "each run separately")  # fmt: skip
    if len({run.folder.resolve() for run in runs}) < len(runs):
        raise UserError("a run is named twice: name different runs")
    for run in runs[1:]:
        facts = {"task": _task(run) == _task(first), "classes": run.classes == first.classes,
                 "image size, channels, range or resizing": run.spec == first.spec}  # fmt: skip
        if differing := [name for name, same in facts.items() if not same]:
            raise UserError(f"{run.folder} has another {differing[0]} than {first.folder}: choose runs with the same "
                            "classes and input")  # fmt: skip
        if average == WEIGHTS:
            _check_start(first, run)


def _check_start(first: SavedRun, run: SavedRun) -> None:
    """Raise `UserError` unless both networks have the same layers and started from the same weights."""
    if run.config.model != first.config.model:
        raise UserError(f"{run.folder} has another network than {first.folder}: use --average predictions")
    sources = [(other.summary.get("weights") or {}).get("source") for other in (first, run)]
    random_head = first.config.model.head != "dense"  # the head of a classifier starts at 0
    if None in sources or sources[0] != sources[1] or (random_head and run.record.seed != first.record.seed):
        raise UserError(f"{run.folder} and {first.folder} didn't start from the same weights, so the mean of their "
                        "weights means nothing: use --average predictions")  # fmt: skip


def _task(run: SavedRun) -> str:
    return tasks.of_config(run.config).name


def refuse_leaks(runs: Sequence[SavedRun], samples: Samples) -> None:
    """Raise `UserError` if a run was trained on images that another run's split, `samples`, holds for evaluation."""
    if samples.name == "train":
        return
    measured = set(samples.split.names)
    for run in runs[1:]:
        leaked = measured & set((run.splits or {}).get("train", ()))
        if leaked:
            raise UserError(f"{run.folder} was trained on {len(leaked)} images of the {samples.name} split of "
                            f"{runs[0].folder}: choose runs with the same data.split_seed")  # fmt: skip


def evaluate(
    runs: Sequence[SavedRun], samples: Samples, average: str
) -> tuple[Evaluation, Predictions, dict[str, Any]]:
    """Evaluate the runs as one predictor.

    Its thresholds and its temperature are chosen on the first run's validation split, as at the end of a run.

    Returns:
        the evaluation of `samples`, the predictions for validation, and the decision made on them.
    """
    first = runs[0]
    val = choose(first, "val")
    refuse_leaks(runs, val)
    devices.start(first.config)
    network = averaged_network(runs, average)
    rule = tasks.threshold_rule(first.config)
    found = predictions(first, network, val.split, {}).tuned(rule)
    found = found.calibrated() if tasks.scales_temperature(first.config) else found
    decision = found.decision()
    return measure(first, network, decision, samples), found, decision


def averaged_network(runs: Sequence[SavedRun], average: str) -> keras.Model:
    """Return a network: images of the runs' size → logits of the mean probabilities, or of the mean weights.

    The probabilities are those of the saved networks, divided by each run's temperature.
    """
    import keras

    task = tasks.of_config(runs[0].config)
    networks = [saved.as_trained(run) for run in runs]
    if average == WEIGHTS:
        kept = networks[0].predictive()
        for variables in zip(*(network.predictive().weights for network in networks), strict=True):
            mean = np.mean([keras.ops.convert_to_numpy(variable) for variable in variables], axis=0, dtype=np.float64)
            variables[0].assign(mean.astype(variables[0].dtype))
        return kept
    image = keras.Input(networks[0].model.input_shape[1:], name="image", dtype="float32")
    members = [task.validated(network) for network in networks]
    for number, member in enumerate(members):
        member.name = f"member_{number}"  # two layers of a model can't have the same name
    logits = [member(image) / temperature.of_decision(saved.labels(run))
              for member, run in zip(members, runs, strict=True)]  # fmt: skip
    return keras.Model(image, task.mean_logits(logits), name="ensemble")


def record(runs: Sequence[SavedRun], average: str, folder: Path, found: Evaluation, val: Predictions,
           decision: Mapping[str, Any]) -> None:  # fmt: skip
    """Record the results on the test split as a run in `folder`, so that `cvlib compare` shows it with its cost."""
    task, first, dataset = tasks.of_config(runs[0].config), runs[0], found.samples.dataset
    metrics = {f"val/{name}": value for name, value in val.metrics().items()}
    metrics |= {f"test/{name}": value for name, value in found.metrics.items()}
    with Record(folder, mapping_of(runs, average), specs=task.metrics) as record:
        record.write_splits({name: split.names for name, split in dataset.splits.items()})
        record.write_csv("test_results.csv", found.results)
        record.update(
            status="completed", ensemble={"runs": [str(run.folder) for run in runs], "average": average},
            data_fingerprint=data.fingerprint(dataset), classes=first.classes, channels=first.channels,
            image_size=first.summary["image_size"], resize=first.spec.resize, notes=found.samples.notes,
            samples={name: len(split.names) for name, split in dataset.splits.items()}, metrics=metrics,
            decision=dict(decision), **costs(runs, average),
        )  # fmt: skip


def costs(runs: Sequence[SavedRun], average: str) -> dict[str, dict[str, float]]:
    """Return `parameters` and `timing` for summary.json: sums over the runs.

    One network with averaged weights has the parameters and the latency of one run. A value that a run lacks is left
    out.
    """
    found: dict[str, dict[str, float]] = {}
    for part, names in _COSTS:
        found[part] = {}
        for name in names:
            values = [run.record.number(part, name) for run in runs]
            known = [value for value in values if value is not None]
            if len(known) == len(runs):
                once = average == WEIGHTS and (part == "parameters" or name == "latency")
                found[part][name] = known[0] if once else sum(known)
    return found


def mapping_of(runs: Sequence[SavedRun], average: str) -> dict[str, Any]:
    """Return the content of config.yaml: the settings that all runs share, and the ensemble's name as the model."""
    first = runs[0].record.config
    model = "+".join(dict.fromkeys(run.record.model for run in runs))
    kind = "ensemble" if average == PREDICTIONS else "average"
    common: dict[str, Any] = _common([run.record.config for run in runs])
    for group in ("mode", "data"):
        names = dict.fromkeys(str(run.record.config[group]["name"]) for run in runs)
        common[group] = common.get(group, {}) | {"name": "+".join(names)}
    model_part = {"name": f"{kind} of {len(runs)} {model}", "task": _task(runs[0])}
    return common | {"model": common.get("model", {}) | model_part, "name": None, "seed": first["seed"],
                     "output_root": first.get("output_root", "outputs")}  # fmt: skip


def _common(mappings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the keys with equal values in all nested mappings."""
    found: dict[str, Any] = {}
    for key, value in mappings[0].items():
        others = [other.get(key) for other in mappings[1:]]
        if isinstance(value, Mapping):
            found[key] = _common([value, *(other if isinstance(other, Mapping) else {} for other in others)])
        elif all(key in other and other[key] == value for other in mappings[1:]):
            found[key] = value
    return found
