"""A run that is killed at any moment and resumed gives the same results as an uninterrupted run."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests import programs
from tests.training.test_resume import curves, rows, weights

KILLS = 4  # and one while the results are written
RESULTS = "run/test_results.csv"
SEED = int(os.environ.get("CVLIB_KILL_SEED", "0"))  # for other moments: CVLIB_KILL_SEED=1 pytest -m slow …
TINY = ["model.filters=[4,4]", "model.dense=[8]", "model.dropout=0.4", "model.batch_norm=true", "data.fraction=0.2",
        "augment=light", "trainer.epochs=8", "trainer.deterministic=true", "trainer.checkpoint_every=1",
        "data.pretrain_samples=300", "data.pretrain_epochs=2", "hydra.run.dir=run"]  # fmt: skip


def start(folder: Path, mode: str) -> programs.Program:
    folder.mkdir(exist_ok=True)
    views = ["mode.views=2"] if "feat" in mode else []
    return programs.start(folder, programs.RUN, *TINY, f"mode={mode}", *views)


def finish(process: programs.Program) -> str:
    output, errors = process.communicate(timeout=240)
    assert process.returncode == 0, output[-2000:] + errors[-2000:]
    return output


def lines(folder: Path) -> int:
    """Return the number of log lines so far of the run and of its pretraining run."""
    return sum(len(log.read_bytes().splitlines()) for log in folder.rglob("train.log"))


def kill_within(process: programs.Program, folder: Path, after: int, delay: float) -> bool:
    """Wait for `after` more log lines and another `delay` seconds, kill the process, and return whether it still ran.

    With `after` 0, wait for the file of the results instead of log lines.
    """
    wanted = lines(folder) + after
    while process.poll() is None and not (lines(folder) >= wanted if after else (folder / RESULTS).exists()):
        time.sleep(0.01)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    return process.returncode == -signal.SIGKILL


def files(folder: Path) -> list[str]:
    found = [str(path.relative_to(folder)) for path in folder.rglob("*") if "tfevents" not in path.name]
    return sorted(found)


@pytest.mark.slow
def test_a_second_run_in_one_folder_is_refused_until_the_first_is_killed(tmp_path: Path) -> None:
    first = start(tmp_path, "scratch")
    while not lines(tmp_path) and first.poll() is None:
        time.sleep(0.01)
    second = start(tmp_path, "scratch")
    output, errors = second.communicate(timeout=60)
    first.kill()
    first.communicate()
    assert first.returncode == -signal.SIGKILL
    assert second.returncode == 2
    assert output == "" and errors.count("\n") == 1
    assert "another process is writing this run; wait for it or choose another hydra.run.dir" in errors
    assert ", resumed: " in finish(start(tmp_path, "scratch"))


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["scratch", "finetune", "feature_extractor"])
def test_a_run_killed_at_random_moments_gives_the_same_results(tmp_path: Path, mode: str) -> None:
    rng = random.Random(f"{mode} {SEED}")
    moments = [(rng.randint(1, 12), rng.uniform(0, 0.5)) for _ in range(KILLS)]
    moments.append((0, rng.uniform(0, 0.5)))
    print(f"kills in {mode}, after lines and seconds: {[(after, round(delay, 3)) for after, delay in moments]}")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    finish(start(whole, mode))
    done = [kill_within(start(killed, mode), killed, *moment) for moment in moments]
    assert sum(done) >= 2, "too few kills hit a running process"
    finish(start(killed, mode))
    first, second = whole / "run", killed / "run"
    assert rows(second) == rows(first)
    assert weights(second) == weights(first)
    assert (second / "test_results.csv").read_bytes() == (first / "test_results.csv").read_bytes()
    assert len(curves(first)["train/loss"]) == 8
    assert curves(second) == curves(first)
    assert files(killed) == files(whole)
