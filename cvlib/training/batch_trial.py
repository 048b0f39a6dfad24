"""Training steps with growing batches, in the process that `cvlib.training.batch_search` starts."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Callable
from typing import Any

from cvlib.config.schema import AUTO, Config
from cvlib.data.dataset import Dataset
from cvlib.data.samples import FeatureSamples
from cvlib.models.options import read_config
from cvlib.runs.provenance import peak_memory_mb
from cvlib.runtime.errors import UserError, complain, is_out_of_memory
from cvlib.training import batch_search, data_parallel, feeds, lr_search, optimizer
from cvlib.training.training import Training
from cvlib.transfer import freezing

STEPS = 2
Tell = Callable[[dict[str, Any]], None]


def main(prepare: Callable[[Config], tuple[Dataset, Training]]) -> None:
    """Do what the JSON object on the standard input asks for.

    It has the `config` as in config.yaml, the `sizes`, the limit of the memory in MiB, and the number of the `pipe`
    for the results. `prepare` loads the data and the network of a run.
    """
    request = json.loads(sys.stdin.read())
    with os.fdopen(request["pipe"], "w") as pipe:

        def tell(result: dict[str, Any]) -> None:
            pipe.write(json.dumps(result) + "\n")
            pipe.flush()

        try:
            config = batch_search.with_batch_size(read_config(request["config"]), request["sizes"][0])
            # This process is killed as soon as it has answered, and would leave a half-filled cache.
            config = dataclasses.replace(config, data=dataclasses.replace(config.data, cache=None))
            dataset, training = prepare(config)
            run(training, dataset, request["sizes"], request["limit_mb"], tell)
        except UserError as error:
            sys.exit(complain(str(error)))


def run(training: Training, dataset: Dataset, sizes: list[int], limit_mb: float, tell: Tell) -> None:
    """Train with each of the `sizes` until one doesn't fit; `tell` the size and its `peak_mb`, or the `reason`.

    `limit_mb` is the limit of this process's memory. What a batch needs beyond a batch of one image for each device
    grows in proportion, so the next peak is known before its step.
    """
    images, before, peak = len(dataset.train), 0.0, 0.0
    for size in [data_parallel.count(training.config), *sizes]:
        if size > images:
            return tell({"size": size, "reason": f"the training split has {images:,} images"})
        expected = peak + (peak - before)
        if before and expected > limit_mb:
            return tell({"size": size, "reason": f"{size} would need about {expected / 1024:.1f} GiB of memory, more "
                         f"than {limit_mb / 1024:.1f} GiB ({batch_search.SHARE:.0%} of what is free)"})  # fmt: skip
        try:
            _train(training, dataset, size)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            return tell({"size": size, "reason": f"{size} runs out of memory"})
        peak = peak_memory_mb()
        if before:
            tell({"size": size, "peak_mb": peak})
        before = before or peak
    return None


def _train(training: Training, dataset: Dataset, size: int) -> None:
    """Train two steps of the run's last phase, which needs the most memory."""
    config = _trainable(batch_search.with_batch_size(training.config, size))
    images = feeds.training_feed(config, dataset, training.network.spec, lambda line: None)
    before = training.fitted.train
    feed = images.of_features(before.samples.views) if isinstance(before.samples, FeatureSamples) else images
    phase = freezing.phases(training.network, config.mode, config.trainer.max_epochs)[-1]
    freezing.apply(training.network, phase)
    model = training.fitted.model
    variables = model.trainable_variables
    built = optimizer.build(config, training.network, phase, variables, feed.steps, {})
    built.build(variables)
    arguments = training.task.compile_arguments(training.network, config, training.class_weights)
    model.compile(optimizer=built, jit_compile=training.compiled, **arguments)
    for batch in lr_search.batches(feed, training.targets, STEPS):
        model.train_on_batch(*batch)


def _trainable(config: Config) -> Config:
    """Replace a learning rate that is still to be found; the memory doesn't depend on it."""
    if config.optimizer.lr != AUTO:
        return config
    return dataclasses.replace(config, optimizer=dataclasses.replace(config.optimizer, lr=config.model.suited.lr))
