"""Checks and messages before a run starts training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cvlib import experiment
from cvlib.config.schema import Config, DataConfig, Finetune, TrainerConfig, as_mapping
from cvlib.data.dataset import Dataset
from cvlib.data.input_spec import InputSpec
from cvlib.data.split import Split
from cvlib.runs.record import Record
from cvlib.runtime import backend
from cvlib.runtime.errors import UserError
from tests.configs import model_config


@pytest.mark.parametrize("below", [".", "runs/first"])
def test_the_run_folder_must_not_be_inside_the_images(tmp_path: Path, below: str) -> None:
    (tmp_path / "images/cat").mkdir(parents=True)
    config = Config(model_config(), data=DataConfig("folder", path=str(tmp_path / "images")))
    with pytest.raises(UserError, match="is inside the image folder"):
        experiment.run(config, tmp_path / "images" / below)
    assert [path.name for path in (tmp_path / "images").iterdir()] == ["cat"]


def test_different_image_sizes_are_described_by_minimum_and_maximum() -> None:
    assert experiment._span([np.array([[200, 300], [100, 300]]), np.array([[400, 300]])]) == "100–400 high, 300 wide"
    assert experiment._span([np.array([[96, 96], [96, 96]])]) is None
    assert experiment._span([]) is None


@pytest.mark.parametrize(("resize", "sizes", "expected"), [
    (None, [[20, 30]], "images (20×30) are resized to 24×24 pixels (data.resize=stretch)"),
    ("letterbox", [[20, 30]], "images (20×30) are resized to 24×24 pixels (data.resize=letterbox)"),
    (None, [[24, 24], [12, 24], [48, 24]],
     "images (12–48 high, 24 wide) are resized to 24×24 pixels (data.resize=stretch)"),
    (None, [[24, 24]], None),
])  # fmt: skip
def test_the_resizing_of_images_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], resize: str | None, sizes: list[list[int]], expected: str | None
) -> None:
    config = Config(model_config(), data=DataConfig(image_size=24, resize=resize))
    split = Split([], [], np.zeros(0, np.int64), sizes=np.array(sizes))
    height, width = np.median(sizes, axis=0).astype(int).tolist()
    dataset = Dataset("folder", "classification", ["a", "b"], 3, (height, width), split, split, split, [])
    with Record(tmp_path / "run", as_mapping(config)) as record:
        assert experiment._input_spec(config, dataset, record) == InputSpec(24, 24, 3, resize or "stretch")
        record.update(status="completed")
    assert capsys.readouterr().out.splitlines() == ([expected] if expected else [])


def test_an_unknown_freeze_layer_is_an_error_before_training(tmp_path: Path) -> None:
    config = Config(model_config(), Finetune(weights=str(tmp_path / "missing"), freeze="conv9", head_epochs=1))
    split = Split([], [], np.zeros(0, np.int64))
    dataset = Dataset("folder", "classification", ["a", "b"], 3, (24, 24), split, split, split, [])
    with Record(tmp_path / "run", as_mapping(config)) as record:
        with pytest.raises(UserError, match=r"mode\.freeze=conv9"):
            experiment._network(config, InputSpec(24, 24, 3), dataset, record)
        record.update(status="completed")


def interrupt_after(epochs: int, config: Config, folder: Path) -> None:
    """Run until so many epochs are done."""

    def stop(epoch: int, _: dict[str, float]) -> None:
        if epoch == epochs:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        experiment.run(config, folder, on_epoch=stop)


@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_a_run_that_lost_its_checkpoints_keeps_its_metrics_and_says_so(tmp_path: Path, damage: str) -> None:
    config = Config(model_config(filters=[4], dense=[8]), data=DataConfig(fraction=0.1))
    interrupt_after(2, config, tmp_path / "run")
    before = (tmp_path / "run/metrics.csv").read_bytes()
    for file in (tmp_path / "run/checkpoints").glob("epoch*"):
        file.unlink() if damage == "missing" else file.write_bytes(b"x")
    with pytest.raises(UserError, match=f"its checkpoints are {damage}, so it can't be resumed"):
        experiment.run(config, tmp_path / "run")
    assert (tmp_path / "run/metrics.csv").read_bytes() == before


def test_a_run_killed_before_its_first_checkpoint_repeats_its_first_epoch(tmp_path: Path) -> None:
    config = Config(
        model_config(filters=[4], dense=[8]), data=DataConfig(fraction=0.1), trainer=TrainerConfig(epochs=1)
    )
    interrupt_after(1, config, tmp_path / "run")
    for file in (tmp_path / "run/checkpoints").glob("epoch*"):
        file.unlink()  # as if the process had been killed just before writing it
    assert experiment.run(config, tmp_path / "run")["status"] == "completed"
    assert len((tmp_path / "run/metrics.csv").read_text().splitlines()) == 2


def test_a_run_says_if_another_engine_reads_the_images_after_a_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = Config(
        model_config(filters=[4], dense=[8]), data=DataConfig(fraction=0.1), trainer=TrainerConfig(epochs=2)
    )
    interrupt_after(1, config, tmp_path / "run")
    monkeypatch.setattr(backend, "check", lambda: None)
    monkeypatch.setattr(backend, "has_tensorflow", lambda: False)
    capsys.readouterr()
    assert experiment.run(config, tmp_path / "run")["status"] == "completed"
    assert "until now, the images were read and augmented with TensorFlow, which gives" in capsys.readouterr().out
