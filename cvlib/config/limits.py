"""What each value of a config may be, by its key: one of some, or within bounds."""

from __future__ import annotations

SEGMENTATION_LOSSES = ("cross_entropy", "dice", "focal")

# By task, what the best epoch may be chosen by; the first is the task's own.
MONITORS: dict[str, tuple[str, ...]] = {
    "classification": ("val/accuracy", "val/top5_accuracy", "val/macro_f1", "val/loss"),
    "detection": ("val/mAP", "val/mAP50", "val/recall"),
    "segmentation": ("val/mIoU", "val/pixel_accuracy", "val/dice", "val/loss"),
}

# By task, the answers to `data=` that have labels for it, beside those that have labels for classification alone.
DATASETS: dict[str, tuple[str, ...]] = {
    "detection": ("coco", "digits", "folder", "pets", "tfds", "voc"),
    "segmentation": ("coco", "digits", "folder", "pets", "tfds", "voc"),
}

CHOICES: dict[str, tuple[str | int | None, ...]] = {
    "model.task": tuple(MONITORS),
    "mode.name": ("scratch", "feature_extractor", "finetune"),
    "mode.batch_norm": ("train", "frozen"),
    "mode.cache_features": ("auto", "true", "false", "True", "False"),
    "model.padding": ("same", "valid"),
    "model.pooling": ("max", "average"),
    "model.decoder": ("interpolate", "unpool", "transpose"),
    "model.interpolation": ("bilinear", "nearest"),
    "model.prediction_stride": (32, 16, 8),
    "model.head": ("anchor_free", "grid"),
    "model.features": ("flatten", "global_average"),
    "data.layout": (None, "folder", "csv", "voc", "coco", "yolo", "masks"),
    "data.on_error": ("stop", "skip"),
    "optimizer.name": ("adam", "adamw", "sgd"),
    "schedule.name": ("constant", "cosine", "step"),
    "data.resize": (None, "stretch", "letterbox"),
    "data.cache": (None, "memory", "disk"),
    "data.class_weights": (None, "balanced", "sqrt"),
    "trainer.precision": ("float32", "bfloat16", "float16", "auto"),
}

_MOST = float("inf")
RANGES: dict[str, tuple[float, float]] = {
    "model.minimum_size": (1, 8192),
    "model.dropout": (0, 0.95),
    "model.spatial_dropout": (0, 0.95),
    "model.convolutions": (1, 99),
    "model.kernel": (1, 99),
    "model.stride": (1, 99),
    "model.dilation": (1, 99),
    "model.auxiliary_weight": (0, 10),
    "model.decoder_filters": (1, _MOST),
    "model.transpose_kernel": (1, 99),
    "model.transpose_stride": (1, 99),
    "model.transpose_padding": (0, 99),
    "model.transpose_output_padding": (0, 99),
    "model.fc_kernel": (1, 99),
    "model.fc_width": (1, _MOST),
    "model.focal_gamma": (0, 10),
    "model.neck": (1, 4096),
    "model.grid": (1, 1024),
    "model.boxes_per_cell": (1, 16),
    "model.nms_iou": (0, 1),
    "mode.head_epochs": (0, _MOST),
    "mode.backbone_lr": (0, _MOST),
    "mode.head_lr": (0, _MOST),
    "mode.views": (1, _MOST),
    "mode.cache_gb": (0, _MOST),
    "data.image_size": (1, 8192),
    "data.fraction": (1e-9, 1),
    "data.batch_size": (1, 1e6),  # beyond, with steps_per_epoch, drawing an epoch's order would take for ever
    "data.cache_gb": (0, _MOST),
    "data.val_fraction": (0, 0.9),
    "data.test_fraction": (0, 0.9),
    "data.split_seed": (0, _MOST),
    "data.samples": (1, _MOST),
    "data.pretrain_samples": (1, _MOST),
    "data.pretrain_epochs": (1, _MOST),
    "augment.horizontal_flip": (0, 1),
    "augment.vertical_flip": (0, 1),
    "augment.rotation": (0, 180),
    "augment.crop": (0.01, 1),
    "augment.zoom_out": (1, 16),
    "augment.mosaic": (0, 1),
    "augment.brightness": (0, 1),
    "augment.contrast": (0, 1),
    "augment.saturation": (0, 1),
    "augment.hue": (0, 0.5),
    "augment.blur": (0, 20),
    "optimizer.lr": (1e-12, 1e30),
    "optimizer.weight_decay": (0, 1e3),
    "optimizer.momentum": (0, 1),
    "optimizer.clipnorm": (1e-12, _MOST),
    "schedule.warmup_epochs": (0, _MOST),
    "schedule.final": (0, 1),
    "schedule.every": (1, _MOST),
    "schedule.factor": (0, 1),
    "trainer.epochs": (1, 1e6),  # each has random draws of its own, see data/order.py
    "trainer.patience": (1, _MOST),
    "trainer.steps_per_epoch": (1, 1e6),
    "trainer.checkpoint_every": (1, _MOST),
    "trainer.bn_momentum": (0, 0.9999),
    "seed": (0, 2**32 - 1),
}
