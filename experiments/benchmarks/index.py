"""Start-up with the index of a collection: `python experiments/benchmarks/index.py [--million] [--images N …]`.

For each number of images and each kind of label, the script writes a collection of small JPEGs of 64 × 64 pixels into a
temporary folder and loads it twice, as two runs would, each in a new process. The first run decodes every file. The
second takes its results from the index if no file has changed. A start is `data.load` and the fingerprint of the
data, without the imports. Bytes per image are the growth of the resident set during the start, divided by the number
of images; a small collection that is loaded before provides the base. The results are written to index.md beside this
file; rows of other collections stay. `--million` measures 1,000,000 images with classes, which needs about 4 GB of disk
and an hour of processor time.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import measure
import numpy as np
import simplejpeg

HERE = Path(__file__).parent
COUNTS = (10_000, 100_000)
_SIDE = 64  # pixels
_FOLDER = 1000  # images in a folder
_CLASSES = 10
_BASE = 64  # images of the collection that is loaded before the measurement


@dataclass(frozen=True)
class Start:
    """One start in a new process."""

    seconds: float
    processor: float  # seconds of processor time
    grown: int  # bytes of the resident set
    peak: int  # bytes of the largest resident set above the base
    images: int
    fingerprint: str


def write_classes(root: Path, images: list[Path]) -> None:
    """Write nothing: the folder of an image is its class."""


def write_sets(root: Path, images: list[Path]) -> None:
    """Write a table of one to three classes an image."""
    rng = np.random.default_rng(1)
    numbers = rng.integers(0, _CLASSES, (len(images), 3))
    lines = [f"{file.relative_to(root)},{' '.join(f'c{n}' for n in sorted(set(row)))}"
             for file, row in zip(images, numbers.tolist(), strict=True)]  # fmt: skip
    (root / "labels.csv").write_text("file,labels\n" + "\n".join(lines) + "\n")


def write_boxes(root: Path, images: list[Path]) -> None:
    """Write a COCO file with one to six boxes an image."""
    rng = np.random.default_rng(1)
    pictures, boxes = [], []
    for number, file in enumerate(images):
        name = str(file.relative_to(root))
        pictures.append({"id": number, "file_name": name, "width": _SIDE, "height": _SIDE})
        for x, y, side in rng.integers(4, 30, (rng.integers(1, 7), 3)).tolist():
            boxes.append({"id": len(boxes), "image_id": number, "category_id": side % _CLASSES,
                          "bbox": [x, y, side, side], "area": side * side, "iscrowd": 0})  # fmt: skip
    classes = [{"id": number, "name": f"c{number}"} for number in range(_CLASSES)]
    content = {"images": pictures, "annotations": boxes, "categories": classes}
    (root / "annotations.json").write_text(json.dumps(content))


def write_masks(root: Path, images: list[Path]) -> None:
    """Write a PNG mask for each image, beside the folder of the images."""
    from PIL import Image

    rng = np.random.default_rng(1)
    for file in images:
        small = rng.integers(0, 3, (4, 4), np.uint8)
        place = (root / "masks" / file.relative_to(root / "images")).with_suffix(".png")
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.kron(small, np.ones((_SIDE // 4, _SIDE // 4), np.uint8))).save(place)


# For each task: where its images are, and what writes their labels.
KINDS: dict[str, tuple[str, Callable[[Path, list[Path]], None]]] = {
    "classification": (".", write_classes), "multilabel": ("images", write_sets), "detection": ("images", write_boxes),
    "segmentation": ("images", write_masks),
}  # fmt: skip


def write_collection(root: Path, task: str, count: int) -> None:
    """Write `count` different JPEGs of about 1 kB, in folders of 1000, and their labels."""
    inner, write_labels = KINDS[task]
    rng = np.random.default_rng(0)
    images = []
    for number in range(count):
        group = number // _FOLDER if count > _FOLDER else number % 2
        label = f"c{group % _CLASSES}/{group:04d}" if task == "classification" else f"{group:04d}"
        file = root / inner / label / f"{number:07d}.jpg"
        if number % _FOLDER < 2:
            file.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.kron(rng.integers(0, 256, (8, 8, 3), np.uint8), np.ones((_SIDE // 8, _SIDE // 8, 1), np.uint8))
        file.write_bytes(simplejpeg.encode_jpeg(pixels, quality=50))
        images.append(file)
    write_labels(root, images)


def start(task: str, root: str, base: str) -> Start:
    """Load the collection in this process and return what it costs; `base` is a small collection that is loaded
    before, so that imports don't count."""
    from cvlib import data
    from cvlib.config.schema import DataConfig
    from cvlib.data import labels

    def load(folder: str) -> tuple[data.Dataset, str]:
        dataset = data.load(DataConfig(name="folder", path=folder), 0, labels.named(task))
        return dataset, data.fingerprint(dataset)

    load(base)
    gc.collect()
    before, used, started = _resident("VmRSS"), sum(os.times()[:2]), time.perf_counter()
    dataset, fingerprint = load(root)
    seconds, processor = time.perf_counter() - started, sum(os.times()[:2]) - used
    gc.collect()
    count = sum(len(split) for split in dataset.splits.values())
    return Start(seconds, processor, _resident("VmRSS") - before, _resident("VmHWM") - before, count, fingerprint)


def _resident(name: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


def started(task: str, folder: Path) -> Start:
    """Do one start in a new process, which keeps its index in `folder`."""
    command = [sys.executable, __file__, "--start", task, str(folder / "set"), str(folder / "base")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return Start(**json.loads(done.stdout))


def row(task: str, count: int, place: Path | None) -> str:
    """Write a collection, start twice, and return a row of the table."""
    with tempfile.TemporaryDirectory(dir=place) as name:
        folder = Path(name)
        for inner, number in (("base", _BASE), ("set", count)):
            write_collection(folder / inner, task, number)
        first, second = started(task, folder), started(task, folder)
        if first.fingerprint != second.fingerprint or first.images != count:
            raise RuntimeError(f"{task}, {count} images: the second start found other data")
        kept = sum(file.stat().st_size for file in (folder / "outputs/cache/index").rglob("*") if file.is_file())
    cells = [task, f"{count:,}", f"{first.seconds:.1f}", f"{first.processor:.1f}", f"{second.seconds:.2f}",
             f"{second.processor:.2f}", f"{first.grown / count:,.0f}",
             f"{second.grown / count:,.0f}", f"{first.peak / 2**20:,.0f}", f"{second.peak / 2**20:,.0f}",
             f"{kept / count:,.0f}", f"{os.getloadavg()[0]:.1f}"]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


HEADER = """\
| task | images | first start, s | of processor | second start, s | of processor | bytes/image, first \
| bytes/image, second | peak, first, MiB | peak, second, MiB | index, bytes/image | load |
|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"""


def page(rows: list[str]) -> str:
    """Return the content of index.md."""
    machine = measure.machine()
    about = f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB, Python {machine['python']}"
    intro = """\
# The index of a collection

These are the results of `python experiments/benchmarks/index.py`, whose docstring documents the measurement. The target
is a second start of at most 2 s and at most 300 bytes per image for 100,000 JPEGs of 64 × 64 pixels. Peaks are above
the base. "load" is the number of processes that wanted a core. If it exceeds the number of cores, compare the processor
times.
"""
    return f"{intro}\n{time.strftime('%Y-%m-%d')}, {about}\n\n{HEADER}\n" + "\n".join(rows) + "\n"


def _merged(rows: list[str]) -> list[str]:
    """Return the new rows, and those of index.md for other collections, by number of images and task."""
    file = HERE / "index.md"
    known: dict[tuple[int, int], str] = {}
    for line in [*(file.read_text().splitlines() if file.exists() else []), *rows]:
        task, _, rest = line.removeprefix("| ").partition(" | ")
        if task in KINDS:
            known[int(rest.split(" | ")[0].replace(",", "")), list(KINDS).index(task)] = line
    return [known[place] for place in sorted(known)]


def main() -> None:
    """Measure the chosen collections and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=COUNTS, metavar="N", help="sizes of the collections")
    parser.add_argument("--task", nargs="+", choices=KINDS, default=list(KINDS), help="kinds of labels")
    parser.add_argument("--million", action="store_true", help="also measure 1,000,000 images with classes")
    parser.add_argument("--folder", type=Path, help="where the collections are written (default: the system's)")
    parser.add_argument("--print", action="store_true", help="print the table only; don't write index.md")
    parser.add_argument("--start", nargs=3, help=argparse.SUPPRESS)  # one start, in a process of its own
    chosen = parser.parse_args()
    if chosen.start:
        print(json.dumps(vars(start(*chosen.start))))
        return
    wanted = [(task, count) for count in chosen.images for task in chosen.task]
    wanted += [("classification", 1_000_000)] if chosen.million else []
    print(HEADER, flush=True)
    rows = []
    for task, count in wanted:
        rows.append(row(task, count, chosen.folder))
        print(rows[-1], flush=True)
        if not chosen.print:
            (HERE / "index.md").write_text(page(_merged(rows)))


if __name__ == "__main__":
    main()
