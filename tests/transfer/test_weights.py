"""Weights of every file type are loaded correctly, or nothing changes."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from cvlib import tasks
from cvlib.config.schema import ModelConfig
from cvlib.models.backbones import vgg as vgg_backbone
from cvlib.models.network import Network
from cvlib.runtime.errors import UserError
from cvlib.transfer import h5_files, weights
from cvlib.transfer.weights import WeightsUnavailable
from tests.configs import model_config
from tests.networks import assert_same_weights, network, network_of

pytestmark = pytest.mark.usefixtures("eager")

CNN = model_config(filters=[4, 6], dense=[8], batch_norm=False)
VGG = model_config("vgg")


def cnn(classes: int = 3, **changes: Any) -> Network:
    return network("cnn", 8, 1, classes, **{"filters": [4, 6], "dense": [8], "batch_norm": False, **changes})


def vgg(seed: int, **options: Any) -> keras.Model:
    keras.utils.set_random_seed(seed)
    return keras.applications.VGG16(weights=None, input_shape=(32, 32, 3), **options)


def assert_unchanged_after_refusal(target: keras.Model, config: ModelConfig, source: Path, *words: str) -> None:
    before = target.get_weights()
    with pytest.raises(UserError) as caught:
        weights.load_into(target, config, str(source))
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in (str(source), *words)), message
    for a, b in zip(before, target.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture
def run_folder(tmp_path: Path) -> tuple[Path, Network]:
    """Create a completed run of a small cnn with seven classes."""
    source = cnn(classes=7)
    tasks.of("classification").inference(source).save(tmp_path / "model.keras")
    (tmp_path / "summary.json").write_text(json.dumps({"status": "completed", "model": "cnn"}))
    return tmp_path, source


def test_the_base_of_a_run_is_loaded_without_its_head(run_folder: tuple[Path, Network]) -> None:
    folder, source = run_folder
    target = cnn()
    loaded = weights.load_into(target.base, CNN, str(folder))
    assert_same_weights(target.base, source.base)
    assert loaded.matched == source.base.count_params()
    assert loaded.skipped == ["dense (63 parameters)"]  # the head: (8 + 1) · 7


def test_the_logits_of_a_classifier_on_a_loaded_base_start_at_zero(run_folder: tuple[Path, Network]) -> None:
    folder, source = run_folder
    built = cnn(classes=4)
    weights.start_from(built, str(folder))
    np.testing.assert_array_equal(built.model.predict(np.full((2, 8, 8, 1), 200.0), verbose=0), np.zeros((2, 4)))
    assert_same_weights(built.base, source.base)


@pytest.mark.parametrize("name", ["segmenter", "yolo"])
def test_a_head_of_several_layers_keeps_its_random_weights(name: str) -> None:
    built = network(name)
    before = built.model.get_weights()
    built.start_on_loaded_base()
    for a, b in zip(before, built.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ["whole.keras", "base.keras", "whole.weights.h5", "base.weights.h5"])
def test_keras_3_files_of_the_whole_network_or_its_base_are_loaded(tmp_path: Path, name: str) -> None:
    source, target = cnn(), cnn()
    saved = source.model if name.startswith("whole") else source.base
    saved.save_weights(tmp_path / name) if name.endswith("h5") else saved.save(tmp_path / name)
    weights.load_into(target.base, CNN, str(tmp_path / name))
    assert_same_weights(target.base, source.base)


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize(
    "name", ["notop.h5", "notop.weights.h5", "notop.keras", "top.h5", "top.weights.h5", "top.keras"]
)
def test_files_of_keras_applications_are_loaded_with_and_without_the_top(tmp_path: Path, name: str) -> None:
    options = {"include_top": False} if name.startswith("notop") else {"include_top": True, "classes": 5}
    source = vgg(1, **options)
    source.save_weights(tmp_path / name) if name.endswith("weights.h5") else source.save(tmp_path / name)
    target = vgg(2, include_top=False)
    loaded = weights.load_into(target, VGG, str(tmp_path / name))
    for a, b in zip(target.get_weights(), source.get_weights(), strict=False):
        np.testing.assert_array_equal(a, b)
    assert loaded.matched == 14_714_688
    assert bool(loaded.skipped) == name.startswith("top")


@pytest.mark.parametrize(
    "changes", [{"filters": [4, 8]}, {"dense": [8, 8]}, {"dense": [16]}, {"filters": [4]}, {"kernel": 5}]
)
def test_another_architecture_is_refused(run_folder: tuple[Path, Network], changes: dict[str, Any]) -> None:
    folder, _ = run_folder
    assert_unchanged_after_refusal(cnn(**changes).base, CNN, folder, "different architecture")


def test_the_error_for_weights_of_grey_images_suggests_data_channels(run_folder: tuple[Path, Network]) -> None:
    target = network_of(CNN, 8, 3, 3)
    assert_unchanged_after_refusal(target.base, CNN, run_folder[0], "set data.channels=1, or", "data.channels=3")


def test_a_layer_that_the_file_lacks_is_named(run_folder: tuple[Path, Network]) -> None:
    folder, _ = run_folder
    assert_unchanged_after_refusal(cnn(batch_norm=True).base, CNN, folder, "batch_normalization", "is missing")


def test_a_run_of_another_model_is_refused_by_name(run_folder: tuple[Path, Network]) -> None:
    assert_unchanged_after_refusal(cnn().base, model_config("resnet"), run_folder[0], "model=cnn", "model=resnet")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("missing.h5", None, ["no such file"]),
        ("weights.pkl", b"\x80\x04N.", [".keras"]),
        ("torn.keras", b"PK\x03\x04 torn", ["can't be read"]),
        ("torn.weights.h5", b"\x89HDF\r\n\x1a\n torn", ["can't be read"]),
        ("empty.h5", b"", ["can't be read"]),
    ],
)
def test_a_file_without_weights_is_refused(tmp_path: Path, name: str, content: bytes | None, words: list[str]) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert_unchanged_after_refusal(cnn().base, CNN, tmp_path / name, *words)


def test_a_folder_that_is_not_a_run_and_an_unfinished_run_are_refused(tmp_path: Path) -> None:
    assert_unchanged_after_refusal(cnn().base, CNN, tmp_path, "not a run")
    (tmp_path / "summary.json").write_text(json.dumps({"status": "interrupted", "model": "cnn"}))
    assert_unchanged_after_refusal(cnn().base, CNN, tmp_path, "interrupted")


def _hostile(x: Any, path: str) -> Any:
    Path(path).touch()
    return x


def test_no_code_in_a_file_runs(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    hostile = keras.Sequential([keras.Input((2,)), keras.layers.Lambda(_hostile, arguments={"path": str(touched)})])
    hostile.save(tmp_path / "hostile.keras")
    touched.unlink()  # building the model ran the function
    assert_unchanged_after_refusal(cnn().base, CNN, tmp_path / "hostile.keras")
    assert not touched.exists()


def _from_elsewhere(file: h5py.File, name: str, shape: tuple[int, ...], folder: Path) -> None:
    (folder / "secret").write_bytes(bytes(4 * int(np.prod(shape))))
    file.create_dataset(name, shape, "f4", external=[(str(folder / "secret"), 0, h5py.h5f.UNLIMITED)])


def _linked(file: h5py.File, name: str, shape: tuple[int, ...], folder: Path) -> None:
    with h5py.File(folder / "other.h5", "a") as other:
        other.create_dataset(name, shape, "f4")
    file[name] = h5py.ExternalLink(str(folder / "other.h5"), "/" + name)


def _infinite(file: h5py.File, name: str, shape: tuple[int, ...], folder: Path) -> None:
    file.create_dataset(name, data=np.full(shape, np.inf, np.float32))


def _enormous(file: h5py.File, name: str, shape: tuple[int, ...], folder: Path) -> None:
    file.create_dataset(name, (10**6,) * len(shape), "f4", chunks=True)  # unwritten chunks take no space


def _pickled(file: h5py.File, name: str, shape: tuple[int, ...], folder: Path) -> None:
    file.create_dataset(name, data=np.void(b"cos\nsystem\n(S'touch touched'\ntR."))


@pytest.mark.parametrize(("topological", "make", "words"), [
    (False, _from_elsewhere, "is stored in another file"), (True, _from_elsewhere, "is stored in another file"),
    (False, _linked, "different architecture"), (True, _linked, "is stored in another file"),
    (False, _infinite, "aren't finite"), (True, _infinite, "aren't finite"),
    (False, _enormous, "different architecture"), (True, _enormous, "different architecture"),
    (False, _pickled, "different architecture"), (True, _pickled, "different architecture"),
])  # fmt: skip
def test_abnormal_arrays_are_refused(tmp_path: Path, topological: bool, make: Callable[..., None], words: str) -> None:
    target = cnn().base
    with h5py.File(tmp_path / "strange.weights.h5", "w") as file:
        target.save_weights(tmp_path / "own.weights.h5")
        with h5py.File(tmp_path / "own.weights.h5") as own:
            for name, array in h5_files._arrays(own).items() if not topological else ():
                make(file, name, array.shape, tmp_path)
        if topological:
            file.attrs["layer_names"] = [b"all"]
            file.create_group("all").attrs["weight_names"] = [v.path.encode() for v in target.weights]
            for variable in target.weights:
                make(file["all"], variable.path, tuple(variable.shape), tmp_path)
    assert_unchanged_after_refusal(target, CNN, tmp_path / "strange.weights.h5", words)


def test_archives_are_read_without_being_unpacked(run_folder: tuple[Path, Network]) -> None:
    folder, source = run_folder
    with zipfile.ZipFile(folder / "model.keras", "a") as archive:
        for name in ("../touched", "../../touched", str(folder / "touched")):
            archive.writestr(name, b"x")
    before = sorted(folder.parent.rglob("*"))
    target = cnn().base
    weights.load_into(target, CNN, str(folder / "model.keras"))
    assert_same_weights(target, source.base)
    assert sorted(folder.parent.rglob("*")) == before


def test_an_encrypted_archive_is_reported_as_unreadable(run_folder: tuple[Path, Network]) -> None:
    file = run_folder[0] / "model.keras"
    content = bytearray(file.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # headers of a member and of its directory entry
        start = content.find(signature)
        while start >= 0:
            content[start + flags] |= 1
            start = content.find(signature, start + 1)
    file.write_bytes(content)
    assert_unchanged_after_refusal(cnn().base, CNN, file, "can't be read", "encrypted")


def test_the_error_for_a_failed_download_lists_alternatives(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object) -> None:
        raise Exception("URL fetch failure on https://host.example/vgg16_notop.h5: None -- [Errno -3]")

    monkeypatch.setattr(vgg_backbone, "application", unreachable)
    with pytest.raises(WeightsUnavailable) as caught:
        weights.load_into(vgg(0, include_top=False), VGG, "imagenet")
    message = str(caught.value)
    words = ["https://host.example/vgg16_notop.h5", ".keras", "weights file", "run's folder", "mode=scratch"]
    assert all(word in message for word in words), message
    assert "\n" not in message


def test_an_architecture_without_imagenet_weights_is_refused() -> None:
    with pytest.raises(WeightsUnavailable, match="no ImageNet weights for cnn"):
        weights.load_into(cnn().base, CNN, "imagenet")


@pytest.mark.parametrize("file", ["model.keras", "base.h5", "base.weights.h5"])
def test_a_base_for_rgb_is_adapted_to_five_channels(tmp_path: Path, file: str) -> None:
    source = network_of(CNN, 8, 3, 7)
    if file == "model.keras":
        tasks.of("classification").inference(source).save(tmp_path / file)
    elif file == "base.h5":
        source.base.save(tmp_path / file)
    else:
        source.base.save_weights(tmp_path / file)
    target = network_of(CNN, 8, 5, 3).base
    loaded = weights.load_into(target, CNN, str(tmp_path / file))
    kernel, adapted = source.base.get_weights()[0], target.get_weights()[0]
    assert "takes 5 channels" in loaded.adapted
    for channel in range(5):
        np.testing.assert_allclose(adapted[:, :, channel], kernel.mean(axis=2) * 3 / 5, rtol=1e-6)
    for own, theirs in zip(target.get_weights()[1:], source.base.get_weights()[1:], strict=True):
        np.testing.assert_array_equal(own, theirs)
