"""Learning curves: for every fraction, and one by one if there are many groups."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from cvlib.compare import curves, figures, runs
from cvlib.compare.groups import Section, sections

MakeRun = Callable[..., Path]


def drawn_of(root: Path, metric: str | None = None) -> tuple[Section, list[str]]:
    (section,) = sections(runs.find([root], print), None, metric)
    return section, curves.figures(section, figures.series(section))


def test_every_fraction_has_curves_in_the_same_colours_and_limits(tmp_path: Path, make_run: MakeRun) -> None:
    hits = {(0.1, "scratch"): 3, (0.1, "finetune"): 6, (1.0, "scratch"): 9, (1.0, "finetune"): 8}
    for (fraction, mode), right in hits.items():
        for seed in (1, 2):
            make_run(f"{fraction}{mode}{seed}", {"data.fraction": fraction, "mode.name": mode, "seed": seed},
                     right=[1] * right + [0] * (10 - right))  # fmt: skip
    section, (over_epochs, over_time) = drawn_of(tmp_path)
    for html in (over_epochs, over_time):
        titles = re.findall('class="title">(.*?)</p>', html)
        assert titles == ["data.fraction=0.1", "data.fraction=1"]
        first, second = html.split('class="panel"')[1:]
        lines = [dict(re.findall(r'class="(s\d)".*?<title>(.*?)</title>', panel)) for panel in (first, second)]
        assert lines == [{"s0": "scratch", "s1": "finetune"}] * 2  # scratch is best with all images
        ticks = [re.findall(r'text-anchor="end">([\d.]+)<', panel) for panel in (first, second)]
        assert ticks[0] == ticks[1] and len(ticks[0]) > 2
    assert re.findall(r'<li data-g="(.*?)">', over_epochs) == ["1 4", "2 3"]
    assert curves.note(section, figures.series(section)) == ""


def test_curves_follow_the_metric(tmp_path: Path, make_run: MakeRun) -> None:
    for index in (1, 2):
        folder = make_run(f"{index}", {"optimizer.lr": index / 10}, right=[1] * index + [0])
        (folder / "metrics.csv").write_text(
            f"epoch,val/loss,val/accuracy,seconds\n1,{index},0.5,1\n2,{2 * index},0.5,1\n"
        )
    section, (over_epochs, _) = drawn_of(tmp_path, "test/loss")
    assert [group.label for group in section.groups] == ["optimizer.lr=0.2", "optimizer.lr=0.1"]
    assert "Learning curves: val/loss<" in over_epochs
    assert re.findall(r"<title>(.*?)</title>", over_epochs) == ["optimizer.lr=0.2", "optimizer.lr=0.1"]
    # losses from 1 to 4, not in percent
    assert re.findall(r'text-anchor="end">([\d.]+)<', over_epochs) == ["1", "2", "3", "4"]


def test_many_groups_get_a_chart_each(tmp_path: Path, make_run: MakeRun) -> None:
    for index in range(30):
        make_run(f"{index:02}", {"optimizer.lr": index / 100}, right=[1] * index + [0])
    section, (over_epochs, over_time, each) = drawn_of(tmp_path)
    assert "Learning curves of the 8 leading runs: val/accuracy<" in over_epochs
    assert over_epochs.count('class="line" d') == 2 * 8  # with the legend
    assert "val/accuracy of the 8 leading runs over time<" in over_time
    titles = re.findall('class="title">(.*?)</p>', each)
    assert titles == [f"#{place} optimizer.lr={(30 - place) / 100:g}" for place in range(1, 25)]
    assert "for comparison: #1 optimizer.lr=0.29<" in each
    assert re.findall('class="panel" data-g="(.*?)"', each) == [str(place) for place in range(1, 25)]
    assert curves.note(section, figures.series(section)) == "The curves show the 24 leading runs of 30."


def test_groups_without_curves_are_left_out(tmp_path: Path, make_run: MakeRun) -> None:
    for index in range(2):
        make_run(f"{index}", {"optimizer.lr": index / 100}, right=[1] * index + [0])
    (tmp_path / "1/metrics.csv").unlink()
    _, (over_epochs, _) = drawn_of(tmp_path)
    assert re.findall(r"<title>(.*?)</title>", over_epochs) == ["optimizer.lr=0"]


def test_settings_that_are_the_same_for_all_curves_are_not_in_the_legend(tmp_path: Path, make_run: MakeRun) -> None:
    for index in range(10):
        depth = 50 if index else 18  # only the worst group has another depth
        make_run(f"{index}", {"optimizer.lr": index / 10, "model.depth": depth}, right=[1] * index + [0])
    section, (over_epochs, *_) = drawn_of(tmp_path)
    assert section.keys == ["model.depth", "optimizer.lr"]
    legend = re.findall(r"</svg>([^<]*)</li>", over_epochs)
    assert legend == [f"optimizer.lr={index / 10:g}" for index in range(9, 1, -1)]
