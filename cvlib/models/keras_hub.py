"""Networks of keras-hub, from a preset. It is imported late, here and in `keras_hub_presets`.

The graphs consist of layers of Keras and of keras-hub. Saved networks contain both; docs/keras_hub.md says what this
means.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cvlib.models.keras_hub_presets import PACKAGE, Preset, description, library, size_word
from cvlib.runtime.errors import UserError

if TYPE_CHECKING:
    import keras
    from keras import KerasTensor

Shape = tuple[int, int, int]
_PLAIN = (bool, int, float, str, tuple, list, type(None))


def graph(preset: Preset, input_shape: Shape, weights: bool) -> keras.Model:
    """Return a preset's backbone: preprocessed pixels `input_shape` → a map `(batch, height, width, features)`.

    A transformer's blocks are layers of the model. Its map is the class token (1×1), or one unit per patch.
    Without `weights`, they are random. Raises `UserError` for a size of images that doesn't fit.
    """
    import keras

    original = _from_preset(preset, input_shape, weights)
    if len(original.inputs) != 1 or len(original.inputs[0].shape) != 4 or len(original.outputs) != 1:
        raise UserError(f"model.preset={preset.name} is a {preset.kind}, which doesn't compute features of one image: "
                        "choose an image backbone")  # fmt: skip
    base = _unrolled(original) or keras.Model(original.inputs[0], original.outputs[0])
    for layer in base.layers:
        if isinstance(layer, keras.Model):
            raise UserError(f"model.preset={preset.name} contains another backbone ({layer.name}), which cvlib can't "
                            "freeze block by block: choose the preset of that backbone")  # fmt: skip
        if _is_own(layer):
            _make_restorable(layer)
    return keras.Model(base.input, _as_map(preset, base.output, input_shape), name="backbone")


def pyramid(preset: Preset) -> list[tuple[str, int, int]]:
    """Return the layer, stride and channels of each map of the preset's pyramid, finest first; empty without one."""
    return list(_pyramid(preset.name))


@functools.cache
def _pyramid(name: str) -> tuple[tuple[str, int, int], ...]:
    original = _from_preset(description(name), None, weights=False)
    layers = {layer.name for layer in original.layers}
    found = []
    for level, tensor in sorted(getattr(original, "pyramid_outputs", {}).items()):
        layer = tensor._keras_history.operation.name
        if level.removeprefix("P").isdigit() and len(tensor.shape) == 4 and layer in layers:
            found.append((layer, 2 ** int(level.removeprefix("P")), int(tensor.shape[-1])))
    return tuple(sorted(found, key=lambda entry: entry[1]))


def layer_class(module: str, name: str) -> type | None:
    """Return a layer class of keras-hub that a saved network may contain; None if there is no such class.

    Networks and tasks are layers, too, but are excluded, because they can load other files.
    """
    import keras

    library()
    found = getattr(sys.modules.get(module), name, None)
    fits = inspect.isclass(found) and issubclass(found, keras.layers.Layer) and not issubclass(found, keras.Model)
    return found if fits and found.__module__ == module and module.startswith(f"{PACKAGE}.") else None


def _from_preset(preset: Preset, input_shape: Shape | None, weights: bool) -> Any:
    """Return keras-hub's own backbone, for images of `input_shape`; None: of the preset's shape."""
    loader = library().get_preset_loader(preset.name)
    kind = _kind(preset, loader)
    parameters = inspect.signature(kind.__init__).parameters
    shape = {"image_shape": input_shape} if input_shape and "image_shape" in parameters else {}
    try:
        original = loader.load_backbone(kind, load_weights=weights, **shape)
        if "position_embedding_shape" in parameters and input_shape:
            return _with_own_positions(loader, kind, input_shape, original)
    except UserError:
        raise
    except Exception as error:  # of a constructor for an unsuitable size, of a file, or of a download
        raise _misfit(preset, input_shape, error) from error
    return original


def _kind(preset: Preset, loader: Any) -> Any:
    """Return the class of a preset's backbone."""
    from keras_hub.models import Backbone

    try:
        kind = loader.check_backbone_class()
    except Exception:  # keras-hub doesn't say which
        kind = None
    if not (inspect.isclass(kind) and issubclass(kind, Backbone)):
        raise UserError(f"model.preset={preset.name}: {preset.kind} is not a backbone of keras-hub: choose another "
                        "preset")  # fmt: skip
    return kind


def _misfit(preset: Preset, input_shape: Shape | None, error: Exception) -> UserError:
    reason = (str(error) or type(error).__name__).strip().splitlines()[0][:160]
    size = "" if input_shape is None else f" for images of {input_shape[0]}×{input_shape[1]} pixels"
    if isinstance(error, ValueError) and preset.size is not None:
        return UserError(f"model.preset={preset.name} can't be built{size} ({reason}): set data.image_size="
                         f"{size_word(preset.size)}")  # fmt: skip
    return UserError(f"model.preset={preset.name} can't be loaded{size} ({reason}): check that it is complete")


def _with_own_positions(loader: Any, kind: Any, input_shape: Shape, original: Any) -> Any:
    """Return a copy of a DINOv2 whose stored positions are those of its own images.

    keras-hub stores the positions for 518×518 pixels and interpolates them when it reads a file. A trained network
    would compute something else after it was saved and read again.
    """
    own = loader.load_backbone(kind, load_weights=False, image_shape=input_shape, position_embedding_shape=input_shape)
    for layer, before in zip(own.layers, original.layers, strict=True):
        arrays = before.get_weights()
        if hasattr(before, "interpolated_position_embeddings"):
            places = [variable.name for variable in before.weights]
            arrays[places.index("position_embeddings")] = arrays[places.index("interpolated_position_embeddings")]
        layer.set_weights(arrays)
    return own


def _is_own(layer: Any) -> bool:
    return type(layer).__module__.split(".")[0] == PACKAGE


def _holds_blocks(layer: Any) -> bool:
    """Return whether a layer only passes its input through several blocks of one class, as ViTEncoder does."""
    inner = [part for part in layer._layers if _is_own(part) and part.weights and part._layers]
    own_weights = layer._trainable_variables or layer._non_trainable_variables
    return _is_own(layer) and not own_weights and max(map([type(part) for part in inner].count, map(type, inner)),
                                                      default=0) > 1  # fmt: skip


def _unrolled(original: keras.Model) -> keras.Model | None:
    """Return a copy, with the same weights, in which the blocks of an encoder are layers of the model.

    Return None for a network without such blocks, and for one whose blocks can't be layers of a model: those of DeiT
    also return None.
    """
    import keras

    if not any(map(_holds_blocks, original.layers)):
        return None

    copies: dict[str, Any] = {}

    def copied(operation: Any) -> Any:
        if not isinstance(operation, keras.layers.Layer):
            return operation.from_config(operation.get_config())
        config = _arguments(operation)
        config["name"] = operation.name.removeprefix(f"{original.name}_")  # blocks are named after their layers
        copies[operation.name] = type(operation).from_config(config)
        return copies[operation.name]

    def called(operation: Any, *arguments: Any, **keywords: Any) -> Any:
        if not (isinstance(operation, keras.layers.Layer) and _is_own(operation)):
            return operation(*arguments, **keywords)
        if not operation.built:
            operation.build(arguments[0].shape)
        return operation.call(*arguments, **keywords) if _holds_blocks(operation) else operation(*arguments, **keywords)

    pixels = keras.Input(original.inputs[0].shape[1:], name="pixels")
    single = keras.Model(original.inputs[0], original.outputs[0])  # DINOv2 takes a dict of inputs
    try:
        network = keras.models.clone_model(single, input_tensors=pixels, clone_function=copied, call_function=called)
    except ValueError:
        return None
    for name, copy in copies.items():
        copy.set_weights(original.get_layer(name).get_weights())
    return keras.Model(pixels, network.outputs[0])


def _arguments(layer: Any) -> dict[str, Any]:
    """Return the complete config of a layer.

    Several layers of keras-hub can't be restored from their own config: it misses arguments, or has entries that are
    no arguments.
    """
    if not _is_own(layer):
        return dict(layer.get_config())
    try:
        config = layer.get_config()
    except AttributeError:  # DeiTEncoder's names attributes that it doesn't have
        config = {"name": layer.name, "trainable": layer.trainable, "dtype": layer.dtype_policy}
    except Exception as error:  # SwinTransformerStage's holds a class
        raise _unsaveable(layer) from error
    known = [name for name, parameter in inspect.signature(type(layer).__init__).parameters.items()
             if parameter.kind is not parameter.VAR_KEYWORD and name != "self"]  # fmt: skip
    missing = {name: getattr(layer, name) for name in known
               if name not in config and isinstance(getattr(layer, name, layer), _PLAIN)}  # fmt: skip
    return {name: value for name, value in config.items() if name in (*known, "name", "trainable", "dtype")} | missing


def _unsaveable(layer: Any) -> UserError:
    return UserError(f"this version of keras-hub can't save its layer {layer.name} ({type(layer).__name__}), so a "
                     "trained network would be lost: choose another model.preset")  # fmt: skip


def _make_restorable(layer: Any) -> None:
    """Make a layer of keras-hub compute the same after it was saved and read again."""
    from keras import saving

    config = _arguments(layer)
    layer.get_config = lambda: {**config, "trainable": layer.trainable}
    try:
        saving.deserialize_keras_object(saving.serialize_keras_object(layer))
    except Exception as error:  # of the layer's own code
        raise _unsaveable(layer) from error
    if hasattr(layer, "interpolated_position_embeddings"):  # DINOv2 stores the positions that it doesn't train
        save = layer.save_own_variables

        def with_positions(store: Any) -> None:
            layer.position_embeddings.assign(layer.interpolated_position_embeddings)
            save(store)

        layer.save_own_variables = with_positions


def _as_map(preset: Preset, features: KerasTensor, input_shape: Sequence[int]) -> KerasTensor:
    """Return a backbone's output as a map, whose mean is the input of the classifier's last layer.

    A sequence with more tokens than patches begins with the class token.
    """
    from keras import layers

    if len(features.shape) != 3:
        return features
    tokens, channels = features.shape[1:]
    rows, columns = (side // step for side, step in zip(input_shape, preset.patch or (1, 1), strict=False))
    if preset.pooling == "token" or (preset.pooling is None and preset.patch and tokens > rows * columns):
        token = layers.Cropping1D((0, tokens - 1), name="class_token")(features)
        return layers.Reshape((1, 1, channels), name="features")(token)
    grid = (rows, columns) if rows * columns == tokens else (tokens, 1)
    return layers.Reshape((*grid, channels), name="features")(features)
