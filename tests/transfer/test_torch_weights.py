"""State dicts of torchvision and timm are loaded into networks that compute the same function, or refused."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from cvlib.models import backbones
from cvlib.models.network import Network
from cvlib.models.torch_names import TorchNames
from cvlib.runtime.errors import UserError
from cvlib.transfer import sources, weights
from tests.configs import model_config
from tests.networks import network, seen_by_base

pytestmark = pytest.mark.usefixtures("eager")

SIZE = (75, 97)  # odd, so that paddings matter
# Some features of torchvision 0.29 and timm 1.0 with the weights of `random_state`, for the image of `features`.
REFERENCE = json.loads((Path(__file__).parent / "data/torch_features.json").read_text())
TORCH = {"convention": "torch"}


def shapes_of(base: keras.Model, names: TorchNames) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a base's tensors as PyTorch stores them, without those of the top."""
    found = {}
    for layer in base.layers:
        for variable in layer.weights:
            shape, depthwise = tuple(variable.shape), isinstance(layer, keras.layers.DepthwiseConv2D)
            if len(shape) == 4:
                height, width, inputs, filters = shape
                shape = (inputs, filters, height, width) if depthwise else (filters, inputs, height, width)
            part = {"kernel": "weight", "gamma": "weight", "beta": "bias", "moving_mean": "running_mean",
                    "moving_variance": "running_var"}.get(variable.name, variable.name)  # fmt: skip
            found[f"{names.modules[layer.name]}.{part}"] = shape
    return found


def random_state(shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    random, tensors = np.random.default_rng(0), {}
    for name, shape in sorted(shapes.items()):
        if len(shape) == 4:
            array = random.normal(size=shape) * np.sqrt(2 / np.prod(shape[1:]))
        elif name.endswith((".running_var", ".weight")):
            array = random.uniform(0.5, 1.5, shape)
        else:
            array = random.normal(size=shape) * 0.1
        tensors[name] = array.astype(np.float32)
    return tensors


def write(file: Path, tensors: dict[str, np.ndarray]) -> str:
    """Write a .safetensors file in float32."""
    header, start = {}, 0
    tensors = {name: np.asarray(array, "<f4") for name, array in tensors.items()}
    for name, array in tensors.items():
        header[name] = {"dtype": "F32", "shape": array.shape, "data_offsets": [start, start + array.nbytes]}
        start += array.nbytes
    text = json.dumps(header).encode()
    content = b"".join(array.tobytes() for array in tensors.values())
    file.write_bytes(len(text).to_bytes(8, "little") + text + content)
    return str(file)


def state_of(built: Network, naming: int = -1) -> dict[str, np.ndarray]:
    names = built.backbone.torch_names(built.config.backbone_options)[naming]
    return random_state(shapes_of(built.base, names)) | {f"{names.top[0]}weight": np.zeros((5, 7), np.float32)}


def features(built: Network) -> np.ndarray:
    image = np.random.default_rng(0).integers(0, 256, (1, *SIZE, 3)).astype(np.float32)
    return np.asarray(built.base(seen_by_base(built, image), training=False))


@pytest.mark.parametrize(("file", "model", "options"), [
    ("tf_efficientnet_lite0", "efficientnet_lite", {}), ("efficientnet_lite0", "efficientnet_lite", TORCH),
    pytest.param("resnet50", "resnet", TORCH, marks=pytest.mark.slow),
    pytest.param("vgg16", "vgg", TORCH, marks=pytest.mark.slow),
])  # fmt: skip
def test_the_features_equal_those_of_pytorch(tmp_path: Path, file: str, model: str, options: dict[str, Any]) -> None:
    built = network(model, SIZE, **options)
    loaded = weights.load_into(built.base, built.config, write(tmp_path / f"{file}.safetensors", state_of(built)))
    assert loaded.matched == built.base.count_params()
    assert [text.split(" ")[1:] for text in loaded.skipped] == [["(35", "parameters)"]]  # the top: 5 · 7
    found = features(built)[0, :, :, ::128].ravel()
    expected = np.array(REFERENCE[file])
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def refusal(source: str, model: str, **options: Any) -> str:
    """Return the message of the check before any image is read."""
    with pytest.raises(UserError) as caught:
        sources.check_source(source, model_config(model, **options), None)
    message = str(caught.value)
    assert source in message and "\n" not in message
    return message


def names_only(tmp_path: Path, model: str, file: str = "some.safetensors", naming: int = -1, **options: Any) -> str:
    """Write a file with the names of a network's tensors, but with small tensors."""
    config = model_config(model, **options)
    names = backbones.get(config.backbone).torch_names(config.backbone_options)[naming]
    return write(
        tmp_path / file,
        {f"{module}.weight": np.zeros(names.channels.get(module, 1)) for module in names.modules.values()},
    )


def test_what_does_not_fit_names_the_overrides_that_would(tmp_path: Path) -> None:
    resnet101 = names_only(tmp_path, "resnet", depth=101)
    assert "set model.depth=101 model.convention=torch" in refusal(resnet101, "resnet")
    assert "set model.depth=101 model.convention=torch" in refusal(resnet101, "yolo", backbone="resnet")
    assert "set model.depth=101, or" in refusal(resnet101, "resnet", **TORCH)
    sources.check_source(resnet101, model_config("resnet", depth=101, **TORCH), None)
    vgg19 = names_only(tmp_path, "vgg", depth=19)
    assert "set model.depth=19 model.convention=torch" in refusal(vgg19, "vgg")
    published = names_only(tmp_path, "efficientnet_lite", naming=0, variant=2)
    assert "set model.variant=2 model.convention=keras" in refusal(published, "efficientnet_lite", **TORCH)


def test_the_name_of_the_file_tells_two_networks_of_timm_apart(tmp_path: Path) -> None:
    unnamed = names_only(tmp_path, "efficientnet_lite", "pytorch_model.safetensors")
    assert "rename the file so that its name begins with tf_efficientnet_lite0" in refusal(unnamed, "efficientnet_lite")
    published = names_only(tmp_path, "efficientnet_lite", "tf_efficientnet_lite0.safetensors")
    assert "model.convention=keras" in refusal(published, "efficientnet_lite", **TORCH)
    own = names_only(tmp_path, "efficientnet_lite", "efficientnet_lite0_ra.safetensors")
    assert "model.convention=torch" in refusal(own, "efficientnet_lite")


def test_other_architectures_are_refused(tmp_path: Path) -> None:
    resnet = names_only(tmp_path, "resnet")
    assert "has no place in model=vgg" in refusal(resnet, "vgg", **TORCH)
    assert "takes no weights of PyTorch: choose one of efficientnet_lite, resnet, vgg" in refusal(resnet, "cnn")
    names = backbones.get("resnet").torch_names(model_config("resnet").backbone_options)[0]
    tensors = {f"{module}.weight": np.zeros(128) for module in names.modules.values()}
    wide = write(tmp_path / "wide.safetensors", tensors)
    assert "layer1.0.conv2 doesn't have 64 channels" in refusal(wide, "resnet", **TORCH)
    small = write(tmp_path / "resnet18.safetensors", {"conv1.weight": np.zeros(1, np.float32)})
    assert "bn1 is missing" in refusal(small, "resnet", **TORCH)


def test_damaged_and_hostile_files_are_refused_before_any_image_is_read(tmp_path: Path) -> None:
    (tmp_path / "evil.pth").write_bytes(b"\x80\x02cos\nsystem\nX\x05\x00\x00\x00touch\x85R.")
    assert "imports 'os.system'" in refusal(str(tmp_path / "evil.pth"), "resnet")
    for name in ("empty.pth", "empty.safetensors"):
        (tmp_path / name).touch()
        refusal(str(tmp_path / name), "resnet")
    whole = Path(names_only(tmp_path, "resnet")).read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[:-1])
    assert "cut short" in refusal(str(tmp_path / "cut.safetensors"), "resnet")


def test_a_tensor_of_another_shape_or_with_nan_changes_nothing(tmp_path: Path) -> None:
    built = network("efficientnet_lite", 32)
    before, good = built.base.get_weights(), state_of(built)
    name = "blocks.1.0.bn1.running_mean"
    for wrong, words in ((np.zeros(7), f"{name} has shape .7,., but stage2_block1_expand_bn needs .96,."),
                         (good[name] * np.nan, "aren't finite"), (None, f"{name} is missing")):  # fmt: skip
        tensors = {key: array for key, array in good.items() if key != name}
        if wrong is not None:
            tensors[name] = wrong
        source = write(tmp_path / "tf_efficientnet_lite0.safetensors", tensors)
        with pytest.raises(UserError, match=words):
            weights.load_into(built.base, built.config, source)
    for array, untouched in zip(built.base.get_weights(), before, strict=True):
        np.testing.assert_array_equal(array, untouched)


def test_the_prefix_of_parallel_training_is_ignored_and_five_channels_get_the_mean_kernel(tmp_path: Path) -> None:
    state = state_of(network("efficientnet_lite", 32))
    target = network("efficientnet_lite", 32, 5)
    source = write(tmp_path / "tf_efficientnet_lite0.safetensors", {f"module.{k}": v for k, v in state.items()})
    assert "takes 5 channels" in weights.load_into(target.base, target.config, source).adapted
    expected = state["conv_stem.weight"].mean(axis=1).transpose(1, 2, 0) * 3 / 5
    np.testing.assert_allclose(target.base.get_weights()[0][:, :, 4], expected, rtol=1e-5)


def test_imagenet_weights_of_keras_are_refused_for_the_other_convention() -> None:
    with pytest.raises(UserError, match=r"remove model\.convention=torch, or set mode\.weights to a file"):
        sources.refuse_other_convention(model_config("resnet", **TORCH))


def test_pixels_of_torch_are_normalized_per_channel() -> None:
    built = network("efficientnet_lite", 32, 3, **TORCH)
    seen = seen_by_base(built, np.full((1, 32, 32, 3), 102.0, np.float32))  # 0.4 of 255
    expected = [(0.4 - 0.485) / 0.229, (0.4 - 0.456) / 0.224, (0.4 - 0.406) / 0.225]
    np.testing.assert_allclose(seen[0, 0, 0], expected, atol=1e-5)


def test_resnet_of_torch_has_the_published_count_of_parameters() -> None:
    built = network("resnet", 32, classes=1000, **TORCH)
    assert sum(math.prod(variable.shape) for variable in built.model.trainable_variables) == 25_557_032
