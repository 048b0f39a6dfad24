"""Explanations must point to the planted pattern that decides the class."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import pytest

from cvlib.data.input_spec import InputSpec
from cvlib.inspection import attribution, graph
from cvlib.runtime.errors import UserError
from tests.inspection.conftest import PATCH, SIDE, Planted, saved_classifier

pytestmark = pytest.mark.usefixtures("eager")

METHODS = {
    "grad_cam": lambda model, image, label: attribution.grad_cam(model, image, label, "conv2"),
    "saliency": attribution.saliency,
    "occlusion": attribution.occlusion,
}


def test_a_pixel_class_is_explained_by_its_own_pixels() -> None:
    """Class 1 consists of the bright pixels, which are only in the upper left quarter."""
    pixels = keras.Input((8, 8, 1))
    x = keras.layers.UpSampling2D(2)(keras.layers.AveragePooling2D(2, name="map")(pixels))
    logits = keras.layers.Conv2D(2, 1, name="logits")(x)
    model = keras.Model(pixels, keras.layers.Softmax(name="probabilities")(logits))
    model.set_weights([np.array([[[[0.0, 1.0]]]]), np.array([0.5, 0.0])])
    image = np.zeros((8, 8, 1), np.float32)
    image[:4, :4] = 2
    heat = attribution.grad_cam(model, image, 1, "map")
    assert heat[:3, :3] == pytest.approx(1)
    assert heat[5:].max() == heat[:, 5:].max() == 0
    found = attribution.saliency(model, image, 1, samples=1)
    np.testing.assert_allclose(found, image[..., 0] / 2)
    covered = attribution.occlusion(model, image, 1, patch=4, stride=4)
    np.testing.assert_allclose(covered, image[..., 0] / 2)


@pytest.mark.parametrize("name", METHODS)
def test_heat_concentrates_on_the_planted_patch(name: str, planted: Planted) -> None:
    method: Callable[[keras.Model, np.ndarray, int], np.ndarray] = METHODS[name]
    hits, shares = 0, []
    for image, label, (row, column) in list(zip(planted.images, planted.labels, planted.places, strict=True))[:10]:
        heat = method(planted.model, image, int(label))
        assert heat.shape == (SIDE, SIDE)
        assert heat.min() >= 0
        assert heat.max() <= 1 + 1e-6
        y, x = np.unravel_index(heat.argmax(), heat.shape)
        hits += row - 2 <= y < row + PATCH + 2 and column - 2 <= x < column + PATCH + 2
        inside = np.zeros(heat.shape, bool)
        inside[max(row - 2, 0) : row + PATCH + 2, max(column - 2, 0) : column + PATCH + 2] = True
        shares.append(heat[inside].mean() / max(heat[~inside].mean(), 1e-9))
    assert hits >= 9
    # Evenly spread heat would give 1. Stripes anywhere would change the scores, so no gradient is zero.
    assert np.median(shares) > (1.4 if name == "saliency" else 4)


def test_a_heat_map_depends_on_the_class(planted: Planted) -> None:
    image, label = planted.images[0], int(planted.labels[0])
    row, column = planted.places[0]
    other = attribution.grad_cam(planted.model, image, 1 - label, "conv2")
    own = attribution.grad_cam(planted.model, image, label, "conv2")
    patch = np.s_[row : row + PATCH, column : column + PATCH]
    assert own[patch].mean() > 2 * other[patch].mean()


def test_grad_cam_distinguishes_positions_if_the_head_does() -> None:
    """All units have the same feature, but the dense layer uses only the lower right one."""
    image = keras.Input((8, 8, 1))
    x = keras.layers.AveragePooling2D(2, name="map")(image)
    x = keras.layers.Dense(1, use_bias=False, name="logits")(keras.layers.Flatten()(x))
    model = keras.Model(image, x)
    model.set_weights([np.eye(16, 1, k=-15)])
    heat = attribution.grad_cam(model, np.ones((8, 8, 1)), 0, "map")
    assert heat[7, 7] == pytest.approx(1)
    assert heat[:5].max() == heat[:, :5].max() == 0


def test_the_gradient_is_the_derivative() -> None:
    at = np.array([[1.0, -2.0, 0.5]], np.float32)
    np.testing.assert_allclose(attribution.gradient(lambda x: keras.ops.sum(x**2 + 3 * x), at), 2 * at + 3, rtol=1e-6)
    assert not attribution.gradient(lambda x: keras.ops.zeros((1,)), at).any()
    slope = attribution.slope_of(lambda x: keras.ops.sum(x**2 + 3 * x))
    np.testing.assert_allclose(slope(at), 2 * at + 3, rtol=1e-6)
    np.testing.assert_allclose(slope(at + 1), 2 * at + 5, rtol=1e-6)


def test_occlusion_by_hand() -> None:
    """If the logit is the value of one pixel, only patches that cover it reduce the logit."""
    image = keras.Input((6, 6, 1))
    x = keras.layers.Cropping2D(((2, 3), (4, 1)))(image)
    model = keras.Model(image, keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")(
        keras.layers.Flatten()(x)))  # fmt: skip
    picture = np.zeros((6, 6, 1), np.float32)
    picture[2, 4] = 36.0  # the image's mean is 1, so a patch on this pixel reduces it by 35
    heat = attribution.occlusion(model, picture, 0, patch=1, stride=1)
    expected = np.zeros((6, 6))
    expected[2, 4] = 1
    np.testing.assert_allclose(heat, expected, atol=1e-6)


@pytest.mark.parametrize(("name", "side"), [("inception", 139), ("vgg", 64), ("resnet", 64), ("alexnet", 99),
                                            ("cnn", 16)])  # fmt: skip
def test_grad_cam_finds_a_feature_map_in_every_classifier(name: str, side: int) -> None:
    small = {"dense": [8]} if name in ("alexnet", "cnn") else {}
    model = saved_classifier(name, InputSpec(side, side, 3), **small)
    assert graph.scores(model).name == "logits"
    step = attribution.default_map(model)
    assert min(graph.shape_of(step)[:2]) >= 4 or name == "alexnet"  # type: ignore[type-var]
    image = np.random.default_rng(0).uniform(0, 255, (side, side, 3)).astype(np.float32)
    heat = attribution.grad_cam(model, image, 2)
    assert heat.shape == (side, side)
    assert np.isfinite(heat).all()


def test_rounding_in_the_saved_model_does_not_block_gradients() -> None:
    model = saved_classifier("cnn", InputSpec(12, 12, 1))
    image = np.random.default_rng(0).integers(0, 256, (12, 12, 1)).astype(np.float32)
    assert (attribution.saliency(model, image, 1) > 0).mean() > 0.9


def test_an_image_of_another_size_is_refused_until_it_is_resized() -> None:
    model = saved_classifier("cnn", InputSpec(12, 12, 1, "letterbox"))
    image = np.full((1, 20, 40, 1), 200.0)
    with pytest.raises(UserError, match=r"takes images of shape \(12, 12, 1\), not \(20, 40, 1\)"):
        attribution.occlusion(model, image[0], 0)
    seen = graph.as_seen(model, image)
    assert seen.shape == (1, 12, 12, 1)
    np.testing.assert_array_equal(seen[0, :2, 5, 0], 0)  # black above and below the whole image
    np.testing.assert_array_equal(seen[0, 4:8, 5, 0], 200)
    assert attribution.occlusion(model, seen[0], 0).shape == (12, 12)


def test_an_unknown_layer_is_refused(planted: Planted) -> None:
    with pytest.raises(UserError, match="conv3: there is no such layer; similar names are conv"):
        attribution.grad_cam(planted.model, planted.images[0], 0, "conv3")


def test_a_network_without_classes_is_refused() -> None:
    image = keras.Input((8, 8, 1))
    model = keras.Model(image, keras.layers.Reshape((-1, 4))(keras.layers.Conv2D(4, 3)(image)), name="boxes")
    with pytest.raises(UserError, match="boxes predicts no class for an image or its pixels"):
        attribution.saliency(model, np.zeros((8, 8, 1)), 0)
