"""Features in two dimensions, and TensorBoard's projector files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cvlib.data.input_spec import InputSpec
from cvlib.inspection import embedding, graph
from tests.inspection.conftest import Planted, saved_classifier


def test_features_are_the_input_of_the_last_layer(planted: Planted) -> None:
    assert embedding.features_step(planted.model).name == "pooled"
    found = embedding.features(planted.model, [planted.images[:3], planted.images[3:5]])
    assert found.shape == (5, 16)
    kernel, bias = planted.model.get_layer("logits").get_weights()
    logits = graph.activations(planted.model, planted.images[:5], ["logits"])["logits"]
    np.testing.assert_allclose(found @ kernel + bias, logits, atol=1e-4)


def test_the_output_of_a_last_dropout_layer_gives_the_features() -> None:
    model = saved_classifier("cnn", InputSpec(12, 12, 1), dropout=0.5)
    assert embedding.features_step(model).name == "dense1_dropout"


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_two_clusters_stay_separate(method: str) -> None:
    random = np.random.default_rng(0)
    values = np.concatenate([random.normal(0, 1, (20, 12)), random.normal(8, 1, (20, 12))])
    points = embedding.project(values, method)
    assert points.shape == (40, 2)
    centres = points[:20].mean(axis=0), points[20:].mean(axis=0)
    spread = max(points[:20].std(axis=0).max(), points[20:].std(axis=0).max())
    assert np.linalg.norm(centres[0] - centres[1]) > 2 * spread


def test_pca_equals_a_singular_value_decomposition() -> None:
    values = np.random.default_rng(1).normal(0, (5, 3, 1, 0.1), (50, 4))
    left, singular, _ = np.linalg.svd(values - values.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(np.abs(embedding.project(values)), np.abs((left * singular)[:, :2]), atol=1e-4)


def test_a_scatter_plot_is_drawn_with_and_without_labels() -> None:
    picture = embedding.scatter(np.eye(3, 2, dtype=np.float32), np.array([0, 1, 1]), ["a", "b"], "title")
    assert picture.shape[2] == 3
    assert embedding.scatter(np.eye(3, 2, dtype=np.float32), None, ["a"], "title").shape == picture.shape


def test_the_projector_finds_its_files(tmp_path: Path) -> None:
    from google.protobuf import text_format
    from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

    images = [np.full((5, 5, 1), level, np.uint8) for level in (0, 100, 200)]
    embedding.write_projector(tmp_path, np.eye(3), ["one", "t\two", "three"], ["a", "b", "b"], images)
    config = text_format.Parse((tmp_path / "projector_config.pbtxt").read_text(), ProjectorConfig())
    found = config.embeddings[0]
    vectors = np.loadtxt(tmp_path / found.tensor_path, delimiter="\t")
    np.testing.assert_array_equal(vectors, np.eye(3))
    metadata = (tmp_path / found.metadata_path).read_text().splitlines()
    assert metadata == ["name\tclass", "one\ta", "t wo\tb", "three\tb"]
    side = found.sprite.single_image_dim[0]
    sprite = np.asarray(Image.open(tmp_path / found.sprite.image_path))
    assert sprite.shape == (2 * side, 2 * side, 3)
    assert [sprite[0, 0, 0], sprite[0, side, 0], sprite[side, 0, 0]] == [0, 100, 200]
