"""Compare the training of classifiers at 96 px: cvlib with its records, Keras' `fit` alone, and PyTorch with timm."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import measure
import numpy as np
from measure import Cost, Row, timed

SIDE, BATCH, CLASSES = 96, 32, 10
Turn = Callable[[], dict[str, Cost]]


def resnet(quick: bool, **_: Any) -> list[Row]:
    """Measure training steps of ResNet50 in float32 and bfloat16."""
    rows, steps, rounds = [], 3 if quick else 4, 1 if quick else 2
    missing = measure.installed("torch", "timm")
    for precision in ("float32", "bfloat16"):
        what, given = f"ResNet50 training on one core, {precision}", (precision, steps * BATCH)
        contenders = {"ours": (ours, ("resnet", *given)), "bare fit": (bare, ("resnet", *given))}
        if not missing:
            contenders["PyTorch + timm"] = (in_torch, given)
        turns = measure.in_turns(contenders, rounds, one_core=True)
        rows += [measure.faster(what, "images/s", turns["ours"], turns[name], "training", name)
                 for name in contenders if name != "ours"]  # fmt: skip
        if missing:
            rows.append(measure.left_out(f"{what}, against PyTorch", f"{missing} isn't installed"))
    return rows


def cnn(quick: bool, **_: Any) -> list[Row]:
    """Measure the small network, where the overhead of each step matters most."""
    given = ("cnn", "float32", 32 * BATCH if quick else 64 * BATCH)
    turns = measure.in_turns({"ours": (ours, given), "bare fit": (bare, given)}, 2 if quick else 4)
    return [
        measure.faster("cnn training", "images/s", turns["ours"], turns["bare fit"], "training", "bare fit",
                       target="≥ 0.97"),
        measure.faster("cnn epochs, validated and saved", "epochs/s", turns["ours"], turns["bare fit"], "epoch",
                       "bare fit and evaluate",
                       note="ours also writes metrics, curves, a checkpoint and the best weights"),
    ]  # fmt: skip


def arrays(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return random images, uint8 (count, 96, 96, 3), and classes."""
    random = np.random.default_rng(0)
    return random.integers(0, 256, (count, SIDE, SIDE, 3), np.uint8), random.integers(0, CLASSES, count)


def ours(name: str, precision: str, count: int) -> Turn:
    """Prepare the loop of `python run.py`, with its feed, callbacks, metrics, TensorBoard and checkpoints."""
    from shipped import model_config

    from cvlib import tasks
    from cvlib.config.schema import Config, DataConfig, TrainerConfig, as_mapping
    from cvlib.data.input_spec import InputSpec
    from cvlib.data.labels import CLASS
    from cvlib.data.make_feed import make_feed
    from cvlib.data.split import Split
    from cvlib.runs.record import Record
    from cvlib.training import devices
    from cvlib.transfer import regimes

    config = Config(model_config(name), data=DataConfig("folder", path="noise"),
                    trainer=TrainerConfig(1000, precision=precision))  # fmt: skip
    devices.start(config)
    from cvlib.models.network import build
    from cvlib.models.run_state import Parts, RunState
    from cvlib.training import batch_norm, loop
    from cvlib.training.interrupt import Stop

    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    task = tasks.of_config(config)
    record = Record(folder, as_mapping(config), specs=task.metrics).__enter__()
    splits = []
    for part, size in (("train", count), ("val", count // 4)):
        images, labels = arrays(size)
        splits.append(Split([f"{part}/{i}" for i in range(size)], images, labels))
    spec = InputSpec(SIDE, SIDE, 3)
    network = build(config.model, spec, CLASSES)
    batch_norm.prepare(network.model, config.trainer.bn_momentum)
    train = make_feed(splits[0], spec, CLASS, BATCH, seed=0, augmentation=config.augment, shuffle=True)
    val = make_feed(splits[1], spec, CLASS, BATCH, seed=0)
    fitted = loop.Fitted(network.model, task.validated(network), train, val)
    training = loop.Training(config, record, task, network, fitted, train, val, [str(i) for i in range(CLASSES)])
    training.open_board(0)
    state, parts, stop = RunState(), Parts(), Stop()
    phase = regimes.phases(config.mode, config.trainer.epochs)[0]
    loop._begin_phase(training, 0, phase, state, parts)

    def turn() -> dict[str, Cost]:
        costs = {"training": timed(lambda: loop._train_epoch(training, state, parts, stop), count)}
        if name == "cnn":
            costs["epoch"] = timed(lambda: loop._epoch(training, state, parts, stop, phase, last=True))
        return costs

    return turn


def bare(name: str, precision: str, count: int) -> Turn:
    """Prepare the same network in a few lines of plain Keras."""
    from cvlib.training.devices import import_quietly

    import_quietly()
    import keras
    from keras import layers

    keras.config.set_dtype_policy({"float32": "float32", "bfloat16": "mixed_bfloat16"}[precision])
    image = keras.Input((SIDE, SIDE, 3))
    if name == "resnet":
        base = keras.applications.ResNet50(weights=None, include_top=False, pooling="avg", input_shape=(SIDE, SIDE, 3))
        x = base(keras.applications.resnet.preprocess_input(image))
    else:
        x = layers.Rescaling(1 / 255)(image)
        for filters in (32, 64):
            x = layers.MaxPooling2D()(layers.Conv2D(filters, 3, padding="same", activation="relu")(x))
        x = layers.Dense(128, "relu")(layers.Flatten()(x))
    model = keras.Model(image, layers.Dense(CLASSES, dtype="float32")(x))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    (images, labels), (others, classes) = arrays(count), arrays(count // 4)
    images, others = images.astype(np.float32), others.astype(np.float32)

    def epoch() -> None:
        model.fit(images, labels, batch_size=BATCH, verbose=0)
        model.evaluate(others, classes, batch_size=BATCH, verbose=0)

    def turn() -> dict[str, Cost]:
        costs = {"training": timed(lambda: model.fit(images, labels, batch_size=BATCH, verbose=0), count)}
        if name == "cnn":
            costs["epoch"] = timed(epoch)
        return costs

    return turn


def in_torch(precision: str, count: int) -> Turn:
    """Prepare timm's ResNet50 on the CPU, with the channels-last memory layout, which is faster."""
    import timm
    import torch

    model = timm.create_model("resnet50", num_classes=CLASSES).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.Adam(model.parameters())
    pixels, labels = arrays(count)
    images = torch.from_numpy(pixels.astype(np.float32) / 255).permute(0, 3, 1, 2)
    classes = torch.from_numpy(labels)

    def epoch() -> None:
        for chosen in torch.randperm(count).split(BATCH):
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
                batch = images[chosen].contiguous(memory_format=torch.channels_last)
                loss = torch.nn.functional.cross_entropy(model(batch), classes[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item()

    return lambda: {"training": timed(epoch, count)}
