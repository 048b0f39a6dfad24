"""Which configs describe the same run."""

from __future__ import annotations

import pytest

from cvlib.config.schema import TrainerConfig
from cvlib.runs.identity import identity, identity_of
from cvlib.runtime import hardware
from tests import configs
from tests.runs.small_config import CONFIG


def test_keys_that_do_not_affect_the_result_do_not_change_the_identity() -> None:
    before = identity(CONFIG)
    assert len(before) == 16 and int(before, 16)
    assert identity(CONFIG | {"name": "other", "output_root": "elsewhere"}) == before
    for group, key in (("data", "cache"), ("data", "cache_gb"), ("mode", "cache_gb"), ("trainer", "checkpoint_every"),
                       ("trainer", "profile_steps")):  # fmt: skip
        assert identity(CONFIG | {group: CONFIG[group] | {key: 77}}) == before
    assert identity(CONFIG | {"data": CONFIG["data"] | {"fraction": 0.5}}) != before
    assert identity(CONFIG | {"seed": 1}) != before


def test_a_key_added_later_changes_nothing_at_its_neutral_value() -> None:
    model = {key: value for key, value in CONFIG["model"].items() if key != "label_smoothing"}
    before = identity(CONFIG | {"model": model})
    assert identity(CONFIG | {"model": model | {"label_smoothing": 0.0}}) == before
    assert identity(CONFIG | {"model": model | {"label_smoothing": 0.1}}) != before


def test_the_order_of_keys_does_not_change_the_identity() -> None:
    assert identity(dict(reversed(CONFIG.items()))) == identity(CONFIG)


def test_the_precision_changes_the_identity() -> None:
    found = {identity(CONFIG | {"trainer": {"precision": name}}) for name in ("float32", "bfloat16", "float16")}
    assert len(found) == 3


def test_automatic_precision_has_the_identity_of_the_precision_that_it_selects(monkeypatch: pytest.MonkeyPatch) -> None:
    def of(precision: str) -> str:
        return identity_of(configs.config("cnn", trainer=TrainerConfig(precision=precision)))

    for native, other in (("bfloat16", "float32"), ("float32", "bfloat16")):
        monkeypatch.setattr(hardware, "native", lambda depthwise, native=native: (native, "chosen by the test"))
        assert of("auto") == of(native) != of(other)


def test_unexpected_keys_of_a_damaged_file_are_read_as_text() -> None:
    assert identity({"data": {None: 1, 7: [{True: 2}]}}) == identity({"data": {"None": 1, "7": [{"True": 2}]}})
