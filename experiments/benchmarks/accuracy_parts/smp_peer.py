"""Train a segmenter of segmentation-models-pytorch: `python -m accuracy_parts.smp_peer JOB.json`.

The encoder is EfficientNet-Lite0, from scratch or with the ImageNet weights that cvlib uses. The recipe is the usual
one: Dice and cross-entropy, AdamW with a cosine schedule, random crops, flips and colour changes, the best validation
epoch. Beside a loaded encoder, the decoder learns ten times as fast. DeepLabV3+ has its dilation rates for 512 pixels,
and smaller ones for smaller images, whose feature maps they would leave. Images are resized without keeping the aspect
ratio, as in cvlib, or are cropped at full resolution (`tiles`); the network then sees whole test images.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import segmentation_models_pytorch as smp
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from accuracy_parts import job as jobs
from accuracy_parts import torch_training
from accuracy_parts.collection import Sample, read
from accuracy_parts.job import Job

_IGNORE = 255
_LR = {False: 1e-3, True: 2e-4}  # of the encoder, from scratch, from ImageNet
_DECODER = {False: 1.0, True: 10.0}  # times the encoder's rate
_RATES, _RATES_SIDE = (12, 24, 36), 512  # of DeepLabV3+'s dilated convolutions, and the side in pixels they are for
_STRIDE = 32  # whole images are padded to a multiple of this side


def main() -> None:
    """Train, and write the masks of the test images."""
    job = jobs.from_arguments()
    collection = read(job.collection)
    splits, classes = collection.splits, len(collection.classes)
    torch_training.seed(job)
    more = {"decoder_atrous_rates": _rates(job.image_size)} if job.model == "DeepLabV3Plus" else {}
    model = getattr(smp, job.model)(f"tu-{torch_training.ENCODER}", encoder_weights=None, classes=classes, **more)
    if job.imagenet:
        torch_training.load(model.encoder, "model.")
    batches = torch_training.loader(job, _Training(splits["train"], job))
    lr = _LR[job.imagenet]
    others = [value for part in (model.decoder, model.segmentation_head) for value in part.parameters()]
    optimizer = torch.optim.AdamW([{"params": model.encoder.parameters()},
                                   {"params": others, "lr": lr * _DECODER[job.imagenet]}], lr)  # fmt: skip
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, job.epochs * len(batches))
    dice = smp.losses.DiceLoss("multiclass", ignore_index=_IGNORE)

    def loss(logits: Tensor, masks: Tensor) -> Tensor:
        total: Tensor = dice(logits, masks) + functional.cross_entropy(logits, masks, ignore_index=_IGNORE)
        return total

    def validate() -> float:
        return mean_iou(splits["val"], predict(model, splits["val"], job), classes)

    seconds = torch_training.fit(model, job.epochs, batches, loss, optimizer, lambda _: schedule.step(), validate)
    job.predictions.mkdir()
    for number, mask in enumerate(predict(model, splits["test"], job)):
        Image.fromarray(mask).save(job.predictions / f"{number:06d}.png")
    speed = jobs.images_per_second(len(splits["test"]), lambda: list(predict(model, splits["test"], job)))
    jobs.write_result(job, seconds, sum(value.numel() for value in model.parameters()), predict_speed=speed)


def _rates(side: int) -> tuple[int, ...]:
    return tuple(max(rate * side // _RATES_SIDE, 1) for rate in _RATES)


class _Training(Dataset[tuple[Tensor, Tensor]]):
    """Augmented images, float32 (3, side, side), and masks, int64 (side, side)."""

    def __init__(self, samples: Sequence[Sample], job: Job):
        side = job.image_size
        fill = {tv_tensors.Image: 0, tv_tensors.Mask: _IGNORE}
        crop = (v2.RandomCrop(side, pad_if_needed=True, fill=fill) if job.tiles else
                v2.RandomResizedCrop(side, scale=(0.5, 1.0), antialias=True))  # fmt: skip
        self._transform = v2.Compose([crop, v2.RandomHorizontalFlip(), v2.ColorJitter(0.2, 0.2, 0.2), *_normalized()])
        self._samples = samples

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        sample = self._samples[index]
        mask = tv_tensors.Mask(torch.from_numpy(np.array(Image.open(sample.label))))
        image, mask = self._transform(_image(sample), mask)
        return image, mask.long()


def _normalized() -> list[v2.Transform]:
    """Return the conversion to the pixels of the ImageNet weights, −1 to 1."""
    as_float = v2.ToDtype({tv_tensors.Image: torch.float32, "others": None}, scale=True)
    return [as_float, v2.Normalize([0.5] * 3, [0.5] * 3)]


def _image(sample: Sample) -> tv_tensors.Image:
    with Image.open(sample.file) as opened:
        return tv_tensors.Image(ImageOps.exif_transpose(opened).convert("RGB"))


def predict(model: torch.nn.Module, samples: Sequence[Sample], job: Job) -> Iterator[np.ndarray]:
    """Yield each image's class ids, uint8 (height, width), at its own size; the network is in evaluation mode."""
    resize = [] if job.tiles else [v2.Resize((job.image_size, job.image_size), antialias=True)]
    prepare, together = v2.Compose([*resize, *_normalized()]), 1 if job.tiles else job.batch_size
    for start in range(0, len(samples), together):
        part = samples[start : start + together]
        images = torch.stack([prepare(_image(sample)) for sample in part])
        height, width = images.shape[-2:]
        padding = (0, -width % _STRIDE, 0, -height % _STRIDE) if job.tiles else (0, 0, 0, 0)
        with torch.inference_mode():
            logits = model(torch_training.channels_last(functional.pad(images, padding)))[..., :height, :width]
        for sample, one in zip(part, logits, strict=True):
            size = (sample.height, sample.width)
            yield functional.interpolate(one[None], size, mode="bilinear")[0].argmax(0).numpy().astype(np.uint8)


def mean_iou(samples: Sequence[Sample], found: Iterator[np.ndarray], classes: int) -> float:
    """Return the mean IoU over all images, for the choice of the epoch; `scores` computes the results."""
    matrix = np.zeros((classes, classes), np.int64)
    for sample, mask in zip(samples, found, strict=True):
        truth = np.array(Image.open(sample.label))
        valid = truth != _IGNORE
        pairs = truth[valid].astype(np.int64) * classes + mask[valid]
        matrix += np.bincount(pairs, minlength=classes**2).reshape(classes, classes)
    hits = np.diag(matrix)
    union = matrix.sum(0) + matrix.sum(1) - hits
    return float((hits[union > 0] / union[union > 0]).mean())


if __name__ == "__main__":
    main()
