"""Outputs of saved networks become the outputs that the tasks evaluate."""

from __future__ import annotations

import numpy as np
import pytest

from cvlib import tasks
from cvlib.benchmark.served import Served
from cvlib.tasks.classification.predictions import ClassPredictions

LOGITS = np.random.default_rng(0).normal(0, 3, (6, 4)).astype(np.float32)
IMAGES = np.arange(6, dtype=np.float32).reshape(6, 1, 1, 1)
DATASET = [(IMAGES[:4], None), (IMAGES[4:], None)]


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def served(answer: object, name: str, temperature: float, span: tuple[float, float] | None = None) -> Served:
    """Return a network whose output for an image of the value i is `answer[i]`."""

    def predict(images: np.ndarray) -> list[np.ndarray]:
        return [answer[images[:, 0, 0, 0].astype(int)]]  # type: ignore[index]

    return Served(predict, ["probabilities"], tasks.of(name), {"temperature": temperature}, span)


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_probabilities_of_classes_become_logits(temperature: float) -> None:
    network = served(softmax(LOGITS / temperature), "classification", temperature)
    found = network.predict(DATASET)
    # logits are defined up to a constant for each image
    expected = LOGITS - LOGITS.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(found - found.mean(axis=1, keepdims=True), expected, atol=1e-4)
    decided = ClassPredictions(found, np.zeros(6, int), list("abcd")).decided({"temperature": temperature})
    np.testing.assert_allclose(decided.probabilities, softmax(LOGITS / temperature), atol=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_probabilities_of_class_sets_become_logits(temperature: float) -> None:
    network = served(1 / (1 + np.exp(-LOGITS / temperature)), "multilabel", temperature)
    np.testing.assert_allclose(network.predict(DATASET), LOGITS, atol=1e-4)


@pytest.mark.parametrize("task", ["classification", "multilabel", "segmentation"])
def test_certain_predictions_have_finite_logits(task: str) -> None:
    certain = np.tile(np.array([[0, 1, 0, 0]], np.float32), (6, 1))
    found = served(certain, task, 1.0).predict(DATASET)
    assert np.isfinite(found).all()
    assert found.argmax(axis=1).tolist() == [1] * 6


def test_a_network_for_the_values_of_files_receives_these() -> None:
    seen: list[np.ndarray] = []

    def predict(images: np.ndarray) -> list[np.ndarray]:
        seen.append(images)
        return [np.ones((len(images), 2))]

    Served(predict, ["probabilities"], tasks.of("classification"), {}, (100.0, 1120.0)).predict(DATASET)
    # a pixel of 0–255 is 1020 / 255 = 4 units wide
    assert np.concatenate(seen).ravel().tolist() == [100, 104, 108, 112, 116, 120]


def test_boxes_stay_as_they_are() -> None:
    outputs = {"boxes": np.ones((2, 3, 4)), "classes": np.zeros((2, 3), np.int32), "scores": np.ones((2, 3))}
    network = Served(lambda images: list(outputs.values()), list(outputs), tasks.of("detection"), {}, None)
    found = network.predict([(IMAGES[:2], None), (IMAGES[:2], None)])
    assert {name: part.shape for name, part in found.items()} == {
        "boxes": (4, 3, 4), "classes": (4, 3), "scores": (4, 3),
    }  # fmt: skip
