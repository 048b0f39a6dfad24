"""Folder names, one-line explanations of Hydra's errors, exit codes."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from cvlib.cli import jobs as command
from cvlib.cli.jobs import Outcome

CONF = Path(__file__).parents[2] / "conf"


def test_a_folders_name_is_the_overrides_where_it_can_be() -> None:
    assert command.folder_name("mode=finetune,model=resnet") == "mode=finetune,model=resnet"


def test_a_folders_name_is_flat_and_short_and_still_distinct() -> None:
    first = command.folder_name("data.path=a/b,seed=1")
    second = command.folder_name("data.path=a_b,seed=1")
    assert "/" not in first
    assert first != second
    long = [command.folder_name("data.path=" + "ä" * 300 + end) for end in "12"]
    assert all(len(name.encode()) <= 150 for name in long)
    assert long[0] != long[1]
    many = command.folder_name(",".join(f"key{number}=1" for number in range(200)))
    assert len(many.encode()) <= 150


def test_every_override_stays_visible_in_a_long_name() -> None:
    path = "data.path=/home/somebody/projects/collections/2024/photographs/resized/and/cleaned/north/birds"
    shared = f"{path},data=folder,mode.weights=/home/somebody/projects/birds/outputs/runs/letters,mode=finetune"
    names = [command.folder_name(f"{shared},seed={seed}") for seed in (1, 2)]
    assert all(name.startswith(f"data=folder,mode=finetune,seed={seed},") for seed, name in enumerate(names, 1))
    assert re.fullmatch(r"\S+,data.path=\S+\.\.\w*birds,mode.weights=\S+\.\.\w*letters-\w{8}", names[0])

    keys = ("data.batch_size", "data.image_size", "model.dropout", "optimizer.clipnorm", "optimizer.weight_decay",
            "schedule.warmup_epochs", "seed", "trainer.bn_momentum", "trainer.epochs", "trainer.patience")  # fmt: skip
    name = command.folder_name(",".join(f"{key}={value}" for value, key in enumerate(keys, 10)))
    assert all(f"={value}" in name for value in range(10, 20))
    assert "warmup_epochs=15" in name


@pytest.mark.parametrize(
    ("text", "arguments", "words"),
    [
        ("Could not find 'model/resnett'\n\nAvailable options", ["model=resnett"], ["model=resnett", "resnet"]),
        ("Could not find 'model/zzz'\n", ["model=zzz"], ["alexnet", "cnn", "inception", "resnet", "vgg"]),
        ("Could not override 'trainer.epoch'.", ["trainer.epoch=3"], ["trainer.epoch:", "trainer.epochs"]),
        (
            "Could not find 'hydra/launcher/paralel'\n",
            [],
            ["hydra/launcher=paralel", "did you mean parallel?"],
        ),
        ("In 'hydra/launcher/slurm': Could not load 'hydra/launcher/submitit_slurm'.", [], [".[slurm]"]),
        ("Could not override 'hydra.sweeper.trial'.", ["hydra.sweeper.trial=3"], ["hydra.sweeper.trials"]),
        ("Could not override 'lr'.", ["lr=3"], ["lr:", "optimizer.lr"]),
        ("Could not override 'modl'.", ["modl=resnet"], ["modl:", "model"]),
        ("Could not override 'model.depth'.", ["model.depth=50"], ["model.depth:", "resnet", "vgg"]),
    ],
)
def test_an_error_of_hydras_names_the_nearest_right_word(text: str, arguments: list[str], words: list[str]) -> None:
    message = command.explain(ValueError(text), CONF, arguments)
    assert "\n" not in message
    assert all(word in message for word in words), message


def test_keys_are_those_of_the_chosen_files() -> None:
    assert "model.depth" not in command.keys(CONF, [])
    assert "model.depth" in command.keys(CONF, ["model=resnet"])
    assert {"seed", "name", "trainer.epochs", "model"} <= set(command.keys(CONF, []))


def test_a_single_job_ends_with_its_own_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.conclude([]) == 0
    assert command.conclude([Outcome(Path("a"), 0, {})]) == 0
    assert command.conclude([Outcome(Path("a"), 2, {}, "two\nlines")]) == 2
    assert capsys.readouterr().err == "error: two lines\n"


def test_threads_are_shared_out_among_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert [command.cores_per_job(jobs) for jobs in (1, 2, 3, 16, -1)] == [8, 4, 2, 1, 1]
