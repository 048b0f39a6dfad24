"""`Draws`: the random numbers of some images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cvlib.data.streams import STREAMS


@dataclass(frozen=True)
class Draws:
    """Random numbers in [0, 1) for n images: float32 `(n,)` per named stream."""

    columns: Mapping[str, np.ndarray]
    count: int  # n

    @classmethod
    def of(cls, names: Sequence[str], array: np.ndarray) -> Draws:
        """Make draws from an array `(n, names)`."""
        return cls({name: array[:, column] for column, name in enumerate(names)}, len(array))

    def __getitem__(self, name: str) -> np.ndarray:
        """Return a stream's numbers; 0.5, the neutral value, for a stream that is not drawn."""
        assert name in STREAMS, name
        return self.columns[name] if name in self.columns else np.full(self.count, 0.5, np.float32)

    def every(self, step: int) -> Draws:
        """Return the numbers of every `step`-th image, beginning with the first."""
        return Draws({name: column[::step] for name, column in self.columns.items()}, self.count // step)
