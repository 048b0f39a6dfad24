"""The flat list of a network's steps, and their outputs."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from cvlib import tasks
from cvlib.data.input_spec import InputSpec
from cvlib.inspection import graph
from cvlib.models.network import build
from cvlib.runtime.errors import UserError
from tests.configs import model_config
from tests.inspection.conftest import saved_classifier

pytestmark = pytest.mark.usefixtures("eager")


def nested() -> keras.Model:
    """Return a model that calls a nested model twice and shares a layer."""
    x = inner_input = keras.Input((8, 8, 2))
    inner = keras.Model(inner_input, layers.Conv2D(2, 3, padding="same", name="convolution")(x), name="inner")
    first, second = keras.Input((8, 8, 2)), keras.Input((8, 8, 2))
    dense = layers.Dense(3, name="dense")
    return keras.Model([first, second], [dense(inner(first)), dense(inner(second))])


def test_nested_models_are_expanded_and_repeated_calls_are_numbered() -> None:
    found = graph.steps(nested())
    assert sorted(step.name for step in found) == ["convolution", "convolution#2", "dense", "dense#2"]
    by_name = {step.name: step for step in found}
    assert by_name["dense"].inputs == by_name["convolution"].outputs
    assert by_name["dense#2"].inputs == by_name["convolution#2"].outputs
    assert by_name["convolution"].inputs != by_name["convolution#2"].inputs
    assert sorted(graph.outputs(nested())) == sorted([*by_name["dense"].outputs, *by_name["dense#2"].outputs])


@pytest.mark.parametrize(("name", "side", "small"), [("cnn", 12, {"filters": [2, 3], "dense": [5]}),
                                                     ("inception", 75, {})])  # fmt: skip
def test_activations_equal_those_of_the_network(name: str, side: int, small: dict[str, list[int]]) -> None:
    model = saved_classifier(name, InputSpec(side, side, 3), 4, **small)
    images = np.random.default_rng(0).uniform(0, 255, (2, side, side, 3)).astype(np.float32)
    found = graph.activations(model, images, ["probabilities", "logits"])
    np.testing.assert_allclose(graph.as_array(found["probabilities"]), model.predict(images, verbose=0), atol=1e-6)
    backbone = model.get_layer("backbone")
    last = [layer for layer in backbone.layers if len(layer.output.shape) == 4][-1].name
    front = keras.Model(model.inputs, backbone._inbound_nodes[-1].input_tensors)
    expected = keras.Model(backbone.inputs, backbone.get_layer(last).output)(front([images]))
    np.testing.assert_allclose(graph.as_array(graph.activations(model, images, [last])[last]), expected, atol=1e-5)


def test_dropout_is_inactive() -> None:
    image = keras.Input((4, 4, 1))
    model = keras.Model(image, layers.Dropout(0.5, name="dropout")(image))
    np.testing.assert_array_equal(graph.activations(model, np.ones((1, 4, 4, 1)), ["dropout"])["dropout"], 1)


def test_a_sequential_model_is_listed() -> None:
    model = keras.Sequential([keras.Input((4, 4, 1)), layers.Conv2D(2, 3, name="a"), layers.Flatten(name="b")])
    assert [step.name for step in graph.steps(model)] == ["a", "b"]


def test_the_stages_of_a_detector_are_its_last_maps_of_each_resolution() -> None:
    config = model_config("yolo", neck_channels=4, filters=[4, 4, 4, 4, 4])
    saved = tasks.of("detection").inference(build(config, InputSpec(64, 64, 3, "letterbox"), 3))
    assert [graph.shape_of(step)[:2] for step in graph.stages(saved)] == [(32, 32), (16, 16), (8, 8), (4, 4), (2, 2)]


def test_an_unknown_layer_is_refused_with_the_nearest_names() -> None:
    with pytest.raises(UserError, match="conv9: there is no such layer; similar names are conv2, conv1"):
        graph.activations(saved_classifier("cnn", InputSpec(12, 12, 1)), np.zeros((1, 12, 12, 1)), ["conv9"])
