"""Compare `data.tiles` with shrinking whole images, on scenes of 1,024 pixels with digits of 18 to 36 pixels.

    python experiments/benchmarks/tiles.py [--side 192] [--epochs 4] [--steps 40] [--output tiles.md] [OVERRIDE …]

Both runs have the same network, input size, batches and steps; all digits are one class. A scene is a background with
15 of cvlib's own scenes of 96 pixels at random places of a grid. The table has the share of the test images' digits
that are found at an IoU of 0.5 with any score, the metrics (at most 100 boxes per image), and the seconds.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

SIDE, CELL, FILLED = 1024, 100, 15  # pixels of a scene and of a cell of its grid; cells with digits
COUNTS = {"train": 160, "val": 6, "test": 24}
MERGED = "data.merge={digit: [" + ",".join(f"'{digit}'" for digit in range(10)) + "]}"


def main() -> None:
    """Compose the scenes, train both runs, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=192, help="height and width of the network's input")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--steps", type=int, default=40, help="batches of 16 images per epoch")
    parser.add_argument("--output", type=Path, help="a file for the table")
    parser.add_argument(
        "overrides", nargs="*", metavar="OVERRIDE", help="for both runs, such as model.neck_channels=16"
    )
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scenes = Path(folder) / "scenes"
        compose(scenes)
        rows = [trained(name, key, chosen, scenes, Path(folder) / key)
                for name, key in (("tiles", "data.tiles"), ("whole images, shrunk", "data.image_size"))]  # fmt: skip
    from cvlib.viz.text_table import markdown

    table = "\n".join(markdown(rows)) + "\n"
    print(table)
    if chosen.output:
        chosen.output.write_text(table, encoding="utf-8")


def compose(folder: Path) -> None:
    """Write the scenes as JPEG files with YOLO's labels, in disjoint splits."""
    import cvlib

    small = cvlib.load_data("model=yolo", "data.samples=2000")
    rng = np.random.default_rng(0)
    for split, count in COUNTS.items():
        (folder / "images" / split).mkdir(parents=True)
        (folder / "labels" / split).mkdir(parents=True)
        pool = getattr(small, split)
        for number in range(count):
            image, lines = scene(pool, rng)
            Image.fromarray(image).save(folder / "images" / split / f"{number:04d}.jpg", quality=95)
            (folder / "labels" / split / f"{number:04d}.txt").write_text("\n".join(lines) + "\n")
    names = ", ".join(f"'{name}'" for name in small.classes)
    places = "".join(f"{split}: images/{split}\n" for split in COUNTS)
    (folder / "data.yaml").write_text(f"path: .\n{places}nc: 10\nnames: [{names}]\n")


def scene(pool: Any, rng: np.random.Generator) -> tuple[np.ndarray, list[str]]:
    """Return one scene, uint8 (SIDE, SIDE, 3), and its lines of YOLO's label file."""
    coarse = rng.integers(60, 196, (9, 9, 3)).astype(np.uint8)
    image = np.array(Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    lines, cells = [], SIDE // CELL
    for cell in rng.choice(cells**2, FILLED, replace=False).tolist():
        index = int(rng.integers(len(pool)))
        top, left = cell // cells * CELL, cell % cells * CELL
        image[top : top + 96, left : left + 96] = pool.images[index]
        label = pool.labels[index]
        corners = label.corners + np.array([left, top, left, top])
        middles, sides = (corners[:, :2] + corners[:, 2:]) / 2 / SIDE, (corners[:, 2:] - corners[:, :2]) / SIDE
        lines += [f"{digit} " + " ".join(f"{value:.6f}" for value in box)
                  for digit, box in zip(label.classes, np.hstack([middles, sides]), strict=True)]  # fmt: skip
    return image, lines


def trained(name: str, key: str, chosen: argparse.Namespace, scenes: Path, folder: Path) -> dict[str, str]:
    """Train a run, and return its row of the table."""
    import cvlib

    run = cvlib.train(
        "model=yolo", "data=folder", f"data.path={scenes}", MERGED, f"{key}={chosen.side}", "data.batch_size=16",
        f"trainer.epochs={chosen.epochs}", f"trainer.steps_per_epoch={chosen.steps}", "trainer.kept_epoch=last",
        *chosen.overrides, folder=folder,
    )  # fmt: skip
    with (folder / "test_results.csv").open(newline="") as file:
        results = list(csv.DictReader(file))
    found, truths = (sum(int(row[column]) for row in results) for column in ("found", "truths"))
    metrics, timing = run.summary["metrics"], run.summary["timing"]
    return {"input": f"{name}, {chosen.side} px", "digits found": f"{found} of {truths} ({100 * found / truths:.1f} %)",
            **{metric: f"{metrics[f'test/{metric}']:.3f}" for metric in ("mAP50", "mAP", "ar_100")},
            "training in s": f"{timing['train']:.0f}", "evaluation in s": f"{timing['evaluate']:.0f}"}  # fmt: skip


if __name__ == "__main__":
    main()
