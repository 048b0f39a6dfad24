"""Mask metrics compared with scikit-learn, and the masks that an evaluation keeps."""

from __future__ import annotations

import types
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, jaccard_score, log_loss

from cvlib.data.dataset import IGNORE, Dataset, Split
from cvlib.tasks.segmentation import TASK, task
from cvlib.tasks.segmentation.predictions import MaskPredictions

CLASSES = ["ground", "cat", "dog", "bird"]
RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(5, 6, 7, 4)).astype(np.float32)
TRUTH = RNG.integers(0, 4, (5, 6, 7)).astype(np.int32)
LOGITS += 2 * np.eye(4)[TRUTH]  # right more often than not
TRUTH[:, 0] = IGNORE
VALID = TRUTH != IGNORE
GUESS = LOGITS.argmax(axis=-1)


def scored(truth: np.ndarray = TRUTH, logits: np.ndarray = LOGITS, keep: set[int] | None = None) -> MaskPredictions:
    found = MaskPredictions.none(CLASSES)
    for start in range(0, len(truth), 2):
        found.add(truth[start : start + 2], logits[start : start + 2], keep)
    return found


def dataset(truth: Any = TRUTH) -> Dataset:
    split = Split([str(i) for i in range(len(truth))], np.zeros((5, 6, 7, 3), np.uint8), truth)
    return Dataset("d", "segmentation", CLASSES, 3, (6, 7), split, split, split, [])


def test_metrics_equal_scikit_learns_over_the_labelled_pixels() -> None:
    truth, guess = TRUTH[VALID], GUESS[VALID]
    exponentials = np.exp(LOGITS[VALID].astype(np.float64))
    metrics = scored().metrics()
    assert metrics["mIoU"] == pytest.approx(jaccard_score(truth, guess, average="macro"))
    assert metrics["dice"] == pytest.approx(f1_score(truth, guess, average="macro"))
    assert metrics["pixel_accuracy"] == pytest.approx(accuracy_score(truth, guess))
    assert metrics["loss"] == pytest.approx(
        log_loss(truth, exponentials / exponentials.sum(1, keepdims=True)), rel=1e-5
    )
    each = jaccard_score(truth, guess, average=None)
    assert [metrics[f"IoU/{name}"] for name in CLASSES] == pytest.approx(each)
    assert list(metrics)[:5] == [spec.name for spec in TASK.metrics]


def test_rows_by_class_equal_scikit_learns() -> None:
    rows = scored().by_class()
    assert [row["IoU"] for row in rows] == pytest.approx(jaccard_score(TRUTH[VALID], GUESS[VALID], average=None))
    assert [row["pixels"] for row in rows] == pytest.approx(np.bincount(TRUTH[VALID]) / VALID.sum())
    nothing = scored(np.zeros((1, 2, 2), int), np.eye(4, dtype=np.float32)[[[[0, 0], [0, 0]]]]).by_class()
    assert [row["IoU"] for row in nothing] == [1, None, None, None]


def test_the_worst_images_come_first_and_perfect_ones_never() -> None:
    found = MaskPredictions.none(CLASSES)
    found.samples.extend([(0.5, 1), (1.0, 1), (0.1, 1), (0.9, 1)])
    assert found.worst(2).tolist() == [2, 0]
    assert found.worst(9).tolist() == [2, 0, 3]


def test_a_class_in_neither_truth_nor_prediction_is_left_out_of_the_mean() -> None:
    truth = np.array([[[0, 0], [1, IGNORE]]])
    logits = np.eye(4, dtype=np.float32)[[[[0, 1], [1, 3]]]]
    # ground: 1 of 2; cat: 1 of 2; dog never; bird only where ignored
    metrics = scored(truth, logits).metrics()
    assert metrics["mIoU"] == pytest.approx(0.5)
    assert metrics["pixel_accuracy"] == pytest.approx(2 / 3)
    assert [name for name in metrics if name.startswith("IoU")] == ["IoU/ground", "IoU/cat"]


def test_a_class_that_is_only_predicted_counts_as_zero() -> None:
    logits = np.eye(4, dtype=np.float32)[[[[0, 2]]]]
    assert scored(np.array([[[0, 0]]]), logits).metrics()["mIoU"] == pytest.approx((0.5 + 0) / 2)


def test_without_labelled_pixels_metrics_are_0_and_the_loss_is_nan() -> None:
    metrics = scored(np.full((1, 2, 2), IGNORE), np.zeros((1, 2, 2, 4), np.float32)).metrics()
    assert np.isnan(metrics.pop("loss"))
    assert metrics == {"mIoU": 0.0, "pixel_accuracy": 0.0, "dice": 0.0, "boundary_IoU": 0.0}


def test_each_image_has_its_own_row() -> None:
    rows = scored().results([f"image{i}" for i in range(5)])
    assert [row["name"] for row in rows] == [f"image{i}" for i in range(5)]
    for row, truth, guess in zip(rows, TRUTH, GUESS, strict=True):
        valid = truth != IGNORE
        assert float(row["mIoU"]) == pytest.approx(jaccard_score(truth[valid], guess[valid], average="macro"), abs=1e-6)
        assert float(row["pixel_accuracy"]) == pytest.approx((truth == guess)[valid].mean(), abs=1e-6)


def test_pseudo_values_are_the_slopes_of_the_miou_and_average_to_it() -> None:
    """Increasing an image's weight by a small ε changes the mIoU by ε · (pseudo-value − mIoU) / n."""
    rows = scored().results([str(i) for i in range(5)])
    shares = [float(row["mIoU_pseudo_value"]) for row in rows]
    whole = jaccard_score(TRUTH[VALID], GUESS[VALID], average="macro")
    assert np.mean(shares) == pytest.approx(whole, abs=1e-6)
    for number, share in enumerate(shares):
        weights = np.broadcast_to(np.where(np.arange(5) == number, 1 + 1e-5, 1)[:, None, None], VALID.shape)[VALID]
        heavier = jaccard_score(TRUTH[VALID], GUESS[VALID], average="macro", sample_weight=weights)
        assert 5 * (heavier - whole) / 1e-5 == pytest.approx(share - whole, abs=1e-3)


def test_evaluation_covers_the_feed_and_keeps_only_some_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task, "_IMAGES_SHOWN", 2)
    batches = [(np.array([i]), TRUTH[i : i + 1]) for i in range(5)]
    feed = types.SimpleNamespace(batches=lambda: batches, split=range(5), windows=None)
    network = types.SimpleNamespace(predict_on_batch=lambda images: LOGITS[images])
    found = TASK.evaluate(network, feed, CLASSES)  # type: ignore[arg-type]
    assert found.metrics() == scored().metrics()
    assert found.representative().tolist() == [0, 4]
    np.testing.assert_array_equal(found.shown[4][0], TRUTH[4])
    np.testing.assert_array_equal(found.shown[4][1], GUESS[4])


def test_balanced_weights_give_every_class_the_same_share() -> None:
    masks = np.array([[[0, 0, 0], [0, 1, IGNORE]], [[0, 0, 0], [2, 2, IGNORE]]], np.uint8)
    # 10 labelled pixels: 7 ground, 1 cat, 2 dogs, no bird: 10 / (3 classes · pixels)
    expected = [10 / 21, 10 / 3, 10 / 6, 0]
    arrays = Split(["a", "b"], np.zeros((2, 2, 3, 3), np.uint8), masks)
    readers = Split(["a", "b"], [], [lambda: masks[0], lambda: masks[1]])
    for split in (arrays, readers):
        np.testing.assert_allclose(TASK.class_weights(split, 4, "balanced"), expected)


def test_pictures_have_the_datasets_colours() -> None:
    colours = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)
    data = Dataset(**{**dataset().__dict__, "colours": colours})
    found = scored(keep={0, 3})
    images = np.full((2, 6, 7, 3), 128, np.uint8)
    drawn = found.drawn(images, found.representative(), data)
    seen = {tuple(colour) for colour in drawn.reshape(-1, 3).tolist()}
    assert {(255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128)} <= seen
    assert TASK.samples(images, TRUTH[:2], data).shape[-1] == 3
    assert found.charts(data)["confusion_matrix"].shape[-1] == 3


def test_an_auxiliary_classifiers_loss_counts_only_in_training() -> None:
    from cvlib.data.input_spec import InputSpec
    from cvlib.models.network import build
    from tests.configs import config

    chosen = config("segmenter", filters=[4, 6])
    network = build(chosen.model, InputSpec(16, 16, 3), 4)
    network.model.compile("sgd", **TASK.compile_arguments(network, chosen))
    targets = TASK.targets(RNG.integers(0, 4, (2, 16, 16)), network)
    logs = network.model.evaluate(np.zeros((2, 16, 16, 3)), targets, verbose=0, return_dict=True)
    assert [output.loss_weight for output in network.outputs] == [1.0, 0.4]
    assert logs["loss"] == pytest.approx(logs["logits_loss"] + 0.4 * logs["auxiliary_loss"], rel=1e-5)
    shown = TASK.training_metrics(logs)
    assert shown == {"loss": logs["logits_loss"], "pixel_accuracy": logs["logits_pixel_accuracy"]}
    assert TASK.validated(network).output_shape == (None, 16, 16, 4)
