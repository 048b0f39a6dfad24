"""Folder names are readable, short and distinct."""

from __future__ import annotations

import re

from cvlib.sweeps.folder_names import folder_name


def test_a_short_folder_name_consists_of_the_overrides() -> None:
    assert folder_name("mode=finetune,model=resnet") == "mode=finetune,model=resnet"


def test_folder_names_are_flat_short_and_distinct() -> None:
    first = folder_name("data.path=a/b,seed=1")
    second = folder_name("data.path=a_b,seed=1")
    assert "/" not in first
    assert first != second
    long = [folder_name("data.path=" + "ä" * 300 + end) for end in "12"]
    assert all(len(name.encode()) <= 150 for name in long)
    assert long[0] != long[1]
    many = folder_name(",".join(f"key{number}=1" for number in range(200)))
    assert len(many.encode()) <= 150


def test_every_override_stays_visible_in_a_long_name() -> None:
    path = "data.path=/home/somebody/projects/collections/2024/photographs/resized/and/cleaned/north/birds"
    shared = f"{path},data=folder,mode.weights=/home/somebody/projects/birds/outputs/runs/letters,mode=finetune"
    names = [folder_name(f"{shared},seed={seed}") for seed in (1, 2)]
    assert all(name.startswith(f"data=folder,mode=finetune,seed={seed},") for seed, name in enumerate(names, 1))
    assert re.fullmatch(r"\S+,data.path=\S+\.\.\w*birds,mode.weights=\S+\.\.\w*letters-\w{8}", names[0])

    keys = ("data.batch_size", "data.image_size", "model.dropout", "optimizer.clipnorm", "optimizer.weight_decay",
            "schedule.warmup_epochs", "seed", "trainer.bn_momentum", "trainer.epochs", "trainer.patience")  # fmt: skip
    name = folder_name(",".join(f"{key}={value}" for value, key in enumerate(keys, 10)))
    assert all(f"={value}" in name for value in range(10, 20))
    assert "warmup_epochs=15" in name
