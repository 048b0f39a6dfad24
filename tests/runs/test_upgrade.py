"""Run folders of version 0.1.0 are converted to the current format; see tests/fixtures/form_1/README.md."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cvlib.compare import compare
from cvlib.compare.runs import epochs, find, sample_values
from cvlib.runs.flatten import flatten
from cvlib.runs.identity import identity
from cvlib.runs.metric_specs import MetricSpec
from cvlib.runs.record import Record
from cvlib.runs.run import Run, UnreadableRun, read_run
from cvlib.runs.summary import read_summary
from cvlib.runs.upgrade import FORM, upgrade
from cvlib.runtime.errors import UserError

FORM_1 = Path(__file__).parents[1] / "fixtures/form_1"
FOLDERS = sorted(path.parent for path in FORM_1.rglob("summary.json"))
MODES = ("scratch", "feature_extractor", "finetune")

COMMON = {"name", "task", "lr", "batch_size", "class_weights", "epochs"}
CNN_BASE = {"filters", "convolutions", "kernel", "padding", "stride", "dilation", "pooling", "batch_norm",
            "spatial_dropout"}  # fmt: skip
ANCHOR_FREE = {"strides", "bins", "neck_growth"}
MASKS = {"dropout", "loss", "focal_gamma"}
DECODER = MASKS | {"head", "decoder", "skip", "auxiliary_weight", "decoder_filters"}
MODE_KEYS = {
    "scratch": {"name"},
    "feature_extractor": {"name", "weights", "head_lr", "cache_features", "views", "cache_gb"},
    "finetune": {"name", "weights", "freeze", "head_epochs", "backbone_lr", "head_lr", "batch_norm"},
}


def raw(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    return json.loads((folder / "summary.json").read_text()), yaml.safe_load((folder / "config.yaml").read_text())


@pytest.fixture
def legacy() -> dict[str, Any]:
    """Return a config of format 1, with every key of every group."""
    return raw(FORM_1 / "runs/classification-scratch")[1]


def upgraded(legacy: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return the upgraded config, after changing keys of `legacy` such as `model_name`."""
    for key, value in changes.items():
        group, _, name = key.partition("_")
        legacy[group][name] = value
    return upgrade({"task": "classification"}, legacy)[1]


def renamed(values: Any, *names: str) -> Any:
    """Return the mapping with renamed keys; `names` are pairs of an earlier and a current name."""
    new = dict(zip(names[::2], names[1::2], strict=True))
    return {new.get(key, key): value for key, value in values.items()} if isinstance(values, dict) else values


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(FORM_1))[:40])
def test_every_folder_opens_with_the_keys_that_its_choices_use(folder: Path) -> None:
    assert len(FOLDERS) == 17
    run, (summary, config) = read_run(folder), raw(folder)
    assert (run.summary["form"], run.summary["upgraded_from"]) == (FORM, 1)
    assert {key: run.summary[key] for key in summary if key not in ("timing", "config_hash")} == {
        key: renamed(value, "val/recall", "val/ar_100", "test/recall", "test/ar_100")
        for key, value in summary.items() if key not in ("timing", "config_hash")
    }  # fmt: skip
    assert set(run.config) == set(config)
    expected = {"cnn": COMMON | CNN_BASE | {"head", "features", "dense", "dropout"},
                "darknet": COMMON | {"head", "filters", "dropout"},
                "yolo": COMMON | ANCHOR_FREE | {"backbone", "head", "neck_channels", "nms_iou", "filters"},
                "segmenter": COMMON | DECODER | CNN_BASE | {"encoder", "interpolation"}}  # fmt: skip
    assert set(run.config["model"]) == expected[run.model]
    assert set(run.config["mode"]) == MODE_KEYS[run.mode]
    assert set(run.config["optimizer"]) == {"name", "lr", "weight_decay", "clipnorm"}
    assert set(run.config["schedule"]) == {"name", "warmup_epochs", "final"}
    assert all(run.config[group] == config[group] for group in ("data", "augment", "trainer", "seed"))
    assert run.config["model"]["head"] == {"segmenter": "decoder", "yolo": "anchor_free"}.get(run.model, "dense")
    kept, before = flatten(run.config), renamed(flatten(config), "model.neck", "model.neck_channels")
    assert kept.pop("model.bins", None) is None and kept.pop("model.neck_growth", 1) == 1
    assert all(value == before[key] for key, value in kept.items() if key != "model.head")
    assert run.summary["config_hash"] == identity(run.config) != summary["config_hash"]
    assert run.splits is None


def test_the_properties_of_a_run_are_read() -> None:
    run = read_run(FORM_1 / "runs/segmentation-finetune")
    assert (run.task, run.model, run.mode, run.seed, run.status) == (
        "segmentation", "segmenter", "finetune", 0, "completed")  # fmt: skip
    assert (run.size, run.channels, len(run.classes), run.notes) == ((32, 32), 3, 11, [])
    assert run.headline == "test/mIoU"
    assert run.metric("test/mIoU") == run.summary["metrics"]["test/mIoU"]
    assert run.metric_spec("test/loss") == MetricSpec("loss", higher_is_better=False, high=float("inf"))
    assert "model.filters" in run.overridden and "mode" in run.overridden
    assert len(epochs(run)) == 2
    values = sample_values(run, "test/mIoU")
    assert values is not None and sum(values[1]) / len(values[1]) == pytest.approx(run.metric("test/mIoU"), abs=1e-4)
    unfinished = read_run(FORM_1 / "runs/unfinished")
    assert unfinished.notes == [
        f"{FORM_1 / 'runs/unfinished'}: status interrupted after 103 of 2000 epochs; the best epoch so far is used"
    ]


@pytest.mark.parametrize(("changes", "keys"), [
    ({"model_encoder": "vgg", "model_depth": None}, DECODER | {"encoder", "depth", "interpolation"}),
    ({"model_encoder": None, "model_decoder": "unpool"}, DECODER | CNN_BASE | {"encoder", "unpool_convolution"}),
    ({"model_encoder": "inception", "model_decoder": "transpose"},
     DECODER | {"encoder", "transpose_kernel", "transpose_stride", "transpose_padding", "transpose_output_padding"}),
])  # fmt: skip
def test_a_segmenter_keeps_the_keys_that_its_encoder_and_decoder_use(
    legacy: dict[str, Any], changes: dict[str, Any], keys: set[str]
) -> None:
    model = upgraded(legacy, model_name="segmenter", **changes)["model"]
    assert set(model) == COMMON | keys
    assert (model["head"], model["encoder"]) == ("decoder", changes["model_encoder"] or "cnn")
    assert model.get("depth", 16) == 16  # the value that null stood for


@pytest.mark.parametrize(("changes", "keys"), [
    ({"model_head": "grid", "model_backbone": "resnet"}, {"grid", "boxes_per_cell", "depth"}),
    ({"model_head": "anchor_free", "model_backbone": None}, ANCHOR_FREE | {"filters"}),
    ({"model_head": "anchor_free", "model_backbone": "cnn"}, ANCHOR_FREE | CNN_BASE),
])  # fmt: skip
def test_a_detector_keeps_the_keys_that_its_base_and_head_use(
    legacy: dict[str, Any], changes: dict[str, Any], keys: set[str]
) -> None:
    model = upgraded(legacy, model_name="yolo", **changes)["model"]
    assert set(model) == COMMON | {"backbone", "head", "neck_channels", "nms_iou"} | keys
    assert model["backbone"] == (changes["model_backbone"] or "darknet")


def test_other_networks_and_choices_keep_their_own_keys(legacy: dict[str, Any]) -> None:
    fcn = {"backbone", "head", "prediction_stride", "fc_kernel", "fc_width", "depth"} | MASKS
    for name, keys in {
        "alexnet": {"dense", "dropout", "batch_norm"}, "inception": {"dropout", "auxiliary_weight"},
        "resnet": {"depth", "dropout"}, "vgg": {"depth", "dropout"}, "fcn": fcn,
    }.items():  # fmt: skip
        assert set(upgraded(legacy, model_name=name)["model"]) == COMMON | keys | {"head"}
    assert upgraded(legacy, model_name="fcn", model_backbone="vgg")["model"]["head"] == "fcn"
    sgd = upgraded(legacy, optimizer_name="sgd", schedule_name="step")
    assert set(sgd["optimizer"]) == {"name", "lr", "weight_decay", "clipnorm", "momentum"}
    assert set(sgd["schedule"]) == {"name", "warmup_epochs", "every", "factor"}
    assert set(upgraded(legacy, schedule_name="constant")["schedule"]) == {"name", "warmup_epochs"}
    assert upgraded(legacy, model_name="of a friend")["model"] == renamed(legacy["model"], "neck", "neck_channels")


@pytest.mark.parametrize(("freeze", "whole"), [
    ("all", True), (True, True), (1.0, True), (1, False), (0.5, False), (None, False), ("conv1", False),
])  # fmt: skip
def test_a_partly_frozen_feature_extractor_is_read_as_fine_tuning(
    legacy: dict[str, Any], freeze: Any, whole: bool
) -> None:
    legacy["mode"] |= {"name": "feature_extractor", "weights": "imagenet", "freeze": freeze, "head_epochs": 3,
                       "batch_norm": "frozen", "head_lr": 10.0}  # fmt: skip
    summary, config = upgrade({"task": "classification", "mode": "feature_extractor"}, legacy)
    mode = config["mode"]
    assert set(mode) == MODE_KEYS["feature_extractor" if whole else "finetune"]
    if whole:
        assert summary["upgrade_notes"] == []
        return
    assert mode == {"name": "finetune", "weights": "imagenet", "freeze": freeze, "head_epochs": 0, "backbone_lr": 1.0,
                    "head_lr": 10.0, "batch_norm": "frozen"}  # fmt: skip
    written = "null" if freeze is None else freeze
    assert summary["mode"] == "finetune"
    (note,) = summary["upgrade_notes"]
    assert note == (f"mode=feature_extractor had mode.freeze={written}, so part of the base was trained: read as "
                    "mode=finetune with mode.head_epochs=0")  # fmt: skip


def test_upgrading_changes_neither_argument_and_is_idempotent() -> None:
    before = raw(FORM_1 / "runs/detection-scratch")
    after = upgrade(*copy.deepcopy(before))
    assert upgrade(*before) == after
    assert before == raw(FORM_1 / "runs/detection-scratch")
    assert upgrade(*after) == after


def test_missing_and_unexpected_parts_of_a_config_are_left_unchanged(legacy: dict[str, Any]) -> None:
    del legacy["model"]["kernel"], legacy["optimizer"]
    legacy["mode"] = "scratch"
    config = upgrade({}, legacy)[1]
    assert "kernel" not in config["model"] and "optimizer" not in config and config["mode"] == "scratch"
    assert upgrade({"config_hash": "abc"}, {})[0]["config_hash"] == "abc"


def test_unexpected_values_do_not_prevent_the_upgrade(legacy: dict[str, Any]) -> None:
    for group, key, value in (("model", "name", ["cnn"]), ("mode", "name", {}), ("optimizer", "name", None),
                              ("data", 7, {None: 1, (1, 2): [3]})):  # fmt: skip
        legacy[group][key] = value
    model = renamed(legacy["model"], "neck", "neck_channels")
    assert upgrade({}, legacy)[1] == legacy | {
        "model": model,
        "schedule": {"name": "cosine", "warmup_epochs": 0.0, "final": 0.0},
    }
    unexpected = upgraded(legacy, model_name="segmenter", model_encoder=["vgg"], model_decoder=[1])["model"]
    assert unexpected == renamed(legacy["model"], "neck", "neck_channels")
    assert upgraded(legacy, mode_name="feature_extractor", mode_freeze=[1])["mode"]["name"] == "finetune"


def test_a_later_format_is_refused_in_one_line(tmp_path: Path) -> None:
    shutil.copytree(FORM_1 / "runs/classification-scratch", tmp_path / "run")
    summary = raw(tmp_path / "run")[0]
    (tmp_path / "run/summary.json").write_text(json.dumps(summary | {"form": 3}))
    with pytest.raises(UnreadableRun, match=r"run: this run has format 3, but .* reads formats up to 2: update cvlib"):
        read_run(tmp_path / "run")
    with pytest.raises(UserError, match=r"summary\.json: this run has format 3"):
        read_summary(tmp_path / "run")


def sweep() -> dict[tuple[str, int], Run]:
    return {(run.mode, run.seed): run for run in find([FORM_1 / "sweeps"], pytest.fail)}


def test_seeds_of_a_sweep_are_repeats_of_one_experiment() -> None:
    runs = sweep()
    assert set(runs) == {(mode, seed) for mode in ("scratch", "finetune") for seed in (0, 1)}
    for mode in ("scratch", "finetune"):
        first, second = runs[mode, 0], runs[mode, 1]
        assert first.settings | {"seed": 1, "data.split_seed": 1} == second.settings
        changed = copy.deepcopy(first.config)
        changed["seed"] = changed["data"]["split_seed"] = 1
        assert identity(changed) == identity(second.config) != identity(first.config)
    alone = read_run(FORM_1 / "runs/classification-scratch")
    assert identity(alone.config) == identity(runs["scratch", 0].config)


def test_a_comparison_shows_every_run() -> None:
    messages: list[str] = []
    text = compare([FORM_1], messages.append, by="run")
    assert messages == [f"{FORM_1}: pretraining runs are left out; to compare them, give their folder"]
    for task in ("classification", "detection", "segmentation"):
        for mode in MODES:
            assert f"runs/{task}-{mode}" in text
    assert "classification on digits, by test/accuracy: 7 completed runs\n" in text
    assert "detection on digits, by test/mAP: 3 completed runs\n" in text
    assert "segmentation on digits, by test/mIoU: 3 completed runs\n" in text
    assert "left out because its status is interrupted: runs/unfinished" in text
    assert "these differences are means of the images' average precision at IoU 0.5, because test/mAP is" in text
    assert "classification on digits, by test/accuracy: 5 completed runs in 3 groups" in compare(
        [FORM_1], messages.append
    )


def mapping_of(folder: Path, root: Path) -> dict[str, Any]:
    return read_run(folder).config | {"output_root": str(root)}


def test_a_completed_run_is_recognized_and_another_config_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(FORM_1 / "runs/detection-finetune", folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    mapping = mapping_of(folder, tmp_path)
    with Record(folder, mapping) as record:
        assert record.completed
    mapping["mode"] = mapping["mode"] | {"backbone_lr": 0.5}
    with pytest.raises(UserError, match=r"another config \(mode\.backbone_lr: 0\.1 in that run, 0\.5 now\)"):
        Record(folder, mapping).__enter__()
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"} == before


def test_an_unfinished_run_is_refused_and_unchanged(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(FORM_1 / "runs/unfinished", folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(UserError) as refused:
        Record(folder, mapping_of(folder, tmp_path)).__enter__()
    assert str(refused.value) == (
        f"{folder} holds an unfinished run of an earlier version of cvlib, whose checkpoints can't be resumed: choose "
        "another hydra.run.dir to start it again"
    )
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"} == before


def test_runs_are_read_without_hydra_and_keras() -> None:
    code = (
        "import sys; from pathlib import Path; from cvlib.runs import record, run; "
        f"run.read_run(Path({str(FORM_1 / 'runs/detection-scratch')!r})); "
        "print([name for name in ('hydra', 'omegaconf', 'keras', 'tensorflow', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_names_that_changed_within_format_2_are_read_under_their_new_names() -> None:
    summary = {
        "form": 2, "task": "detection", "metrics": {"val/mAP75": 0.5, "val/recall": 0.6, "test/recall": 0.7},
        "metric_specs": [{"name": "mAP"}, {"name": "recall"}],
    }  # fmt: skip
    config = {"model": {"name": "yolo", "head": "grid", "neck": 64}, "trainer": {"monitor": "val/recall", "epochs": 3}}
    read, keys = upgrade(summary, config)
    assert read["metrics"] == {"val/mAP75": 0.5, "val/ar_100": 0.6, "test/ar_100": 0.7}
    assert [spec["name"] for spec in read["metric_specs"]] == ["mAP", "ar_100"]
    assert keys == {
        "model": {"name": "yolo", "head": "grid", "neck_channels": 64},
        "trainer": {"monitor": "val/ar_100", "epochs": 3},
    }
    assert identity(keys | {"trainer": config["trainer"]}) == identity(config)
    assert upgrade({"form": 2, "task": "multilabel", "metrics": {"val/recall": 1.0}}, {})[0]["metrics"] == {
        "val/recall": 1.0
    }


@pytest.mark.parametrize(("model", "keys"), [
    ({"head": "anchor_free"}, {"bins": None, "neck_growth": 1}),
    ({"head": "anchor_free", "bins": 16}, {"bins": 16, "neck_growth": 1}),
    ({"head": "anchor_free", "bins": 16, "neck_growth": 2}, {"bins": 16, "neck_growth": 2}),
    ({"head": "decoder", "decoder": "unpool"}, {"unpool_convolution": True}),
    ({"head": "decoder", "decoder": "unpool", "unpool_convolution": False}, {"unpool_convolution": False}),
])  # fmt: skip
def test_a_key_that_is_newer_than_the_run_has_the_value_of_its_network(
    model: dict[str, Any], keys: dict[str, Any]
) -> None:
    assert upgrade({"form": 2}, {"model": model})[1]["model"] == {**model, **keys}
