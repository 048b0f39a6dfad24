"""One-line explanations of Hydra's errors."""

from __future__ import annotations

import pytest

from cvlib.cli import messages


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
        (
            "Config group override must be a string or a list. Got NoneType",
            ["seed=1", "schedule=null"],
            ["schedule=null: expected a choice", "cosine"],
        ),
        ("Could not override 'lr'.", ["lr=3"], ["lr:", "optimizer.lr"]),
        ("Ambiguous value for argument 'seed=1,2'\n1. To use it as a list", ["seed=1,2"], ["seed=1,2:", "need -m"]),
        ("Could not override 'modl'.", ["modl=resnet"], ["modl:", "model"]),
        ("Could not override 'model.depth'.", ["model.depth=50"], ["model.depth:", "resnet", "vgg"]),
    ],
)
def test_hydra_errors_suggest_the_nearest_valid_name(text: str, arguments: list[str], words: list[str]) -> None:
    message = messages.explain(ValueError(text), arguments)
    assert "\n" not in message
    assert all(word in message for word in words), message


def test_keys_come_from_the_selected_config_files() -> None:
    assert "model.depth" not in messages.keys([])
    assert "model.depth" in messages.keys(["model=resnet"])
    assert "data.samples" in messages.keys([]) and "data.samples" not in messages.keys(["data=mnist"])
    assert {"seed", "name", "trainer.epochs", "model"} <= set(messages.keys([]))
