"""Which devices a run may ask for, and what is said otherwise; tests/test_devices.py trains on several."""

from __future__ import annotations

import pytest

from cvlib.cli.compose import compose
from cvlib.runtime import backend, hardware
from cvlib.runtime.errors import UserError
from cvlib.training import data_parallel, rematerialize


def checked(*overrides: str) -> int:
    config = compose(("model=cnn", *overrides))
    data_parallel.check(config)
    return data_parallel.count(config)


def refusal(*overrides: str) -> str:
    with pytest.raises(UserError) as caught:
        checked(*overrides)
    return str(caught.value)


def test_tensorflow_names_the_way_to_several_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "name", lambda: "tensorflow")
    monkeypatch.setattr(hardware, "gpus", lambda: [(9, 0)])
    assert checked("trainer.devices=1") == checked("trainer.devices=all") == 1
    assert "trainer.devices=2 needs KERAS_BACKEND=jax" in refusal("trainer.devices=2")
    monkeypatch.setattr(hardware, "gpus", lambda: [(9, 0)] * 4)
    assert "trainer.devices=all (here 4) needs KERAS_BACKEND=jax" in refusal("trainer.devices=all")
    with pytest.raises(UserError, match="needs KERAS_BACKEND=jax"):
        rematerialize.check(compose(("model=cnn", "trainer.remat=true")))


def test_jax_needs_enough_devices_and_a_batch_that_they_can_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "name", lambda: "jax")
    monkeypatch.setattr(hardware, "jax_devices", lambda: ["gpu"] * 4)
    assert [checked(f"trainer.devices={asked}") for asked in ("1", "2", "4", "all")] == [1, 2, 4, 4]
    assert checked("trainer.devices=4", "data.batch_size=auto") == 4
    assert refusal("trainer.devices=8") == "trainer.devices=8: JAX finds 4 devices here (gpu)"
    assert refusal("trainer.devices=all", "data.batch_size=30").endswith("(trainer.devices=all): choose 28 or 32")
    assert refusal("trainer.devices=4", "data.batch_size=2").endswith("choose 4")
    monkeypatch.setattr(hardware, "jax_devices", lambda: ["cpu"])
    assert refusal("trainer.devices=2") == (
        "trainer.devices=2: JAX finds 1 device here (cpu); GPUs need the extra jax-cuda"
    )


@pytest.mark.parametrize("value", ["0", "two", "1.5", "true"])
def test_other_values_are_refused(value: str) -> None:
    with pytest.raises(UserError, match=r"trainer\.devices"):
        compose(("model=cnn", f"trainer.devices={value}"))
