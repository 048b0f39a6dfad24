"""Dotted keys of nested mappings."""

from __future__ import annotations

from cvlib.runs.flatten import flatten


def test_leaves_are_named_by_their_path_in_order() -> None:
    nested = {"seed": 0, "data": {"path": None, "cache": {"gb": 4.0}}, "model": {"name": "cnn"}}
    assert list(flatten(nested).items()) == [
        ("seed", 0), ("data.path", None), ("data.cache.gb", 4.0), ("model.name", "cnn"),
    ]  # fmt: skip


def test_values_are_hashable() -> None:
    flat = flatten({"filters": [[4, 8], [16]], "loss": {}, "when": b"x", "on": True})
    assert flat == {"filters": ((4, 8), (16,)), "loss": "{}", "when": "b'x'", "on": True}
    assert len(set(flat.values())) == 4
