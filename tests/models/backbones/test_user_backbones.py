"""User backbones: a file in `backbones/` of the working folder works like a backbone of the package."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cvlib import experiment
from cvlib.config.schema import Config, DataConfig, TrainerConfig
from cvlib.models import backbones
from cvlib.models.options import read_model
from cvlib.models.restore import open_run
from cvlib.runtime.errors import UserError
from cvlib.transfer import freezing
from cvlib.transfer.regimes import Phase
from tests.models.backbones.test_contract import assert_frozen_part_is_unchanged
from tests.networks import network_of

TOY = '''
from dataclasses import dataclass

from cvlib.config.fields import Options, option
from cvlib.models.backbone import Backbone, Level


@dataclass
class ToyOptions(Options):
    toy_width: int = option(4, low=1, high=64)


class Toy(Backbone):
    """Five convolutions, each with a 2×2 max pooling."""

    name = "toy"
    options = ToyOptions

    def smallest_side(self, options, feature_levels):
        return 32

    def build(self, options, input_shape, feature_levels):
        import keras
        from keras import layers

        x = pixels = keras.Input(input_shape, name="pixels")
        for stage in range(1, 6):
            x = layers.Conv2D(options.toy_width, 3, padding="same", activation="relu", name=f"stage{stage}_conv")(x)
            x = layers.MaxPooling2D(2, name=f"stage{stage}_pool")(x)
        return keras.Model(pixels, x, name="backbone")

    def feature_levels(self, options):
        return [Level(f"stage{n}_conv", 2 ** (n - 1), options.toy_width, f"stage{n}_pool", True) for n in range(1, 6)]


BACKBONE = Toy()
'''

# Random layers in nested models of the base: Dropout, and stochastic depth as in other packages.
RESTLESS = """
import keras
from keras import layers

from cvlib.config.fields import Options
from cvlib.models.backbone import Backbone


class StochasticDepth(layers.Layer):
    def __init__(self, rate, **options):
        super().__init__(**options)
        self.rate, self.seeds = rate, keras.random.SeedGenerator(7)

    def call(self, x, training=None):
        if not training:
            return x
        kept = keras.random.uniform((keras.ops.shape(x)[0], 1, 1, 1), seed=self.seeds) >= self.rate
        return x * keras.ops.cast(kept, x.dtype) / (1 - self.rate)


class Restless(Backbone):
    name = "restless"
    options = Options
    has_feature_levels = False

    def smallest_side(self, options, feature_levels):
        return 4

    def build(self, options, input_shape, feature_levels):
        x = pixels = keras.Input(input_shape, name="pixels")
        for stage in (1, 2):
            inner = y = keras.Input(x.shape[1:])
            y = layers.Conv2D(3, 3, padding="same", name="conv")(y)
            y = layers.BatchNormalization(name="bn")(y)
            y = layers.Dropout(0.5, name="dropout")(y)
            y = StochasticDepth(0.5, name="depth")(y)
            x = keras.Model(inner, y, name=f"stage{stage}")(x)
        return keras.Model(pixels, layers.Flatten(name="flatten")(x), name="backbone")


BACKBONE = Restless()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create a working folder with the two backbones."""
    (tmp_path / "backbones").mkdir()
    (tmp_path / "backbones/toy.py").write_text(TOY)
    (tmp_path / "backbones/restless.py").write_text(RESTLESS)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "backbones"


DETECTOR = {"name": "yolo", "task": "detection", "backbone": "toy", "neck_channels": 8}
SEGMENTER = {"name": "segmenter", "task": "segmentation", "head": "decoder", "encoder": "toy"}
FCN = {"name": "fcn", "task": "segmentation", "head": "fcn", "backbone": "toy", "fc_width": 8, "fc_kernel": 1}
NETWORKS: list[tuple[dict[str, Any], tuple[int, ...]]] = [
    ({"name": "toy", "head": "dense"}, (4,)),
    ({**DETECTOR, "head": "anchor_free"}, (16 * 16 + 8 * 8 + 4 * 4, 64 + 4)),  # at strides 4, 8 and 16
    ({**DETECTOR, "head": "grid"}, (8 * 8, 2 * 5 + 4)),
    (SEGMENTER, (64, 64, 4)),
    ({**SEGMENTER, "decoder": "unpool"}, (64, 64, 4)),
    (FCN, (64, 64, 4)),
]


def test_it_is_found_and_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert type(backbones.get("toy")).__name__ == "Toy"
    assert {"toy", "cnn"} <= set(backbones.names())
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert "toy" not in backbones.names()
    with pytest.raises(UserError, match="there is no backbone toy"):
        backbones.get("toy")


@pytest.mark.parametrize(("values", "shape"), NETWORKS)
def test_every_head_works_on_it(values: dict[str, Any], shape: tuple[int, ...]) -> None:
    built = network_of(read_model({**values, "toy_width": 6}), 64)
    output = built.predictive()(np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype(np.float32))
    assert output.shape == (2, *shape)
    assert np.isfinite(np.asarray(output)).all()
    assert built.backbone is backbones.get("toy")
    assert built.base.get_layer("stage1_conv").kernel.shape == (3, 3, 3, 6)


def test_its_options_are_checked() -> None:
    with pytest.raises(UserError, match=r"invalid model.toy_width=65: expected a value between 1 and 64"):
        read_model({"name": "toy", "toy_width": 65})
    with pytest.raises(UserError, match=r"model.toy_widht: there is no such key; did you mean model.toy_width\?"):
        read_model({"name": "toy", "toy_widht": 6})


@pytest.mark.parametrize("freeze", ["all", 2, 0.5])
def test_random_layers_in_nested_models_are_frozen_too(freeze: Any) -> None:
    built = network_of(read_model({"name": "restless"}), 6)
    pixels = np.ones((2, 6, 6, 3), np.float32)
    assert not np.array_equal(built.base(pixels, training=True), built.base(pixels, training=True))
    assert_frozen_part_is_unchanged(built, freeze)


def test_batch_norm_in_nested_models_can_be_frozen() -> None:
    built = network_of(read_model({"name": "restless"}), 6)
    freezing.apply(built, Phase(0, 1, batch_norm="frozen"))
    norms = [built.base.get_layer(stage).get_layer("bn") for stage in ("stage1", "stage2")]
    before = [np.array(weight) for norm in norms for weight in norm.weights]
    built.base(np.full((2, 6, 6, 3), 9, np.float32), training=True)
    for weight, value in zip([weight for norm in norms for weight in norm.weights], before, strict=True):
        np.testing.assert_array_equal(weight, value)
    assert [norm.trainable for norm in norms] == [False, False]
    assert built.base.get_layer("stage2").get_layer("conv").trainable
    rows = freezing.freeze_table(built, Phase(0, 1, batch_norm="frozen"), 0.1)
    assert [row["batch_norm"] for row in rows] == ["inference", "inference", "-"]


def test_a_changed_file_is_read_again(folder: Path) -> None:
    assert read_model({"name": "toy"}).backbone_options.toy_width == 4
    (folder / "toy.py").write_text(TOY.replace("option(4,", "option(5,"))
    os.utime(folder / "toy.py", ns=(1, 1))
    assert read_model({"name": "toy"}).backbone_options.toy_width == 5


@pytest.mark.parametrize(("text", "words"), [
    ("x = 1\n", "declares no backbone: set BACKBONE to an instance of a subclass of cvlib.models.backbone.Backbone"),
    ("BACKBONE = 3\n", "declares no backbone"),
    (TOY, "its backbone's name is toy: set name = \"broken\""),
    (TOY.replace('"toy"', '"broken"').replace("    options = ToyOptions\n", ""), "its backbone has no options"),
    ("import no_such_package\n", "can't be imported: ModuleNotFoundError: No module named 'no_such_package'"),
    ("def broken(:\n", "can't be imported: SyntaxError"),
    ("raise ValueError('first\\nsecond')\n", "can't be imported: ValueError: first"),
])  # fmt: skip
def test_an_invalid_file_is_named_in_one_line(folder: Path, text: str, words: str) -> None:
    (folder / "broken.py").write_text(text)
    with pytest.raises(UserError) as caught:
        backbones.get("broken")
    assert str(caught.value).replace("broken.py: ", "broken.py ").startswith(f"backbones/broken.py {words}")
    assert "\n" not in str(caught.value)


def test_invalid_files_do_not_affect_other_backbones(folder: Path) -> None:
    for name, text in (("__init__", ""), ("_notes", "x = 1"), ("helpers", "x = 1"), ("half", "def broken(:")):
        (folder / f"{name}.py").write_text(text)
    assert {"toy", "cnn"} <= {one.name for one in backbones.usable()}
    assert not {"__init__", "_notes"} & set(backbones.names())
    assert read_model({"name": "cnn"}).backbone == "cnn"
    with pytest.raises(UserError, match=r"there is no such key; did you mean"):
        read_model({"name": "cnn", "kernl": 3})


@pytest.mark.parametrize(("before", "after", "words"), [
    ('f"stage{n}_conv", 2', 'f"stag{n}_conv", 2', "feature_levels names a layer stag1_conv that build doesn't create"),
    ("options.toy_width, f", "options.toy_width + 1, f",
     "feature_levels declares 5 channels for layer stage1_conv, but build gives it 4"),
])  # fmt: skip
def test_levels_that_do_not_match_the_layers_are_refused(folder: Path, before: str, after: str,
                                                         words: str) -> None:  # fmt: skip
    assert before in TOY
    (folder / "toy.py").write_text(TOY.replace(before, after))
    os.utime(folder / "toy.py", ns=(2, 2))
    with pytest.raises(UserError, match=words):
        network_of(read_model(SEGMENTER), 64)


def test_a_run_notes_that_the_backbones_file_has_changed(folder: Path, tmp_path: Path) -> None:
    config = Config(read_model({"name": "toy"}), data=DataConfig("digits", samples=60, image_size=32),
                    trainer=TrainerConfig(epochs=1, steps_per_epoch=1))  # fmt: skip
    experiment.run(config, tmp_path / "run")
    assert open_run(tmp_path / "run").notes == []
    (folder / "toy.py").write_text(TOY + "# changed")
    (note,) = open_run(tmp_path / "run").notes
    assert note.startswith("backbones/toy.py has changed since this run")


@pytest.mark.parametrize(
    ("name", "near"), [("toyy", "toy"), ("resnets", "resnet"), ("../x", "alexnet"), ("", "alexnet")]
)
def test_an_unknown_name_is_refused_in_one_line(name: str, near: str) -> None:
    with pytest.raises(UserError) as caught:
        backbones.get(name)
    message = str(caught.value)
    assert message.startswith(f"there is no backbone {name}: choose from {near}")
    assert "\n" not in message


@pytest.mark.slow
@pytest.mark.parametrize("values", [NETWORKS[0][0], NETWORKS[1][0], NETWORKS[3][0]], ids=lambda values: values["name"])
def test_it_trains_for_every_task(tmp_path: Path, values: dict[str, Any]) -> None:
    model = read_model(values)
    config = Config(model, data=DataConfig("digits", tasks=[model.task], samples=60, image_size=64),
                    trainer=TrainerConfig(epochs=1, steps_per_epoch=2))  # fmt: skip
    summary = experiment.run(config, tmp_path / "run")
    assert summary["status"] == "completed"
    assert all(np.isfinite(value) for value in summary["metrics"].values())
    assert (tmp_path / "run/model.keras").is_file()
