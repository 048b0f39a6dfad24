"""Sections, groups over seeds, and the columns that are shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cvlib.compare import caveats, runs
from cvlib.compare.groups import Section, plain, sections
from cvlib.runtime.errors import UserError

MakeRun = Callable[..., Path]


def sections_of(root: Path, by: str | None = None, metric: str | None = None) -> list[Section]:
    return sections(runs.find([root], print), by, metric)


def test_runs_that_differ_only_in_their_seeds_form_a_group(tmp_path: Path, make_run: MakeRun) -> None:
    for seed in (1, 2, 3):
        make_run(f"a{seed}", {"seed": seed})
        make_run(f"b{seed}", {"seed": seed, "mode.name": "finetune"}, right=[1, 1, 1, 0])
    (section,) = sections_of(tmp_path)
    assert [(group.label, len(group.runs)) for group in section.groups] == [("scratch", 3), ("finetune", 3)]
    assert section.keys == ["mode.name"]
    assert not section.by_run


def test_split_seeds_count_as_repeats(tmp_path: Path, make_run: MakeRun) -> None:
    for seed in (1, 2):
        make_run(f"a{seed}", {"data.split_seed": seed})
    (section,) = sections_of(tmp_path)
    assert len(section.groups) == 1


def test_folds_count_as_repeats_and_keys_added_later_do_not_separate_runs(tmp_path: Path, make_run: MakeRun) -> None:
    for fold in (0, 1, 2):
        make_run(f"a{fold}", {"data.folds": 3, "data.fold": fold})
    assert [len(group.runs) for group in sections_of(tmp_path)[0].groups] == [3]
    later = {"data.folds": None, "data.fold": 0, "data.sampling": "all", "trainer.kept_epoch": "best"}
    make_run("old/b0")
    make_run("old/b1", {"seed": 1, **later})
    assert [len(group.runs) for group in sections_of(tmp_path / "old")[0].groups] == [2]


def test_single_seeds_give_a_row_per_run_by_default(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("a")
    make_run("b", {"optimizer.lr": 0.01})
    assert sections_of(tmp_path)[0].by_run
    assert not sections_of(tmp_path, by="group")[0].by_run
    assert [group.label for group in sections_of(tmp_path)[0].groups] == ["optimizer.lr=0.001", "optimizer.lr=0.01"]


def test_only_overridden_keys_get_a_column_and_implied_ones_do_not(tmp_path: Path, make_run: MakeRun) -> None:
    implied = {"model.name": "resnet", "model.lr": 0.0003, "optimizer.lr": 0.0003}
    make_run("a")
    resnet = make_run("b", implied)
    assert sections_of(tmp_path)[0].keys == ["model.name", "model.lr", "optimizer.lr"]
    (resnet / ".hydra/overrides.yaml").write_text("- model=resnet\n")
    assert sections_of(tmp_path)[0].keys == ["model.name"]
    (resnet / ".hydra/overrides.yaml").write_text("- model=resnet\n- optimizer.lr=0.0003\n")
    assert sections_of(tmp_path)[0].keys == ["model.name", "optimizer.lr"]


def test_a_key_that_follows_from_two_choices_together_gets_no_column(tmp_path: Path, make_run: MakeRun) -> None:
    for name, epochs, optimizer in (("cnn", 10, "adam"), ("resnet", 20, "sgd")):
        for mode, factor in (("scratch", 3), ("finetune", 1)):
            changes = {"model.name": name, "mode.name": mode, "optimizer.name": optimizer,
                       "trainer.epochs": factor * epochs}  # fmt: skip
            run = make_run(f"{name}-{mode}", changes)
            (run / ".hydra/overrides.yaml").write_text(f"- model={name}\n- mode={mode}\n")
    assert sections_of(tmp_path)[0].keys == ["model.name", "mode.name"]
    (run / ".hydra/overrides.yaml").write_text("- model=resnet\n- mode=finetune\n- optimizer=sgd\n")
    assert sections_of(tmp_path)[0].keys == ["model.name", "mode.name", "optimizer.name"]


def test_a_key_follows_from_a_choice_that_was_not_given(tmp_path: Path, make_run: MakeRun) -> None:
    for name, optimizer in (("a", "adam"), ("b", "sgd"), ("c", "adamw")):
        rate = {"adam": 0.001, "sgd": 0.1, "adamw": 0.003}[optimizer]
        model = "resnet" if name == "c" else "cnn"
        run = make_run(name, {"model.name": model, "optimizer.name": optimizer, "optimizer.lr": rate})
        (run / ".hydra/overrides.yaml").write_text(f"- model={model}\n")
    assert sections_of(tmp_path)[0].keys == ["model.name", "optimizer.name"]


def test_tasks_and_datasets_are_compared_separately(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("a")
    make_run("b", {"data.name": "mnist"})
    make_run("c", {"model.task": "segmentation"}, metrics={"test/mIoU": 0.5})
    found = sections_of(tmp_path)
    assert [(section.title, section.metric) for section in found] == [
        ("classification on digits", "test/accuracy"),
        ("classification on mnist", "test/accuracy"),
        ("segmentation on digits", "test/mIoU"),
    ]
    assert caveats.apart(found) == (
        "3 separate comparisons: the runs have different tasks (classification, segmentation) "
        "and datasets (digits, mnist)"
    )
    assert caveats.apart(found[:1]) == ""


def test_image_folders_are_named_and_compared_separately(tmp_path: Path, make_run: MakeRun) -> None:
    for name, path in {"a": "my_images", "b": "/home/somebody/projects/collections/birds",
                       "c": "/home/somebody/projects/collections/moths"}.items():  # fmt: skip
        make_run(name, {"data.name": "folder", "data.path": path})
    make_run("d", {"data.name": "tfds", "data.tfds": "beans"})
    make_run("e", {"data.classes": ["1", "7"]})
    found = sections_of(tmp_path)
    assert [section.title.removeprefix("classification on ") for section in found] == [
        "folder my_images", "folder …/birds", "folder …/moths", "tfds beans", "digits with classes [1,7]",
    ]  # fmt: skip
    assert "datasets (folder my_images, folder …/birds, folder …/moths, tfds beans, " in caveats.apart(found)


def test_an_unknown_metric_is_an_error_that_suggests_the_nearest(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("a")
    with pytest.raises(UserError) as raised:
        sections_of(tmp_path, metric="loss")
    assert str(raised.value) == (
        "--metric loss: no run has this metric; did you mean test/loss? --metric list shows all 4"
    )
    with pytest.raises(UserError, match="no run has this metric; --metric list shows all 4"):
        sections_of(tmp_path, metric="xyz")


def test_groups_with_many_long_settings_are_numbered_and_their_values_shortened(
    tmp_path: Path, make_run: MakeRun
) -> None:
    for index, source in enumerate(("letters", "clothing")):
        weights = f"/home/somebody/projects/birds/outputs/runs/{source}"
        make_run(source, {"mode.weights": weights, "optimizer.lr": 0.1**index}, right=[1, index])
    (section,) = sections_of(tmp_path)
    assert [group.label for group in section.groups] == ["mode.weights=…/clothing optimizer.lr=0.1",
                                                         "mode.weights=…/letters optimizer.lr=1"]  # fmt: skip
    make_run("a", {"mode.weights": "imagenet", "model.filters": [8, 16, 32], "optimizer.lr": 0.5}, right=[0, 0])
    (section,) = sections_of(tmp_path)
    assert [group.label for group in section.groups] == ["#1", "#2", "#3"]
    assert section.groups[0].words["mode.weights"] == "…/clothing"
    assert section.groups[0].described == "#1 model.filters=[32,64] mode.weights=…/clothing optimizer.lr=0.1"


def test_number_1_is_the_best_group_of_the_section_also_with_several_fractions(
    tmp_path: Path, make_run: MakeRun
) -> None:
    hits = {(0.1, "scratch"): 3, (0.1, "finetune"): 6, (1.0, "scratch"): 5, (1.0, "finetune"): 8}
    for (fraction, mode), right in hits.items():
        for seed in (1, 2):
            changes = {"data.fraction": fraction, "mode.name": mode, "seed": seed, "model.filters": [right] * 20}
            make_run(f"{fraction}{mode}{seed}", changes, right=[1] * right + [0] * (10 - right))
    (section,) = sections_of(tmp_path)
    assert [[(group.settings["mode.name"], group.label) for group in contest] for contest in section.contests] == [
        [("finetune", "#2"), ("scratch", "#4")], [("finetune", "#1"), ("scratch", "#3")],
    ]  # fmt: skip


def test_another_metric_replaces_a_missing_one_with_a_remark(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("a", metrics={"val/accuracy": 0.9, "val/loss": 0.1})
    make_run("c", {"model.task": "segmentation"}, metrics={"test/mIoU": 0.5})
    classification, segmentation = sections_of(tmp_path, metric="test/mIoU")
    assert classification.metric == "val/accuracy"
    assert classification.remarks == [
        "no run in this comparison has test/mIoU, so the runs are compared by val/accuracy"
    ]
    assert segmentation.remarks == []


def test_unfinished_runs_and_runs_without_the_metric_dont_count(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("a")
    make_run("b", {"seed": 1}, status="failed")
    make_run("c", {"seed": 2}, metrics={"test/accuracy": float("nan")})
    (section,) = sections_of(tmp_path)
    assert [run.name for run in section.runs] == ["a"]
    assert [run.name for run in section.others] == ["b"]
    assert section.remarks == ["left out because test/accuracy is missing or not finite: c"]


def test_a_repeated_run_is_counted_once(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("new", started="2026-01-02T00:00:00")
    make_run("old", started="2026-01-01T00:00:00")
    (section,) = sections_of(tmp_path, by="group")
    assert [run.name for run in section.runs] == ["new"]
    assert section.remarks == ["left out because a later run has the same config and seed: old"]
    assert len(sections_of(tmp_path, by="run")[0].groups) == 2


def test_the_lowest_loss_leads(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("a", right=[1, 0])
    make_run("b", {"mode.name": "finetune"}, right=[1, 1])
    (section,) = sections_of(tmp_path, metric="test/loss")
    assert section.groups[0].label == "finetune"


def test_values_are_written_as_in_yaml() -> None:
    assert [plain(value) for value in (None, True, 1e-5, (32, None), "x")] == [
        "null",
        "true",
        "1e-05",
        "[32,null]",
        "x",
    ]
