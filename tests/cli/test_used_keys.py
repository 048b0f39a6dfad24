"""Keys that the model, mode, optimizer or schedule doesn't use are refused, or left out by jobs of a sweep."""

from __future__ import annotations

from pathlib import Path

import pytest

import cvlib
from cvlib import cli
from cvlib.cli.compose import compose
from cvlib.config.schema import as_mapping
from cvlib.runtime.errors import UserError

NOTHING_RUNS = ["data=folder", "data.path=nowhere"]  # data that no job can read, so that no run starts


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to an empty folder and return it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ("model=resnet model.kernel=5", "model.kernel=5: model=resnet doesn't use this key; model=cnn, "),
        ("model=resnet model.kernel=5", "the nearest key of model=resnet is model."),
        ("model=resnet ++model.kernel=5", "model.kernel=5: model=resnet doesn't use this key"),
        ("mode=scratch mode.head_epochs=3", "mode=scratch doesn't use this key; only mode=finetune does"),
        ("mode=feature_extractor mode.freeze=2", "mode=feature_extractor doesn't use this key; only mode=finetune"),
        ("mode=scratch mode.weights=a/b", "mode.weights=a/b: mode=scratch doesn't use this key; mode=feature_"),
        ("optimizer.momentum=0.5", "optimizer=adam doesn't use this key; only optimizer=sgd does"),
        ("schedule=constant schedule.final=0.1", "schedule=constant doesn't use this key; only schedule=cosine does"),
        ("model.kernl=5", "model.kernl=5: there is no such key; did you mean model.kernel"),
        ("model.kernel.size=5", "model.kernel"),
        ("model.name.first=5", "model.name"),
    ],
)  # fmt: skip
def test_an_unused_key_is_refused_in_one_line(
    overrides: str, words: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["train", *overrides.split()]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ") and captured.err.count("\n") == 1
    assert words in captured.err
    assert list(here.iterdir()) == []
    with pytest.raises(UserError) as caught:  # the same in Python
        cvlib.load_data(*overrides.split())
    assert words in str(caught.value)


def test_used_keys_are_accepted() -> None:
    config = compose(["model=segmenter", "model.loss.dice=0.5", "mode=finetune", "mode.freeze=conv1"])
    assert (config.model.head_options.loss["dice"], config.mode.freeze) == (0.5, "conv1")


def test_a_mode_has_only_its_own_keys() -> None:
    mode = as_mapping(compose(["mode=feature_extractor"]))["mode"]
    assert not {"freeze", "head_epochs", "backbone_lr"} & set(mode)
    assert set(as_mapping(compose([]))["mode"]) == {"name"}


def sweep(capsys: pytest.CaptureFixture[str], *overrides: str) -> tuple[str, str]:
    """Return the output printed before the first job, and the error."""
    assert cli.main(["train", "-m", *overrides]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    return captured.out, captured.err


def test_jobs_of_a_sweep_leave_out_keys_that_they_do_not_use(capsys: pytest.CaptureFixture[str]) -> None:
    out, err = sweep(capsys, "mode=scratch,feature_extractor,finetune", "mode.head_epochs=2", "model=cnn,resnet,vgg",
                     "model.depth=null", *NOTHING_RUNS)  # fmt: skip
    assert out.splitlines() == [
        "mode.head_epochs applies to finetune: mode=scratch, feature_extractor leave it out",
        "model.depth applies to resnet, vgg: model=cnn leaves it out",
    ]
    assert "nowhere" in err


def test_a_sweep_refuses_a_key_that_no_job_uses(capsys: pytest.CaptureFixture[str]) -> None:
    out, err = sweep(capsys, "model=resnet,vgg", "model.kernel=3,5")
    assert out == ""
    assert "no job uses this key: model.kernel=3: model=resnet doesn't use this key; model=cnn, " in err
    out, err = sweep(capsys, "seed=0,1", "mode.head_epochs=3")
    assert err.startswith("error: mode.head_epochs=3: mode=scratch doesn't use this key")


def test_a_search_treats_unused_keys_like_a_sweep(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("optuna")
    options = ["hydra.sweeper.trials=2", "optimizer.lr=interval(1e-4,1e-2)"]
    out, _ = sweep(capsys, "mode=scratch,finetune", "mode.backbone_lr=interval(0.1,1)", *options, *NOTHING_RUNS)
    assert out == "mode.backbone_lr applies to finetune: mode=scratch leaves it out\n"
    _, err = sweep(capsys, "mode=scratch,feature_extractor", "mode.backbone_lr=interval(0.1,1)", *options)
    assert "no job uses this key: mode.backbone_lr=0.1: mode=scratch doesn't use this key" in err


def test_modes_leave_out_keys_of_a_study_that_they_do_not_use(capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = sweep(capsys, "+experiment=regimes", "data=folder", "data.path=nowhere")
    assert out == "mode.backbone_lr applies to finetune: mode=scratch, feature_extractor leave it out\n"
    out, _ = sweep(capsys, "+experiment=regimes", "mode=scratch", "data=folder", "data.path=nowhere")
    assert out == "mode.backbone_lr applies to finetune: mode=scratch leaves it out\n"


def test_a_typo_in_a_study_is_refused(here: Path) -> None:
    (here / "conf/experiment").mkdir(parents=True)
    (here / "conf/experiment/own.yaml").write_text("# @package _global_\nmode: {backbone_lrr: 0.1}\n")
    with pytest.raises(UserError, match=r"mode\.backbone_lrr=….*no such key"):
        compose(["+experiment=own", "mode=finetune"])


def test_records_and_folder_names_show_the_overrides_as_written() -> None:
    import hydra

    from cvlib.cli import loader
    from cvlib.config.answers import CONF

    loader.install()
    given = ["model=resnet", "model.depth=101", "seed=3"]
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        composed = hydra.compose("config", given, return_hydra_config=True)
    assert list(composed.hydra.overrides.task) == given
    assert composed.hydra.job.override_dirname == "model.depth=101,model=resnet,seed=3"
    assert composed.model.depth == 101


def test_the_error_names_the_choices_that_use_the_key(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match=r"segmenter with encoder=vgg doesn't use this key; encoder=cnn, darknet do"):
        compose(["model=segmenter", "model.encoder=vgg", "model.filters=[8]"])
    with pytest.raises(UserError, match=r"yolo with head=grid doesn't use this key; only head=anchor_free does"):
        compose(["model=yolo", "model.head=grid", "model.strides=[8]"])
    with pytest.raises(UserError, match=r"with decoder=unpool doesn't use this key; only decoder=transpose does"):
        compose(["model=segmenter", "model.decoder=unpool", "model.transpose_kernel=3"])
    out, _ = sweep(capsys, "model=segmenter", "model.encoder=cnn,vgg", "model.filters=[8]", *NOTHING_RUNS)
    assert (
        out == "model.filters applies to segmenter with encoder=cnn: model=segmenter with encoder=vgg leaves it out\n"
    )


def test_keys_that_a_config_file_sets_for_another_base_are_dropped_silently(capsys: pytest.CaptureFixture[str]) -> None:
    assert compose(["model=segmenter", "model.encoder=vgg"]).model.backbone == "vgg"
    assert capsys.readouterr() == ("", "")
