"""Saved networks with layers of keras-hub: what they compute, and which layers they may contain."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cvlib import tasks
from cvlib.config.schema import Config, DataConfig
from cvlib.data.input_spec import InputSpec
from cvlib.models import keras_hub, restore
from cvlib.runtime.errors import UserError
from tests.configs import model_config
from tests.models.hub_presets import library, preset, side
from tests.networks import network_of
from tests.small_runs import write_network, write_record

pytestmark = pytest.mark.usefixtures("eager")

TASK = tasks.of("classification")
BLOCK = "keras_hub.src.models.vit.vit_layers.ViTEncoderBlock"


def write_run(folder: Path, kind: str, layers: list[str] | None = None) -> Any:
    """Write the run of a network whose weights differ from the initial ones; return its saved network."""
    chosen = Config(model_config("hub", preset=preset(kind)), data=DataConfig(image_size=side(kind)))
    write_record(folder, chosen, InputSpec(side(kind), side(kind), 3), ["a", "b"])
    built = network_of(chosen.model, side(kind), 3, 2)
    for variable in built.model.trainable_variables:
        variable.assign(variable - 0.1)
    saved = write_network(folder, chosen, built, ["a", "b"])
    labels = json.loads((folder / "labels.json").read_text())
    found = restore.foreign_parts(folder / "model.keras")
    (folder / "labels.json").write_text(json.dumps(labels | {"layers": found if layers is None else layers}))
    return saved


@pytest.mark.parametrize("kind", ["vit", "dinov2", pytest.param("resnet", marks=pytest.mark.slow)])
def test_an_opened_network_computes_what_was_saved(kind: str, tmp_path: Path) -> None:
    saved = write_run(tmp_path / "run", kind)
    images = np.random.default_rng(0).integers(0, 256, (2, 20, 30, 3)).astype(np.float32)
    run = restore.open_run(tmp_path / "run")
    expected = np.asarray(saved(images))
    np.testing.assert_array_equal(np.asarray(restore.network(run, TASK)(images)), expected)
    sized = np.random.default_rng(1).integers(0, 256, (2, side(kind), side(kind), 3)).astype(np.float32)
    logits = np.asarray(restore.as_trained(run, TASK).model(sized))
    odds = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(odds, np.asarray(saved(sized)), atol=1e-5)


def test_only_layers_that_labels_json_lists_are_allowed(tmp_path: Path) -> None:
    write_run(tmp_path / "run", "vit", layers=[BLOCK])
    with pytest.raises(UserError, match=r"contains keras_hub.*ViTPatchingAndEmbedding, which no run writes"):
        restore.network(restore.open_run(tmp_path / "run"), TASK)


@pytest.mark.parametrize(("module", "name"), [
    ("os", "system"), ("keras_hub.src.models.vit.vit_backbone", "ViTBackbone"),
    ("keras_hub.src.models.vit.vit_layers", "keras"), ("keras.layers", "Dense"),
])  # fmt: skip
def test_nothing_but_layers_of_keras_hub_can_be_listed(module: str, name: str, tmp_path: Path) -> None:
    library()
    assert keras_hub.layer_class(module, name) is None
    write_run(tmp_path / "run", "vit", layers=[BLOCK, f"{module}.{name}"])
    path = tmp_path / "run/model.keras"
    with zipfile.ZipFile(path) as archive:
        content = {member: archive.read(member) for member in archive.namelist()}
    text = content["config.json"].decode().replace(BLOCK.rpartition(".")[0], module).replace("ViTEncoderBlock", name)
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in content.items():
            archive.writestr(member, text if member == "config.json" else data)
    with pytest.raises(UserError, match=r"which no run writes|can't be loaded"):
        restore.network(restore.open_run(tmp_path / "run"), TASK)


def test_the_layers_of_keras_hub_are_found() -> None:
    library()
    found = keras_hub.layer_class(*BLOCK.rsplit(".", 1))
    assert found is not None and found.__name__ == "ViTEncoderBlock"
