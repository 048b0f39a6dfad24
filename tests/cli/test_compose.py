"""`task=` beside `model=`: a small override of the model, for every model whose head can learn it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cvlib import tasks
from cvlib.cli.compose import compose
from cvlib.config import answers
from cvlib.runtime.errors import UserError

CLASSIFIERS = [name for name in answers.choices("model") if answers.value("model", name, "head") == "dense"]


@pytest.mark.parametrize("model", CLASSIFIERS)
def test_every_classifier_learns_sets_of_classes(model: str) -> None:
    assert compose([f"model={model}"]).model.task == "classification"
    assert compose([f"model={model}", "task=multilabel"]).model.task == "multilabel"
    assert compose(["task=multilabel", f"model={model}"]) == compose([f"model={model}", "task=multilabel"])


@pytest.mark.parametrize("model", answers.choices("model"))
def test_a_models_own_task_changes_nothing(model: str) -> None:
    own = compose([f"model={model}"])
    assert compose([f"model={model}", f"task={own.model.task}"]) == own


def test_a_users_own_backbone_learns_sets_of_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "conf/model").mkdir(parents=True)
    (tmp_path / "conf/model/mine.yaml").write_text(
        "name: cnn\ntask: classification\nhead: dense\nlr: 0.001\nepochs: 2\n"
    )
    monkeypatch.chdir(tmp_path)
    config = compose(["model=mine", "task=multilabel", "data.samples=100"])
    assert config.model.task == "multilabel"
    assert tasks.monitor(config) == "val/mAP"


@pytest.mark.parametrize(("overrides", "words"), [
    (["model=yolo", "task=multilabel"], "task=multilabel doesn't go with model=yolo, which does detection: choose"),
    (["task=multilable"], r"task=multilable: there is no such task; did you mean multilabel\?"),
    (["task=multilabel", "task.head=dense"], "task.head: there is no such key"),
    (["task=multilabel", "data=letters"], "data=letters has .* classification only: .*, or task=classification"),
])  # fmt: skip
def test_what_does_not_go_with_a_task_is_one_line(overrides: list[str], words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        compose(overrides)
    assert "\n" not in str(caught.value)
