"""cvlib's detector against Ultralytics' YOLOv8n at 320 px, batch size 16: training, and prediction with NMS."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from typing import Any

import measure
import numpy as np
from measure import Cost, Row, timed

SIDE, BATCH, CLASSES, OBJECTS = 320, 16, 10, 4
MIN_SCORE, NMS_IOU, MAX_BOXES = 0.001, 0.6, 100  # score threshold, IoU threshold and maximum boxes of NMS, for both
Turn = Callable[[], dict[str, Cost]]


def detection(quick: bool, **_: Any) -> list[Row]:
    """Measure both on the same random images, with the same boxes."""
    what = "detector on one core"
    if missing := measure.installed("torch", "ultralytics"):
        return [measure.left_out(f"{what}, against YOLOv8n", f"{missing} isn't installed")]
    batches, rounds = (1, 1) if quick else (2, 2)
    turns = measure.in_turns({"ours": (ours, (batches,)), "YOLOv8n": (yolov8, (batches,))}, rounds, one_core=True)
    facts = [measure.in_turns({name: (size, (name,))}, 1)[name][0] for name in ("ours", "YOLOv8n")]
    note = "; ".join(f"{name} {fact['parameters'].units / 1e6:.2f} M parameters, {fact['flops'].units / 1e9:.2f} GFLOPs"
                     for name, fact in zip(("ours", "YOLOv8n"), facts, strict=True))  # fmt: skip
    return [measure.faster(f"{what}, {label}", "images/s", turns["ours"], turns["YOLOv8n"], label, "YOLOv8n", note=note)
            for label in ("training", "prediction")]  # fmt: skip


def arrays(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return images, float32 (count, 320, 320, 3), 0–255; corners in pixels (count, 4, 4); classes (count, 4)."""
    random = np.random.default_rng(0)
    low = random.uniform(0, SIDE / 2, (count, OBJECTS, 2))
    corners = np.concatenate([low, low + random.uniform(20, SIDE / 2, low.shape)], -1).astype(np.float32)
    images = random.uniform(0, 255, (count, SIDE, SIDE, 3)).astype(np.float32)
    return images, corners, random.integers(0, CLASSES, (count, OBJECTS))


def _built() -> Any:
    from shipped import model_config

    from cvlib.config.schema import Config
    from cvlib.data.input_spec import InputSpec
    from cvlib.training import devices

    config = Config(model_config("yolo"))
    devices.start(config)
    from cvlib.models.network import build

    return config, build(config.model, InputSpec(SIDE, SIDE, 3, "letterbox"), CLASSES)


def ours(batches: int) -> Turn:
    """Prepare the network, loss, optimizer and non-maximum suppression of `model=yolo`."""
    from cvlib import tasks

    config, network = _built()
    from cvlib.training import batch_norm, optimizer
    from cvlib.transfer import regimes

    model, task = network.model, tasks.of_config(config)
    batch_norm.prepare(model, config.trainer.bn_momentum)
    phase = regimes.phases(config.mode, config.trainer.epochs)[0]
    update = optimizer.build(config, network, phase, model.trainable_variables, steps_per_epoch=1, first_steps={})
    model.compile(update, **task.compile_arguments(network, config))
    found = task.validated(network)
    images, corners, classes = arrays(batches * BATCH)
    truth = np.concatenate([corners, classes[..., None]], -1).astype(np.float32)

    def turn() -> dict[str, Cost]:
        return {
            "training": timed(lambda: model.fit(images, truth, batch_size=BATCH, verbose=0), len(images)),
            "prediction": timed(lambda: found.predict(images, batch_size=BATCH, verbose=0), len(images)),
        }

    return turn


def _yolov8() -> Any:
    os.environ.setdefault("YOLO_CONFIG_DIR", tempfile.gettempdir())  # otherwise, it writes to the home folder
    from ultralytics.cfg import get_cfg
    from ultralytics.nn.tasks import DetectionModel

    model = DetectionModel("yolov8n.yaml", nc=CLASSES, verbose=False)
    model.args = get_cfg()
    return model


def yolov8(batches: int) -> Turn:
    """Prepare YOLOv8n with its own loss and non-maximum suppression, and Adam."""
    import torch

    model = _yolov8()
    from ultralytics.utils.nms import non_max_suppression

    optimizer = torch.optim.Adam(model.parameters())
    pixels, corners, classes = arrays(batches * BATCH)
    images = torch.from_numpy(pixels / 255).permute(0, 3, 1, 2).contiguous()
    centred = (
        np.concatenate([(corners[..., :2] + corners[..., 2:]) / 2, corners[..., 2:] - corners[..., :2]], -1) / SIDE
    )
    boxes, labels = torch.from_numpy(centred.astype(np.float32)), torch.from_numpy(classes.astype(np.float32))

    def train() -> None:
        model.train()
        for start in range(0, len(images), BATCH):
            part = slice(start, start + BATCH)
            batch = {"img": images[part], "bboxes": boxes[part].reshape(-1, 4), "cls": labels[part].reshape(-1, 1),
                     "batch_idx": torch.arange(BATCH).repeat_interleave(OBJECTS)}  # fmt: skip
            loss, _ = model(batch)
            optimizer.zero_grad()
            loss.sum().backward()
            optimizer.step()

    def predict() -> None:
        model.eval()
        with torch.inference_mode():
            for start in range(0, len(images), BATCH):
                non_max_suppression(model(images[start : start + BATCH]), MIN_SCORE, NMS_IOU, max_det=MAX_BOXES)

    return lambda: {"training": timed(train, len(images)), "prediction": timed(predict, len(images))}


def size(name: str) -> Turn:
    """Return parameters and floating-point operations per image (two per multiply-add), from each library's count."""
    if name == "ours":
        from cvlib.inspection import layers

        model = _built()[1].model
        parameters, flops = model.count_params(), 2 * layers.total(layers.describe(model), model)["multiply_adds"]
    else:
        model = _yolov8()
        from ultralytics.utils.torch_utils import get_flops

        parameters, flops = sum(value.numel() for value in model.parameters()), get_flops(model, SIDE) * 1e9
    return lambda: {"parameters": Cost(parameters, 1, 1), "flops": Cost(flops, 1, 1)}
