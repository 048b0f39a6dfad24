"""The choice of the statistical test, and the sentences of the verdict."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from cvlib.compare import runs, verdict
from cvlib.compare.groups import Section, sections
from cvlib.compare.verdict import Comparison

MakeRun = Callable[..., Path]
FINETUNE = {"mode.name": "finetune"}


def compared(
    root: Path, metric: str | None = None, by: str | None = None
) -> tuple[Section, list[Comparison], list[str]]:
    section = sections(runs.find([root], print), by, metric)[0]
    made = verdict.comparisons(section)
    return section, made, list(verdict.words(section, made))


def test_one_seed_each_uses_mcnemars_test(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("a", FINETUNE, right=[1] * 18 + [0, 0])
    make_run("b", right=[1] * 8 + [0] * 10 + [1, 0])  # worse on 10, better on 1
    _, (one,), lines = compared(tmp_path)
    assert (one.test, one.wins, one.losses, one.over_seeds) == ("McNemar (mid-p)", 10, 1, False)
    assert one.estimate.p == pytest.approx(2 * (1 + 11 / 2) / 2**11)
    assert one.corrected == one.estimate.p
    assert lines[0] == ("these networks differ: finetune is 45.0 ± 13.5 points ahead of scratch (p = 0.006); one seed "
                        "each doesn't show which recipe is better")  # fmt: skip
    assert lines[1] == "tested by McNemar (mid-p)"
    assert lines[2].startswith("with one seed each, p applies only to these trained networks")
    assert (one.is_significant, one.has_winner, one.about) == (True, False, "networks")


def test_several_seeds_are_tested_over_seeds_and_samples(tmp_path: Path, make_run: MakeRun) -> None:
    random = np.random.default_rng(0)
    first, second = random.random((3, 200)) < 0.9, random.random((3, 200)) < 0.6
    for seed in range(3):
        make_run(f"a{seed}", {"seed": seed, **FINETUNE}, right=first[seed])
        make_run(f"b{seed}", {"seed": seed}, right=second[seed])
    _, (one,), lines = compared(tmp_path)
    assert one.test == "t over seeds and paired samples"
    assert one.over_seeds
    assert one.estimate == verdict.statistics.seeds_and_samples(first.astype(float), second.astype(float))
    assert one.p_networks < 0.001
    assert lines[0].startswith("finetune beats scratch by ")
    assert lines[1:] == ["tested by t over seeds and paired samples"]


def test_without_a_clear_winner_the_verdict_says_what_would_settle_it(tmp_path: Path, make_run: MakeRun) -> None:
    for seed, hits in enumerate(([1, 1, 1, 0], [1, 0, 1, 1], [1, 1, 1, 1])):
        make_run(f"a{seed}", {"seed": seed, **FINETUNE}, right=hits)
        make_run(f"b{seed}", {"seed": seed}, right=hits[::-1] if seed else [1, 0, 0, 1])
    _, _, lines = compared(tmp_path)
    assert lines[0].startswith("no clear winner yet: finetune leads scratch by 8.3 points (95 % interval -")
    assert lines[0].endswith("more seeds alone would not settle it, only more test images")


def test_one_seed_against_several_uses_their_variance(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("a", FINETUNE, right=[1] * 30)
    for seed in (1, 2):
        make_run(f"b{seed}", {"seed": seed}, right=[1] * 15 + [0] * 15)
    _, (one,), lines = compared(tmp_path)
    assert one.test == "t over seeds and paired samples"
    assert one.has_winner and one.about == "recipe"
    assert not any("one seed" in line for line in lines)


def test_runs_on_different_splits_are_paired_by_split(tmp_path: Path, make_run: MakeRun) -> None:
    hits = {1: [1] * 9 + [0], 2: [1] * 8 + [0] * 3, 3: [1] * 11 + [0]}
    for seed, right in hits.items():
        make_run(f"a{seed}", {"data.split_seed": seed, **FINETUNE}, right=right)
        make_run(f"b{seed}", {"data.split_seed": seed}, right=[0] * seed + right[seed:])
    _, (one,), _ = compared(tmp_path)
    assert one.test == "paired t over splits"
    assert one.estimate.difference == pytest.approx(np.mean([1 / 10, 2 / 11, 3 / 12]))
    assert (one.wins, one.losses) == (6, 0)


def test_a_split_that_only_one_group_has_is_left_out_of_the_difference(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("a1", {"data.split_seed": 1, **FINETUNE}, right=[1] * 10)
    make_run("b1", {"data.split_seed": 1}, right=[0] * 8 + [1] * 2)
    make_run("b2", {"data.split_seed": 2}, right=[1] * 9)
    _, (one,), lines = compared(tmp_path)
    assert one.estimate.difference == pytest.approx(0.8)
    assert lines[0].startswith("these networks differ: finetune is 80.0 ± 13.3 points ahead of scratch (p = 0.004)")


def test_groups_with_different_test_samples_are_tested_over_seeds(tmp_path: Path, make_run: MakeRun) -> None:
    for seed in (1, 2):
        make_run(f"a{seed}", {"seed": seed, **FINETUNE}, right=[1] * 9 + [0] * seed)
        make_run(f"b{seed}", {"seed": seed}, right=[1] * 9 + [0] * (seed + 2))
    _, (one,), _ = compared(tmp_path)
    first, second = [9 / 10, 9 / 11], [9 / 12, 9 / 13]
    assert one.test == "Welch's t over seeds (different test samples)"
    assert one.estimate.p == pytest.approx(stats.ttest_ind(first, second, equal_var=False).pvalue)


def test_nothing_is_tested_without_sample_results_and_several_seeds(tmp_path: Path, make_run: MakeRun) -> None:
    (make_run("a", FINETUNE) / "test_results.csv").unlink()
    make_run("b", right=[1, 0])
    _, (one,), lines = compared(tmp_path)
    assert np.isnan(one.corrected)
    assert not one.is_significant
    assert lines == [
        "finetune is 50.0 points ahead of scratch, not tested: no results per sample, and a group has only one seed"
    ]


def detections(folder: Path, precisions: list[float]) -> None:
    rows = [f"{i},4,3,{value}" for i, value in enumerate(precisions)]
    (folder / "test_results.csv").write_text("\n".join(["name,truths,found,average_precision50", *rows]))


def test_detections_are_compared_by_each_images_own_metric(tmp_path: Path, make_run: MakeRun) -> None:
    for name, changes, whole, own in (("a", FINETUNE, 0.70, [0.9, 0.8] * 10), ("b", {}, 0.55, [0.5, 0.6] * 10)):
        fields = {"task": "detection", "metrics": {"val/mAP": whole, "test/mAP": whole}}
        detections(make_run(name, {"model.task": "detection", **changes}, **fields), own)
    _, (one,), lines = compared(tmp_path, "test/mAP")
    assert one.estimate.difference == pytest.approx(0.3)
    assert (one.wins, one.losses) == (20, 0)
    assert lines[0].startswith("these networks differ: finetune is 30.0 ± 2.3 points ahead of scratch (p < 0.001)")
    assert lines[2] == ("these differences are means of the images' average precision at IoU 0.5, because test/mAP is "
                        "computed over all images together")  # fmt: skip


def test_no_clear_winner_if_the_images_own_metric_favours_the_other_group(tmp_path: Path, make_run: MakeRun) -> None:
    for name, changes, whole, own in (("a", FINETUNE, 0.60, [0.4, 0.5] * 10), ("b", {}, 0.55, [0.5, 0.6] * 10)):
        fields = {"task": "detection", "metrics": {"val/mAP": whole, "test/mAP": whole}}
        detections(make_run(name, {"model.task": "detection", **changes}, **fields), own)
    _, (one,), lines = compared(tmp_path, "test/mAP")
    assert not one.is_significant
    assert lines[0].startswith(
        "no clear winner yet: finetune has the better test/mAP, but scratch is 10.0 points ahead"
    )


def test_masks_are_compared_by_the_miou_of_all_images(tmp_path: Path, make_run: MakeRun) -> None:
    """Each image's own mIoU would favour the other group."""
    for name, changes, shares, own in (("a", FINETUNE, [0.9, 0.7] * 10, 0.3), ("b", {}, [0.6, 0.6] * 10, 0.4)):
        metrics = {"val/mIoU": 0.5, "test/mIoU": float(np.mean(shares))}
        folder = make_run(name, {"model.task": "segmentation", **changes}, task="segmentation", metrics=metrics)
        rows = [f"{i},{own},{share}" for i, share in enumerate(shares)]
        (folder / "test_results.csv").write_text("\n".join(["name,mIoU,mIoU_share", *rows]))
    _, (one,), lines = compared(tmp_path, "test/mIoU")
    assert one.estimate.difference == pytest.approx(0.2)
    assert one.wins is None
    assert lines[0].startswith("these networks differ: finetune is 20.0 ± 2.3 points ahead of scratch (p < 0.001)")
    assert not any("own" in line for line in lines)


def test_a_loss_is_not_shown_in_percent(tmp_path: Path, make_run: MakeRun) -> None:
    for seed in (1, 2, 3):
        make_run(f"a{seed}", {"seed": seed, **FINETUNE}, metrics={"test/loss": 0.10 + seed / 1000})
        make_run(f"b{seed}", {"seed": seed}, metrics={"test/loss": 0.30 + seed / 1000})
    _, (one,), lines = compared(tmp_path, "test/loss")
    assert one.estimate.difference == pytest.approx(0.2)
    assert lines[0] == "finetune beats scratch by 0.200 ± 0.001 (p < 0.001)"


def test_p_values_are_corrected_by_holm(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("a", {"optimizer.lr": 0.1}, right=[1] * 20)
    make_run("b", {"optimizer.lr": 0.2}, right=[1] * 14 + [0] * 6)
    make_run("c", {"optimizer.lr": 0.3}, right=[1] * 12 + [0] * 8)
    _, made, _ = compared(tmp_path)
    assert [one.estimate.p for one in made] == pytest.approx([1 / 2**6, 1 / 2**8])
    assert [one.corrected for one in made] == pytest.approx([2 / 2**6, 3 / 2**8])  # corrected for three pairs


def test_regimes_are_compared_at_each_fraction_of_the_training_data(tmp_path: Path, make_run: MakeRun) -> None:
    for fraction in (0.1, 1.0):
        make_run(f"a{fraction}", {"data.fraction": fraction, **FINETUNE}, right=[1] * int(10 * fraction) + [0] * 9)
        make_run(f"b{fraction}", {"data.fraction": fraction}, right=[1] * 5 + [0] * int(5 + 9 * fraction))
        make_run(f"c{fraction}", {"data.fraction": fraction, "seed": 1}, right=[1, 0])
    section, made, lines = compared(tmp_path)
    assert [line.split(" by")[0] for line in lines[:2]] == [
        "data.fraction=0.1: no clear winner yet: scratch leads finetune",
        "data.fraction=1: no clear winner yet: finetune leads scratch",
    ]
    assert [group.settings["data.fraction"] for group in section.groups] == [0.1, 0.1, 1, 1]
    pairs = [(one.leader.label, one.other.label) for one in made]
    assert [[label.split("=")[1] for label in pair] for pair in pairs] == [["0.1", "0.1"], ["1", "1"]]


def test_only_the_leading_groups_are_tested(tmp_path: Path, make_run: MakeRun) -> None:
    for index in range(15):
        make_run(f"run{index}", {"optimizer.lr": 0.1 + index}, right=[1] * (20 - index) + [0] * index)
    _, made, lines = compared(tmp_path)
    assert len(made) == verdict.MOST_COMPARED
    assert "lower-ranked groups that were not tested: 2" in lines


def test_fewer_than_two_groups_are_not_compared(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("a", status="failed")
    assert compared(tmp_path)[2] == []
    make_run("b")
    assert compared(tmp_path)[2] == ["only one group: nothing to compare it with"]


@pytest.mark.parametrize(("p", "text"), [(0.0002, "p < 0.001"), (0.0031, "p = 0.003"), (0.049, "p = 0.049"),
                                         (0.5, "p = 0.50")])  # fmt: skip
def test_p_values_are_formatted(p: float, text: str) -> None:
    assert verdict.p_text(p) == text


def test_a_difference_of_accuracies_is_at_most_100_points(tmp_path: Path, make_run: MakeRun) -> None:
    for seed, (first, second) in enumerate([(0.9, 0.1), (0.4, 0.3)]):  # 45 ± 129 by Student's t
        make_run(f"a{seed}", {"seed": seed, **FINETUNE}, metrics={"val/accuracy": first, "val/loss": first})
        make_run(f"b{seed}", {"seed": seed}, metrics={"val/accuracy": second, "val/loss": second})
    _, (one,), _ = compared(tmp_path, "val/accuracy")
    assert (one.estimate.low, one.estimate.high) == (-1, 1)
    _, (loss,), _ = compared(tmp_path, "val/loss")
    assert loss.estimate.high > 1
