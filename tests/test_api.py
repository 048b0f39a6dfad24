"""The Python interface gives the same results as the commands."""

from __future__ import annotations

import random
import subprocess
import sys
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow
from PIL import Image

import cvlib
from cvlib.runtime.errors import UserError
from cvlib.tasks import saved
from tests import programs
from tests.prediction.test_prediction import SMALL
from tests.prediction.test_prediction import write_run as write_untrained
from tests.small_runs import write_run

QUICK = ["model.filters=[4]", "model.dense=[8]", "trainer.epochs=1", "trainer.steps_per_epoch=2"]


def test_the_import_alone_imports_neither_keras_nor_hydra() -> None:
    code = (
        "import sys, cvlib; print(dir(cvlib)); assert not {'keras', 'tensorflow', 'hydra', 'numpy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert set(cvlib.__all__) <= set(done.stdout.replace("'", "").strip("[]\n").split(", "))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'fit'"):
        cvlib.fit  # noqa: B018


def test_load_data_applies_overrides() -> None:
    data = cvlib.load_data("data=digits", "data.classes=['3','5']")
    assert data.classes == ["3", "5"]
    assert data.train.images.shape[1:] == (8, 8, 1)
    boxes = cvlib.load_data("model=yolo", "data.samples=20")
    assert boxes.task == "detection"


def test_build_returns_the_network_of_a_run(tmp_path: Path) -> None:
    model = cvlib.build("model.filters=[4,6]", "data.image_size=12", "model.dense=[]")
    assert model.input_shape == (None, 12, 12, 1)
    assert model.output_shape == (None, 10)
    write_run(tmp_path / "run")
    frozen = cvlib.build("model.filters=[4,6]", "model.dense=[8]", "data.image_size=12", "mode=feature_extractor",
                         f"mode.weights={tmp_path / 'run'}")  # fmt: skip
    base = frozen.get_layer("backbone")
    assert not base.trainable_variables
    saved = keras.saving.load_model(tmp_path / "run/model.keras").get_layer("backbone")
    for weight, expected in zip(base.get_weights(), saved.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_train_load_evaluate_and_predict_agree(tmp_path: Path) -> None:
    run = cvlib.train(*QUICK, folder=tmp_path / "run")
    assert run.summary["status"] == "completed"
    assert (tmp_path / "run/.hydra/overrides.yaml").read_text().startswith("- model.filters=[4]\n")
    loaded = cvlib.load_run(tmp_path / "run")
    found = cvlib.evaluate(loaded)
    assert found.metrics["accuracy"] == pytest.approx(run.summary["metrics"]["test/accuracy"])
    split = cvlib.load_data(*QUICK).test
    answers = cvlib.predict(loaded, split.images[:5])
    assert [answer.classes[0] for answer in answers] == [row["prediction"] for row in found.results[:5]]
    Image.fromarray(split.images[0, ..., 0]).save(tmp_path / "digit.png")
    (of_file, of_colour) = cvlib.predict(loaded, [tmp_path / "digit.png", np.repeat(split.images[0], 3, axis=-1)])
    assert of_file.probabilities == pytest.approx(answers[0].probabilities, abs=1e-6)
    assert of_colour.probabilities == pytest.approx(answers[0].probabilities, abs=1e-6)
    assert cvlib.network(loaded).output_shape == (None, 10)


@pytest.mark.parametrize("task", ["detection", "segmentation"])
def test_predict_returns_boxes_and_masks(task: str, tmp_path: Path) -> None:
    write_untrained(tmp_path / "run", SMALL[task])
    (found,) = cvlib.predict(str(tmp_path / "run"), np.full((50, 80, 3), 90, np.uint8))
    if task == "detection":
        assert found.corners.shape == (len(found), 4)
    else:
        assert found.shape == (50, 80)


@pytest.mark.parametrize("task", ["detection", "segmentation"])
def test_many_images_of_all_sizes_have_the_answers_of_single_ones(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_untrained(tmp_path / "run", SMALL[task])
    load, loaded = saved.network, []
    monkeypatch.setattr(saved, "network", lambda run: loaded.append(run) or load(run))
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (30 + 5 * number, 90 - 2 * number, 3)).astype(np.uint8) for number in range(20)]
    single = [cvlib.predict(tmp_path / "run", image)[0] for image in images]
    for one, other in zip(single, cvlib.predict(tmp_path / "run", images), strict=True):
        if task == "detection":
            np.testing.assert_allclose(one.scores, other.scores, atol=1e-4)
            assert one.corners.max() <= 130 and len(one) > 0
        else:
            assert one.shape == other.shape and (one == other).mean() > 0.99
    assert len(loaded) == 1  # the network is kept


def test_invalid_input_is_a_one_line_error(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    for call, words in [
        (lambda: cvlib.build("model=resnett"), "did you mean resnet"),
        (lambda: cvlib.load_run(tmp_path), "is not a run"),
        (lambda: cvlib.predict(tmp_path / "run", "absent.png"), "absent.png is not a file"),
        (lambda: cvlib.predict(tmp_path / "run", np.zeros((8, 8))), "invalid image array"),
        (lambda: cvlib.predict(tmp_path / "run", np.zeros((1, 0, 8, 1))), "invalid image array"),
        (lambda: cvlib.evaluate(tmp_path / "run", split="all"), "invalid split all: expected one of train, val, test"),
        (lambda: cvlib.train("hydra.run.dir=here"), "hydra.run.dir"),
    ]:
        with pytest.raises(UserError, match=words) as caught:
            call()
        assert "\n" not in str(caught.value)
    assert cvlib.predict(tmp_path / "run", []) == cvlib.predict(tmp_path / "run", np.zeros((0, 8, 8, 1))) == []


@pytest.mark.slow
def test_the_example_notebook_runs(tmp_path: Path) -> None:
    script = Path(__file__).parents[1] / "experiments/notebook.py"
    done = programs.run(tmp_path, str(script))
    assert done.returncode == 0, done.stderr
    assert "the hardest class is" in done.stdout
    assert len(list((tmp_path / "outputs/runs/notebook").iterdir())) == 1


def test_the_state_of_the_users_program_is_unchanged(tmp_path: Path) -> None:
    """The next random numbers are those that they would have been without a call, and so are Keras' settings."""

    def numbers() -> list[float]:
        tensor = keras.ops.convert_to_numpy(keras.random.uniform((2,)))
        return [random.random(), float(np.random.rand()), *tensor.tolist(), float(tensorflow.random.uniform(()))]

    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        keras.utils.set_random_seed(7)
        numbers()
        expected = numbers()
        keras.utils.set_random_seed(7)
        numbers()
        run = cvlib.train(*QUICK, "seed=3", folder=tmp_path / "run")
        cvlib.evaluate(run, split="val")
        cvlib.predict(run, np.zeros((8, 8, 1), np.uint8))
        assert numbers() == expected
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy("float32")


def test_pixels_between_0_and_1_are_reported(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    run, image = cvlib.load_run(tmp_path / "run"), np.linspace(0, 1, 144, dtype=np.float32).reshape(12, 12, 1)
    with pytest.warns(UserWarning, match="multiply them by 255"):
        cvlib.predict(run, image)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for silent in (255 * image, np.zeros_like(image), (image > 0.5).astype(np.uint8)):
            cvlib.predict(run, silent)
