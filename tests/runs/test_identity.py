"""Which configs ask for the same run."""

from __future__ import annotations

import pytest

from cvlib.config.schema import TrainerConfig
from cvlib.runs.identity import identity, identity_of
from cvlib.runtime import hardware
from tests import configs
from tests.runs.small_config import ASKED


def test_what_does_not_decide_a_result_has_no_part_in_the_identity() -> None:
    before = identity(ASKED)
    assert len(before) == 16 and int(before, 16)
    assert identity(ASKED | {"name": "other", "output_root": "elsewhere"}) == before
    for group, key in (("data", "cache"), ("data", "cache_gb"), ("mode", "cache_gb"), ("trainer", "checkpoint_every"),
                       ("trainer", "profile_steps")):  # fmt: skip
        assert identity(ASKED | {group: ASKED[group] | {key: 77}}) == before
    assert identity(ASKED | {"data": ASKED["data"] | {"fraction": 0.5}}) != before
    assert identity(ASKED | {"seed": 1}) != before


def test_a_key_that_came_later_changes_nothing_at_its_neutral_value() -> None:
    model = {key: value for key, value in ASKED["model"].items() if key != "label_smoothing"}
    before = identity(ASKED | {"model": model})
    assert identity(ASKED | {"model": model | {"label_smoothing": 0.0}}) == before
    assert identity(ASKED | {"model": model | {"label_smoothing": 0.1}}) != before


def test_the_order_of_keys_has_no_part_in_the_identity() -> None:
    assert identity(dict(reversed(ASKED.items()))) == identity(ASKED)


def test_the_precision_decides_a_result() -> None:
    found = {identity(ASKED | {"trainer": {"precision": name}}) for name in ("float32", "bfloat16", "float16")}
    assert len(found) == 3


def test_automatic_precision_has_the_identity_of_what_it_comes_to(monkeypatch: pytest.MonkeyPatch) -> None:
    def of(precision: str) -> str:
        return identity_of(configs.config("cnn", trainer=TrainerConfig(precision=precision)))

    for native, other in (("bfloat16", "float32"), ("float32", "bfloat16")):
        monkeypatch.setattr(hardware, "native", lambda depthwise, native=native: (native, "asked by the test"))
        assert of("auto") == of(native) != of(other)


def test_odd_keys_of_a_damaged_file_are_taken_as_text() -> None:
    assert identity({"data": {None: 1, 7: [{True: 2}]}}) == identity({"data": {"None": 1, "7": [{"True": 2}]}})
