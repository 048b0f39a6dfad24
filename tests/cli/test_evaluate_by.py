"""`cvlib evaluate --by`: results by folder, size or column."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cvlib import cli
from tests.small_runs import write_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_run(tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A table of 24 images of two sizes from three cameras."""
    folder, random = tmp_path / "mine", np.random.default_rng(0)
    folder.mkdir()
    rows = ["file,label,camera,number"]
    for index in range(24):
        side = 8 if index < 8 else 16
        Image.fromarray(random.integers(0, 256, (side, side)).astype(np.uint8)).save(folder / f"{index}.png")
        rows.append(f"{index}.png,{index % 2},{'ABC'[index % 3]},{index * 1.5}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    return folder


def sliced(run: Path, images: Path, by: str) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Evaluate by slice; return the accuracy's rows of by_slice.csv, and those of results.csv."""
    arguments = ["evaluate", str(run), "data=folder", f"data.path={images / 'labels.csv'}", "--by", by]
    assert cli.main(arguments) == 0
    (folder,) = (path.parent for path in run.glob("evaluate/*/by_slice.csv"))
    found = [list(csv.DictReader((folder / name).read_text().splitlines())) for name in ("by_slice.csv", "results.csv")]
    metrics = json.loads((folder / "evaluation.json").read_text())["metrics"]
    for metric in ("accuracy", "macro_f1"):
        *parts, total = [row for row in found[0] if row["metric"] == metric]
        mean = sum(int(row["images"]) * float(row["value"]) for row in parts) / int(total["images"])
        assert mean == pytest.approx(float(total["value"]), abs=1e-12)
        assert mean == pytest.approx(metrics[metric], abs=1e-6 if metric == "macro_f1" else 1e-12)
    return [row for row in found[0] if row["metric"] == "accuracy"], found[1]


def test_a_column_of_the_datas_table(run: Path, images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found, results = sliced(run, images, "camera")
    assert [(row["slice"], row["images"]) for row in found] == [("A", "8"), ("B", "8"), ("C", "8"), ("all", "24")]
    for place, row in enumerate(found[:3]):
        own = [one for one in results if int(Path(one["name"]).stem) % 3 == place]
        assert float(row["value"]) == np.mean([one["truth"] == one["prediction"] for one in own])
    said = capsys.readouterr().out
    assert "camera  images  accuracy %" in said and "by_slice.csv" in said


def test_a_column_of_another_table_with_missing_images(run: Path, images: Path, tmp_path: Path) -> None:
    lines = ["name;site", *(f"somewhere/{index}.png;{'east' if index < 6 else 'west'}" for index in range(20)),
             "unknown.png;north"]  # fmt: skip
    (tmp_path / "sites.csv").write_text("\n".join(lines) + "\n")
    found, _ = sliced(run, images, f"{tmp_path / 'sites.csv'}:site")
    assert [(row["slice"], row["images"]) for row in found] == [
        ("(none)", "4"), ("east", "6"), ("west", "14"), ("all", "24")
    ]  # fmt: skip


def test_the_size_of_the_images(run: Path, images: Path) -> None:
    found, _ = sliced(run, images, "size")
    assert [(row["slice"], row["images"]) for row in found[:-1]] == [("1: up to 64 px", "8"), ("2: above 64 px", "16")]


def test_without_by_an_earlier_file_is_removed(run: Path, images: Path) -> None:
    sliced(run, images, "camera")
    assert cli.main(["evaluate", str(run), "data=folder", f"data.path={images / 'labels.csv'}"]) == 0
    assert not list(run.glob("evaluate/*/by_slice.csv"))


@pytest.mark.parametrize(("by", "words"), [
    ("site", "the data has no table with this column (its columns are file, label, camera, number)"),
    ("folder", "all 24 images have the same value (.)"),
    ("{}/absent.csv:site", "absent.csv is not a file"),
    ("{}/labels.csv:site", "the columns are file, label, camera, number"),
    ("{}/twice.csv:site", "line 3: 1.png has the value b, but a in an earlier row"),
    ("{}/other.csv:site", "no evaluated image has a value"),
])  # fmt: skip
def test_a_mistake_is_one_line(
    by: str, words: str, run: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (images.parent / "labels.csv").write_bytes((images / "labels.csv").read_bytes())
    (images.parent / "twice.csv").write_text("file,site\n1.png,a\n1.png,b\n")
    (images.parent / "other.csv").write_text("file,site\nx.png,a\ny.png,b\n")
    by = by.replace("{}", str(images.parent))
    arguments = ["evaluate", str(run), "data=folder", f"data.path={images / 'labels.csv'}", "--by", by]
    assert cli.main(arguments) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1
