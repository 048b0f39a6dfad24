"""From padded boxes to the saved detector, which predicts boxes in the original image's coordinates."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest

from cvlib.config.schema import DataConfig
from cvlib.data import scenes
from cvlib.data.dataset import Boxes, Dataset, Split
from cvlib.data.feed import Feed
from cvlib.data.input_spec import InputSpec
from cvlib.data.labels import BOXES
from cvlib.data.make_feed import make_feed
from cvlib.models.network import Network, build
from cvlib.tasks.detection import TASK, drawing, serving
from cvlib.tasks.detection.coco import Detections
from cvlib.tasks.detection.predictions import BoxPredictions
from tests.configs import config, model_config

SMALL = {"neck_channels": 8, "filters": [8, 8, 8, 8, 8]}
CLASSES = list("0123456789")


def small(head: str = "anchor_free", side: int = 96, resize: str = "letterbox", **changes) -> Network:
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(0)
    return build(model_config("yolo", head=head, **{**SMALL, **changes}), InputSpec(side, side, 3, resize), 10)


def feed_of(split: Split, batch_size: int, side: int = 96, resize: str = "letterbox", steps: int | None = None) -> Feed:
    return make_feed(split, InputSpec(side, side, 3, resize), BOXES, batch_size, 0, steps=steps)


def some_scenes(count: int, seed: int = 0) -> Split:
    parts = scenes.digit_scenes(DataConfig(samples=60, split_seed=seed), BOXES)[1]
    train = parts[0]
    return Split(train.names[:count], np.asarray(train.images)[:count], train.labels[:count])


def dataset_of(split: Split) -> Dataset:
    return Dataset("digits", "detection", CLASSES, 3, (96, 96), split, split, split, [])


def edges(image: np.ndarray) -> list[float]:
    """Return where the brightness of a white rectangle on black is one half: left, top, right, bottom in pixels."""
    found = []
    for profile in (image.max(axis=0), image.max(axis=1)):
        inside = np.flatnonzero(profile >= 127.5)
        first, last = inside[0], inside[-1]
        before = profile[first - 1] if first else 0
        after = profile[last + 1] if last + 1 < len(profile) else 0
        # The centre of pixel i is at i + 0.5; between centres, brightness is linear.
        low = first + 0.5 - (profile[first] - 127.5) / (profile[first] - before)
        high = last + 0.5 + (profile[last] - 127.5) / (profile[last] - after)
        found.append((low, high))
    return [found[0][0], found[1][0], found[0][1], found[1][1]]


@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
@pytest.mark.parametrize(("height", "width"), [(96, 96), (131, 60), (77, 200), (300, 301), (48, 31)])
def test_resizing_is_undone_within_half_a_pixel(resize, height, width):
    box = np.array([0.2 * width, 0.3 * height, 0.7 * width, 0.9 * height]).round()
    image = np.zeros((1, height, width, 1), np.float32)
    image[0, int(box[1]) : int(box[3]), int(box[0]) : int(box[2])] = 255
    layer = keras.layers.Resizing(96, 128, antialias=True, pad_to_aspect_ratio=resize == "letterbox")
    resized = keras.ops.convert_to_numpy(layer(image))[0, ..., 0]
    found = np.array(edges(resized), np.float32).reshape(1, 1, 4)
    back = keras.ops.convert_to_numpy(serving.undo_resizing(found, image, InputSpec(96, 128, 1, resize)))[0, 0]
    assert np.abs(back - box).max() < 0.5


def test_boxes_are_clipped_to_the_image():
    image = np.zeros((1, 50, 100, 3), np.float32)
    wild = np.array([[[-20.0, -20, 200, 200], [40, 10, 60, 20]]], np.float32)
    back = keras.ops.convert_to_numpy(serving.undo_resizing(wild, image, InputSpec(64, 64, 3, "letterbox")))[0]
    assert back[0].tolist() == [0, 0, 100, 50] and back[1, 1] == 0


@pytest.mark.parametrize(("head", "resize"), [("anchor_free", "letterbox"), ("grid", "stretch")])
def test_the_saved_detector_gives_the_boxes_of_the_evaluation(tmp_path, head, resize):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 70, 50, 3)).astype(np.uint8)
    labels = [Boxes(np.array([[5, 5, 30, 40]], np.float32), np.array([k]), np.array([False])) for k in range(3)]
    network = small(head, side=64, resize=resize)
    feed = feed_of(Split(list("abc"), images, labels), 2, 64, resize)
    whole = TASK.evaluate(TASK.validated(network), feed, CLASSES)
    assert whole.truths == labels and all(len(found) > 20 for found in whole.found)
    TASK.inference(network).save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    output = {name: np.asarray(part) for name, part in loaded(images.astype(np.float32)).items()}
    assert output["boxes"].shape == (3, 100, 4) and output["classes"].dtype == np.int32
    for i, found in enumerate(whole.found):
        count = len(found)
        assert output["scores"][i, :count] == pytest.approx(found.scores, abs=1e-5)
        assert output["boxes"][i, :count] == pytest.approx(found.corners, abs=0.01)
        assert np.all(output["classes"][i, count:] == -1) and np.all(output["scores"][i, count:] == 0)
        assert found.corners.min() >= 0 and found.corners[:, 2].max() <= 50 and found.corners[:, 3].max() <= 70
    other = loaded(images[:1, :, :20].astype(np.float32))
    assert np.asarray(other["boxes"])[..., 2].max() <= 20


@pytest.mark.parametrize("head", ["anchor_free", "grid"])
def test_validation_gives_the_loss_of_keras_and_the_boxes_of_the_evaluation(head):
    network, feed = small(head, 64), feed_of(some_scenes(5), 2, 64)
    found = TASK.validate(TASK.validated_with_loss(network), feed, CLASSES, network)
    network.model.compile(**TASK.compile_arguments(network, config("yolo")))
    values = network.model.evaluate(feed.with_targets(lambda labels: TASK.targets(labels, network)), verbose=0)
    assert found.metrics()["loss"] == pytest.approx(values[0], rel=1e-4)
    plain = TASK.evaluate(TASK.validated(network), feed, CLASSES)
    assert "loss" not in plain.metrics()
    for one, other in zip(found.found, plain.found, strict=True):
        np.testing.assert_allclose(one.corners, other.corners, atol=1e-3)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("head", ["anchor_free", "grid"])
def test_batches_without_boxes_train_without_nan(head):
    split = some_scenes(4)
    none = Boxes(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, bool))
    mixed = Split(split.names, split.images, [split.labels[0], none, none, none])
    network = small(head)
    model = network.model
    model.compile(optimizer="sgd", **TASK.compile_arguments(network, config("yolo")))
    stream = feed_of(mixed, 2).with_targets(lambda labels: TASK.targets(labels, network))
    logs = model.fit(stream, verbose=0, shuffle=False).history
    parts = TASK.training_metrics({name: values[-1] for name, values in logs.items()})
    others = {"objectness_loss", "crowded"} if head == "grid" else {"distance_loss"}
    expected = {"loss", "box_loss", "class_loss"} | others
    assert set(parts) == expected and all(np.isfinite(value) for value in parts.values())
    assert parts["loss"] == pytest.approx(sum(parts[name] for name in expected - {"loss", "crowded"}), rel=1e-4)
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


def learned(head: str, steps: int) -> tuple[Network, Split]:
    """Return a detector trained for `steps` steps on eight scenes, and the scenes."""
    split = some_scenes(8, seed=1)  # no digit hides most of another: a grid can't predict both
    network = small(head, neck_channels=24, filters=[8, 16, 24, 32, 32])
    for layer in network.base.layers + network.model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.8
    rate = keras.optimizers.schedules.CosineDecay(0.01, steps)
    network.model.compile(keras.optimizers.Adam(rate), **TASK.compile_arguments(network, config("yolo")))
    stream = feed_of(split, 8, steps=steps).with_targets(lambda labels: TASK.targets(labels, network))
    network.model.fit(stream, verbose=0, shuffle=False)
    return network, split


@pytest.mark.slow
@pytest.mark.parametrize("head", ["anchor_free", "grid"])
def test_eight_images_can_be_overfitted(head):
    network, split = learned(head, 100)
    assert TASK.evaluate(TASK.validated(network), feed_of(split, 8), CLASSES).metrics()["mAP50"] >= 0.99


def perfect(split: Split) -> BoxPredictions:
    found = [Detections(one.corners, np.linspace(0.9, 0.5, len(one)), one.classes) for one in split.labels]
    return BoxPredictions(found, list(split.labels), CLASSES, np.tile([96, 96], (len(split), 1)), "letterbox")


def test_metrics_and_rows_of_perfect_and_missing_detections():
    split = some_scenes(6)
    whole = perfect(split)
    metrics = whole.metrics()
    assert {spec.name for spec in TASK.metrics} <= set(metrics)
    assert all(value == pytest.approx(1) for value in metrics.values())
    seen = {int(label) for one in split.labels for label in one.classes}
    assert {name for name in metrics if name.startswith("AP/")} == {f"AP/{label}" for label in seen}
    none = dataclasses.replace(whole.found[0], corners=np.zeros((0, 4)), scores=np.zeros(0), classes=np.zeros(0, int))
    rows = dataclasses.replace(whole, found=[none, *whole.found[1:]]).results(split.names)
    expected = {"name": split.names[0], "truths": len(split.labels[0]), "found": 0, "average_precision50": "0.000000"}
    assert expected.items() <= rows[0].items()
    assert rows[1]["found"] == rows[1]["truths"] == len(split.labels[1])
    assert rows[1]["average_precision50"] == "1.000000"


def test_pictures_show_boxes_in_the_colours_of_their_classes():
    split = some_scenes(5)
    whole, dataset = perfect(split), dataset_of(split)
    shown = whole.representative()
    assert shown.tolist() == [0, 1, 2, 3, 4]
    images, labels = feed_of(split, 5).preview(5)
    picture = whole.drawn(images, shown, dataset)
    # Two rows of pairs, four images per row, 96 pixels enlarged threefold, a line above each row and a gap below.
    step = 16 + 288 + 8
    assert picture.shape == (4 * step, 4 * 296 + 8, 3) and picture.dtype == np.uint8
    left = int(split.labels[0].corners[0][0] * 3)
    expected = drawing.colour(int(split.labels[0].classes[0]))
    bottom = int(split.labels[0].corners[0][3] * 3) - 1
    assert tuple(picture[16 + bottom, 8 + left + 3]) == expected == tuple(picture[16 + step + bottom, 8 + left + 3])
    assert TASK.samples(images, labels, dataset).shape == (2 * step, 4 * 296 + 8, 3)
    curves = whole.charts(dataset)["precision_recall"]
    assert curves.ndim == 3 and curves.std() > 10


def test_class_weights_count_boxes():
    labels = [Boxes(np.zeros((4, 4), np.float32), np.array([0, 0, 0, 1]), np.array([False] * 4)),
              Boxes(np.zeros((2, 4), np.float32), np.array([1, 1]), np.array([False, True]))]  # fmt: skip
    split = Split(["a", "b"], np.zeros((2, 8, 8, 3), np.uint8), labels)
    # 3 and 2 boxes without the crowd: each class gets half of the total weight.
    assert TASK.class_weights(split, 3, "balanced") == pytest.approx([5 / 6, 5 / 4, 0])


def test_an_image_is_represented_by_the_class_of_its_largest_box():
    split = some_scenes(3)
    boxes = [Boxes(np.array([[0, 0, 9, 9], [0, 0, 20, 5]], np.float32), np.array([2, 1]), np.zeros(2, bool)),
             Boxes(np.zeros((0, 4), np.float32), np.zeros(0, int), np.zeros(0, bool))]  # fmt: skip
    assert TASK.image_classes(dataclasses.replace(split.take([0, 1]), labels=boxes)).tolist() == [1, -1]
