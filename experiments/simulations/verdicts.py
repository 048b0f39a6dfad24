"""How often does `cvlib compare` claim a winner where there is none, and how often does it find a real one?

Networks are simulated (worlds.py), and the verdicts are those of `cvlib.compare` (product.py). In a null case, all
groups have the same expected metric. Otherwise, the first group is about 3 points better. The metric varies between
seeds by about 1 point (standard deviation).

    python experiments/simulations/verdicts.py                   # the table; about 25 minutes of CPU time
    python experiments/simulations/verdicts.py --draws 50        # a quick approximation

retrained.py makes the same table from networks that are really trained.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from product import FOLDS, SHARED, SPLITS, Contest, Repeat, rates, write
from worlds import WORLDS

HERE = Path(__file__).parent
TEST, TRAIN = 0.15, 0.70  # shares of the images in each split


@dataclass(frozen=True)
class Cell:
    """One row of the table; `images` is the number of test images of each run."""

    task: str
    design: str
    images: int
    seeds: int
    groups: int = 2
    share: float = 1.0  # of the usual number of draws, for slow cells

    def contest(self, rng: np.random.Generator, leads: bool) -> Contest:
        """Return simulated groups; if `leads`, the first one is better."""
        world = WORLDS[self.task]
        pool, repeats = repeats_of(self.design, self.images, self.seeds, rng)
        images = world.images(rng, pool)
        tested = [{key: values[repeat.tested] for key, values in images.items()} for repeat in repeats]
        deviation = 0.0 if self.seeds == 1 else world.deviation
        values = [[world.test(rng, own, world.lead * (leads and group == 0) + rng.normal(0, deviation))
                   for own in tested] for group in range(self.groups)]  # fmt: skip
        return Contest(self.design, repeats, values, world.spec)


def repeats_of(design: str, images: int, seeds: int, rng: np.random.Generator) -> tuple[int, list[Repeat]]:
    """Return the number of images in the pool, and the images that each repeat is tested on."""
    if design == SHARED:
        return images, [Repeat(np.arange(images), round(images * TRAIN / TEST))] * seeds
    if design == SPLITS:
        pool = round(images / TEST)
        return pool, [Repeat(np.sort(rng.choice(pool, images, replace=False)), round(TRAIN * pool))
                      for _ in range(seeds)]  # fmt: skip
    order = rng.permutation(images * seeds)
    trained = round((1 - TEST) * images * (seeds - 1))
    return len(order), [Repeat(np.sort(fold), trained) for fold in np.split(order, seeds)]


CELLS = [
    *(Cell("classification", SHARED, *of) for of in (
        (50, 1), (300, 1), (2000, 1), (50, 2), (50, 3, 3), (50, 10, 10), (300, 2), (300, 2, 10), (300, 3), (300, 5, 3),
        (300, 10), (2000, 2), (2000, 3, 3), (2000, 5), (2000, 10, 10, 0.25))),
    *(Cell("classification", SPLITS, *of) for of in (
        (50, 3), (50, 10), (300, 2), (300, 3, 3), (300, 5), (300, 10, 10, 0.5), (2000, 5))),
    *(Cell("classification", FOLDS, *of) for of in ((50, 5), (50, 10), (300, 3), (300, 5, 10), (300, 10), (2000, 5))),
    *(Cell("segmentation", SHARED, *of) for of in (
        (50, 2), (50, 5, 3), (300, 1, 2, 0.25), (300, 3), (300, 10, 10, 0.25), (2000, 2, 2, 0.25))),
    Cell("segmentation", SPLITS, 300, 5),
    Cell("segmentation", FOLDS, 300, 5),
    *(Cell("multi-label", SHARED, *of) for of in (
        (50, 3), (50, 5, 10, 0.5), (300, 1, 2, 0.25), (300, 2, 3), (300, 5), (2000, 3, 2, 0.25))),
    Cell("multi-label", SPLITS, 300, 5),
    Cell("multi-label", FOLDS, 300, 5),
    *(Cell("detection", SHARED, *of) for of in (
        (50, 2), (50, 3, 3), (300, 1, 2, 0.25), (300, 3), (300, 5, 10, 0.25), (2000, 3, 2, 0.25))),
    Cell("detection", SPLITS, 300, 5),
    Cell("detection", FOLDS, 300, 5),
    Cell("detection, boxes", SHARED, 50, 3, 2, 0.2),
    Cell("detection, boxes", FOLDS, 50, 3, 2, 0.2),
]  # fmt: skip


def main() -> None:
    """Simulate every row of the table and write it beside this file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=2000, help="simulated comparisons per row; fewer if a row is slow")
    draws = parser.parse_args().draws
    command = f"python experiments/simulations/verdicts.py --draws {draws}"
    write(HERE / "verdicts.md", command, rows_of_table(draws), (HERE / "verdicts_notes.md").read_text())


def rows_of_table(draws: int) -> Iterator[dict[str, str]]:
    """Yield the table's rows, computed on two cores."""
    with ProcessPoolExecutor(2) as pool:
        yield from pool.map(row_of, range(len(CELLS)), [draws] * len(CELLS))


def row_of(number: int, draws: int) -> dict[str, str]:
    """Return one row; the random numbers depend on the cell's number alone."""
    cell, rng = CELLS[number], np.random.default_rng(number)
    count = max(round(draws * cell.share), 20)
    null, led = ([cell.contest(rng, leads) for _ in range(count)] for leads in (False, True))
    shown = {"task": cell.task, "design": cell.design, "test images": f"{cell.images:,}", "seeds": str(cell.seeds),
             "groups": str(cell.groups), "draws": f"{count:,}"}  # fmt: skip
    return shown | rates(null, led)


if __name__ == "__main__":
    main()
