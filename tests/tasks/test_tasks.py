"""The list of tasks, the configs that fit them, and the size that images are resized to."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cvlib import tasks
from cvlib.config.schema import Config, TrainerConfig
from cvlib.models import heads
from cvlib.runs.metric_specs import MetricSpec
from cvlib.runtime.errors import UserError
from cvlib.tasks.base import Task
from tests.configs import CONF, model_config, shipped_model


def mapping(name: str = "cnn", model: dict[str, Any] | None = None, **groups: dict[str, Any]) -> dict[str, Any]:
    """Return a config as composed from conf/: the shipped model with changes, `groups`, and data with its labels."""
    chosen = {**shipped_model(name), **(model or {})}
    return {**groups, "model": chosen, "data": {"tasks": [chosen["task"]], **groups.get("data", {})}}


def config(name: str = "cnn", model: dict[str, Any] | None = None, **groups: dict[str, Any]) -> Config:
    return tasks.config_of(mapping(name, model, **groups))


def test_every_folder_is_a_task() -> None:
    folders = sorted(path.parent.name for path in Path(tasks.__file__).parent.glob("*/__init__.py"))
    assert tasks.names() == folders == ["classification", "detection", "multilabel", "segmentation"]
    with pytest.raises(UserError, match="invalid task=colouring: expected one of classification, detection"):
        tasks.of("colouring")


@pytest.mark.parametrize("name", tasks.names())
def test_each_task_declares_consistent_attributes(name: str) -> None:
    task = tasks.of(name)
    assert isinstance(task, Task)
    assert task.name == name
    assert all(isinstance(spec, MetricSpec) for spec in task.metrics)
    assert set(task.heads) <= set(heads.names())
    assert task.monitors()[0] == f"val/{task.metrics[0].name}"
    assert {monitor.removeprefix("val/") for monitor in task.monitors()} <= {spec.name for spec in task.metrics}
    assert task.metric(f"test/{task.metrics[-1].name}") is task.metrics[-1]
    assert task.shown_metrics(1000)[0] == task.metrics[0].name


def test_every_head_supports_a_task_and_every_task_has_a_yaml_file() -> None:
    supported = {head for name in tasks.names() for head in tasks.of(name).heads}
    assert sorted(supported) == heads.names()
    assert sorted(path.stem for path in (CONF / "task").glob("*.yaml")) == tasks.names()


def test_declarations_need_no_keras() -> None:
    code = (
        "import sys; from cvlib import tasks; [tasks.of(name) for name in tasks.names()]; "
        "print([name for name in ('keras', 'tensorflow', 'hydra') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", sorted(path.stem for path in (CONF / "model").glob("*.yaml")))
def test_every_shipped_model_has_a_head_of_its_task(name: str) -> None:
    assert config(name).model.head in tasks.of_config(config(name)).heads


@pytest.mark.parametrize(("name", "changes", "words"), [
    ("yolo", {"data": {"tasks": ["classification"]}},
     "model=yolo does detection, but data=digits has labels for classification only: choose data="),
    ("cnn", {"trainer": {"patience": 2, "kept_epoch": "last"}}, "add trainer.kept_epoch=best"),
    ("cnn", {"trainer": {"monitor": "val/mAP"}}, "invalid trainer.monitor=val/mAP: expected one of val/accuracy"),
    ("cnn", {"trainer": {"monitor": "val/mAP"}}, "val/top5_accuracy, val/macro_f1, .*val/loss for classification"),
    ("yolo", {"trainer": {"monitor": "val/mAP75"}}, "one of val/mAP, val/mAP50, val/ar_100 for detection"),
    ("yolo", {"model": {"head": "dense", "backbone": "vgg"}},
     "model.head=dense doesn't fit model=yolo, whose backbone is set by model.backbone: remove model.head"),
    ("yolo", {"model": {"head": "decoder"}},
     "model.head=decoder doesn't fit model=yolo, whose backbone is set by model.backbone: remove model.head"),
    ("fcn", {"model": {"head": "grid"}}, "model.head=grid doesn't support segmentation, .*: choose one of decoder"),
    ("vgg", {"data": {"image_size": 20}}, "data.image_size=20 is too small: model=vgg needs at least 32 pixels"),
    ("vgg", {"data": {"image_size": [64, 20]}}, r"data.image_size=\[64,20\] is too small"),
    ("segmenter", {"mode": {"name": "feature_extractor", "cache_features": "true"}},
     "mode.cache_features=true is only for classification, multilabel, but model=segmenter does segmentation: set it"),
    ("yolo", {"model": {"task": "multilabel"}},
     r"task=multilabel is not available for model=yolo, which does detection: choose model=alexnet \| cnn \|"),
    ("cnn", {"model": {"task": "detection"}}, "task=detection is not available for model=cnn, .*: choose model=yolo"),
    ("cnn", {"model": {"task": "sorting"}}, "invalid task=sorting: expected one of classification, detection, multil"),
    ("cnn", {"data": {"name": "coco", "tasks": ["detection"]}},
     "model=cnn does classification, but data=coco has .* detection only: .*, or another model, or task=multilabel"),
    ("cnn", {"model": {"task": "multilabel"}, "data": {"name": "mnist", "tasks": ["classification"]}},
     "model=cnn does multilabel, but data=mnist has .* classification only: .*, or task=classification"),
])  # fmt: skip
def test_incompatible_configs_are_refused(name: str, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        config(name, **changes)


def test_the_error_lists_the_datasets_with_the_required_labels() -> None:
    unfit = mapping("yolo", data={"tasks": ["classification"]})
    with pytest.raises(UserError, match=r"choose data=cards \| coco \| digits \| folder \| pets \| tfds \| voc, or"):
        tasks.config_of(unfit)


@pytest.mark.parametrize(("name", "augment", "words"), [
    ("yolo", {"mixup": 0.2}, "augment.mixup=0.2 is only for classification, multilabel, but model=yolo does detection"),
    ("segmenter", {"mixup": 0.2, "cutmix": 1.0}, "does segmentation: set mixup and cutmix to 0"),
])  # fmt: skip
def test_images_are_mixed_only_if_they_have_classes(name: str, augment: dict[str, float], words: str) -> None:
    with pytest.raises(UserError, match=words):
        config(name, augment=augment)
    assert config(name, augment={"rand_operations": 2, "erase": 0.5}).augment.erase == 0.5
    assert config("cnn", augment=augment).augment.mixup == 0.2


def test_features_of_mixed_images_are_not_cached() -> None:
    mode = {"name": "feature_extractor", "cache_features": "true"}
    with pytest.raises(UserError, match=r"mode.cache_features=true doesn't work with augment.cutmix"):
        config("cnn", mode=mode, augment={"cutmix": 1.0})
    unaugmented = config("cnn", mode={**mode, "views": 0}, augment={"cutmix": 1.0})
    assert unaugmented.augmentation is None
    assert config("cnn", mode={**mode, "cache_features": "auto"}, augment={"cutmix": 1.0}).augmentation is not None


def test_mosaic_requires_boxes() -> None:
    mixing = config("cnn")
    mixing.augment.mosaic = 0.5
    with pytest.raises(UserError, match=r"augment.mosaic=0.5 is only for detection, but model=cnn does classification"):
        tasks.check(mixing)
    boxes = config("yolo")
    boxes.augment.mosaic = 0.5
    tasks.check(boxes)


@pytest.mark.parametrize(("name", "changes", "own", "size"), [
    ("cnn", {}, (8, 8), (8, 8)),
    ("cnn", {}, (300, 200), (300, 300)),
    ("efficientnet_lite", {}, (3000, 2000), (160, 160)),
    ("efficientnet_lite", {}, (90, 70), (90, 90)),
    ("vgg", {}, (8, 8), (32, 32)),
    ("inception", {}, (60, 70), (75, 75)),
    ("cnn", {"data": {"image_size": 40}}, (8, 8), (40, 40)),
    ("cnn", {"data": {"image_size": [40, 64]}}, (8, 8), (40, 64)),
    ("yolo", {}, (96, 96), (96, 96)),
    ("yolo", {}, (100, 70), (128, 128)),
    ("yolo", {}, (270, 360), (384, 384)),
    ("yolo", {}, (600, 500), (448, 448)),
    ("yolo", {}, (2000, 3000), (448, 448)),
    ("yolo", {}, (8, 8), (32, 32)),
    ("yolo", {"data": {"image_size": 100}}, (96, 96), (100, 100)),
    ("segmenter", {}, (8, 8), (32, 32)),
    ("yolo", {"model": {"strides": [16, 64]}}, (96, 96), (128, 128)),
    ("yolo", {"data": {"image_size": 640}}, (96, 96), (640, 640)),
    ("segmenter", {}, (100, 70), (100, 100)),
])  # fmt: skip
def test_the_input_size_depends_on_the_model_and_the_images(
    name: str, changes: dict[str, Any], own: tuple[int, int], size: tuple[int, int]
) -> None:
    assert tasks.input_size(config(name, **changes), own) == size


@pytest.mark.parametrize(("name", "changes", "resize"), [
    ("cnn", {}, "stretch"), ("yolo", {}, "letterbox"), ("segmenter", {}, "stretch"),
    ("cnn", {"data": {"resize": "letterbox"}}, "letterbox"), ("yolo", {"data": {"resize": "stretch"}}, "stretch"),
])  # fmt: skip
def test_the_resizing_method_depends_on_the_model_and_the_config(
    name: str, changes: dict[str, Any], resize: str
) -> None:
    assert tasks.resize(config(name, **changes)) == resize


def test_the_default_monitor_is_the_tasks_first() -> None:
    assert tasks.monitor(config("segmenter")) == "val/mIoU"
    assert tasks.monitor(config("cnn", trainer={"monitor": "val/loss"})) == "val/loss"


def test_only_a_classifiers_features_are_cached() -> None:
    assert tasks.caches_features(config("cnn"))
    assert not tasks.caches_features(config("yolo"))


@pytest.mark.parametrize(("classes", "refused"), [(2, True), (5, True), (6, False)])
def test_top_5_accuracy_of_at_most_five_classes_is_not_monitored(classes: int, refused: bool) -> None:
    config = Config(model_config("cnn"), trainer=TrainerConfig(monitor="val/top5_accuracy"))
    with pytest.raises(UserError, match="is always 1") if refused else contextlib.nullcontext():
        tasks.check_classes(config, classes)
