"""How often `cvlib recommend` calls a finalist clearly best, when all are equal and when one is better.

Each draw is the finals of one recommendation: linear heads that are really trained on features of photographs
(features.py, heads.py), one seed after the other, with a look at the validation images after each from the second on.
In a null problem, all finalists have the same recipe. Otherwise, the others use 16 of the 32 principal components.

    OMP_NUM_THREADS=1 python experiments/simulations/recommend.py      # after the features, 3 minutes of CPU time
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from product import write
from retrained import GOOD, WORSE, photographs

from cvlib.recommend import sequential, settings

HERE = Path(__file__).parent
TRAINED = 400  # images
NOTES = """"Equal" is the share of null problems in which one finalist was called clearly best, at any look; it should
be 5 % at most. With 200 draws, the standard error of 5 % is 1.5 points. "Better" is the share of the other problems in
which the better finalist was called clearly best, and "wrong" that in which another one was. "Seeds" is the mean number
of seeds of each finalist in those problems, of five at most.
"""
CELLS = [(finalists, images) for finalists in (2, 3) for images in (100, 300, 1000)]


def called(images: int, recipes: list, generator: np.random.Generator) -> tuple[int | None, int]:
    """Return the finalist that is called clearly best, or None, and the number of seeds when the finals ended."""
    data, labels = photographs()
    numbers = settings.read()
    trained, rest = np.split(generator.permutation(len(labels)), [TRAINED])
    looked_at = generator.choice(rest, images)
    results = []
    for recipe in recipes:
        weights = recipe.train(data, labels, [trained] * numbers.most_seeds, generator)
        results.append(np.stack([recipe.correct(one, data[looked_at], labels[looked_at]) for one in weights]))
    for seeds in range(2, numbers.most_seeds + 1):
        found = sequential.look([one[:seeds] for one in results], numbers.most_seeds, numbers.alpha, share=0.8)
        if found.clear:
            return found.leader, seeds
    return None, numbers.most_seeds


def row_of(finalists: int, images: int, draws: int) -> dict[str, str]:
    """Return one row of the table."""
    generator = np.random.default_rng([finalists, images])
    null = [called(images, [GOOD] * finalists, generator)[0] for _ in range(draws)]
    led = [called(images, [GOOD] + [WORSE] * (finalists - 1), generator) for _ in range(draws)]
    return {
        "finalists": str(finalists), "validation images": f"{images:,}", "draws": str(draws),
        "equal %": f"{100 * np.mean([one is not None for one in null]):.1f}",
        "better %": f"{100 * np.mean([one == 0 for one, _ in led]):.0f}",
        "wrong %": f"{100 * np.mean([one not in (0, None) for one, _ in led]):.1f}",
        "seeds": f"{np.mean([seeds for _, seeds in led]):.1f}",
    }  # fmt: skip


def rows(draws: int) -> Iterator[dict[str, str]]:
    """Yield the table's rows."""
    for finalists, images in CELLS:
        yield row_of(finalists, images, draws)


def main() -> None:
    """Write the table beside this file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=200, help="recommendations per row, of each kind")
    draws = parser.parse_args().draws
    command = f"python experiments/simulations/recommend.py --draws {draws}"
    write(HERE / "recommend.md", command, rows(draws), NOTES)


if __name__ == "__main__":
    main()
