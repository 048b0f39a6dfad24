"""The table of verdicts.py from linear heads that are really trained on features of photographs.

A head is a multinomial logistic regression on features of a frozen EfficientNet-Lite (features.py, heads.py). Images
are drawn anew for every comparison. In a null case, all groups have the same recipe and differ in their seeds alone:
initial weights and the order of the images. Otherwise, the other groups use only 16 of the 32 principal components.

    OMP_NUM_THREADS=1 python experiments/simulations/retrained.py      # after the features, 6 minutes of CPU time

verdicts.md defines the columns. For a shared split, the true accuracy is that of six further seeds with the same
training images; for splits and folds, it is the mean over all draws, so that other training images count as well.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import features
import numpy as np
from heads import Recipe, components
from product import FOLDS, SHARED, SPLITS, Contest, Repeat, rates, write
from verdicts import TEST, TRAIN, repeats_of

HERE = Path(__file__).parent
NOTES = """The photographs are those of {}.

verdicts.md defines the columns; with 200 draws, the standard error of 5 % is 1.5 points, and with 80 draws 2.4 points.
With a shared split, "plain" takes the test images as fixed. In these null cases, this does no harm, because networks of
the same recipe find the same images difficult. Different recipes don't, so the greater power of "plain" with 50 and 300
images is partly the luck of the images. With ten splits of 50 images, "plain" has more power, because it leaves out
what shared images add. Claims below 2 %, with two seeds or with many groups, have the reasons given in verdicts.md.
"""
GOOD = Recipe()
WORSE = replace(GOOD, features=16)
MOST_TRAINED = 500  # images
EXTRA = 6  # further seeds, which show what a recipe is expected to reach on these training images


@dataclass(frozen=True)
class Cell:
    """One row of the table; `images` is the number of test images of each run."""

    design: str
    images: int
    seeds: int
    groups: int = 2

    def contest(self, rng: np.random.Generator, leads: bool) -> tuple[Contest, list[float]]:
        """Return trained groups and, for a shared split, the expected accuracy of each; else an empty list."""
        return self._shared(rng, leads) if self.design == SHARED else self._split(rng, leads)

    def _recipes(self, leads: bool) -> list[Recipe]:
        return [GOOD] + [WORSE if leads else GOOD] * (self.groups - 1)

    def _shared(self, rng: np.random.Generator, leads: bool) -> tuple[Contest, list[float]]:
        data, labels = photographs()
        trained, rest = np.split(rng.permutation(len(labels)), [min(round(self.images * TRAIN / TEST), MOST_TRAINED)])
        tested = rng.choice(rest, self.images)  # with replacement, like images of an unlimited supply
        values, expected = [], []
        for recipe in self._recipes(leads):
            weights = recipe.train(data, labels, [trained] * (self.seeds + EXTRA), rng)
            right = [recipe.correct(one, data[rest], labels[rest]).mean() for one in weights[self.seeds :]]
            expected.append(float(np.mean(right)))
            values.append([recipe.correct(one, data[tested], labels[tested]) for one in weights[: self.seeds]])
        return Contest(SHARED, [Repeat(np.arange(self.images), len(trained))] * self.seeds, values), expected

    def _split(self, rng: np.random.Generator, leads: bool) -> tuple[Contest, list[float]]:
        data, labels = photographs()
        pool, repeats = repeats_of(self.design, self.images, self.seeds, rng)
        bank = rng.permutation(len(labels))[:pool]
        rest = [rng.permutation(np.setdiff1d(np.arange(pool), repeat.tested)) for repeat in repeats]
        trained = [bank[one[: repeat.trained]] for one, repeat in zip(rest, repeats, strict=True)]
        values = []
        for recipe in self._recipes(leads):
            weights = recipe.train(data, labels, trained, rng)
            values.append([recipe.correct(one, data[bank[repeat.tested]], labels[bank[repeat.tested]])
                           for one, repeat in zip(weights, repeats, strict=True)])  # fmt: skip
        return Contest(self.design, repeats, values), []


CELLS = [
    *(Cell(SHARED, *of) for of in ((50, 2), (50, 3), (50, 10, 3), (300, 2), (300, 3, 10), (300, 5), (1000, 3))),
    *(Cell(SPLITS, *of) for of in ((50, 2), (50, 3), (50, 5, 3), (50, 10), (100, 3, 10), (100, 5))),
    *(Cell(FOLDS, *of) for of in ((50, 3), (50, 5), (50, 10, 3), (100, 3), (100, 5))),
]


@cache
def photographs() -> tuple[np.ndarray, np.ndarray]:
    """Return the principal components of the features `(images, 32)`, and the class ids."""
    found, labels, _ = features.load()
    return components(found, GOOD.features), labels


def main() -> None:
    """Train the heads of every row of the table and write it beside this file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=1000, help="comparisons per row; fewer for a shared split")
    draws = parser.parse_args().draws
    name = features.load()[2]  # computed before there are two processes
    command = f"python experiments/simulations/retrained.py --draws {draws}"
    write(HERE / "retrained.md", command, rows_of_table(draws), NOTES.format(name))


def rows_of_table(draws: int) -> Iterator[dict[str, str]]:
    """Yield the table's rows, computed on two cores."""
    with ProcessPoolExecutor(2) as pool:
        yield from pool.map(row_of, range(len(CELLS)), [draws] * len(CELLS))


def row_of(number: int, draws: int) -> dict[str, str]:
    """Return one row; the random numbers depend on the cell's number alone."""
    cell, rng = CELLS[number], np.random.default_rng(number)
    count = round(draws * (0.4 if cell.design == SHARED else 1.0))  # a shared split needs further seeds
    null, led = ([cell.contest(rng, leads) for _ in range(count)] for leads in (False, True))
    truths = [float(np.mean(expected)) for _, expected in null if expected] or None
    leads = [expected[0] - expected[1] for _, expected in led if expected] or None
    shown = {"design": cell.design, "test images": f"{cell.images:,}", "seeds": str(cell.seeds),
             "groups": str(cell.groups), "draws": f"{count:,}"}  # fmt: skip
    return shown | rates([one for one, _ in null], [one for one, _ in led], leads, truths)


if __name__ == "__main__":
    main()
