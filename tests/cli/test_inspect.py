"""`cvlib inspect`: the network that run.py would train, as a table, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from cvlib import cli
from tests.small_runs import write_run


def test_the_table_ends_with_the_totals_of_the_network(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["inspect"]) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines()[-1].startswith(
        "total: 53,290 parameters (53,098 trainable, 0 frozen, 192 BatchNorm averages)"
    )
    assert captured.err == ""


def test_layers_that_the_mode_freezes_are_marked(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["inspect", "mode=feature_extractor", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["total"]["trainable"] == (128 + 1) * 10
    assert {row["state"] for row in found["layers"] if row["layer"] != "logits"} == {"", "frozen"}
    assert found["warnings"] == []


def test_csv_has_a_row_per_layer(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        cli.main(["inspect", "data.image_size=16", "model.filters=[3]", "model.batch_norm=false", "--format", "csv"])
        == 0
    )
    captured = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(captured.out)))
    first = next(row for row in rows if row["layer"] == "conv1")
    assert (first["shape"], first["parameters"], first["field_size_y"]) == ("16×16×3", "30", "3")
    assert captured.err.startswith(
        "warning: the receptive field of the last feature map is 4×4 pixels, but the typical image is 16×16"
    )


def test_a_run_folder_is_inspected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "run", status="interrupted")
    assert cli.main(["inspect", str(tmp_path / "run"), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["layers"][1]["shape"] == "12×12×4"


def test_tensorflow_prints_nothing_at_startup(tmp_path: Path) -> None:
    write_run(tmp_path / "run", status="interrupted")
    code = f"from cvlib import cli; cli.main(['inspect', {str(tmp_path / 'run')!r}])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["warning"]


def test_missing_data_requires_an_image_size(capsys: pytest.CaptureFixture[str]) -> None:
    absent = ["data=folder", "data.path=absent"]
    assert cli.main(["inspect", *absent, "data.image_size=32", "--format", "json"]) == 0
    captured = capsys.readouterr()
    assert captured.err.startswith("note: ")
    assert "shown for 3 channels and 10 classes" in captured.err
    assert json.loads(captured.out)["layers"][-1]["shape"] == "10"
    assert cli.main(["inspect", *absent]) == 2


@pytest.mark.parametrize(("arguments", "words"), [
    (["model=resnett"], "there is no such model; did you mean resnet "),
    (["model.filter=[3]"], "model.filters"),
    (["model=resnet", "data.image_size=8"], "needs at least 32 pixels"),
    (["model=resnet", "model.depth=51"], "model.depth=51"),
    (["resnet"], "resnet is not a folder"),
    (["resnet", "model=cnn"], "give either overrides (key=value) or one run's folder"),
    (["mode.freeze=conv9", "mode=feature_extractor"], "mode.freeze=conv9"),
    (["--format", "xml"], "invalid choice: 'xml'"),
])  # fmt: skip
def test_invalid_input_gives_a_one_line_error(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert cli.main(["inspect", *arguments]) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
