"""Train a classifier with timm: `python -m accuracy_parts.timm_peer JOB.json`.

The network is EfficientNet-Lite0. From scratch, the recipe is built from timm's own parts with the values of its
training recipes: AdamW without decay of biases and BatchNorm, a cosine schedule with warm-up, label smoothing,
RandAugment, random resized crops and flips, for long trainings also Mixup and CutMix. Crops keep 35 % of the area or
more, because 8 % suit only long trainings. With the ImageNet weights that cvlib uses, it is the usual one for
fine-tuning: a head that starts at 0 and learns ten times as fast as the base, one cycle, label smoothing, crops of 40 %
or more, flips and colour changes. For the test, the central crop.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import timm
import torch
from PIL import Image, ImageOps
from timm.data import Mixup, auto_augment, create_transform
from timm.loss import LabelSmoothingCrossEntropy, SoftTargetCrossEntropy
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from accuracy_parts import job as jobs
from accuracy_parts import torch_training
from accuracy_parts.collection import Sample, read
from accuracy_parts.job import Job

_LR, _FINE_TUNING_LR, _HEAD = 1e-3, 3e-4, 10.0  # from scratch; from ImageNet; times the latter, for the head
_SMOOTHING = 0.1
_LONG = 100  # epochs from which on Mixup and CutMix are used
_PIXELS = {"mean": (0.5,) * 3, "std": (0.5,) * 3, "interpolation": "bicubic"}  # of the ImageNet weights
# Batches, loss, optimizer, and what is called after each step with its number.
Recipe = tuple[DataLoader[Any], torch.nn.Module, torch.optim.Optimizer, Callable[[int], None]]


def main() -> None:
    """Train, and write the class ids of the test images."""
    job = jobs.from_arguments()
    collection = read(job.collection)
    splits, classes = collection.splits, len(collection.classes)
    torch_training.seed(job)
    model = timm.create_model(job.model, num_classes=classes, drop_rate=0.2)
    recipe = _fine_tuning if job.imagenet else _from_scratch
    batches, loss, optimizer, after_step = recipe(job, model, splits["train"], classes)

    def validate() -> float:
        found = predict(model, splits["val"], job)
        hits: int = sum(one == sample.label for one, sample in zip(found, splits["val"], strict=True))
        return hits / len(found)

    seconds = torch_training.fit(model, job.epochs, batches, loss, optimizer, after_step, validate)
    job.predictions.write_text(json.dumps(predict(model, splits["test"], job)))
    speed = jobs.images_per_second(len(splits["test"]), lambda: predict(model, splits["test"], job))
    jobs.write_result(job, seconds, sum(value.numel() for value in model.parameters()), predict_speed=speed)


def _from_scratch(job: Job, model: torch.nn.Module, train: Sequence[Sample], classes: int) -> Recipe:
    auto_augment.NAME_TO_OP["PosterizeIncreasing"] = _posterize
    transform = create_transform(job.image_size, is_training=True, auto_augment="rand-m9-mstd0.5-inc1",
                                 scale=(0.35, 1.0), **_PIXELS)  # fmt: skip
    mixing = Mixup(0.1, 1.0, label_smoothing=_SMOOTHING, num_classes=classes) if job.epochs >= _LONG else None
    loss = SoftTargetCrossEntropy() if mixing else LabelSmoothingCrossEntropy(_SMOOTHING)
    batches = torch_training.loader(job, _Training(train, transform), mixing)
    optimizer = create_optimizer_v2(model, "adamw", lr=_LR, weight_decay=0.05)
    schedule, _ = create_scheduler_v2(
        optimizer, "cosine", num_epochs=job.epochs, warmup_epochs=min(5, job.epochs // 5), warmup_lr=1e-6,
        step_on_epochs=False, updates_per_epoch=len(batches),
    )  # fmt: skip
    schedule.step_update(0)
    return batches, loss, optimizer, schedule.step_update


def _fine_tuning(job: Job, model: torch.nn.Module, train: Sequence[Sample], classes: int) -> Recipe:
    torch_training.load(model)
    head = list(model.get_classifier().parameters())
    for value in head:
        torch.nn.init.zeros_(value)  # timm's own start gives a loss of about 15
    transform = create_transform(job.image_size, is_training=True, auto_augment=None, color_jitter=0.2,
                                 scale=(0.4, 1.0), **_PIXELS)  # fmt: skip
    batches = torch_training.loader(job, _Training(train, transform))
    base = [value for value in model.parameters() if all(value is not other for other in head)]
    rates = [_FINE_TUNING_LR, _HEAD * _FINE_TUNING_LR]
    optimizer = torch.optim.AdamW([{"params": base}, {"params": head}], weight_decay=0.01)
    steps = job.epochs * len(batches)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=steps + 1, pct_start=0.15)
    return batches, LabelSmoothingCrossEntropy(_SMOOTHING), optimizer, lambda _: schedule.step()


def _posterize(image: Image.Image, bits: int, **_: Any) -> Image.Image:
    """Keep at least one bit of each channel; timm sometimes asks for none, which Pillow refuses since version 12."""
    return ImageOps.posterize(image, max(bits, 1))


class _Training(Dataset[tuple[Tensor, int]]):
    """Augmented images, float32 (3, side, side), and class ids."""

    def __init__(self, samples: Sequence[Sample], transform: Callable[[Image.Image], Tensor]):
        self._samples, self._transform = samples, transform

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        sample = self._samples[index]
        return self._transform(_image(sample)), sample.label


def _image(sample: Sample) -> Image.Image:
    with Image.open(sample.file) as opened:
        return ImageOps.exif_transpose(opened).convert("RGB")


def predict(model: torch.nn.Module, samples: Sequence[Sample], job: Job) -> list[int]:
    """Return the class id of each image; the network is in evaluation mode."""
    found = outputs(model, samples, job.image_size, job.batch_size)
    return [label for batch in found for label in batch.argmax(1).tolist()]


def outputs(model: torch.nn.Module, samples: Sequence[Sample], side: int, batch_size: int) -> Iterator[Tensor]:
    """Yield what the network returns for each batch of images."""
    transform = create_transform(side, crop_pct=0.875, **_PIXELS)
    with torch.inference_mode():
        for start in range(0, len(samples), batch_size):
            images = torch.stack([transform(_image(sample)) for sample in samples[start : start + batch_size]])
            yield model(torch_training.channels_last(images))


if __name__ == "__main__":
    main()
