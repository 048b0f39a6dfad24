"""The Pareto front, and the figures of the metric against its costs."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from cvlib.compare import compare, figures, pareto, runs
from cvlib.compare.groups import Section, sections
from cvlib.runs.benchmark import Benchmark

MakeRun = Callable[..., Path]


def section_of(root: Path, metric: str | None = None) -> Section:
    (section,) = sections(runs.find([root], print), None, metric)
    return section


def figure_texts(root: Path, metric: str | None = None) -> dict[str, str]:
    """Return the HTML of each figure by its caption."""
    section = section_of(root, metric)
    drawn = pareto.figures(section, figures.series(section))
    return {re.findall("<figcaption>(.*?)</figcaption>", html)[0]: html for html in drawn}


def test_the_front_by_hand() -> None:
    points = [(1, 0.5), (2, 0.4), (2, 0.7), (3, 0.7), (4, 0.9), (9, 0.89)]
    assert pareto.front(points, higher_is_better=True) == [0, 2, 4]
    # a loss: 0.5 costs 1, 0.4 costs 2, and nothing is lower
    assert pareto.front(points, higher_is_better=False) == [0, 1]
    assert pareto.front([], higher_is_better=True) == []


def test_equal_points_are_on_the_front_together() -> None:
    assert sorted(pareto.front([(1, 0.5), (1, 0.5), (1, 0.4)], higher_is_better=True)) == [0, 1]


@pytest.mark.parametrize("higher", [True, False])
def test_the_front_is_what_no_point_dominates(higher: bool) -> None:
    def dominates(first: tuple[float, float], second: tuple[float, float]) -> bool:
        as_good = first[1] >= second[1] if higher else first[1] <= second[1]
        return first[0] <= second[0] and as_good and first != second

    draw = random.Random(3)
    for _ in range(200):
        points = [(draw.randrange(6), draw.randrange(6) / 5) for _ in range(draw.randrange(12))]
        expected = [index for index, own in enumerate(points) if not any(dominates(other, own) for other in points)]
        found = pareto.front(points, higher)
        assert sorted(found) == expected
        assert [points[index][0] for index in found] == sorted(points[index][0] for index in found)


def test_the_figure_shows_the_means_and_the_front(tmp_path: Path, make_run: MakeRun) -> None:
    hits = {"finetune": ((8, 99), (10, 101)), "scratch": ((4, 199), (6, 201)), "feature_extractor": ((6, 3), (8, 5))}
    for mode, seeds in hits.items():
        for seed, (right, seconds) in enumerate(seeds):
            changes = {"mode.name": mode, "seed": seed}
            make_run(f"{mode}{seed}", changes, right=[1] * right + [0] * (10 - right), timing={"train": seconds})
    (html,) = figure_texts(tmp_path).values()
    # the deviation of two values is their difference / √2: 20 points / √2 = 14.14
    assert re.findall('note">(.*?)</p>', html) == [
        "Pareto front: #2 feature_extractor (70.00 ± 14.14 %, 4.0 s), #1 finetune (90.00 ± 14.14 %, 1 min 40 s)"
    ]
    assert re.findall(r'class="(mark[^"]*)" [^>]*><title>(.*?):', html) == [
        ("mark hollow", "#3 scratch"), ("mark", "#2 feature_extractor"), ("mark", "#1 finetune"),
    ]  # fmt: skip


def test_only_costs_that_differ_get_a_figure(tmp_path: Path, make_run: MakeRun) -> None:
    first = make_run("a", {"model.name": "cnn"}, right=[1, 0], timing={"train": 5.0})
    second = make_run("b", {"model.name": "vgg"}, right=[1, 1], timing={"train": 5.0},
                      parameters={"total": 7_000_000, "trainable": 7_000_000})  # fmt: skip
    for folder, latency in ((first, 2), (second, 31)):
        Benchmark({}, {"onnx": {"latency_ms": latency}}).write(folder)
    found = figure_texts(tmp_path)
    assert list(found) == ["test/accuracy against parameters", "test/accuracy against latency (onnx)"]
    assert "#2 cnn (50.00 %, 225 k), #1 vgg (100.00 %, 7 M)" in found["test/accuracy against parameters"]
    assert "#2 cnn (50.00 %, 2 ms), #1 vgg (100.00 %, 31 ms)" in found["test/accuracy against latency (onnx)"]


def test_a_single_run_and_runs_without_timing_have_no_figure(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("a", right=[1, 0])
    assert not figure_texts(tmp_path)
    make_run("b", {"mode.name": "finetune"}, right=[1, 1], timing={})
    assert not figure_texts(tmp_path)


def test_the_front_follows_the_metric(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("fast", {"optimizer.lr": 0.1}, metrics={"test/accuracy": 0.9, "test/loss": 0.8}, timing={"train": 5})
    make_run("slow", {"optimizer.lr": 0.2}, metrics={"test/accuracy": 0.8, "test/loss": 0.3}, timing={"train": 50})
    assert (
        "front: #1 optimizer.lr=0.1 (90.00 %, 5.0 s)<" in figure_texts(tmp_path)["test/accuracy against training time"]
    )
    by_loss = figure_texts(tmp_path, "test/loss")["test/loss against training time"]
    assert "front: #2 optimizer.lr=0.1 (0.8000, 5.0 s), #1 optimizer.lr=0.2 (0.3000, 50.0 s)<" in by_loss


def test_every_fraction_has_its_own_front(tmp_path: Path, make_run: MakeRun) -> None:
    hits = {(0.1, "scratch"): 3, (0.1, "finetune"): 6, (1.0, "scratch"): 9, (1.0, "finetune"): 8}
    for (fraction, mode), right in hits.items():
        for seed in (1, 2):
            make_run(f"{fraction}{mode}{seed}", {"data.fraction": fraction, "mode.name": mode, "seed": seed},
                     right=[1] * right + [0] * (10 - right), timing={"train": 10 * right})  # fmt: skip
    html = compare([tmp_path], print, form="html").split("<figcaption>test/accuracy against training time")[1]
    assert re.findall('class="title">(.*?)<', html) == ["data.fraction=0.1", "data.fraction=1"]
    first, second = re.findall('note">(.*?)</p>', html.split("</figure>")[0])
    assert first == "Pareto front: #4 scratch (30.00 ± 0.00 %, 30.0 s), #3 finetune (60.00 ± 0.00 %, 1 min 0 s)"
    assert second == "Pareto front: #2 finetune (80.00 ± 0.00 %, 1 min 20 s), #1 scratch (90.00 ± 0.00 %, 1 min 30 s)"


def test_groups_beyond_the_colours_are_grey(tmp_path: Path, make_run: MakeRun) -> None:
    for index in range(10):
        make_run(f"{index}", {"optimizer.lr": index / 10}, right=[1] * index + [0], timing={"train": index + 1})
    html = figure_texts(tmp_path)["test/accuracy against training time"]
    assert '<li data-g="9 10">' in html
    assert "other runs</li>" in html
    assert html.count('class="grey" data-g=') == 2
