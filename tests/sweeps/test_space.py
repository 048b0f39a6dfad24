"""Search spaces."""

from __future__ import annotations

import pytest

pytest.importorskip("optuna", reason="searching needs the extra: pip install -e '.[search]'")

from cvlib.sweeps import space
from cvlib.sweeps.trials import Range


def test_corners_combine_every_choice_with_the_ends_of_every_range() -> None:
    found = list(space.corners({"mode": ("scratch", "finetune"), "optimizer.lr": Range(0.1, 0.2)}))
    assert found == [["mode=scratch", "optimizer.lr=0.1"], ["mode=scratch", "optimizer.lr=0.2"],
                     ["mode=finetune", "optimizer.lr=0.1"], ["mode=finetune", "optimizer.lr=0.2"]]  # fmt: skip


def test_kinds_differ_in_values_that_determine_the_used_keys() -> None:
    choices = {"mode": ("scratch", "finetune"), "optimizer.lr": Range(0.1, 0.2), "seed": ("0", "1", "2"),
               "model.encoder": ("cnn", "vgg"), "model.dropout": ("0.1", "0.2")}  # fmt: skip
    found, complete = space.kinds(choices)
    assert complete
    assert [one[0] + " " + one[3] for one in found] == [
        "mode=scratch model.encoder=cnn", "mode=scratch model.encoder=vgg", "mode=finetune model.encoder=cnn",
        "mode=finetune model.encoder=vgg",
    ]  # fmt: skip
    many, complete = space.kinds({f"model.choice{number}": ("a", "b") for number in range(7)})
    assert len(many) == space.MOST_EXAMPLES and not complete
