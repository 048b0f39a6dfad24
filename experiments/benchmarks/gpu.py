"""Measure how fast a GPU trains ResNet-50: `run.py` on JAX, a bare Keras loop on JAX, and PyTorch with timm.

    python experiments/benchmarks/gpu.py [--quick] [--torch PYTHON] [--output FILE]

All train ResNet-50 at 224 px in bfloat16 with batches of 256, SGD with momentum, and ten classes:

- run.py, files: `python run.py` with JPEG files of 256 px. Each epoch reads, decodes and resizes them.
- run.py, memory: the same with data.cache=memory. From the second epoch on, nothing is decoded.
- Keras: one batch on the device, and Keras' own train step in a loop.
- timm, synthetic: one batch on the device, timm's resnet50 with torch.compile, channels last, autocast to bfloat16.
- timm, files: the same files through torchvision's ImageFolder and a DataLoader with a worker for each core.

images/s is the median over the epochs, or rounds of as many steps, after the first one, which compiles. The share of
the peak counts 24.5 · 10⁹ operations for each image: three times those of a forward pass, with two for each
multiplication and addition. Each contender has a process of its own, one after the other. A contender whose packages
are missing is left out. The whole should take less than ten minutes on a GPU; it was not yet run on one.

`--quick` checks the program on a processor with tiny networks and images. Its figures mean nothing. `--torch` names a
Python that has torch, torchvision and timm, if the present one doesn't.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import measure
import numpy as np

ROOT = Path(__file__).parents[2]
OPERATIONS = 24.5e9  # of a training step, for each image of 224 px
PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "L4": 121e12}  # dense bfloat16, operations/s
CLASSES, ROUNDS = 10, 4


@dataclass(frozen=True)
class Size:
    """What is trained: batches of `batch` images of `side` pixels, `steps` of them in a round."""

    batch: int = 256
    side: int = 224
    steps: int = 40
    tiny: bool = False  # small networks instead of ResNet-50


def main() -> None:
    """Run every contender in a process of its own, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="tiny networks and images, on a processor")
    parser.add_argument("--torch", default=sys.executable, metavar="PYTHON", help="a Python with torch and timm")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the table to this Markdown file")
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--size", type=lambda text: Size(**json.loads(text)), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.contender:
        print(json.dumps(CONTENDERS[chosen.contender](chosen.size, chosen.folder)))
        return
    size = Size(batch=8, side=32, steps=4, tiny=True) if chosen.quick else Size()
    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder) / "images", size)
        rows = [contend(name, size, Path(folder), chosen.torch) for name in CONTENDERS]
    table = "\n".join(["| contender | images/s | share of the peak | device |", "|---|---:|---:|---|", *rows]) + "\n"
    print(f"\n{table}")
    if chosen.output:
        chosen.output.write_text(table)


def contend(name: str, size: Size, folder: Path, torch: str) -> str:
    """Return the row of one contender."""
    python = torch if name.startswith("timm") else sys.executable
    command = [python, __file__, "--contender", name, "--size", json.dumps(asdict(size)), "--folder", str(folder)]
    environment = {**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": str(ROOT)}
    started = time.monotonic()
    done = subprocess.run(command, env=environment, text=True, capture_output=True, check=False)
    print(f"{name}: {time.monotonic() - started:.0f} s", flush=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        missing = re.search(r"No module named '(\w+)'", lines[-1])
        return f"| {name} | – | – | {f'left out: no {missing[1]}' if missing else f'failed: {lines[-1][:120]}'} |"
    found = json.loads(done.stdout.splitlines()[-1])
    peak = next((value for card, value in PEAKS.items() if card in found["device"]), None)
    share = f"{found['rate'] * OPERATIONS / peak:.0%}" if peak and not size.tiny else "–"
    return f"| {name} | {found['rate']:,.0f} | {share} | {found['device']} |"


def write_images(folder: Path, size: Size) -> None:
    """Write smooth random JPEG files, `size.steps` batches, of ten classes."""
    from PIL import Image

    rng, side = np.random.default_rng(0), size.side * 8 // 7
    for number in range(size.batch * size.steps):
        place = folder / f"class{number % CLASSES}"
        place.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8))
        coarse.resize((side, side), Image.Resampling.BICUBIC).save(place / f"{number}.jpg", quality=90)


def from_files(size: Size, folder: Path) -> dict[str, Any]:
    """Measure `run.py` with files."""
    return run(size, folder, "files", "data.cache=null")


def from_memory(size: Size, folder: Path) -> dict[str, Any]:
    """Measure `run.py` with images in memory."""
    return run(size, folder, "memory", "data.cache=memory", "data.cache_gb=8")


def run(size: Size, folder: Path, name: str, *more: str) -> dict[str, Any]:
    """Train with `run.py`; return the speed that the epochs after the first one report."""
    network = ["model=cnn"] if size.tiny else ["model=resnet", "model.depth=50"]
    command = [sys.executable, str(ROOT / "run.py"), *network, "mode=scratch", "data=folder",
               f"data.path={folder / 'images'}", f"data.image_size={size.side}", f"data.batch_size={size.batch}",
               "data.val_fraction=0.02", "data.test_fraction=0.02", "trainer.test=false", f"trainer.epochs={ROUNDS}",
               f"trainer.steps_per_epoch={size.steps}", "trainer.precision=bfloat16", "optimizer=sgd",
               f"output_root={folder}/outputs", f"hydra.run.dir={folder}/{name}", *more]  # fmt: skip
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return {"rate": measure.speed_of(folder / name), "device": jax_device()}


def jax_device() -> str:
    """Return the name of JAX's first device."""
    import jax

    return str(jax.devices()[0].device_kind)


def bare_keras(size: Size, folder: Path) -> dict[str, Any]:
    """Measure Keras' train step on a batch that stays on the device."""
    import jax
    import keras

    keras.config.set_dtype_policy("mixed_bfloat16")
    shape = (size.side, size.side, 3)
    if size.tiny:
        network = keras.Sequential([keras.Input(shape), keras.layers.Conv2D(8, 3, 2), keras.layers.Flatten(),
                                    keras.layers.Dense(CLASSES)])  # fmt: skip
    else:
        network = keras.applications.ResNet50(weights=None, input_shape=shape, classes=CLASSES,
                                              classifier_activation=None)  # fmt: skip
    network.compile(keras.optimizers.SGD(0.1, 0.9), keras.losses.SparseCategoricalCrossentropy(True), jit_compile=True)
    batch = jax.device_put((np.ones((size.batch, *shape), np.float32), np.zeros(size.batch, np.int32)))
    network._symbolic_build(data_batch=batch)
    step = jax.jit(network.train_step, donate_argnums=0)
    state = network._get_jax_state(trainable_variables=True, non_trainable_variables=True, optimizer_variables=True,
                                   metrics_variables=True)  # fmt: skip

    def train() -> float:
        nonlocal state
        logs: dict[str, Any] = {}
        for _ in range(size.steps):
            logs, state = step(state, batch)
        return float(logs["loss"])

    return {"rate": rate_of(train, size), "device": jax_device()}


def rate_of(train: Any, size: Size) -> float:
    """Return the median of images/s over rounds of `train()`, which returns when its last step is done."""
    rates = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        train()
        rates.append(size.batch * size.steps / (time.perf_counter() - started))
    return statistics.median(rates[1:])


def timm_synthetic(size: Size, folder: Path) -> dict[str, Any]:
    """Measure timm's network on a batch that stays on the device."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    images = torch.ones(size.batch, 3, size.side, size.side, device=device).to(memory_format=torch.channels_last)
    labels = torch.zeros(size.batch, dtype=torch.long, device=device)
    return timm_rate(size, lambda: [(images, labels)] * size.steps)


def timm_files(size: Size, folder: Path) -> dict[str, Any]:
    """Measure timm's network with the same files as `run.py`."""
    import torch
    from torchvision import datasets, transforms

    decoded = transforms.Compose([transforms.Resize((size.side, size.side)), transforms.ToTensor()])
    loader = torch.utils.data.DataLoader(
        datasets.ImageFolder(str(folder / "images"), decoded), size.batch, shuffle=True, drop_last=True,
        num_workers=len(os.sched_getaffinity(0)), pin_memory=torch.cuda.is_available(), persistent_workers=True,
    )  # fmt: skip
    return timm_rate(size, lambda: loader)


def timm_rate(size: Size, batches: Any) -> dict[str, Any]:
    """Train timm's network on the batches that `batches()` yields for each round."""
    import timm
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    if size.tiny:
        torch.set_num_threads(1)
    network = timm.create_model("resnet18" if size.tiny else "resnet50", num_classes=CLASSES)
    network = network.to(device, memory_format=torch.channels_last)
    update = torch.optim.SGD(network.parameters(), 0.1, 0.9)
    compiled = network if size.tiny else torch.compile(network)

    def train() -> None:
        loss = None
        for images, labels in batches():
            images = images.to(device, non_blocking=True, memory_format=torch.channels_last)
            with torch.autocast(device, torch.bfloat16):
                loss = torch.nn.functional.cross_entropy(compiled(images), labels.to(device, non_blocking=True))
            update.zero_grad(set_to_none=True)
            loss.backward()
            update.step()
        loss.item()

    name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    return {"rate": rate_of(train, size), "device": name}


CONTENDERS = {"run.py, files": from_files, "run.py, memory": from_memory, "Keras": bare_keras,
              "timm, synthetic": timm_synthetic, "timm, files": timm_files}  # fmt: skip

if __name__ == "__main__":
    main()
