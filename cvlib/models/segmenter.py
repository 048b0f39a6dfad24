"""Encoder–decoder networks that label every pixel: any of our bases, three ways up, with or without skips.

With skips it is a U-Net (Ronneberger, Fischer & Brox, 2015), with `unpool` and none a SegNet.
"""

from __future__ import annotations

import keras
from keras import KerasTensor, layers, ops

from cvlib import models
from cvlib.config.schema import ModelConfig
from cvlib.models import decoders
from cvlib.models.preprocessing import image_input
from cvlib.models.pyramid import preprocess, pyramid
from cvlib.runtime.errors import UserError

_AUXILIARY_STRIDE = 8  # pixels between the places that the auxiliary classifier judges, at most

DECODERS = {"interpolate": decoders.interpolate, "unpool": decoders.unpool, "transpose": decoders.transpose}


def build(config: ModelConfig, input_shape: tuple[int, int, int], outputs: int) -> keras.Model:
    """Raw 0–255 pixels `(batch, height, width, 1 or 3)` → logits `(batch, height, width, outputs)` of every pixel.

    With `config.auxiliary_weight` above 0 the output is `{"logits": …, "auxiliary": …}`: an auxiliary classifier
    half-way up, on a coarser grid, has the deep layers tell the classes apart long before the last layers can. Its
    loss counts in training only (Lee et al., Deeply-Supervised Nets, 2015; Zhao et al., PSPNet, 2017).

    Raises `UserError` for an encoder that isn't there, an image too small for it, or unpooling without max pooling.
    """
    family = config.encoder or "cnn"
    _check_unpooling(config, family)
    image = image_input(input_shape)
    pixels = preprocess(family, image)
    *levels, x = pyramid(config, family, pixels.shape[1:])(pixels)
    auxiliary = None
    for number, level in reversed(list(enumerate(levels, start=1))):
        x = _stage(config, x, level, min(level.shape[-1], config.decoder_filters), f"up{number}")
        if config.auxiliary_weight and auxiliary is None and x.shape[1] >= image.shape[1] // _AUXILIARY_STRIDE:
            auxiliary = layers.Conv2D(outputs, 1, dtype="float32", name="auxiliary")(x)
    if x.shape[1:3] != image.shape[1:3]:  # the encoder's finest map is at half the size already
        x = DECODERS[config.decoder](config, x, image, max(8, x.shape[-1] // 2), "up0")
    if config.dropout:
        x = layers.SpatialDropout2D(config.dropout, name="head_dropout")(x)
    logits = layers.Conv2D(outputs, 1, dtype="float32", name="logits")(x)
    answers = logits if auxiliary is None else {"logits": logits, "auxiliary": auxiliary}
    return keras.Model(image, answers, name="segmenter")


def _stage(config: ModelConfig, x: KerasTensor, level: KerasTensor, filters: int, name: str) -> KerasTensor:
    """One step up, the encoder's map beside it if chosen, a convolution over both."""
    x = DECODERS[config.decoder](config, x, level, filters, name)
    # Unpooling leaves zeros to fill; and without a skip nothing tells where what came up from below lies.
    if config.decoder == "unpool" or not config.skip:
        x = decoders.convolution(x, filters, f"{name}_alone")
    if config.skip:
        x = layers.Concatenate(name=f"{name}_skip")([x, level])
    return decoders.convolution(x, filters, f"{name}_conv")


def _check_unpooling(config: ModelConfig, family: str) -> None:
    if config.decoder != "unpool":
        return
    why = None
    if family in ("resnet", "inception"):
        why = f"{family} halves by strided convolution or 3×3 pooling"
    elif family == "cnn" and (config.pooling, config.stride, config.padding) != ("max", 1, "same"):
        why = f"model.pooling={config.pooling} model.stride={config.stride} model.padding={config.padding} isn't that"
    if why:
        raise UserError(f"model.decoder=unpool needs an encoder whose every level ends in 2×2 max pooling, and {why}: "
                        "choose model.encoder=cnn or vgg, or model.decoder=interpolate or transpose")  # fmt: skip


def inference(network: keras.Model, size: tuple[int, int], how: str = "stretch") -> keras.Model:
    """The network as it is saved: raw images `(batch, any, any, channels)` → probabilities of every pixel.

    `(batch, height, width, classes)` at the image's own size: the image is resized to `size` (`how`: stretch |
    letterbox) and rounded as in training, the probabilities are resized back (bilinear, half-pixel centres). It
    holds plain Keras layers and operations only, "backbone" among them, and shares the weights of `network`.
    """
    image, pixels = models.network_input(network.input_shape[-1], size, how)
    scores = models.logits(network).call(pixels)
    probabilities = keras.layers.Softmax(name="probabilities", dtype="float32")(scores)
    vertical, horizontal = image[:, :, :1, 0], ops.transpose(image[:, :1, :, 0], (0, 2, 1))
    height, width = _counted(vertical), _counted(horizontal)
    letterbox = how == "letterbox"
    rows = _resizing_weights(vertical, _padding(height, width * size[0] / size[1]) if letterbox else 0, size[0])
    columns = _resizing_weights(horizontal, _padding(width, height * size[1] / size[0]) if letterbox else 0, size[1])
    tall = ops.einsum("bih,bhwc->biwc", rows, probabilities)
    return keras.Model(image, ops.einsum("bjw,biwc->bijc", columns, tall), name="segmenter")


def _counted(line: KerasTensor) -> KerasTensor:
    """The length of `line` (batch, any, 1), (batch, 1, 1): counted, for it isn't known before there is an image."""
    return ops.sum(ops.ones_like(line), axis=1, keepdims=True)


def _padding(side: KerasTensor, wanted: KerasTensor) -> KerasTensor:
    """The pixels before the first one, as `Resizing` puts them there to keep the aspect ratio."""
    return ops.floor(ops.maximum(ops.floor(wanted) - side, 0) / 2)


def _resizing_weights(line: KerasTensor, padding: KerasTensor | int, side: int) -> KerasTensor:
    """The share that each of `side` positions has in each pixel of `line` (batch, any, 1): (batch, any, side)."""
    centres = ops.cumsum(ops.ones_like(line), axis=1) - 0.5 + padding
    positions = centres * side / (_counted(line) + 2 * padding) - 0.5
    distances = ops.abs(ops.clip(positions, 0, side - 1) - ops.arange(side, dtype="float32"))
    return ops.relu(1 - distances)
