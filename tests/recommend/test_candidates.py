"""Templates of conf/recommend become candidates with readable names; the backbones at hand are found."""

from __future__ import annotations

from pathlib import Path

import pytest

from cvlib.cli.compose import compose
from cvlib.recommend import bases, candidates, settings
from cvlib.recommend.bases import Base
from cvlib.runtime.errors import UserError
from tests.compare.conftest import write_run

LITE = Base("efficientnet_lite", (), "imagenet", 1)
LITE2 = Base("efficientnet_lite", (("variant", 2),), "imagenet", 2)
OWN = Base("cnn", (("filters", [4, 8]),), "outputs/runs/mine", 3)


@pytest.mark.parametrize("task", ["classification", "multilabel", "detection", "segmentation"])
def test_every_candidate_is_a_valid_run(task: str) -> None:
    found = settings.templates(settings.read(), task)
    data = {"multilabel": "folder", "detection": "cards", "segmentation": "cats_dogs"}.get(task, "clothing")
    made = [*candidates.frozen(found, [LITE2, LITE]), *candidates.trained(found, [LITE2, LITE], 160)]
    assert len({one.name for one in made}) == len(made) >= 4
    for one in made:
        place = ["data.path=."] if data == "folder" else []
        config = compose([*one.overrides, f"data={data}", *place, "trainer.test=false", "trainer.minutes=1"])
        assert config.model.task == task and not config.trainer.test


def test_names_say_backbone_regime_and_size() -> None:
    found = settings.templates(settings.read(), "classification")
    assert [one.name for one in candidates.frozen(found, [LITE2, LITE])] == ["efficientnet_lite 2 frozen"]
    assert [one.name for one in candidates.trained(found, [LITE2, LITE], 160)] == [
        "efficientnet_lite 2 fine-tuned", "cnn from scratch", "efficientnet_lite fine-tuned",
        "efficientnet_lite 2 fine-tuned at 224 px", "efficientnet_lite 2 fine-tuned augment=standard",
    ]  # fmt: skip
    alone = candidates.trained(found, [LITE], None)
    assert [one.name for one in alone] == ["efficientnet_lite fine-tuned", "cnn from scratch",
                                           "efficientnet_lite fine-tuned augment=standard"]  # fmt: skip


def test_for_small_images_the_network_from_scratch_comes_first() -> None:
    found = settings.templates(settings.read(), "classification")
    assert [one.name for one in candidates.trained(found, [LITE], None, small=True)] == [
        "cnn from scratch", "efficientnet_lite fine-tuned", "efficientnet_lite fine-tuned augment=standard",
    ]  # fmt: skip


def test_options_of_a_run_that_are_not_set_stay_so() -> None:
    base = Base("cnn", (("filters", None), ("batch_norm", True)), "outputs/runs/mine", 3)
    assert base.name == "cnn from mine"  # whatever its options are
    config = compose([*base.overrides(("model={backbone}",)), "data=digits"])
    options = config.model.used_backbone_options
    assert options["filters"] is None and options["batch_norm"] is True


def test_a_base_from_a_run_brings_its_weights() -> None:
    found = settings.templates(settings.read(), "classification")
    (made,) = candidates.frozen(found, [OWN])
    assert made.overrides == ("model=cnn", "model.filters=[4, 8]", "mode.weights='outputs/runs/mine'",
                              "mode=feature_extractor")  # fmt: skip


def test_installed_weights_and_cached_files_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = tmp_path / "models"
    models.mkdir()
    for name in ("resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5", "efficientnetv2-b0_notop.h5",
                 "resnet101v2_weights_tf_dim_ordering_tf_kernels_notop.h5", "vgg16_weights.h5",
                 "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5"):  # fmt: skip
        (models / name).write_bytes(b"x" * 10)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    found = {base.name for base in bases.at_hand(False, tmp_path / "none", {})}
    assert {"efficientnet_lite", "resnet", "inception", "resnet_v2 101"} <= found
    assert any(name.startswith("efficientnet_v2") for name in found)
    assert "vgg" not in found and "resnet 101" not in found


def test_an_own_run_brings_the_options_that_its_weights_need(tmp_path: Path) -> None:
    own = {"model.filters": [8, 16], "model.features": "global_average", "model.dense": [32], "model.dropout": 0.0}
    folder = write_run(tmp_path / "letters", own)
    (folder / "model.keras").write_bytes(b"x")
    other = {"name": "folder", "path": "photos", "tfds": None}
    for dense, kept in ((False, {"filters", "features", "dense"}), (True, {"filters"})):
        (base,) = [base for base in bases.at_hand(dense, tmp_path, other) if base.weights == str(folder)]
        assert base.name == "cnn from letters"
        assert {key for key, _ in base.options} >= kept
        assert ("features", "global_average") in base.options or dense
        assert not dense or {key for key, _ in base.options} & {"features", "dense", "dropout"} == set()


def test_a_file_of_settings_with_a_mistake_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "conf/recommend").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    for text, message in [("minuts: 3", "unknown key minuts"), ("folds: 1", "folds=1"), ("- a", "expected keys"),
                          ("a: [", "can't be read")]:  # fmt: skip
        (tmp_path / "conf/recommend/default.yaml").write_text(text)
        with pytest.raises(UserError, match=message):
            settings.read()
    (tmp_path / "conf/recommend/default.yaml").write_text("minutes: 5")
    assert settings.read().minutes == 5
    with pytest.raises(UserError, match="no candidates for task=detection"):
        settings.templates(settings.read(), "detection")
